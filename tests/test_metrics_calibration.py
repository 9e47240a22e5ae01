"""Probabilities: scikit-learn as oracle, and a curve that ends at the error rate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from torch import Tensor

from flora.metrics import calibration
from flora.metrics.calibration import Reliability, Risk


def sample(seed: int = 0, size: int = 48) -> tuple[Tensor, Tensor, Tensor]:
    """An overconfident forecast of two chips, its truth and its mask."""
    draw = torch.Generator().manual_seed(seed)
    likely = torch.rand(2, size, size, generator=draw)
    truth = (torch.rand(likely.shape, generator=draw) < likely).float()
    probability = torch.sigmoid(2 * torch.logit(likely, eps=1e-4))
    return probability, truth, torch.rand(likely.shape, generator=draw) > 0.3


def pooled(sums: Reliability | Risk) -> list[np.ndarray]:
    return [layer.sum(0) for layer in sums]


def test_ece_by_hand() -> None:
    probability = torch.tensor([[[0.1, 0.1, 0.9, 0.9]]])
    truth = torch.tensor([[[0.0, 1.0, 1.0, 1.0]]])
    sums = calibration.reliability(probability, truth, torch.ones(1, 1, 4, dtype=torch.bool), bins=10)
    assert calibration.ece(sums)[0] == pytest.approx((2 * abs(0.1 - 0.5) + 2 * abs(0.9 - 1)) / 4)


def test_ece_equals_scikit_learn_bins() -> None:
    probability, truth, valid = sample()
    sums = Reliability(*pooled(calibration.reliability(probability, truth, valid)))
    p, y = probability[valid].double().numpy(), truth[valid].numpy()
    frequency, mean = calibration_curve(y, p, n_bins=calibration.BINS)
    filled = sums.pixels > 0
    assert frequency == pytest.approx(sums.water[filled] / sums.pixels[filled])
    assert mean == pytest.approx(sums.probability[filled] / sums.pixels[filled])
    expected = (sums.pixels[filled] * np.abs(frequency - mean)).sum() / len(p)
    assert calibration.ece(sums) == pytest.approx(expected)


def test_brier_equals_scikit_learn() -> None:
    probability, truth, valid = sample()
    found = calibration.squared_error(probability, truth, valid).sum() / valid.sum().item()
    assert found == pytest.approx(brier_score_loss(truth[valid].numpy(), probability[valid].numpy()))


def test_a_true_probability_has_a_small_error_and_a_false_one_has_not() -> None:
    draw = torch.Generator().manual_seed(0)
    likely = torch.rand(1, 300, 300, generator=draw)
    truth = (torch.rand(likely.shape, generator=draw) < likely).float()
    valid = torch.ones_like(likely, dtype=torch.bool)
    assert calibration.ece(calibration.reliability(likely, truth, valid))[0] < 0.01
    assert calibration.ece(calibration.reliability(likely**3, truth, valid))[0] > 0.1


def test_confidence_follows_the_decision() -> None:
    p = torch.tensor([0.0, 0.1, 0.2, 0.6, 1.0])
    assert calibration.confidence(p, 0.2).tolist() == pytest.approx([1, 0.5, 0, 0.5, 1])
    assert calibration.confidence(p, 0.5).tolist() == pytest.approx([1, 0.8, 0.6, 0.2, 1])


def test_risk_coverage_by_hand() -> None:
    probability = torch.tensor([[[0.99, 0.01, 0.7, 0.55]]])  # surest to least sure
    truth = torch.tensor([[[1.0, 0.0, 0.0, 1.0]]])
    counts = calibration.risk(probability, truth, torch.ones(1, 1, 4, dtype=torch.bool), 0.5)
    coverage, risk = calibration.risk_coverage(counts)
    known = ~np.isnan(risk[0])
    assert sorted(set(zip(coverage[0][known], risk[0][known].round(4), strict=True))) == [
        (0.5, 0.0),
        (0.75, 0.3333),
        (1.0, 0.25),
    ]
    assert calibration.aurc(counts)[0] == pytest.approx(0.5 * 0 + 0.25 / 3 + 0.25 * 0.25)


def test_the_curve_ends_at_the_error_rate_and_rises_for_a_sound_forecast() -> None:
    probability, truth, valid = sample(size=200)
    counts = Risk(*pooled(calibration.risk(probability, truth, valid, 0.5)))
    coverage, risk = calibration.risk_coverage(counts)
    wrong = ((probability >= 0.5) != (truth > 0))[valid].float().mean().item()
    assert coverage[-1] == 1 and risk[-1] == pytest.approx(wrong)
    assert calibration.aurc(counts) < wrong
    assert (np.diff(risk[coverage > 0.1]) > -0.005).all()


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), value=st.sampled_from([float("nan"), -3.0, 0.5, 9.0]))
def test_values_under_false_change_nothing(seed: int, value: float) -> None:
    probability, truth, valid = sample(seed, size=12)

    def measure() -> list[np.ndarray]:
        return [
            *calibration.reliability(probability, truth, valid),
            *calibration.risk(probability, truth, valid, 0.4),
            calibration.squared_error(probability, truth, valid),
        ]

    before = measure()
    probability.masked_fill_(~valid, value)
    truth.masked_fill_(~valid, value)
    assert all(np.array_equal(one, other) for one, other in zip(before, measure(), strict=True))


def test_no_pixels_is_nan() -> None:
    probability, truth, valid = sample(size=4)
    none = torch.zeros_like(valid)
    assert np.isnan(calibration.ece(calibration.reliability(probability, truth, none))).all()
    assert np.isnan(calibration.aurc(calibration.risk(probability, truth, none, 0.5))).all()
