"""Packs: nothing is lost but half a step, and a damaged pack is never read as data."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from flora.chip import Chip, ChipMeta
from flora.data.index import INDEX_NAME
from flora.data.pack import PackedDataset, pack
from flora.data.shard import OPTICAL_STEP, SAR_STEP_DB, open_shard
from flora.errors import ConfigError, DataError, OutputError

STEPS = {"sar": SAR_STEP_DB, "optical": OPTICAL_STEP, "prior": OPTICAL_STEP}


def make_chip(name: str = "chip", seed: int = 0, shape: tuple[int, int] = (20, 33), **meta: str) -> Chip:
    """A chip whose bands are partly, wholly or not at all valid, with layers missing now and then."""
    rng = np.random.default_rng(seed)

    def layer(bands: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        share = rng.choice([0.0, 0.7, 1.0], (bands, 1, 1))
        valid = rng.random((bands, *shape)) < share
        return np.where(valid, rng.uniform(low, high, (bands, *shape)), 0).astype(np.float32), valid

    settled = {"dataset": "made-up", "event": "event", "group": f"place-{name}"} | meta
    chip = Chip(*layer(2, -60, 30), ChipMeta(chip=name, **settled))  # type: ignore[arg-type]
    if rng.random() < 0.7:
        values, valid = layer(4, 0, 1.6)
        chip = chip.with_layers(optical=values, optical_valid=valid)
    if rng.random() < 0.7:
        values, valid = layer(4, 0, 1.6)
        chip = chip.with_layers(prior=values, prior_valid=valid)
    if rng.random() < 0.7:
        valid = rng.random(shape) < 0.8
        water = ((rng.random(shape) < 0.5) & valid).astype(np.uint8)
        chip = chip.with_layers(water=water, water_valid=valid)
    return chip


def assert_same_within_half_a_step(found: Chip, original: Chip) -> None:
    assert found.meta == original.meta
    for field in fields(Chip):
        first, second = getattr(found, field.name), getattr(original, field.name)
        if field.name == "meta" or (first is None and second is None):
            continue
        assert first.dtype == second.dtype and first.shape == second.shape
        if field.name in STEPS:
            # Half a step, and the rounding of 32-bit floats.
            assert np.abs(first.astype(np.float64) - second).max(initial=0) <= STEPS[field.name] * 0.5 + 1e-5
        else:
            np.testing.assert_array_equal(first, second, err_msg=field.name)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seeds=st.lists(st.integers(0, 2**32), min_size=1, max_size=4, unique=True),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)
def test_round_trip_loses_less_than_a_step(
    seeds: list[int], shape: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path_factory.mktemp("round") / "pack"
    chips = [make_chip(f"chip-{seed}", seed, shape) for seed in seeds]
    pack(chips, out, shard_mib=0.05)
    found = PackedDataset(out)
    assert len(found) == len(chips)
    for position, chip in enumerate(chips):
        assert_same_within_half_a_step(found[position], chip)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_window_equals_the_cut_out_of_the_whole(data: st.DataObject, packed: Path) -> None:
    dataset = PackedDataset(packed)
    number = data.draw(st.integers(0, len(dataset) - 1))
    whole = dataset[number]
    edges = [sorted(data.draw(st.tuples(*[st.integers(0, side)] * 2))) for side in whole.shape]
    rows, cols = (slice(*edge) for edge in edges)
    window = dataset.read(number, rows, cols)
    for field in fields(Chip):
        layer = getattr(whole, field.name)
        if isinstance(layer, np.ndarray):
            np.testing.assert_array_equal(
                getattr(window, field.name), layer[..., rows, cols], err_msg=field.name
            )
    if whole.water is not None and rows.start < rows.stop and cols.start < cols.stop:
        assert dataset.water_share(number, rows, cols) == pytest.approx(whole.water[rows, cols].mean())


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "pack"
    pack([make_chip(f"chip-{seed}", seed) for seed in range(6)], out, shard_mib=0.03)
    return out


def test_packing_what_was_packed_changes_no_pixel(packed: Path, tmp_path: Path) -> None:
    first = PackedDataset(packed)
    pack((first[i] for i in range(len(first))), tmp_path / "again")
    second = PackedDataset(tmp_path / "again")
    for number in range(len(first)):
        for field in fields(Chip):
            if field.name != "meta":
                np.testing.assert_array_equal(
                    getattr(first[number], field.name), getattr(second[number], field.name)
                )


def test_known_values_by_hand(tmp_path: Path) -> None:
    """-12.345 dB is -1234 or -1235 steps; reflectance 7 is cut to 6.5; a hidden NaN is 0; label 1 under False is 0."""
    sar = np.array([[[-12.345, np.nan]], [[1000, -1000]]], np.float32)
    seen = np.array([[[True, False]], [[True, True]]])
    optical = np.array([[[7, 0.12344]], [[-0.01, 0]], [[0, 0]], [[0, 0]]], np.float32)
    water, labelled = np.array([[1, 1]], np.uint8), np.array([[True, False]])
    chip = Chip(
        sar, seen, ChipMeta("made-up", "event", "place", "chip"), optical, np.ones((4, 1, 2), np.bool_)
    )
    index = pack([chip.with_layers(water=water, water_valid=labelled)], tmp_path / "pack")
    found = PackedDataset(tmp_path / "pack")[0]
    np.testing.assert_allclose(found.sar, [[[-12.345, 0]], [[327.67, -327.68]]], atol=0.00501)
    assert found.optical is not None and found.water is not None and found.water_valid is not None
    np.testing.assert_allclose(found.optical[:2, 0], [[6.5, 0.1234], [0, 0]], atol=1e-6)
    assert found.water.tolist() == [[1, 0]] and found.water_valid.tolist() == [[True, False]]
    assert index.chips[0].water_share == 1 and index.chips[0].sar_share == 1


def test_shards_are_plain_safetensors(packed: Path) -> None:
    """The library's own reader gives the same tensors as ours."""
    shards = sorted(packed.glob("*.safetensors"))
    assert len(shards) > 1
    for path in shards:
        ours, in_memory = open_shard(path), open_shard(path, in_memory=True)
        with safe_open(path, "numpy") as theirs:
            assert set(theirs.keys()) == set(ours) == set(in_memory)
            for name in theirs.keys():  # noqa: SIM118  # not a mapping
                np.testing.assert_array_equal(ours[name], theirs.get_tensor(name))
                np.testing.assert_array_equal(in_memory[name], ours[name])


