"""Where a flood map cannot be trusted (exclusion) and where it should be read with care (advisory), as bit flags.

Every rule looks at most `HALO` px around, and counts in whole numbers: so tiles give the flags of the whole scene.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.products.around import Mask, Real, box_moments, box_sum, inner
from flora.products.layers import LAND, WATER

Flags = NDArray[np.uint8]
Radar = NDArray[np.float32]  # VV, VH, (2, H, W), dB, NaN where invalid
Classes = NDArray[np.uint8]

# Bits of the two layers, in the order of their meanings.
EXCLUSION: Final = {"no_data": 1, "steep_slope": 2, "low_sensitivity": 4, "low_contrast": 8}
ADVISORY: Final = {"rough_water_suspected": 1, "wet_snow_suspected": 2, "small_patch": 4, "near_edge": 8}

HALO: Final = 32  # px

# Slope from which water is ruled out, degrees: where the fuzzy membership of slope reaches zero in Martinis et al.,
# A fully automated TerraSAR-X based flood service, ISPRS J. 104 (2015), doi 10.1016/j.isprsjprs.2014.07.014.
STEEP: Final = 15.0

# ESA WorldCover: tree cover, built-up and mangroves hide water from C-band; snow and ice look like it.
HIDING_COVER: Final = (10, 50, 95)
SNOW_COVER: Final = 70

# Ashman's D of two classes is above 2 where they are separate (Ashman, Bird and Zepf, AJ 108 (1994)), asked for where
# each class fills a tenth, as in Chini et al., TGRS 55 (2017), doi 10.1109/TGRS.2017.2737664.
SEPARATE: Final = 2.0
LEAST_SHARE: Final = 0.1
CONTRAST_RADIUS: Final = 32  # px

# Wind raises VV of water while VH stays low (Vachon and Wolfe, GRSL 8 (2011)): their distance is then wider than on
# land, where it is 5 to 8 dB. Means of 15 x 15 px, dB; the limits are ours.
ROUGH_RADIUS: Final = 7
ROUGH_VV: Final = -16.0
ROUGH_VH: Final = -22.0
ROUGH_RATIO: Final = 10.0

# Drop against the earlier scene at which snow is wet, dB, and the share of VH in it at 38 degrees incidence: Nagler et
# al., Remote Sensing 8 (2016) 348, doi 10.3390/rs8040348. Looked for on slopes, where a flood cannot be the reason.
SNOW_RADIUS: Final = 2
SNOW_DROP: Final = -2.0
SNOW_VH_SHARE: Final = 0.64
SNOW_SLOPE: Final = 5.0

SMALL_PATCH: Final = 25  # px; 2,500 m² at 10 m, touching at corners counts
EDGE_RADIUS: Final = 16  # px


def exclusion(
    radar: Radar,
    water: Classes,
    slope: Real | None = None,
    cover: NDArray[np.float32] | None = None,
    halo: int = HALO,
) -> Flags:
    """Marks where the map must not be relied on.

    Args:
        radar: With the halo around, (2, H + 2 halo, W + 2 halo).
        water: Observed water, with the halo around.
        slope: Degrees, NaN where unknown, (H, W); None without an elevation model.
        cover: ESA WorldCover codes, NaN where unknown, (H, W); None without land cover.
        halo: Pixels around the core.

    Returns:
        Sum of the bits of `EXCLUSION`, (H, W). Pixels without data have that bit alone.
    """
    absent = inner(_absent(radar), halo)
    flags = np.zeros(absent.shape, np.uint8)
    if slope is not None:
        flags |= _bit(slope >= STEEP, EXCLUSION["steep_slope"])
    if cover is not None:
        flags |= _bit(np.isin(cover, HIDING_COVER), EXCLUSION["low_sensitivity"])
    flags |= _bit(low_contrast(radar, water, halo), EXCLUSION["low_contrast"])
    return np.where(absent, np.uint8(EXCLUSION["no_data"]), flags)


def advisory(
    radar: Radar,
    water: Classes,
    *,
    reference: Classes | None = None,
    before: Radar | None = None,
    slope: Real | None = None,
    cover: NDArray[np.float32] | None = None,
    halo: int = HALO,
) -> Flags:
    """Marks where the map should be read with care.

    Args:
        radar: With the halo around, (2, H + 2 halo, W + 2 halo).
        water: Observed water, with the halo around.
        reference: Reference water, with the halo around; None where unknown.
        before: Radar of an earlier date, with the halo around.
        slope: Degrees, NaN where unknown, (H, W).
        cover: ESA WorldCover codes, NaN where unknown, (H, W).
        halo: Pixels around the core.

    Returns:
        Sum of the bits of `ADVISORY`, (H, W); 255 where there is no data.
    """
    flags = _bit(rough_water(radar, reference, halo), ADVISORY["rough_water_suspected"])
    if cover is not None:
        flags |= _bit(cover == SNOW_COVER, ADVISORY["wet_snow_suspected"])
    if before is not None and slope is not None:
        flags |= _bit(wet_snow(radar, before, slope, halo), ADVISORY["wet_snow_suspected"])
    flags |= _bit(small_patch(water, halo), ADVISORY["small_patch"])
    flags |= _bit(near_edge(radar, halo), ADVISORY["near_edge"])
    absent = inner(_absent(radar), halo)
    return np.where(absent, np.uint8(255), flags)


def low_contrast(radar: Radar, water: Classes, halo: int = HALO) -> Mask:
    """Finds surroundings of 65 x 65 px in which water is not darker than land by a clear margin, in either band.

    Water and land are compared by Ashman's D = √2 (μ_land - μ_water) / √(σ²_land + σ²_water) of their dB, where each
    fills a tenth; elsewhere there is nothing to compare, and nothing is marked.

    Returns:
        (H, W).
    """
    radius = CONTRAST_RADIUS
    low = told = None
    for band in radar:
        seen = np.isfinite(band)
        wet_count, wet_mean, wet_spread = box_moments(band, seen & (water == WATER), radius)
        dry_count, dry_mean, dry_spread = box_moments(band, seen & (water == LAND), radius)
        both = np.minimum(wet_count, dry_count) >= LEAST_SHARE * np.maximum(wet_count + dry_count, 1)
        spread = np.sqrt(np.maximum(wet_spread + dry_spread, 1e-4))
        unclear = np.sqrt(2) * (dry_mean - wet_mean) / spread < SEPARATE
        low = (unclear | ~both) & (True if low is None else low)
        told = both | (False if told is None else told)
    assert low is not None and told is not None, "radar has two bands"
    found: Mask = inner(low & told, halo, radius)
    return found


def rough_water(radar: Radar, reference: Classes | None = None, halo: int = HALO) -> Mask:
    """Suspects water under wind: VV bright, VH dark, far apart; or reference water that is bright in VV.

    Returns:
        (H, W).
    """
    radius = ROUGH_RADIUS
    half = (2 * radius + 1) ** 2 / 2
    (vv_count, vv, _), (vh_count, vh, _) = (box_moments(band, np.isfinite(band), radius) for band in radar)
    rough = (vv >= ROUGH_VV) & (vh <= ROUGH_VH) & (vv - vh >= ROUGH_RATIO)
    rough &= (vv_count >= half) & (vh_count >= half)
    if reference is not None:
        count, mean, _ = box_moments(radar[0], np.isfinite(radar[0]) & (reference == WATER), radius)
        there = inner(reference == WATER, radius)
        rough |= there & (count >= half) & (mean >= ROUGH_VV)
    found: Mask = inner(rough, halo, radius)
    return found


def wet_snow(radar: Radar, before: Radar, slope: Real, halo: int = HALO) -> Mask:
    """Suspects wet snow: backscatter has dropped by 2 dB (5 x 5 px) on ground too steep for a flood.

    Args:
        radar: With the halo around.
        before: Radar of an earlier date, with the halo around.
        slope: Degrees, (H, W).
        halo: Pixels around the core.

    Returns:
        (H, W).
    """
    radius = SNOW_RADIUS
    half = (2 * radius + 1) ** 2 / 2
    drop = np.zeros(slope.shape)
    enough = np.ones(slope.shape, np.bool_)
    for now, then, share in zip(radar, before, (1 - SNOW_VH_SHARE, SNOW_VH_SHARE), strict=True):
        seen = np.isfinite(now) & np.isfinite(then)
        (count, here, _), (_, there, _) = (box_moments(band, seen, radius) for band in (now, then))
        drop += share * inner(here - there, halo, radius)
        enough &= inner(count >= half, halo, radius)
    return enough & (drop <= SNOW_DROP) & (slope >= SNOW_SLOPE)


def small_patch(water: Classes, halo: int = HALO) -> Mask:
    """Finds patches of water of fewer than 25 px.

    A patch that small ends within 24 px of each of its pixels, so that the halo holds all of it.

    Returns:
        (H, W).
    """
    from scipy import ndimage

    assert halo >= SMALL_PATCH - 1, "the halo holds a small patch"
    labels, _ = ndimage.label(water == WATER, np.ones((3, 3)))
    size = np.bincount(labels.ravel())
    size[0] = SMALL_PATCH
    found: Mask = inner(size[labels] < SMALL_PATCH, halo)
    return found


def near_edge(radar: Radar, halo: int = HALO) -> Mask:
    """Finds pixels of which the surroundings of 33 x 33 px miss a row's worth of data or more.

    Returns:
        (H, W).
    """
    absent = _absent(radar)
    found: Mask = inner(box_sum(absent, EDGE_RADIUS) > 2 * EDGE_RADIUS, halo, EDGE_RADIUS)
    return found


def _absent(radar: Radar) -> Mask:
    """Tells where neither band has data."""
    return np.asarray(np.isnan(radar).all(axis=0), np.bool_)


def _bit(where: Mask, bit: int) -> Flags:
    return np.where(where, np.uint8(bit), np.uint8(0))
