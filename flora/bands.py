"""Band names, their order, their units and what values can be, once for the whole package.

SAR is always `VV, VH` in dB; optical is always `red, green, blue, nir` in reflectance (0 to 1). A file may hold
its bands in any order; they are found by name and brought to this one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SAR_BANDS: Final = ("VV", "VH")
OPTICAL_BANDS: Final = ("red", "green", "blue", "nir")
RGB_BANDS: Final = OPTICAL_BANDS[:3]

# Band order of Sentinel-2 L1C products in Sen1Floods11, SEN12MS and TerraMesh.
SENTINEL2_L1C: Final = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
SENTINEL2_NAMES: Final = {"red": "B4", "green": "B3", "blue": "B2", "nir": "B8", "swir": "B11"}

# Processing baseline 04.00 (January 2022) and later add this to every number.
# Source: Sentinel-2 L1C and L2A, RADIO_ADD_OFFSET and BOA_ADD_OFFSET.
SENTINEL2_OFFSET: Final = 1000
# Number of Sentinel-2 products that stands for a reflectance of 1.
SENTINEL2_DN: Final = 10000.0

# Backscatter outside this is no measurement, dB, both ends included.
DB_RANGE: Final = (-60.0, 40.0)

# True-colour pictures in 8 bits are 255 x this x reflectance, clipped, as Copernicus browsers and Sentinel-2's own
# true-colour images have it.
DISPLAY_GAIN: Final = 3.5
# Clouds are often painted white in such pictures; JPEG leaves the white a little below 255.
PAINTED_WHITE: Final = 250

Array = NDArray[Any]


def sentinel2_index(name: str) -> int:
    """Gives the 0-based position of an optical band in a 13-band Sentinel-2 L1C file.

    Args:
        name: One of `red`, `green`, `blue`, `nir`, `swir`.

    Returns:
        Position in `SENTINEL2_L1C`; red is B4, green is B3, blue is B2.
    """
    return SENTINEL2_L1C.index(SENTINEL2_NAMES[name])


def normalized_difference(first: Array, second: Array) -> Array:
    """Gives (first - second) / (first + second), and 0 where both are 0.

    Args:
        first: Reflectance of one band, any shape.
        second: Reflectance of the other band, same shape.

    Returns:
        The index in [-1, 1] for non-negative input, same shape.
    """
    total = first + second
    safe = np.where(total == 0, 1, total)
    index: Array = ((first - second) / safe) * (total != 0)
    return index


def ndvi(red: Array, nir: Array) -> Array:
    """Gives the vegetation index (nir - red) / (nir + red). Source: Rouse et al., 1974."""
    return normalized_difference(nir, red)


def ndwi(green: Array, nir: Array) -> Array:
    """Gives the water index (green - nir) / (green + nir). Source: McFeeters, IJRS 1996."""
    return normalized_difference(green, nir)


def mndwi(green: Array, swir: Array) -> Array:
    """Gives the modified water index (green - swir) / (green + swir). Source: Xu, IJRS 2006."""
    return normalized_difference(green, swir)