def test_bands_without_data_take_no_room(tmp_path: Path) -> None:
    """An absent near infrared or cross polarisation is not written."""
    shape = (4, 64, 64)
    valid = np.ones(shape, np.bool_)
    valid[3] = False
    chip = Chip(
        np.zeros((2, 64, 64), np.float32),
        valid[2:],
        ChipMeta("d", "e", "g", "c"),
        np.zeros(shape, np.float32),
        valid,
    )
    pack([chip], tmp_path / "pack")
    tensors = open_shard(tmp_path / "pack" / "shard-00000.safetensors")
    assert {name: tensor.shape[0] for name, tensor in tensors.items()} == {
        "000000.sar": 1,
        "000000.sar_valid": 1,
        "000000.optical": 3,
        "000000.optical_valid": 3,
    }


def test_a_window_does_not_decode_the_chip(tmp_path: Path) -> None:
    sar = np.zeros((2, 512, 512), np.float32)
    pack([Chip(sar, np.ones(sar.shape, np.bool_), ChipMeta("d", "e", "g", "c"))], tmp_path / "pack")
    dataset = PackedDataset(tmp_path / "pack")
    dataset.read(0, slice(0, 1), slice(0, 1))
    tracemalloc.start()
    dataset.read(0, slice(100, 164), slice(33, 97))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * 64 * 64 * 2 * 5  # the window's floats and masks; the whole chip has 64 times as many


def test_every_shard_stays_below_its_limit(tmp_path: Path) -> None:
    index = pack((make_chip(f"c{i}", i, (100, 100)) for i in range(20)), tmp_path / "pack", shard_mib=0.5)
    sizes = [path.stat().st_size for path in sorted((tmp_path / "pack").glob("*.safetensors"))]
    assert len(sizes) == len(index.shards) > 2
    assert [shard.size for shard in index.shards] == sizes
    assert max(sizes) < 0.5 * 2**20 + 20_000  # and the header


def test_split_dataset_and_several_packs(tmp_path: Path) -> None:
    pack(
        [make_chip("a", 1, dataset="one"), make_chip("b", 2, dataset="one", split="val")],
        tmp_path / "packs" / "one",
    )
    pack([make_chip("c", 3, dataset="two")], tmp_path / "packs" / "two")

    def names(**wanted: object) -> list[str]:
        return [chip.meta.chip for chip in PackedDataset(tmp_path / "packs", **wanted).chips]  # type: ignore[arg-type]

    assert names() == ["a", "b", "c"]
    assert names(split="train") == ["a", "c"]
    assert names(datasets=["two"]) == ["c"]
    both = PackedDataset([tmp_path / "packs" / "two", tmp_path / "packs" / "one"])
    assert [both[i].meta.chip for i in range(3)] == ["c", "a", "b"]
    with pytest.raises(DataError, match="Two chips of two are named 'c'"):
        PackedDataset([tmp_path / "packs", tmp_path / "packs" / "two"])
    with pytest.raises(DataError, match="No chip of split 'test'"):
        PackedDataset(tmp_path / "packs", split="test")


def test_it_survives_being_sent_to_a_worker(packed: Path) -> None:
    dataset = PackedDataset(packed)
    opened = dataset[0]
    sent = pickle.dumps(dataset)
    assert len(sent) < 20_000  # no pixels travel
    np.testing.assert_array_equal(pickle.loads(sent)[0].sar, opened.sar)


