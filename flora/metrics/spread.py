"""Whether the spread of a picture says how far off it is: coverage of its intervals, and error of the surest values.

The spread b is the scale of a Laplace distribution about each colour (see `flora.model.output`): the interval that
holds the truth with probability q reaches -b ln(1 - q) to either side. Counting is apart from dividing, as in
`flora.metrics.calibration`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from flora.errors import DataError
from flora.metrics.calibration import sums_by_bin
from flora.metrics.water import Count, ratio

# Bins of the level at which an interval reaches the truth.
LEVELS: Final = 20
# Bins of the spread itself, equally wide in its logarithm, and their ends, reflectance.
SIZES: Final = 80
SMALLEST, LARGEST = 1e-4, 1.0


class Spread(NamedTuple):
    """Sums over the values of a picture, each colour of a pixel being one.

    Attributes:
        reached: Values by the level whose interval just reaches the truth, (chips, LEVELS).
        values: Values by their spread, smallest first, (chips, SIZES).
        error: Their absolute errors, reflectance, (chips, SIZES).
    """

    reached: Count
    values: Count
    error: Count


def spread_sums(predicted: Tensor, spread: Tensor, truth: Tensor, valid: Tensor) -> Spread:
    """Counts what the figures of a picture's spread are made of, for each chip.

    Args:
        predicted: Picture, (B, C, H, W), reflectance.
        spread: Laplace scale of each value, (B, C, H, W), reflectance, above 0.
        truth: Picture, (B, C, H, W), reflectance.
        valid: May be judged, (B, H, W), bool.

    Returns:
        The sums.

    Raises:
        DataError: The shapes do not fit, or a valid spread is not above 0.
    """
    if not predicted.shape == spread.shape == truth.shape:
        raise DataError(
            f"Picture, spread and truth have shapes {tuple(predicted.shape)}, {tuple(spread.shape)} and "
            f"{tuple(truth.shape)}; expected one shape. Bring them to one grid first."
        )
    judged = valid.unsqueeze(1).expand_as(predicted)
    if not bool((spread[judged] > 0).all()):  # NaN is not above 0 either
        raise DataError(
            "The spread of the picture is NaN, 0 or less at valid pixels; expected reflectance above 0."
        )
    error = (predicted.double() - truth.double()).abs()
    size = (spread.double() / SMALLEST).log10() / np.log10(LARGEST / SMALLEST)
    ones = torch.ones_like(error)
    return Spread(
        sums_by_bin(1 - torch.exp(-error / spread.double()), ones, judged, LEVELS),
        sums_by_bin(size, ones, judged, SIZES),
        sums_by_bin(size, error, judged, SIZES),
    )


def coverage(sums: Spread, level: float) -> Count:
    """Gives the share of values whose truth lies within the interval of a level.

    Args:
        sums: Of chips or pooled.
        level: A multiple of 1 / LEVELS.

    Returns:
        (...), NaN without values; `level` itself where the spread is true.
    """
    inside = sums.reached[..., : round(level * LEVELS)].sum(-1)
    return ratio(inside, sums.reached.sum(-1))


def miscalibration(sums: Spread) -> Count:
    """Gives the mean distance between an interval's level and the share of values that it holds, over all levels.

    Args:
        sums: Of chips or pooled.

    Returns:
        (...), NaN without values; 0 for a true spread, at most about 0.5.

    Source: Kuleshov, Fenner, Ermon, ICML 2018, arXiv 1807.00263, with distances in place of their squares.
    """
    levels = np.arange(1, LEVELS) / LEVELS
    shares = np.stack([coverage(sums, level) for level in levels], -1)
    return np.asarray(np.abs(shares - levels).mean(-1), np.float64)


def error_coverage(sums: Spread) -> tuple[Count, Count]:
    """Gives the mean absolute error among the surest values, as more and more of them are taken.

    Args:
        sums: Of chips or pooled.

    Returns:
        Coverage and error, reflectance, each (..., SIZES), surest first; NaN where nothing is covered.
    """
    count, error = np.cumsum(sums.values, -1), np.cumsum(sums.error, -1)
    return ratio(count, count[..., -1:]), ratio(error, count)


def sure_half(sums: Spread) -> Count:
    """Gives the error of the surer half of all values, as a share of the error of all: 1 where the spread says nothing.

    Args:
        sums: Of chips or pooled.

    Returns:
        (...), NaN without values or without error. Values of one bin are as good as their mean.
    """
    half = sums.values.sum(-1, keepdims=True) / 2
    before = np.cumsum(sums.values, -1) - sums.values
    share = ratio(np.clip(half - before, 0, sums.values), sums.values)
    found = (np.nan_to_num(share) * sums.error).sum(-1)
    return ratio(ratio(found, half[..., 0]), ratio(sums.error.sum(-1), sums.values.sum(-1)))
