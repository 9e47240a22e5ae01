"""The stream of training samples: balanced, repeatable, the same for any number of workers."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch

from flora.chip import Batch, Chip, ChipMeta
from flora.data.augment import AugmentConfig
from flora.data.loader import MixtureConfig, TrainingStream, training_loader, validation_chips
from flora.data.pack import PackedDataset, pack
from flora.data.raw import raw_window
from flora.errors import ConfigError

SIZE = 32
PLAIN = AugmentConfig.plain(SIZE)
STRONG = AugmentConfig(size=SIZE)


def make_chip(dataset: str, group: str, name: str, split: str = "train", water: str = "none") -> Chip:
    """`water`: none, corner (a 20th of the chip, in one corner), all, or unlabelled; `blind` has no SAR."""
    rng = np.random.default_rng(crc32(f"{dataset} {group} {name}".encode()))
    sar = rng.normal(-12, 3, (2, 96, 96)).astype(np.float32)
    valid = np.full((2, 96, 96), water != "blind")
    meta = ChipMeta(dataset, "event", group, name, split, water_label="strong")
    chip = Chip(np.where(valid, sar, 0), valid, meta)
    if water in ("unlabelled", "blind"):
        return chip
    mask = np.zeros((96, 96), np.uint8)
    mask[: {"none": 0, "corner": 21, "all": 96}[water], : 96 if water == "all" else 21] = 1
    return chip.with_layers(water=mask, water_valid=np.ones(mask.shape, np.bool_))


@pytest.fixture(scope="module")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packs")
    crowded = [make_chip("wet", "crowded", f"c{i}", water="corner") for i in range(8)]
    pack([*crowded, make_chip("wet", "lonely", "l", water="none")], root / "wet")
    pack([make_chip("dry", "d", "d0"), make_chip("dry", "b", "blind", water="blind")], root / "dry")
    pack([make_chip("judge", "j", "j0", "val", "all"), make_chip("judge", "k", "k0", "test")], root / "judge")
    return root


def stream(packs: Path, seed: int = 0, **settings: object) -> TrainingStream:
    chosen = {
        "mixture": MixtureConfig(weights={"wet": 1, "dry": 1}),
        "augment": PLAIN,
        "batch_size": 4,
    } | settings
    return TrainingStream(PackedDataset(packs, split="train"), seed=seed, **chosen)  # type: ignore[arg-type]


def assert_equal_batches(first: Batch, second: Batch) -> None:
    assert first.meta == second.meta
    for name in (
        "sar",
        "sar_valid",
        "optical",
        "optical_valid",
        "prior",
        "prior_valid",
        "water",
        "water_valid",
    ):
        assert torch.equal(getattr(first, name), getattr(second, name)), name


def batches(packs: Path, count: int, **settings: object) -> list[Batch]:
    chosen = {"workers": 0, "seed": 3, "start_step": 0} | settings
    mixture = MixtureConfig(weights={"wet": 2, "dry": 1})
    return list(islice(training_loader(packs, mixture, STRONG, 3, SIZE, **chosen), count))  # type: ignore[arg-type]


def test_resuming_at_a_step_gives_the_samples_of_that_step(packs: Path) -> None:
    whole = batches(packs, 7)
    resumed = batches(packs, 3, start_step=4)
    for first, second in zip(whole[4:], resumed, strict=True):
        assert_equal_batches(first, second)
    assert not torch.equal(whole[0].sar, whole[4].sar)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int, packs: Path) -> None:
    for first, second in zip(
        batches(packs, 5, start_step=2), batches(packs, 5, start_step=2, workers=workers), strict=True
    ):
        assert_equal_batches(first, second)


def test_batches_that_are_kept_stay_as_they_were(packs: Path) -> None:
    """Workers write to the same few shared slots again and again; what was handed out is no part of them."""
    kept = batches(packs, 14, workers=2)
    for first, second in zip(kept, batches(packs, 14), strict=True):
        assert_equal_batches(first, second)


def test_a_sample_is_the_augmented_chip(packs: Path) -> None:
    """Cropping what lies in the shard gives what cropping the whole chip gives."""
    drawn = stream(packs, augment=STRONG)
    names = [chip.meta.chip for chip in drawn.data.chips]
    for number in range(20):
        found = drawn.sample(number)
        rng = np.random.default_rng([0, number])
        chip, crop = drawn._choose(rng)
        assert names[chip] == found.meta.chip
        whole = drawn.data[chip]
        expected = drawn.augment.apply(raw_window(whole, *crop.window), crop, rng)
        np.testing.assert_allclose(found.sar, expected.sar, atol=1e-4)
        np.testing.assert_array_equal(found.sar_valid, expected.sar_valid)
        np.testing.assert_array_equal(found.water, expected.water)


def test_seeds_differ_and_repeat(packs: Path) -> None:
    first, again, other = (batches(packs, 1, seed=seed)[0] for seed in (1, 1, 2))
    assert_equal_batches(first, again)
    assert not torch.equal(first.sar, other.sar)


def test_batches_have_the_size_asked_for(packs: Path) -> None:
    batch = batches(packs, 1)[0]
    assert batch.sar.shape == (3, 2, SIZE, SIZE) and batch.water.shape == (3, SIZE, SIZE)
    loader = training_loader(packs, MixtureConfig(weights={"dry": 1}), AugmentConfig(size=256), 2, 64, 0, 0)
    assert next(iter(loader)).sar.shape[-2:] == (64, 64)


def test_datasets_come_by_weight_and_places_evenly(packs: Path) -> None:
    mixture = MixtureConfig(weights={"wet": 3, "dry": 1}, water_preference=0)
    metas = [stream(packs, mixture=mixture).sample(n).meta for n in range(300)]
    shares = Counter(meta.dataset for meta in metas)
    assert shares["wet"] / 300 == pytest.approx(0.75, abs=0.08)
    places = Counter(meta.group for meta in metas if meta.dataset == "wet")
    assert places["lonely"] / shares["wet"] == pytest.approx(0.5, abs=0.1)  # 1 chip against 8
    assert len({meta.chip for meta in metas if meta.group == "crowded"}) == 8


def test_a_chip_without_radar_is_never_drawn(packs: Path) -> None:
    mixture = MixtureConfig(weights={"dry": 1})
    assert {stream(packs, mixture=mixture).sample(n).meta.chip for n in range(40)} == {"d0"}


def test_water_is_sought_with_the_probability_asked_for(packs: Path) -> None:
    found = {}
    for preference in (0.0, 0.5, 1.0):
        mixture = MixtureConfig(weights={"wet": 1}, water_preference=preference, water_tries=100)
        samples = [stream(packs, mixture=mixture).sample(n) for n in range(80)]
        found[preference] = np.mean([c.water is not None and c.water.mean() >= 0.02 for c in samples])
    by_chance = found[0.0]
    assert by_chance < 0.25
    assert found[1.0] == 1
    assert found[0.5] == pytest.approx((by_chance + 1) / 2, abs=0.15)


def test_the_search_for_water_ends(packs: Path) -> None:
    """A dry dataset is drawn as it is, and a share that no crop reaches ends after the tries."""
    mixture = MixtureConfig(weights={"dry": 1, "wet": 1}, water_preference=1, water_share=1)
    assert {stream(packs, mixture=mixture).sample(n).meta.dataset for n in range(40)} == {"dry", "wet"}


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"wet": 1, "guaiba": 1}, "names guaiba, of which no training chip is packed; packed are dry, wet"),
        ({"judge": 1}, "names judge"),  # packed, but not for training
        ({"wet": -1}, "expected finite numbers from 0 up"),
        ({"wet": 0}, "one above 0"),
        ({}, "one above 0"),
    ],
)
def test_a_mixture_that_cannot_be_drawn_is_refused(weights: dict[str, float], said: str, packs: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        training_loader(packs, MixtureConfig(weights=weights), PLAIN, 2, SIZE, 0, 0)


def test_validation_chips_are_whole_and_of_their_split(packs: Path) -> None:
    chips = validation_chips(packs)
    assert [chips[i].meta.chip for i in range(len(chips))] == ["j0"]
    assert chips[0].shape == (96, 96)
    assert [entry.meta.chip for entry in validation_chips(packs, "test", datasets=["judge"]).chips] == ["k0"]
