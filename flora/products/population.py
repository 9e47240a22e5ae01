"""People from a population raster, spread evenly over the ground of each of its cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.products.area import row_areas
from flora.raster.context import require_meeting
from flora.raster.file import describe
from flora.raster.grid import geobox_of
from flora.raster.warp import nearest, place


class Population:
    """A raster of people a cell."""

    def __init__(self, path: str | Path, target: GeoBox) -> None:
        """Opens the raster.

        Args:
            path: People a cell, in any CRS.
            target: Grid of the scene.

        Raises:
            InputError: It cannot be read, has no CRS, or does not meet the scene.
        """
        self.file = describe(path)
        self.geobox = geobox_of(self.file)
        require_meeting(self.geobox, target, self.file.name)

    def density(
        self, geobox: GeoBox, rows: slice, cols: slice
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Reads a block of a grid.

        Args:
            geobox: The grid.
            rows: Rows of the block, px.
            cols: Its columns.

        Returns:
            People on a square metre, 0 where nothing is known; and whether a pixel lies in the raster, whose no-data
            may well mean that nobody lives there. Both (H, W).
        """
        placement = place(self.geobox, geobox, rows, cols)
        down, right = placement.window((self.file.height, self.file.width))
        shape = rows.stop - rows.start, cols.stop - cols.start
        if down.start == down.stop or right.start == right.stop:
            return np.zeros(shape), np.zeros(shape, np.bool_)
        people, valid = self.file.read(1, down, right)
        per_m2 = np.where(valid & (people > 0), people, 0) / row_areas(self.geobox, down, right)[:, None]
        row, col = placement.at(0.5, 0.5)
        taken = nearest(per_m2[None].astype(np.float32), (row - down.start, col - right.start))[0]
        return np.nan_to_num(taken).astype(np.float64), np.isfinite(taken)