def test_two_packings_of_the_same_chips_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        pack([make_chip("a", 1), make_chip("b", 2)], tmp_path / name)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def truncate(folder: Path) -> None:
    path = folder / "shard-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def soil_header(folder: Path) -> None:
    path = folder / "shard-00000.safetensors"
    raw = bytearray(path.read_bytes())
    raw[8:20] = b"x" * 12
    path.write_bytes(raw)


def swap_shards(folder: Path) -> None:
    first, second = folder / "shard-00000.safetensors", folder / "shard-00001.safetensors"
    held = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(held)
    edit_index(folder, lambda index: index["shards"].reverse())
    edit_index(
        folder,
        lambda index: [s.update(file=f"shard-0000{i}.safetensors") for i, s in enumerate(index["shards"])],
    )


def edit_index(folder: Path, change: object) -> None:
    index = json.loads((folder / INDEX_NAME).read_text())
    change(index)  # type: ignore[operator]
    (folder / INDEX_NAME).write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (truncate, r"has [\d,]+ bytes; its index says [\d,]+ bytes: copy or pack it again"),
        (lambda folder: (folder / "shard-00001.safetensors").unlink(), "is missing; its index says"),
        (soil_header, "cannot be read as a safetensors file .* damaged or cut short"),
        (swap_shards, "shard and index do not belong together"),
        (lambda folder: (folder / INDEX_NAME).write_text('{"format": '), "is not a pack index of version 1"),
        (lambda folder: edit_index(folder, lambda index: index.update(version=2)), "version 1: version"),
        (lambda folder: edit_index(folder, lambda index: index["chips"][0].pop("bands")), r"chips\.0\.bands"),
        (
            lambda folder: edit_index(folder, lambda i: i["chips"][0]["bands"].update(sar=[7])),
            "sar has bands",
        ),
        (
            lambda folder: edit_index(folder, lambda i: i["chips"][0].update(shard=99)),
            "names a shard that it does not",
        ),
        (lambda folder: (folder / INDEX_NAME).unlink(), "holds no index.json"),
    ],
)
def test_damage_is_named(damage: object, said: str, packed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pack"
    folder.mkdir()
    for path in packed.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    PackedDataset(folder)[0]
    damage(folder)  # type: ignore[operator]
    with pytest.raises(DataError, match=said):
        [PackedDataset(folder)[number] for number in range(6)]


def test_one_changed_bit_is_found_by_its_checksum(tmp_path: Path) -> None:
    pack([make_chip()], tmp_path / "pack")
    PackedDataset(tmp_path / "pack").verify()
    path = tmp_path / "pack" / "shard-00000.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match="differs from what was packed"):
        PackedDataset(tmp_path / "pack").verify()


def test_a_window_outside_the_chip_is_refused(packed: Path) -> None:
    for rows in (slice(0, 21), slice(-1, 5), slice(0, 10, 2)):
        with pytest.raises(DataError, match="leaves chip"):
            PackedDataset(packed).read(0, rows, slice(0, 5))


def test_what_cannot_be_packed_says_why(tmp_path: Path) -> None:
    chip = make_chip()
    loud = chip.with_layers(
        sar=np.where(np.ones_like(chip.sar_valid), np.float32(np.nan), chip.sar),
        sar_valid=np.ones_like(chip.sar_valid),
    )
    elsewhere = replace(chip.meta, chip="other", split="test")
    for chips, said in (
        ([], "There is no chip to pack"),
        ([chip, chip], "Two chips of made-up are named 'chip'"),
        (
            [chip, chip.with_layers(meta=elsewhere)],
            "Group 'place-chip' of made-up is in the splits train and test",
        ),
        ([loud], "sar values that are not finite"),
        ([make_chip(shape=(400, 400), seed=3)], "cut it into smaller chips or raise shard_mib"),
    ):
        with pytest.raises(DataError, match=said):
            pack(chips, tmp_path / "pack", shard_mib=0.1)
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="shard_mib is 64; expected more than 0 and at most 58"):
        pack([chip], tmp_path / "pack", shard_mib=64)


def test_an_interrupted_packing_leaves_nothing_behind(tmp_path: Path) -> None:
    def breaking() -> Iterator[Chip]:
        yield make_chip("a")
        yield make_chip("b")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(breaking(), tmp_path / "pack", shard_mib=0.02)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unless_allowed(tmp_path: Path) -> None:
    out = tmp_path / "pack"
    pack([make_chip("old")], out)
    with pytest.raises(OutputError, match="exists already"):
        pack([make_chip("new")], out)
    with pytest.raises(DataError):
        pack([], out, overwrite=True)
    assert PackedDataset(out)[0].meta.chip == "old"
    pack([make_chip("new")], out, overwrite=True)
    assert PackedDataset(out)[0].meta.chip == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
