"""People from a population raster, spread evenly over the ground of each of its cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.products.area import row_areas
from flora.raster.file import describe
from flora.raster.grid import geobox_of
from flora.raster.warp import nearest, place


class Population:
    """A raster of people a cell."""

    def __init__(self, path: str | Path) -> None:
        """Opens the raster.

        Raises:
            InputError: It cannot be read, or has no CRS.
        """
        self.file = describe(path)
        self.geobox = geobox_of(self.file)

    def density(self, geobox: GeoBox, rows: slice, cols: slice) -> NDArray[np.float64]:
        """Gives people on a square metre at each pixel of a block of a grid, (H, W); 0 where nothing is known."""
        placement = place(self.geobox, geobox, rows, cols)
        down, right = placement.window((self.file.height, self.file.width))
        shape = rows.stop - rows.start, cols.stop - cols.start
        if down.start == down.stop or right.start == right.stop:
            return np.zeros(shape)
        people, valid = self.file.read(1, down, right)
        per_m2 = np.where(valid & (people > 0), people, 0) / row_areas(self.geobox, down, right)[:, None]
        row, col = placement.at(0.5, 0.5)
        taken = nearest(per_m2[None].astype(np.float32), (row - down.start, col - right.start))[0]
        density: NDArray[np.float64] = np.nan_to_num(taken).astype(np.float64)
        return density
