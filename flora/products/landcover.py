"""Land cover on the grid of a product, to tell what stands in the water."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.raster.context import open_context

# ESA WorldCover 2021, Product User Manual v2.0, table 1.
WORLDCOVER: Final = {
    10: "tree_cover",
    20: "shrubland",
    30: "grassland",
    40: "cropland",
    50: "built_up",
    60: "bare",
    70: "snow_and_ice",
    80: "permanent_water",
    90: "wetland",
    95: "mangroves",
    100: "moss_and_lichen",
}
UNKNOWN: Final = "unknown"


class LandCover:
    """A raster of land cover codes on the grid of a scene; each pixel takes the code at its centre."""

    def __init__(self, path: str | Path, geobox: GeoBox) -> None:
        """Opens the raster.

        Args:
            path: Codes of ESA WorldCover, or others, in any CRS.
            geobox: Grid of the product.

        Raises:
            InputError: It cannot be read, or does not meet the scene.
        """
        self._context = open_context(path, geobox, "classes")

    def read(self, rows: slice, cols: slice) -> tuple[NDArray[np.intp], list[str]]:
        """Gives for each pixel of a block the place of its class, (H, W), in a list of names.

        A code that WorldCover does not have is called `class_` and the code; 0 and no data are unknown.
        """
        codes = np.nan_to_num(self._context.read(rows, cols), nan=0.0).astype(np.int64)
        present, places = np.unique(codes, return_inverse=True)
        return places.reshape(codes.shape), [name_of(int(code)) for code in present]


def name_of(code: int) -> str:
    """Gives the name of a class."""
    return WORLDCOVER.get(code, f"class_{code}") if code else UNKNOWN


def in_order(names: set[str]) -> list[str]:
    """Sorts names of classes: those of WorldCover by their code, then others, the unknown last."""
    known = [name for name in WORLDCOVER.values() if name in names]
    return known + sorted(names - set(known) - {UNKNOWN}) + [UNKNOWN] * (UNKNOWN in names)
