"""Whether a probability of water is one: reliability, Brier score, and error against coverage.

Counting is apart from dividing, as in `flora.metrics.water`: counts of chips add up, and the figures of any set of
chips follow from the sums.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from flora.metrics.water import Count, check_maps, ratio

BINS = 15
RISK_BINS = 100


class Reliability(NamedTuple):
    """Sums over probability bins, each (chips, bins); bins are equally wide over [0, 1].

    Attributes:
        pixels: How many.
        probability: Sum of predicted probability.
        water: Pixels that are water.
    """

    pixels: Count
    probability: Count
    water: Count


class Risk(NamedTuple):
    """Sums over confidence bins, least sure first, each (chips, bins).

    Attributes:
        pixels: How many.
        wrong: Pixels decided wrongly.
    """

    pixels: Count
    wrong: Count


def sums_by_bin(unit: Tensor, values: Tensor, valid: Tensor, bins: int) -> Count:
    """Adds values by bin for each chip, in float64.

    Args:
        unit: What is binned, (B, ...); bins are equally wide over [0, 1], the outer ones take what lies beyond.
        values: What is added, (B, ...).
        valid: Counts, (B, ...), bool; under the mask anything may stand.
        bins: Number of bins.

    Returns:
        (B, bins).
    """
    index = (unit.double().nan_to_num() * bins).floor().clamp(0, bins - 1).long()
    chip = torch.arange(len(index), device=index.device).view(-1, *[1] * (index.ndim - 1)) * bins
    flat = (index + chip)[valid]
    total = torch.bincount(flat, values[valid].double(), minlength=len(index) * bins)
    return total.view(len(index), bins).cpu().numpy()


def reliability(probability: Tensor, truth: Tensor, valid: Tensor, bins: int = BINS) -> Reliability:
    """Sums probability and water by bin of probability, for each chip.

    Args:
        probability: Of water, (B, H, W).
        truth: Water, (B, H, W), bool or 0 and 1.
        valid: May be judged, (B, H, W), bool.
        bins: Number of equal bins.

    Returns:
        The sums, each (B, bins).

    Raises:
        DataError: The shapes do not fit.
    """
    check_maps(probability, truth, valid)
    layers = (torch.ones_like(probability), probability, (truth > 0).double())
    return Reliability(*(sums_by_bin(probability, layer, valid, bins) for layer in layers))


def ece(sums: Reliability) -> Count:
    """Gives the expected calibration error: mean distance of probability and frequency, weighted by pixels.

    Args:
        sums: (..., bins), of chips or pooled.

    Returns:
        (...), NaN without pixels.

    Source: Naeini, Cooper, Hauskrecht, AAAI 2015, in its form for the probability of one class.
    """
    return ratio(np.abs(sums.probability - sums.water).sum(-1), sums.pixels.sum(-1))


def squared_error(probability: Tensor, truth: Tensor, valid: Tensor) -> Count:
    """Adds (probability - truth)^2 over each chip's valid pixels, (B, H, W) to (B,); over pixels it is Brier's score.

    Source: Brier, Monthly Weather Review 1950.
    """
    check_maps(probability, truth, valid)
    error = (probability.double() - (truth > 0).double()).square().masked_fill(~valid, 0)
    return error.sum((-2, -1)).cpu().numpy()


def confidence(probability: Tensor, threshold: float) -> Tensor:
    """Gives how far a probability lies from the threshold, 0 at it and 1 at the end of its side.

    With a threshold of 0.5 it orders pixels as max(p, 1 - p) does; with another it stays true to the decision.

    Args:
        probability: Of water, any shape.
        threshold: Water is where probability >= threshold; in (0, 1).

    Returns:
        In [0, 1], same shape.
    """
    above = (probability - threshold) / max(1 - threshold, 1e-9)
    below = (threshold - probability) / max(threshold, 1e-9)
    return torch.where(probability >= threshold, above, below).clamp(0, 1)


def risk(probability: Tensor, truth: Tensor, valid: Tensor, threshold: float, bins: int = RISK_BINS) -> Risk:
    """Counts pixels and wrong decisions by bin of confidence, for each chip.

    Args:
        probability: Of water, (B, H, W).
        truth: Water, (B, H, W), bool or 0 and 1.
        valid: May be judged, (B, H, W), bool.
        threshold: Water is where probability >= threshold.
        bins: Number of equal bins.

    Returns:
        The counts, each (B, bins).

    Raises:
        DataError: The shapes do not fit.
    """
    check_maps(probability, truth, valid)
    sure = confidence(probability, threshold)
    wrong = (probability >= threshold) != (truth > 0)
    layers = (torch.ones_like(probability), wrong.double())
    return Risk(*(sums_by_bin(sure, layer, valid, bins) for layer in layers))


def risk_coverage(counts: Risk) -> tuple[Count, Count]:
    """Gives the error rate among the surest pixels, as more and more of them are answered.

    Args:
        counts: (..., bins), of chips or pooled.

    Returns:
        Coverage and risk, each (..., bins), surest first; coverage ends at 1, risk at the error rate. NaN where
        nothing is covered.

    Source: El-Yaniv and Wiener, JMLR 2010.
    """
    count = np.cumsum(counts.pixels[..., ::-1], -1)
    wrong = np.cumsum(counts.wrong[..., ::-1], -1)
    return ratio(count, count[..., -1:]), ratio(wrong, count)


def aurc(counts: Risk) -> Count:
    """Gives the area under the risk-coverage curve, each bin's pixels at the risk reached with that bin.

    Args:
        counts: (..., bins), of chips or pooled.

    Returns:
        (...), NaN without pixels.
    """
    coverage, error = risk_coverage(counts)
    steps = np.diff(coverage, axis=-1, prepend=0)
    empty = counts.pixels.sum(-1) == 0
    return np.where(empty, np.nan, (np.nan_to_num(error) * np.nan_to_num(steps)).sum(-1))
