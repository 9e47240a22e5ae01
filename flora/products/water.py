"""Water told apart: observed, of reference, flood, and what changed between two dates. All classes are uint8."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.errors import InputError
from flora.products.layers import (
    LAND,
    NO_DATA,
    NO_PROBABILITY,
    WATER,
    WHOLE,
    decide_water,
    encode_probability,
)

Classes = NDArray[np.uint8]

# JRC occurrence from which water counts as permanent or seasonal, %.
OCCURRENCE: Final = 50.0

# Resampled occurrence overshoots 100 a little; far beyond, the file holds something else. 255 is JRC's no data.
LARGEST_OCCURRENCE: Final = 105.0
JRC_NO_DATA: Final = 255.0

UNCHANGED, NEW, RECEDED = 1, 2, 3


def observed_water(probability: NDArray[np.float32], threshold: float) -> Classes:
    """Calls water what reaches the threshold; decided on the probability as it is stored in files.

    Args:
        probability: Of water, NaN where there is no data, any shape.
        threshold: Stored with the weights.

    Returns:
        1 water, 0 land, 255 no data, same shape.
    """
    return decide_water(encode_probability(probability), threshold)


def likelihood(probability: NDArray[np.float32]) -> Classes:
    """Gives the calibrated probability of water in whole percent; 255 is no data."""
    stored = encode_probability(probability)
    percent = np.rint(stored / (WHOLE / 100))
    return np.where(stored == NO_PROBABILITY, NO_DATA, percent).astype(np.uint8)


def reference_water(values: NDArray[np.float32], threshold: float | None) -> Classes:
    """Reads water that is there without a flood from a mask or from JRC's occurrence.

    Args:
        values: 1 water and 0 land, or occurrence in %; NaN and 255 where unknown, (H, W).
        threshold: Occurrence from which it counts, %; None for a mask.

    Returns:
        1 water, 0 land, 255 unknown, (H, W).

    Raises:
        InputError: An occurrence lies far above 100 %, or a mask has another value.

    Source: Pekel et al., High-resolution mapping of global surface water, Nature 540 (2016), doi 10.1038/nature20584.
    """
    known = np.isfinite(values) & (values != JRC_NO_DATA) & (values >= 0)
    seen = values[known]
    wrong = seen[(seen != 0) & (seen != 1)] if threshold is None else seen[seen > LARGEST_OCCURRENCE]
    if wrong.size:
        expected = "0 and 1" if threshold is None else "an occurrence of 0 to 100 %"
        raise InputError(
            f"The reference water holds {wrong.max():g}; expected {expected} (255 for no data). Give a mask of 0 "
            "and 1, or the occurrence of JRC Global Surface Water."
        )
    least = 1.0 if threshold is None else threshold
    return np.where(known, np.where(values >= least, WATER, LAND), NO_DATA).astype(np.uint8)


def observed_flood(water: Classes, reference: Classes) -> Classes:
    """Gives observed water that is no reference water.

    Args:
        water: Observed water, (H, W).
        reference: Reference water, (H, W).

    Returns:
        1 flood, 0 not flood; 255 where there is no data, or water whose reference is unknown, (H, W).
    """
    told = np.where(reference == NO_DATA, NO_DATA, np.where(reference == WATER, LAND, WATER))
    return np.where(water == WATER, told, water).astype(np.uint8)


def change(before: Classes, after: Classes) -> Classes:
    """Compares the water of two dates.

    Args:
        before: Observed water of the earlier date, (H, W).
        after: Observed water of the later date, (H, W).

    Returns:
        0 land on both, 1 water on both, 2 new water, 3 receded water; 255 where either has no data, (H, W).
    """
    then, now = before == WATER, after == WATER
    told = np.select([then & now, now, then], [UNCHANGED, NEW, RECEDED], LAND)
    return np.where((before == NO_DATA) | (after == NO_DATA), NO_DATA, told).astype(np.uint8)
