"""Sums over a pixel's surroundings that come out the same, to the last bit, wherever the array is cut.

Running sums of floating-point numbers depend on where they start. Whole numbers do not: values are counted in
hundredths, and nothing is rounded after that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Whole = NDArray[np.int64]
Real = NDArray[np.float64]

HUNDREDTH = 0.01


def box_sum(values: NDArray[Any], radius: int) -> Whole:
    """Adds up a square around each pixel.

    Args:
        values: Whole numbers or truth values, (H, W).
        radius: Pixels to each side; the square is 2 x radius + 1 wide.

    Returns:
        Sums for the pixels whose square lies inside, (H - 2 x radius, W - 2 x radius).
    """
    side = 2 * radius + 1
    total = values.astype(np.int64)
    for axis in (0, 1):
        total = np.cumsum(total, axis=axis)
        total = np.pad(total, [(1, 0) if axis == place else (0, 0) for place in (0, 1)])
        ends = [slice(None), slice(None)]
        starts = [slice(None), slice(None)]
        ends[axis], starts[axis] = slice(side, None), slice(None, -side)
        total = total[tuple(ends)] - total[tuple(starts)]
    return total


def box_moments(values: NDArray[np.float32], where: Mask, radius: int) -> tuple[Whole, Real, Real]:
    """Gives number, mean and variance of the chosen pixels around each pixel.

    Args:
        values: (H, W); of any value where not chosen.
        where: Pixels that count, (H, W).
        radius: Pixels to each side.

    Returns:
        Number, mean (to a hundredth's precision of each value) and variance, each (H - 2 x radius, W - 2 x radius);
        mean and variance are 0 where the number is 0.
    """
    steps = np.rint(np.where(where, values, 0) / HUNDREDTH).astype(np.int64)
    count, first, second = (box_sum(part, radius) for part in (where, steps, steps * steps))
    some = np.maximum(count, 1)
    mean = first / some
    return count, mean * HUNDREDTH, (second / some - mean * mean) * HUNDREDTH**2


def inner(plane: NDArray[Any], halo: int, radius: int = 0) -> NDArray[Any]:
    """Cuts the core out of a window, after `radius` px of its halo have been used up."""
    cut = halo - radius
    return plane[cut : plane.shape[0] - cut, cut : plane.shape[1] - cut]
