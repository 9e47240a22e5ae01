"""The meter: exact for any batching, blind to what is invalid, and unforgiving of false alarms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from flora.errors import DataError
from flora.metrics import Lpips, Meter
from flora.metrics.bootstrap import interval, resampling_weights
from flora.metrics.summary import summarize, total


@dataclass
class Truths:
    water: Tensor
    water_valid: Tensor
    optical: Tensor
    optical_valid: Tensor

    def chips(self, part: slice) -> Truths:
        return Truths(self.water[part], self.water_valid[part], self.optical[part], self.optical_valid[part])


def scene(seed: int = 0, chips: int = 5, size: int = 36) -> tuple[Tensor, Tensor, Truths]:
    """Probability, picture and truths; the second chip is dry, the third without picture, the fourth without label."""
    draw = torch.Generator().manual_seed(seed)
    likely = torch.rand(chips, size, size, generator=draw)
    truths = Truths(
        water=(torch.rand(likely.shape, generator=draw) < likely).float(),
        water_valid=torch.rand(likely.shape, generator=draw) > 0.1,
        optical=0.4 * torch.rand(chips, 4, size, size, generator=draw),
        optical_valid=torch.ones(chips, 4, size, size, dtype=torch.bool),
    )
    truths.optical_valid[:, 1, :5] = False
    if chips > 3:
        truths.water[1] = 0
        truths.optical_valid[2] = False
        truths.water_valid[3] = False
    picture = truths.optical[:, :3] + 0.05 * torch.randn(chips, 3, size, size, generator=draw)
    return likely, picture, truths


def alike(first: dict[str, float], second: dict[str, float], rel: float = 1e-6) -> None:
    assert first.keys() == second.keys()
    for name in first:
        assert first[name] == pytest.approx(second[name], rel=rel, abs=1e-9, nan_ok=True), name


def test_micro_and_macro_by_hand() -> None:
    truth = torch.tensor([[[1.0, 1, 0, 0]], [[0, 0, 0, 0]], [[0, 0, 0, 0]]])
    probability = torch.tensor([[[0.9, 0.1, 0.9, 0.1]], [[0.1] * 4], [[0.9, 0.1, 0.1, 0.1]]])
    empty = torch.zeros(3, 4, 1, 4)
    meter = Meter()
    meter.update(probability, None, Truths(truth, torch.ones(3, 1, 4) > 0, empty, empty > 0))
    found = meter.compute()
    assert found["iou_micro"] == pytest.approx(1 / 4)  # TP 1, FP 1 + 1, FN 1
    assert found["iou_macro"] == pytest.approx((1 / 3 + 1 + 0) / 3)
    assert found["dice_macro"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert found["precision_micro"] == pytest.approx(1 / 3)
    assert found["recall_micro"] == pytest.approx(1 / 2)
    assert found["false_water"] == pytest.approx(2 / 10)
    assert found["brier"] == pytest.approx((0.01 * 9 + 0.81 * 3) / 12)
    assert math.isnan(found["iou_flood_only"]) and math.isnan(found["psnr[DN/10000]"])


def test_the_threshold_decides() -> None:
    truth = torch.tensor([[[1.0, 1, 0, 0]]])
    empty = torch.zeros(1, 4, 1, 4)
    truths = Truths(truth, torch.ones(1, 1, 4) > 0, empty, empty > 0)
    found = []
    for threshold in (0.2, 0.6, 0.9):
        meter = Meter(threshold)
        meter.update(torch.tensor([[[0.7, 0.6, 0.3, 0.1]]]), None, truths)
        found.append(meter.compute()["iou_micro"])
    assert found == pytest.approx([2 / 3, 1, 0])


def test_a_false_alarm_on_a_dry_chip_costs() -> None:
    _, _, truths = scene()
    dry = truths.chips(slice(1, 2))
    dry.water_valid[:] = True
    scores = []
    for alarm in (False, True):
        probability = torch.zeros_like(dry.water)
        probability[0, 3, 3] = float(alarm)
        meter = Meter()
        meter.update(probability, None, dry)
        scores.append(meter.compute())
    assert [score["iou_macro"] for score in scores] == [1, 0]
    assert scores[0]["false_water"] == 0 < scores[1]["false_water"]
    assert math.isnan(scores[0]["iou_micro"]) and scores[1]["iou_micro"] == 0


def test_flood_only_leaves_reference_water_out() -> None:
    truth = torch.tensor([[[1.0, 1, 1, 0]]])
    probability = torch.tensor([[[1.0, 0, 1, 0]]])
    empty = torch.zeros(1, 4, 1, 4)
    truths = Truths(truth, torch.ones(1, 1, 4) > 0, empty, empty > 0)
    meter = Meter()
    meter.update(probability, None, truths, reference_water=torch.tensor([[[True, False, False, False]]]))
    meter.update(probability, None, truths)  # not known here: it does not enter the flood-only figure
    found = meter.compute()
    assert found["iou_flood_only"] == pytest.approx(1 / 2)
    assert found["iou_micro"] == pytest.approx(2 / 3)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31), cuts=st.lists(st.integers(1, 4), max_size=3))
def test_batching_does_not_matter(seed: int, cuts: list[int]) -> None:
    probability, picture, truths = scene(seed, size=14)
    whole, parts = Meter(0.4), Meter(0.4)
    whole.update(probability, picture, truths)
    edges = [0, *sorted(set(cuts)), len(probability)]
    for start, stop in pairwise(edges):
        part = slice(start, stop)
        parts.update(probability[part], picture[part], truths.chips(part))
    alike(whole.compute(), parts.compute())


def test_batching_does_not_matter_to_lpips() -> None:
    lpips = Lpips.load()
    probability, picture, truths = scene()
    whole, parts = Meter(lpips=lpips), Meter(lpips=lpips)
    whole.update(probability, picture, truths)
    for chip in range(5):
        part = slice(chip, chip + 1)
        parts.update(probability[part], picture[part], truths.chips(part))
    assert whole.compute()["lpips_alex[DN/3000]"] > 0
    alike(whole.compute(), parts.compute(), rel=1e-5)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**31), value=st.sampled_from([float("nan"), float("inf"), -1.0, 77.0]))
def test_values_under_false_change_nothing(seed: int, value: float) -> None:
    probability, picture, truths = scene(seed, size=14)
    before, after = Meter(), Meter()
    before.update(probability, picture, truths)
    probability.masked_fill_(~truths.water_valid, value)
    truths.water.masked_fill_(~truths.water_valid, value)
    truths.optical.masked_fill_(~truths.optical_valid, value)
    picture.masked_fill_(~truths.optical_valid[:, :3].all(1, keepdim=True), value)
    after.update(probability, picture, truths)
    assert before.compute() == pytest.approx(after.compute(), nan_ok=True, abs=0, rel=0)


def test_optical_figures_are_means_over_chips_that_have_a_picture() -> None:
    probability, picture, truths = scene()
    scores = []
    for chip in (0, 1, 3, 4):
        meter = Meter()
        part = slice(chip, chip + 1)
        meter.update(probability[part], picture[part], truths.chips(part))
        scores.append(meter.compute())
    meter = Meter()
    meter.update(probability, picture, truths)
    found = meter.compute()
    for name in ("psnr[DN/10000]", "ssim[DN/3000]", "psnr_floor[DN/3000]", "psnr_matched[DN/10000]"):
        assert found[name] == pytest.approx(np.mean([score[name] for score in scores]), rel=1e-6)
    assert found["psnr[DN/10000]"] > found["psnr_floor[DN/10000]"]


def test_equal_pictures_are_capped() -> None:
    _, _, truths = scene()
    meter = Meter()
    meter.update(None, truths.optical[:, :3].clone(), truths)
    assert meter.compute()["psnr[DN/10000]"] == 100
    assert math.isnan(meter.compute()["iou_micro"])


@pytest.mark.parametrize(
    ("value", "message"), [(float("nan"), "nan to nan"), (-4.0, "-4 to"), (1.5, r"to 1\.5.*sigmoid")]
)
def test_what_is_no_probability_is_refused(value: float, message: str) -> None:
    probability, picture, truths = scene()
    truths.water_valid[0, 0, 0] = True
    probability[0, 0, 0] = value
    with pytest.raises(DataError, match=message):
        Meter().update(probability, picture, truths)


def test_what_is_no_picture_is_refused() -> None:
    probability, picture, truths = scene()
    with pytest.raises(DataError, match="4 bands; expected red, green and blue"):
        Meter().update(probability, truths.optical, truths)
    with pytest.raises(DataError, match="spread of the picture is NaN, 0 or less"):
        Meter().update(probability, picture, truths, predicted_spread=torch.zeros_like(picture))
    picture[0, 0, 20, 20] = float("nan")
    with pytest.raises(DataError, match="NaN or infinity at valid pixels"):
        Meter().update(probability, picture, truths)
    with pytest.raises(DataError, match="one grid"):
        Meter().update(probability[:, 1:], None, truths)


def test_an_empty_meter_is_an_error() -> None:
    meter = Meter()
    with pytest.raises(DataError, match="No chip was measured"):
        meter.compute()


def test_a_resample_equals_measuring_its_chips_again() -> None:
    probability, picture, truths = scene()
    spread = torch.full_like(picture, 0.03)
    meter = Meter()
    meter.update(probability, picture, truths, predicted_spread=spread)
    weights = np.array([[2.0, 0, 1, 0, 1]])
    resampled = {name: float(value[0]) for name, value in summarize(total(meter.statistics, weights)).items()}
    again = Meter()
    for chip in (0, 0, 2, 4):
        part = slice(chip, chip + 1)
        again.update(probability[part], picture[part], truths.chips(part), predicted_spread=spread[part])
    alike(resampled, again.compute())
    assert 0 < again.compute()["spread_covers_50"] < again.compute()["spread_covers_90"] < 1


def test_resampling_draws_whole_units() -> None:
    units = ["a", "b", "a", "c", "b"]
    weights = resampling_weights(units, 200, seed=1)
    assert weights.shape == (200, 5)
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, 0] + weights[:, 1] + weights[:, 3] == 3).all()
    assert np.array_equal(weights, resampling_weights(units, 200, seed=1))
    assert not np.array_equal(weights, resampling_weights(units, 200, seed=2))


def test_interval_covers_the_mean_of_a_normal_sample() -> None:
    draws = np.random.default_rng(0).normal(size=400)
    weights = resampling_weights(range(400), 2000, seed=0)
    low, high = interval(weights @ draws / 400)
    error = draws.std() / np.sqrt(400)
    assert low == pytest.approx(draws.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(draws.mean() + 1.96 * error, abs=0.15 * error)
    assert interval(np.array([1.0, np.nan, 1.0])) == (1.0, 1.0)
    assert math.isnan(interval(np.array([np.nan]))[0])
