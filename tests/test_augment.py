"""Augmentation: one geometry for all layers, validity that only shrinks, chance that is repeatable."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.ndimage import binary_dilation, binary_erosion

from flora.chip import Chip, ChipMeta
from flora.data.augment import CLIP_STEP_DB, Augment, AugmentConfig, Optical, shifted
from flora.data.crop import Axis, Crop, cut, draw_crop, turned
from flora.data.disturbance import cloud, speckle_db, sunk, trend
from flora.data.raw import raw_window

META = ChipMeta("made-up", "event", "place", "chip")
# Geometry at its widest, radiometry off.
GEOMETRY = AugmentConfig.plain(64).model_copy(update={"zoom": (0.3, 1.5), "native": 0.2, "turns": True})


def random_chip(seed: int = 0, shape: tuple[int, int] = (96, 120), valid_share: float = 0.97) -> Chip:
    rng = np.random.default_rng(seed)

    def layer(bands: int, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
        valid = rng.random((bands, *shape)) < valid_share
        return np.where(valid, rng.uniform(low, high, (bands, *shape)), 0).astype(np.float32), valid

    sar, sar_valid = layer(2, -30, 5)
    optical, optical_valid = layer(4, 0.01, 0.6)
    prior, prior_valid = layer(4, 0.01, 0.6)
    water_valid = rng.random(shape) < valid_share
    water = ((rng.random(shape) < 0.4) & water_valid).astype(np.uint8)
    return Chip(sar, sar_valid, META, optical, optical_valid, prior, prior_valid, water, water_valid)


def coordinate_chip(height: int, width: int) -> Chip:
    """Every layer says, in its own way, which row and column a pixel is."""
    row, col = np.mgrid[:height, :width].astype(np.float32)
    nothing = np.zeros_like(row)
    optical = np.stack([row, col, nothing, nothing]) / 1000
    water = ((row // 16 + col // 16) % 2).astype(np.uint8)
    every = np.ones((4, height, width), np.bool_)
    # A slope of 0.01 dB a px: averaging power instead of dB moves it by less than a thousandth of a px.
    sar = np.stack([row, col]) / 100
    return Chip(sar, every[:2], META, optical, every, optical.copy(), every, water, every[0])


def assert_same_ground(chip: Chip) -> None:
    """Recovers each layer's coordinates and compares them."""
    assert chip.optical is not None and chip.prior is not None and chip.water is not None
    seen = chip.water_valid
    assert seen is not None and seen.any()
    for valid in (chip.sar_valid, chip.optical_valid, chip.prior_valid):
        assert valid is not None and (valid == seen).all()
    row, col = (chip.sar * 100)[:, seen]
    for layer in (chip.optical, chip.prior):
        np.testing.assert_allclose(layer[0][seen] * 1000, row, atol=0.02)
        np.testing.assert_allclose(layer[1][seen] * 1000, col, atol=0.02)
    # Water has a chessboard of 16 px; away from its lines the nearest pixel has the colour of the coordinates.
    inside = np.all([np.abs((at + 0.5) % 16 - 8) < 6 for at in (row, col)], axis=0)
    expected = (np.round(row) // 16 + np.round(col) // 16) % 2
    assert inside.any()
    assert (chip.water[seen] == expected)[inside].all()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), height=st.integers(40, 260), width=st.integers(40, 260))
def test_every_layer_gets_the_same_geometry(seed: int, height: int, width: int) -> None:
    assert_same_ground(Augment(GEOMETRY)(coordinate_chip(height, width), np.random.default_rng(seed)))


@pytest.mark.parametrize("layer", ["sar", "optical", "prior", "water"])
def test_a_layer_cropped_on_its_own_is_noticed(layer: str) -> None:
    chip, augment = coordinate_chip(200, 200), Augment(GEOMETRY)
    together, apart = (cut_at(augment, chip, _crop(*corner)) for corner in ((20, 30), (57, 9)))
    assert_same_ground(together)
    with pytest.raises(AssertionError):
        assert_same_ground(together.with_layers(**{layer: getattr(apart, layer)}))


def cut_at(augment: Augment, chip: Chip, crop: Crop, seed: int = 0) -> Chip:
    return augment.apply(raw_window(chip, *crop.window), crop, np.random.default_rng(seed))


