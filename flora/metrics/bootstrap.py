"""Confidence intervals by resampling whole chips or whole events.

Pixels of a chip, and chips of an event, are not independent: resampling them one by one would promise an accuracy
that is not there.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def resampling_weights(units: Sequence[Hashable], resamples: int, seed: int) -> Float:
    """Draws how often each chip counts in each resample, drawing units with replacement.

    Args:
        units: The unit that each chip belongs to: its event, or the chip itself.
        resamples: Number of draws.
        seed: The same seed gives the same draws.

    Returns:
        Multiplicities, (resamples, chips); chips of one unit share theirs.
    """
    names = {name: position for position, name in enumerate(dict.fromkeys(units))}
    member = np.array([names[unit] for unit in units], dtype=np.intp)
    draws = np.random.default_rng(seed).multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=resamples
    )
    return draws[:, member].astype(np.float64)


def interval(samples: Float, level: float = 0.95) -> tuple[float, float]:
    """Gives the percentile interval of resampled figures.

    Args:
        samples: One figure a resample; NaN (nothing to judge in that draw) is left out.
        level: Share of the figures inside.

    Returns:
        Lower and upper end; NaN twice where no figure is left.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, percentile method.
    """
    known = samples[~np.isnan(samples)]
    if known.size == 0:
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
