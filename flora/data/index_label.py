"""Weak water labels from an optical index, where both witnesses agree; doubt is invalid, never land."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.bands import mndwi, ndwi

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]

# Snow and cloud have a high MNDWI too, but are bright in nir; water is not.
WATER_NIR: Final = 0.15
LAND_NDWI: Final = -0.15


def index_water(green: Float, nir: Float, swir: Float, clear: Bool) -> tuple[NDArray[np.uint8], Bool]:
    """Labels water where NDWI and MNDWI are positive and nir is dark, land where NDWI is clearly negative.

    Args:
        green: Reflectance, (H, W).
        nir: Reflectance, (H, W).
        swir: Reflectance at 1.6 µm, (H, W).
        clear: Free of cloud and no-data, (H, W).

    Returns:
        Water 0/1 and its validity, (H, W) each. Pixels between the two, such as mixed shores, are invalid.

    Source: McFeeters 1996 (NDWI), Xu 2006 (MNDWI); the guard by nir is ours.
    """
    water = (ndwi(green, nir) > 0) & (mndwi(green, swir) > 0) & (nir < WATER_NIR) & clear
    land = (ndwi(green, nir) < LAND_NDWI) & clear
    return water.astype(np.uint8), water | land
