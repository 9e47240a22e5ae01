"""Thresholds and constants: the simplest rivals, held to scipy and scikit-image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.filters import threshold_otsu

from flora.baselines.colour import MeanColour, Persistence
from flora.baselines.thresholds import FixedThreshold, OtsuThreshold, median_filter, otsu, tune_threshold
from flora.chip import Chip, ChipMeta, collate
from flora.errors import ConfigError, DataError
from flora.evaluate import evaluate


def chip(seed: int = 0, split: str = "val", shape: tuple[int, int] = (20, 26), noise: float = 3.0) -> Chip:
    """Water is dark in VH; VV says nothing."""
    draw = np.random.default_rng(seed)
    water = ndimage.gaussian_filter(draw.normal(size=shape), 2) > 0.05
    vh = np.where(water, -24, -16) + draw.normal(0, noise, shape)
    optical = draw.uniform(0.02, 0.3, (4, *shape)).astype(np.float32)
    return Chip(
        sar=np.stack([draw.normal(-12, 3, shape), vh]).astype(np.float32),
        sar_valid=np.ones((2, *shape), bool),
        optical=optical,
        optical_valid=np.ones((4, *shape), bool),
        prior=optical / 2,
        prior_valid=np.ones((4, *shape), bool),
        water=water.astype(np.uint8),
        water_valid=draw.random(shape) < 0.9,
        meta=ChipMeta(
            "floods", "spain", "spain", f"c{seed}", split, water_label="strong", optical_radiometry="toa"
        ),
    )


def score(predictor, chips: list[Chip]) -> float:
    """Micro IoU, counted here and not by the harness."""
    said = np.stack([predictor(collate([one])).probability[0].numpy() > 0.5 for one in chips])
    truth, valid = np.stack([one.water > 0 for one in chips]), np.stack([one.water_valid for one in chips])
    return (said & truth & valid).sum() / ((said | truth) & valid).sum()


def test_threshold_by_hand() -> None:
    one = replace(
        chip(shape=(1, 4)), sar=np.array([[[-30, -9, -9, -9]], [[-9, -20.5, -20.4, -30]]], np.float32)
    )
    one.sar_valid[1, 0, 3] = False
    assert FixedThreshold("VH", -20.4)(collate([one])).probability[0].tolist() == [[0, 1, 0, 0]]
    assert FixedThreshold("VV", -20.4)(collate([one])).probability[0].tolist() == [[1, 0, 0, 0]]
    assert FixedThreshold("VH", -20.4, 5).name == "VH < -20.4 dB, 5 x 5 median"


@pytest.mark.parametrize("size", [1, 3, 5])
def test_median_equals_scipy_over_valid_pixels(size: int) -> None:
    draw = np.random.default_rng(size)
    plane, valid = draw.normal(size=(13, 17)).astype(np.float32), draw.random((13, 17)) < 0.6
    valid[:5, :6] = False  # whole windows without any
    found = median_filter(torch.from_numpy(plane)[None], torch.from_numpy(valid)[None], size)[0].numpy()
    hollow = np.where(valid, plane, np.nan)
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="All-NaN"):
        expected = ndimage.generic_filter(hollow, np.nanmedian, size, mode="constant", cval=np.nan)
    assert found == pytest.approx(np.nan_to_num(expected), abs=1e-6)


def test_median_of_a_mostly_whole_plane_equals_scipy() -> None:
    """A single gap: windows around it and at the rim are sorted, the others take the running median."""
    draw = np.random.default_rng(0)
    planes, valid = draw.normal(size=(2, 20, 16)).astype(np.float32), np.ones((2, 20, 16), bool)
    valid[1, 9, 8] = False
    found = median_filter(torch.from_numpy(planes), torch.from_numpy(valid), 5).numpy()
    for plane, mask, ours in zip(planes, valid, found, strict=True):
        hollow = np.where(mask, plane, np.nan)
        expected = ndimage.generic_filter(hollow, np.nanmedian, 5, mode="constant", cval=np.nan)
        assert ours == pytest.approx(expected, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), value=st.sampled_from([float("nan"), -99.0, 0.0]))
def test_invalid_values_change_no_answer(seed: int, value: float) -> None:
    one = chip(seed)
    one.sar_valid[:, np.random.default_rng(seed).random(one.shape) < 0.3] = False
    other = replace(one, sar=np.where(one.sar_valid, one.sar, np.float32(value)))
    for predictor in (FixedThreshold("VH", -20, 3), OtsuThreshold("VH", 3)):
        answers = [predictor(collate([asked])).probability for asked in (one, other)]
        assert torch.equal(*answers) and not answers[0][0][~torch.from_numpy(one.sar_valid[1])].any()


def test_median_without_a_centre_is_refused() -> None:
    with pytest.raises(ConfigError, match="4 px has no centre; expected an odd size"):
        FixedThreshold("VH", -20, 4)(collate([chip()]))


def test_otsu_equals_scikit_image() -> None:
    for seed in range(4):
        values = chip(seed).sar[1]
        assert otsu(values) == pytest.approx(threshold_otsu(values), abs=1e-4)
    assert otsu(np.full((3, 3), -12.0)) == -12


def test_otsu_takes_each_chip_for_itself() -> None:
    bright, dim = chip(0), chip(0)
    dim = replace(dim, sar=dim.sar - 7)
    together = OtsuThreshold("VH")(collate([bright, dim])).probability
    assert torch.equal(together[0], together[1]) and 0.2 < together[0].mean() < 0.8


def test_otsu_of_a_blind_chip_is_dry() -> None:
    blind = chip()
    blind.sar_valid[:] = False
    assert not OtsuThreshold("VH")(collate([blind])).probability.any()


def test_tuning_finds_the_best_of_all() -> None:
    chips = [chip(seed) for seed in range(3)]
    grid = np.arange(-26.0, -8, 0.5)
    best = tune_threshold(chips, medians=(1, 3), grid_db=grid)
    scores = {
        (band, median, level): score(FixedThreshold(band, level, median), chips)
        for band in ("VV", "VH")
        for median in (1, 3)
        for level in grid[::3]
    }
    assert best.band == "VH" and best.median == 3
    assert score(best, chips) >= max(scores.values())
    same = tune_threshold(chips, bands=("VH",), medians=(1,), grid_db=grid)
    exhaustive = [score(FixedThreshold("VH", level), chips) for level in grid]
    assert same.threshold_db == grid[int(np.argmax(exhaustive))]


def test_a_value_on_the_threshold_is_judged_alike_when_tuned_and_used() -> None:
    one = chip()
    one.sar[1] = np.where(one.water > 0, np.float32(-20.2), np.float32(-20.1))
    best = tune_threshold([one], bands=("VH",), medians=(1,))
    assert best.threshold_db == pytest.approx(-20.1) and score(best, [one]) == 1


def test_tuning_leaves_invalid_labels_out() -> None:
    chips = [chip(seed, noise=1) for seed in range(2)]
    turned = [replace(one, water=np.where(one.water_valid, one.water, 1 - one.water)) for one in chips]
    assert tune_threshold(chips) == tune_threshold(turned)


def test_the_test_split_is_never_tuned_on() -> None:
    with pytest.raises(DataError, match="'c0' is of the test split"):
        tune_threshold([chip(split="test")])
    with pytest.raises(DataError, match="'c0' is of the test split"):
        MeanColour.fit([chip(split="test")])


def test_nothing_to_tune_on_is_an_error() -> None:
    with pytest.raises(DataError, match="No chip has valid water"):
        tune_threshold([replace(chip(), water=None, water_valid=None)])
    with pytest.raises(DataError, match="No chip has a valid true-colour pixel"):
        MeanColour.fit([replace(chip(), optical=None, optical_valid=None)])


def test_mean_colour_by_hand() -> None:
    one, two = chip(0), chip(1)
    one.optical_valid[1, :10] = False  # green is missing: the whole pixel is left out
    pixels = np.concatenate([one.optical[:3, 10:].reshape(3, -1), two.optical[:3].reshape(3, -1)], axis=1)
    fitted = MeanColour.fit([one, two, replace(one, optical=None, optical_valid=None)])
    assert fitted.colour == pytest.approx(pixels.mean(axis=1).tolist(), rel=1e-5)
    answer = fitted(collate([chip(3, "test")]))
    assert answer.probability is None and answer.optical.shape == (1, 3, 20, 26)
    report = evaluate(fitted, [chip(3, "test")], 0.5, lpips=False, resamples=1).overall.figures
    assert report["psnr[DN/10000]"] <= report["psnr_floor[DN/10000]"] + 1e-6
    assert report["psnr_matched[DN/10000]"] == pytest.approx(report["psnr_floor[DN/10000]"], abs=1e-4)


def test_persistence_copies_and_falls_back() -> None:
    one = chip()
    one.prior_valid[2, 0] = False
    answer = Persistence(MeanColour((0.1, 0.2, 0.3)))(collate([one])).optical[0].numpy()
    assert np.array_equal(answer[:, 1:], one.prior[:3, 1:])
    assert answer[:, 0, 5].tolist() == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.real
def test_a_threshold_is_a_strong_rival_on_a_real_chip(real_data) -> None:
    rasterio = pytest.importorskip("rasterio")
    folder = real_data / "sen1floods11/v1.1/data/flood_events/HandLabeled"
    with rasterio.open(folder / "S1Hand/USA_905409_S1Hand.tif") as file:
        sar = file.read()
    with rasterio.open(folder / "LabelHand/USA_905409_LabelHand.tif") as file:
        label = file.read(1)
    valid = np.isfinite(sar)
    one = Chip(
        sar=np.where(valid, sar, 0).astype(np.float32),
        sar_valid=valid,
        water=(label == 1).astype(np.uint8),
        water_valid=label >= 0,
        meta=ChipMeta("sen1floods11", "USA", "USA", "USA_905409", "test", water_label="strong"),
    )
    rival = FixedThreshold("VH", -21, 5)
    found = evaluate(rival, [one], 0.5, lpips=False, resamples=1).overall.figures["iou_micro"]
    assert found == pytest.approx(score(rival, [one])) and found > 0.8
