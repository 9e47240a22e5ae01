"""How well a water map agrees with the truth: counts over valid pixels, and the ratios made of them.

Counting and dividing are apart, because the protocols differ only in between: *micro* adds the counts of all chips
and divides once; *macro* divides for each chip and takes the mean (a dry chip with an empty prediction counts 1,
with any false alarm 0); *flood-only* counts without the pixels of reference water. One model's figures under the
three differ by up to 0.27, so no figure goes without its protocol's name.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from flora.errors import DataError

Count = NDArray[np.float64]

UNDEFINED: Final = float("nan")


class Confusion(NamedTuple):
    """Pixel counts of the water class, one entry a chip or one a sum of chips.

    Attributes:
        tp: Water called water.
        fp: Land called water.
        fn: Water called land.
        tn: Land called land.
    """

    tp: Count
    fp: Count
    fn: Count
    tn: Count

    def total(self) -> Confusion:
        """Pools the chips, (1,)."""
        return Confusion(*(np.atleast_1d(count.sum()) for count in self))


class BoundaryCounts(NamedTuple):
    """Shoreline pixels and how many of them have a partner within the tolerance, one entry a chip.

    Attributes:
        predicted: Predicted shoreline.
        predicted_hit: Of those, near true shoreline.
        true: True shoreline.
        true_hit: Of those, near predicted shoreline.
    """

    predicted: Count
    predicted_hit: Count
    true: Count
    true_hit: Count


def check_maps(predicted: Tensor, truth: Tensor, valid: Tensor) -> None:
    """Checks that two maps and their mask lie on one grid.

    Raises:
        DataError: The shapes differ, or the mask is not boolean.
    """
    if not predicted.shape == truth.shape == valid.shape or valid.ndim != 3 or valid.dtype != torch.bool:
        raise DataError(
            f"Maps have shapes {tuple(predicted.shape)} and {tuple(truth.shape)}, their mask {tuple(valid.shape)} "
            f"of {valid.dtype}; expected (B, H, W) three times, the mask boolean. Bring them to one grid first."
        )


def count_pixels(mask: Tensor) -> Count:
    """Counts True pixels of each chip, (B, H, W) to (B,)."""
    return mask.sum((-2, -1)).cpu().numpy().astype(np.float64)


def confusion(predicted: Tensor, truth: Tensor, valid: Tensor) -> Confusion:
    """Counts each chip's hits, false alarms, misses and rejections over valid pixels.

    Args:
        predicted: Water, (B, H, W), bool or 0 and 1.
        truth: Water, (B, H, W), bool or 0 and 1; any value where `valid` is False.
        valid: May be judged, (B, H, W), bool. A label of -1 must be False here.

    Returns:
        Counts in px, each (B,).

    Raises:
        DataError: The shapes do not fit.
    """
    check_maps(predicted, truth, valid)
    said, true = predicted > 0, truth > 0
    cells = (said & true, said & ~true, ~said & true, ~said & ~true)
    return Confusion(*(count_pixels(cell & valid) for cell in cells))


def ratio(numerator: Count, denominator: Count, empty: float = UNDEFINED) -> Count:
    """Divides, and gives `empty` where the denominator is 0."""
    zero = denominator == 0
    return np.where(zero, empty, numerator / np.where(zero, 1, denominator))


def iou(counts: Confusion, empty: float = UNDEFINED) -> Count:
    """Gives intersection over union of the water class, TP / (TP + FP + FN).

    Args:
        counts: Of chips (for macro) or pooled (for micro).
        empty: The value where there is neither true nor predicted water; 1 for macro.

    Returns:
        Same shape as the counts.
    """
    return ratio(counts.tp, counts.tp + counts.fp + counts.fn, empty)


def dice(counts: Confusion, empty: float = UNDEFINED) -> Count:
    """Gives Dice = F1 of the water class, 2 TP / (2 TP + FP + FN); arguments as for `iou`."""
    return ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn, empty)


def precision(counts: Confusion, empty: float = UNDEFINED) -> Count:
    """Gives the share of predicted water that is water, TP / (TP + FP); arguments as for `iou`."""
    return ratio(counts.tp, counts.tp + counts.fp, empty)


def recall(counts: Confusion, empty: float = UNDEFINED) -> Count:
    """Gives the share of water that was found, TP / (TP + FN); arguments as for `iou`."""
    return ratio(counts.tp, counts.tp + counts.fn, empty)


def false_water(counts: Confusion, empty: float = UNDEFINED) -> Count:
    """Gives the share of land that was called water, FP / (FP + TN); the figure for dry scenes."""
    return ratio(counts.fp, counts.fp + counts.tn, empty)


def shoreline(water: Tensor, valid: Tensor) -> Tensor:
    """Marks water pixels that touch valid land by a side.

    Args:
        water: (B, H, W), bool.
        valid: (B, H, W), bool; the edge of what is valid is no shoreline.

    Returns:
        (B, H, W), bool.
    """
    land = F.pad(~water & valid, (1, 1, 1, 1))
    beside = land[:, :-2, 1:-1] | land[:, 2:, 1:-1] | land[:, 1:-1, :-2] | land[:, 1:-1, 2:]
    return water & valid & beside


def _near(mask: Tensor, distance: int) -> Tensor:
    """Marks pixels within a Euclidean distance in px of a True pixel."""
    axis = torch.arange(-distance, distance + 1, device=mask.device)
    disc = (axis[:, None].square() + axis[None].square() <= distance**2).float()
    return F.conv2d(mask.unsqueeze(1).float(), disc[None, None], padding=distance).squeeze(1) > 0.5


def boundary(predicted: Tensor, truth: Tensor, valid: Tensor, tolerance: int = 2) -> BoundaryCounts:
    """Counts shoreline pixels that have a partner of the other map within a tolerance.

    Args:
        predicted: Water, (B, H, W), bool or 0 and 1.
        truth: Water, (B, H, W), bool or 0 and 1.
        valid: May be judged, (B, H, W), bool.
        tolerance: Euclidean distance in px; labels of several sources lie 1 to 3 px off.

    Returns:
        Counts in px, each (B,).

    Raises:
        DataError: The shapes do not fit.

    Source: Csurka, Larlus, Perronnin, BMVC 2013.
    """
    check_maps(predicted, truth, valid)
    said, true = shoreline(predicted > 0, valid), shoreline(truth > 0, valid)
    hits = count_pixels(said & _near(true, tolerance)), count_pixels(true & _near(said, tolerance))
    return BoundaryCounts(count_pixels(said), hits[0], count_pixels(true), hits[1])


def boundary_f1(counts: BoundaryCounts) -> Count:
    """Gives the harmonic mean of shoreline precision and recall; NaN where neither map has a shoreline."""
    exact = ratio(counts.predicted_hit, counts.predicted, 0.0)
    found = ratio(counts.true_hit, counts.true, 0.0)
    score = ratio(2 * exact * found, exact + found, 0.0)
    return np.where(counts.predicted + counts.true == 0, UNDEFINED, score)