def _crop(row: int, col: int, turn: int = 0) -> Crop:
    return Crop(Axis(row, 96, 0, 64), Axis(col, 96, 0, 64), 64, turn=turn)


def test_turns_by_hand() -> None:
    square = np.array([[1, 2], [3, 4]])
    expected = {
        0: [[1, 2], [3, 4]],
        1: [[1, 3], [2, 4]],
        2: [[3, 4], [1, 2]],
        3: [[2, 4], [1, 3]],
        4: [[2, 1], [4, 3]],
        5: [[3, 1], [4, 2]],
        6: [[4, 3], [2, 1]],
        7: [[4, 2], [3, 1]],
    }
    for turn, result in expected.items():
        assert turned(square, turn).tolist() == result


def test_crop_at_zoom_1_copies_pixels() -> None:
    chip = random_chip(valid_share=1)
    crop = Crop(Axis(10, 64, 0, 64), Axis(7, 64, 0, 64), 64)
    found = cut(raw_window(chip, *crop.window), crop)
    assert np.array_equal(found.sar, chip.sar[:, 10:74, 7:71])
    assert found.water is not None and chip.water is not None
    assert np.array_equal(found.water, chip.water[10:74, 7:71])
    assert not np.shares_memory(found.sar, chip.sar)


def weights(axis: Axis, factor: int, slip: float = 0) -> np.ndarray:
    """Block mean, then bilinear with px centres on px centres, as a matrix (extent, length); worked out in float64.

    `slip` moves the new px by a hair, blocks.
    """
    blocks = np.kron(np.eye(axis.length // factor), np.full((1, factor), 1 / factor))
    matrix = np.zeros((axis.extent, len(blocks)))
    for i in range(axis.extent):
        at = min(max((i + 0.5) * len(blocks) / axis.extent - 0.5 + slip, 0), len(blocks) - 1)
        low = min(int(at), max(len(blocks) - 2, 0))
        matrix[i, low] += 1 - (at - low)
        matrix[i, min(low + 1, len(blocks) - 1)] += at - low
    return matrix @ blocks


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.tuples(st.integers(3, 90), st.integers(3, 90)),
    zoom=st.sampled_from([(0.3, 1.5), (0.1, 0.2), (2.0, 3.0), (1.0, 1.0)]),
)
def test_resampling_equals_its_matrix_form(
    seed: int, shape: tuple[int, int], zoom: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    chip = random_chip(seed % 1000, shape)
    crop = draw_crop(shape, rng, size=32, zoom=zoom, native=0, cover=0.6, turns=True)
    found = cut(raw_window(chip, *crop.window), crop)
    into, across = weights(crop.rows, crop.factor), weights(crop.cols, crop.factor)
    # Where a centre falls on a centre, a hair decides whether the next px has a weight of 0 or 1e-7.
    wide_into, wide_across = (
        sum(weights(axis, crop.factor, slip) for slip in (-1e-4, 1e-4)) for axis in (crop.rows, crop.cols)
    )
    for layer, power in (("sar", True), ("optical", False)):
        values, valid = (
            getattr(chip, layer)[:, *crop.window],
            getattr(chip, f"{layer}_valid")[:, *crop.window],
        )
        signal = np.where(valid, 10 ** (values.astype(np.float64) / 10) if power else values, 0)
        mean = into @ signal @ across.T
        lost = into @ ~valid @ across.T
        near = wide_into @ ~valid @ wide_across.T
        full, missing, around = (np.full((len(values), 32, 32), outside) for outside in (0.0, 1.0, 1.0))
        rows, cols = crop.written
        full[:, rows.write, cols.write] = turned(mean, crop.turn)
        missing[:, rows.write, cols.write] = turned(lost, crop.turn)
        around[:, rows.write, cols.write] = turned(near, crop.turn)
        new, seen = getattr(found, layer), getattr(found, f"{layer}_valid")
        assert not (seen & (missing > 1e-4)).any()
        assert (seen | (around > 0)).all()
        expected = 10 * np.log10(np.maximum(full[seen], 1e-30)) if power else full[seen]
        np.testing.assert_allclose(new[seen], expected, atol=2e-3 if power else 1e-5)
        assert (new[~seen] == 0).all()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), garbage=st.sampled_from([np.nan, np.inf, -1e30, 7.0]))
