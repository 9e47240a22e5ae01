"""Sentinel-2 L1C files of 13 bands: their optical layer, cloud and a weak water label."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flora.bands import OPTICAL_BANDS, SENTINEL2_DN, SENTINEL2_L1C, SENTINEL2_OFFSET, sentinel2_index
from flora.data.index_label import index_water

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]
Numbers = NDArray[np.integer]

COUNT: Final = len(SENTINEL2_L1C)
CIRRUS: Final = SENTINEL2_L1C.index("B10")
# Cloud: bright in blue and without colour. Deserts and roofs are bright too, but red; snow counts as cloud here.
CLOUD_BLUE: Final = 0.22
CLOUD_RIM: Final = 8


def remove_offset(numbers: Numbers) -> NDArray[np.int32]:
    """Takes the offset of newer processing baselines off, where a file carries it and does not say so.

    The cirrus band sees no ground: without the offset its darkest pixels are near 10, with it near 1010.

    Args:
        numbers: Digital numbers of 13 bands, (13, H, W), 0 no-data.

    Returns:
        Digital numbers without offset, 0 no-data, at least 1 elsewhere.
    """
    present = numbers > 0
    shifted = present.any() and int(numbers[present].min()) >= 0.9 * SENTINEL2_OFFSET
    if not (shifted and int(numbers[CIRRUS][present[CIRRUS]].min()) >= 0.9 * SENTINEL2_OFFSET):
        return numbers.astype(np.int32)
    return np.where(present, np.maximum(numbers.astype(np.int32) - SENTINEL2_OFFSET, 1), 0)


def optical_bands(numbers: NDArray[np.integer]) -> dict[str, NDArray[np.integer]]:
    """Picks red, green, blue and nir from 13 bands, (H, W) each, by name."""
    return {name: numbers[sentinel2_index(name)] for name in OPTICAL_BANDS}


def cloud(numbers: NDArray[np.integer]) -> Bool:
    """Finds cloud generously: bright in blue, hardly brighter in red, with a rim of 8 px.

    Args:
        numbers: Digital numbers of 13 bands without offset, (13, H, W).

    Returns:
        True where a picture of the ground must not be trusted, (H, W).
    """
    blue, red = (
        numbers[sentinel2_index(name)].astype(np.float32) / np.float32(SENTINEL2_DN)
        for name in ("blue", "red")
    )
    bright = (blue > CLOUD_BLUE) & (red < 1.35 * blue)
    core = ndimage.binary_opening(bright, iterations=2)
    return np.asarray(ndimage.binary_dilation(core, iterations=CLOUD_RIM), np.bool_)


def index_label(numbers: NDArray[np.integer]) -> tuple[NDArray[np.uint8], Bool]:
    """Labels water by NDWI and MNDWI outside cloud; specks of a few pixels are left to doubt.

    Args:
        numbers: Digital numbers of 13 bands without offset, (13, H, W).

    Returns:
        Water 0/1 and its validity, (H, W) each.
    """
    bands = [numbers[sentinel2_index(name)] for name in ("green", "nir", "swir")]
    clear = (np.stack(bands) > 0).all(axis=0) & ~cloud(numbers)
    green, nir, swir = (band.astype(np.float32) / np.float32(SENTINEL2_DN) for band in bands)
    water, valid = index_water(green, nir, swir, clear)
    firm = ndimage.median_filter(water, 3)
    return np.where(firm == water, water, 0).astype(np.uint8), valid & (firm == water)