def test_values_under_invalid_change_nothing(seed: int, garbage: float) -> None:
    chip = random_chip(seed % 100, valid_share=0.9)
    soiled = {}
    for layer in ("sar", "optical", "prior"):
        soiled[layer] = np.where(getattr(chip, f"{layer}_valid"), getattr(chip, layer), np.float32(garbage))
    assert chip.water is not None
    soiled["water"] = np.where(chip.water_valid, chip.water, np.uint8(1))
    augment = Augment(AugmentConfig(size=48))
    assert_equal_chips(
        augment(chip, np.random.default_rng(seed)),
        augment(chip.with_layers(**soiled), np.random.default_rng(seed)),
    )


def test_a_nan_beside_the_rim_stays_where_it_is() -> None:
    """Where the crop is enlarged, its first row is the chip's first row, with a weight of 0 on the second."""
    chip = random_chip(valid_share=1)
    hidden = {}
    for layer in ("sar", "optical"):
        values, valid = getattr(chip, layer).copy(), getattr(chip, f"{layer}_valid").copy()
        values[:, 1], valid[:, 1] = np.nan, False
        hidden |= {layer: values, f"{layer}_valid": valid}
    crop = Crop(Axis(0, 40, 0, 64), Axis(0, 40, 0, 64), 64)
    found = cut(raw_window(chip.with_layers(**hidden), *crop.window), crop)
    assert found.optical is not None and found.optical_valid is not None
    assert found.sar_valid[:, 0].all() and found.optical_valid[:, 0].all()
    assert np.isfinite(found.sar).all() and np.isfinite(found.optical).all()


def assert_equal_chips(first: Chip, second: Chip) -> None:
    assert first.meta == second.meta
    for field in fields(Chip):
        if field.name != "meta":
            np.testing.assert_array_equal(
                getattr(first, field.name), getattr(second, field.name), err_msg=field.name
            )


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), shape=st.tuples(st.integers(1, 150), st.integers(1, 150)))
def test_samples_are_whole(seed: int, shape: tuple[int, int]) -> None:
    """Any chip gives finite samples of the size asked for, 0 where invalid, in memory of their own."""
    chip = random_chip(seed % 100, shape)
    before = {f.name: np.copy(getattr(chip, f.name)) for f in fields(Chip) if f.name != "meta"}
    sample = Augment(AugmentConfig(size=48, misregistration_px=2, weakly_registered=("made-up",)))(
        chip, np.random.default_rng(seed)
    )
    assert sample.shape == (48, 48)
    for layer in ("sar", "optical", "prior", "water"):
        values, valid = getattr(sample, layer), getattr(sample, f"{layer}_valid")
        if values is not None:
            assert values.dtype == getattr(chip, layer).dtype and valid.dtype == np.bool_
            assert values.flags.c_contiguous and valid.flags.c_contiguous
            assert np.isfinite(values).all() and (values[~valid] == 0).all()
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(chip, name), values, err_msg=f"{name} of the chip was changed")


def test_same_generator_same_sample_other_generator_other_sample() -> None:
    chip, augment = random_chip(), Augment(AugmentConfig(size=48))
    first, again, other = (augment(chip, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert_equal_chips(first, again)
    assert not np.array_equal(first.sar, other.sar)


def test_a_small_chip_is_padded_with_invalid() -> None:
    chip = random_chip(shape=(20, 30), valid_share=1)
    for seed in range(20):
        sample = Augment(AugmentConfig.plain(64))(chip, np.random.default_rng(seed))
        assert sample.sar_valid[0].sum() == 20 * 30
        assert sample.water_valid is not None and sample.water_valid.sum() == 20 * 30


def test_zoom_covers_its_span_and_pixel_size_follows() -> None:
    chip = Chip(np.zeros((2, 400, 400), np.float32), np.ones((2, 400, 400), np.bool_), META)
    augment = Augment(GEOMETRY)
    pixels = []
    for seed in range(150):
        meta = augment(chip, np.random.default_rng(seed)).meta
        assert meta.pixel_m is not None
        pixels.append(meta.pixel_m)
    assert min(pixels) == pytest.approx(10 / 1.5, rel=0.05) and max(pixels) == pytest.approx(
        10 / 0.3, rel=0.05
    )
    assert 0.1 < np.mean(np.array(pixels) == 10) < 0.3  # the native share
    unknown = replace(chip.meta, pixel_m=None)
    assert augment(chip.with_layers(meta=unknown), np.random.default_rng(0)).meta.pixel_m is None


def test_radiometry_leaves_optical_and_water_alone() -> None:
    chip = random_chip()
    strong = AugmentConfig(size=64, speckle=1, clip=1, band_dropout=1)
    plain = AugmentConfig.plain(64).model_copy(
        update={"zoom": strong.zoom, "native": strong.native, "turns": True}
    )
    crop = Augment(strong).draw(chip.shape, np.random.default_rng(1))
    varied, same = (cut_at(Augment(config), chip, crop) for config in (strong, plain))
    assert not np.array_equal(varied.sar, same.sar)
    for layer in ("optical", "optical_valid", "water", "water_valid"):
        np.testing.assert_array_equal(getattr(varied, layer), getattr(same, layer))


def test_affine_is_as_strong_as_the_source_needs() -> None:
    """The shift's spread at the pivot is the configured one, larger for stretched SAR."""
    config = AugmentConfig.plain(16).model_copy(update={"shift_db": 1.5, "stretched_shift_db": 3.0})
    for radiometry, expected in (("calibrated", 1.5), ("stretched", 3.0)):
        chip = random_chip(shape=(16, 16), valid_share=1)
        chip = chip.with_layers(meta=replace(META, sar_radiometry=radiometry))
        moved = [
            (Augment(config)(chip, np.random.default_rng(s)).sar - chip.sar)[:, 0, 0] for s in range(400)
        ]
        assert np.std(moved, axis=0) == pytest.approx([expected, expected], rel=0.15)
        assert abs(np.corrcoef(np.transpose(moved))[0, 1]) < 0.2  # each band its own


def test_gain_turns_about_the_pivot() -> None:
    config = AugmentConfig.plain(16).model_copy(update={"gain": (0.5, 0.5)})
    chip = random_chip(shape=(16, 16), valid_share=1)
    sample = Augment(config)(chip, np.random.default_rng(0))
    pivot = np.array([-11, -18])[:, None, None]
    np.testing.assert_allclose(sample.sar - pivot, (chip.sar - pivot) / 2, atol=1e-5)


@pytest.mark.parametrize(
    ("radiometry", "bands", "expected"),
    [
        ("stretched", (True, False), 0.5),
        ("stretched", (True, True), 0.8),
        ("calibrated", (True, False), 1.25),
    ],
)
def test_one_band_of_unknown_stretch_has_a_gain_of_its_own(
    radiometry: str, bands: tuple[bool, bool], expected: float
) -> None:
    config = AugmentConfig.plain(16).model_copy(
        update={"gain": (1.25, 1.25), "stretched_gain": (0.8, 0.8), "one_band_gain": (0.5, 0.5)}
    )
    chip = random_chip(shape=(16, 16), valid_share=1)
    valid = np.broadcast_to(np.array(bands)[:, None, None], chip.sar_valid.shape)
    meta = replace(META, sar_radiometry=radiometry)
    chip = chip.with_layers(meta=meta, sar_valid=valid.copy(), sar=np.where(valid, chip.sar, 0))
    sample = Augment(config)(chip, np.random.default_rng(0))
    np.testing.assert_allclose(sample.sar[0] + 11, (chip.sar[0] + 11) * expected, atol=1e-5)


def test_vh_sinks_towards_the_noise_and_vv_stays() -> None:
    config = AugmentConfig.plain(16).model_copy(update={"vh_loss": 1.0, "vh_loss_db": (5.0, 5.0)})
    chip = random_chip(shape=(16, 16), valid_share=1)
    sample = Augment(config)(chip, np.random.default_rng(0))
    assert np.array_equal(sample.sar[0], chip.sar[0])
    assert (sample.sar[1] <= chip.sar[1]).all() and (sample.sar[1] < chip.sar[1]).any()
    made = chip.with_layers(meta=replace(META, simulated=True))  # the simulator has frost of its own
    assert np.array_equal(Augment(config)(made, np.random.default_rng(0)).sar, chip.sar)
    # By hand: -15 - 5 = -20 dB is 0.01 of power, the noise at -24 dB is 0.00398; together -18.55 dB.
    band = np.array([[-15.0, -40.0]], np.float32)
    np.testing.assert_allclose(sunk(band, 5, -24), [[-18.55, -40.0]], atol=0.01)


def test_wind_moves_labelled_water_alone() -> None:
    config = AugmentConfig.plain(64).model_copy(update={"wind": 1.0, "wind_db": 4.0})
    chip = coordinate_chip(64, 64)
    assert chip.water is not None
    wide = np.ones((3, 3))
    inside = binary_erosion(chip.water == 1, wide, border_value=1)
    dry = ~binary_dilation(chip.water == 1, wide)
    rises = []
    for seed in range(8):
        vv, vh = Augment(config)(chip, np.random.default_rng(seed)).sar - chip.sar
        assert np.abs(vv[dry]).max() == np.abs(vh[dry]).max() == 0
        rises.append(float(np.median(vv[inside])))
        np.testing.assert_allclose(vv[inside], rises[-1], atol=1e-5)
        np.testing.assert_allclose(vh[inside], 0.5 * rises[-1], atol=1e-5)
    assert min(rises) < -1 and max(rises) > 1 and max(map(abs, rises)) <= 4
    for meta in (replace(META, simulated=True), replace(META, sar_radiometry="stretched")):
        other = chip.with_layers(meta=meta)  # the simulator has wind of its own
        assert np.array_equal(Augment(config)(other, np.random.default_rng(0)).sar, chip.sar)
    unlabelled = chip.with_layers(water=None, water_valid=None)
    assert np.array_equal(Augment(config)(unlabelled, np.random.default_rng(0)).sar, chip.sar)


@pytest.mark.parametrize("present", [(True, True), (True, False), (False, True)])
def test_vv_alone_takes_vh_from_two_bands_and_from_nothing_else(present: tuple[bool, bool]) -> None:
    config = AugmentConfig.plain(16).model_copy(update={"vv_alone": 1.0})
    chip = random_chip(shape=(16, 16), valid_share=1)
    for band, there in enumerate(present):
        chip.sar_valid[band] = there
    sample = Augment(config)(chip, np.random.default_rng(0))
    assert tuple(sample.sar_valid.any(axis=(1, 2))) == ((True, False) if all(present) else present)


@pytest.mark.parametrize("present", [(True, True), (True, False), (False, True), (False, False)])
def test_band_dropout_never_takes_the_last_band(present: tuple[bool, bool]) -> None:
    chip = random_chip(valid_share=1)
    valid = np.broadcast_to(np.array(present)[:, None, None], chip.sar_valid.shape).copy()
    chip = chip.with_layers(sar_valid=valid, sar=np.where(valid, chip.sar, 0))
    augment = Augment(AugmentConfig(size=48, band_dropout=1))
    left = [tuple(augment(chip, np.random.default_rng(s)).sar_valid.any(axis=(1, 2))) for s in range(40)]
    if present == (True, True):
        assert set(left) == {(True, False), (False, True)}
    else:
        assert set(left) == {present}


def test_speckle_has_unit_mean_and_the_variance_of_its_looks() -> None:
    for looks in (1.0, 4.4, 30.0):
        power = 10 ** (
            speckle_db((looks, looks), (4, 250, 500), np.random.default_rng(0)).astype(np.float64) / 10
        )
        assert power.mean() == pytest.approx(1, abs=0.006)
        assert power.var() == pytest.approx(1 / looks, rel=0.03)
        neighbours = np.corrcoef(power[:, :, 1:].ravel(), power[:, :, :-1].ravel())[0, 1]
        assert abs(neighbours) < 0.01


def test_trend_reaches_its_height_at_the_rim_and_none_in_the_middle() -> None:
    np.testing.assert_allclose(trend((3, 3), 2.0, 0.0), [[-2, 0, 2]] * 3, atol=1e-6)
    for angle in np.linspace(0, 6, 13):
        plane = trend((33, 65), 1.5, angle)
        assert np.abs(plane).max() == pytest.approx(1.5, abs=1e-5) and abs(plane[16, 32]) < 1e-6


def test_clip_quantises_to_grey_steps() -> None:
    config = AugmentConfig.plain(64).model_copy(update={"clip": 1.0})
    sar = Augment(config)(random_chip(), np.random.default_rng(0)).sar
    levels = (sar + 30) / CLIP_STEP_DB
    np.testing.assert_allclose(levels, np.round(levels), atol=1e-3)
    assert sar.min() == -30 and sar.max() == 0


@pytest.mark.parametrize("cover", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_cloud_covers_what_it_should(cover: float) -> None:
    covers = [cloud(128, cover, np.random.default_rng(seed)).mean() for seed in range(10)]
    assert np.abs(np.array(covers) - cover).max() < 0.03


def test_same_day_prior_is_the_optical_image_under_cloud() -> None:
    config = AugmentConfig.plain(64).model_copy(update={"same_day_prior": 1.0, "cloud_cover": (0.4, 0.6)})
    sample = Augment(config)(random_chip(valid_share=1), np.random.default_rng(0))
    assert sample.optical is not None and sample.prior is not None and sample.prior_valid is not None
    assert sample.optical_valid is not None and sample.optical_valid.all()
    assert 0.3 < sample.prior_valid.mean() < 0.7
    assert (sample.prior_valid == sample.prior_valid[0]).all()  # cloud hides every band
    np.testing.assert_array_equal(sample.prior[sample.prior_valid], sample.optical[sample.prior_valid])


def test_old_prior_gets_another_season_a_channel() -> None:
    config = AugmentConfig.plain(64).model_copy(
        update={"prior_gain": (0.8, 1.25), "prior_offset": (-0.02, 0.05)}
    )
    chip = random_chip(shape=(64, 64), valid_share=1)
    sample = Augment(config)(chip, np.random.default_rng(0))
    assert sample.prior is not None and chip.prior is not None
    gains = []
    for old, new in zip(chip.prior, sample.prior, strict=True):
        kept = new > 0  # reflectance does not go below 0
        gain, offset = np.polyfit(old[kept], new[kept], 1)
        np.testing.assert_allclose(new[kept], gain * old[kept] + offset, atol=1e-5)
        assert 0.8 <= gain <= 1.25 and -0.02 <= offset <= 0.05
        gains.append(gain)
    assert len(set(gains)) == 4
    np.testing.assert_array_equal(sample.optical, chip.optical)


def test_prior_can_be_dropped_or_clouded() -> None:
    chip = random_chip(valid_share=1)
    plain = AugmentConfig.plain(64)
    assert (
        Augment(plain.model_copy(update={"prior_dropout": 1.0}))(chip, np.random.default_rng(0)).prior is None
    )
    clouded = Augment(plain.model_copy(update={"prior_cloud": 1.0}))(chip, np.random.default_rng(0))
    assert clouded.prior_valid is not None and not clouded.prior_valid.all()
    assert Augment(plain)(chip, np.random.default_rng(0)).prior_valid.all()  # type: ignore[union-attr]


def test_shift_by_hand() -> None:
    values = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3)
    moved = shifted(Optical(values, np.ones((1, 3, 3), np.bool_)), (1, -1))
    assert moved.values.tolist() == [[[0, 0, 0], [2, 3, 0], [5, 6, 0]]]
    assert moved.valid.tolist() == [[[False] * 3, [True, True, False], [True, True, False]]]


def test_misregistration_is_off_unless_asked_for() -> None:
    assert AugmentConfig().misregistration_px == 0
    chip = random_chip(valid_share=1)
    moving = AugmentConfig.plain(64).model_copy(update={"misregistration_px": 2})
    still = Augment(moving)(chip, np.random.default_rng(3))
    assert (
        still.optical_valid is not None and still.optical_valid.all()
    )  # made-up is not a weakly registered source
    listed = moving.model_copy(update={"weakly_registered": ("made-up",)})
    samples = [Augment(listed)(chip, np.random.default_rng(seed)) for seed in range(30)]
    assert any(not s.optical_valid.all() for s in samples if s.optical_valid is not None)
    assert all(s.sar_valid.all() and s.water_valid is not None and s.water_valid.all() for s in samples)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"zoom": (1.5, 0.3)}, "zoom"),
        ({"zoom": (0, 1)}, "zoom"),
        ({"cloud_cover": (0.5, 1.5)}, "cloud_cover"),
        ({"speckle": 1.5}, "speckle"),
        ({"vh_loss_db": (5, 2)}, "vh_loss_db"),
        ({"zoomm": (1, 1)}, "zoomm"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        AugmentConfig.model_validate(wrong)
