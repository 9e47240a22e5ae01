"""True ground area of a grid's cells, on the ellipsoid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.products.ellipsoid import ellipsoid_of

SQUARE_KM = 1e6  # m²

Vector = NDArray[np.float64]


def row_areas(geobox: GeoBox, rows: slice, cols: slice) -> Vector:
    """Gives the ground area of one cell in each row of a block.

    A degree is not a length, and a projected metre is one only where the map's scale is 1 (a Web Mercator pixel at
    60° counts fourfold): so areas come from the ellipsoid in either case. Within a block of some thousand columns
    the cells of a row differ by less than 0.01 %, and the middle one stands for all.

    Args:
        geobox: Grid with a CRS; rotated or not.
        rows: Rows of the block, px.
        cols: Columns of the block, px.

    Returns:
        Area of the block's middle cell of each row, m², one value a row.

    Source: Cartesian coordinates of the ellipsoid (Snyder, Map Projections, 1987, p. 24 to 25): they know neither
        poles nor an antimeridian. A cell is taken as flat: for one of 10 km that is wrong by less than 10⁻⁶.
    """
    geod, to_degrees = ellipsoid_of(geobox)
    a, b, c, d, e, f = tuple(geobox.transform)[:6]
    down = np.arange(rows.start, rows.stop) + 0.5
    right = np.full_like(down, (cols.start + cols.stop) / 2)

    def place(shift_right: float, shift_down: float) -> Vector:
        """Gives the middle of a side of each cell, m from the middle of the Earth, (rows, 3)."""
        x, y = right + shift_right, down + shift_down
        lon, lat = (np.radians(part) for part in to_degrees.transform(a * x + b * y + c, d * x + e * y + f))
        radius = geod.a / np.sqrt(1 - geod.es * np.sin(lat) ** 2)
        flat = radius * np.cos(lat)
        return np.stack(
            [flat * np.cos(lon), flat * np.sin(lon), radius * (1 - geod.es) * np.sin(lat)], axis=1
        )

    across, along = place(0.5, 0) - place(-0.5, 0), place(0, 0.5) - place(0, -0.5)
    area: Vector = np.linalg.norm(np.cross(across, along), axis=1)
    return area


class AreaTally:
    """Adds up classes over blocks of a scene: pixels, and ground area where the grid has a CRS.

    Attributes:
        pixels: Pixels of each class so far.
        square_km: Ground area of each class so far, km²; None without CRS.
    """

    def __init__(self, geobox: GeoBox, classes: dict[str, int]) -> None:
        """Starts at 0.

        Args:
            geobox: Grid of the scene.
            classes: Stored value of each class by its name.
        """
        self.geobox = geobox
        self.classes = classes
        self.pixels = dict.fromkeys(classes, 0)
        self.square_km: dict[str, float] | None = dict.fromkeys(classes, 0.0) if geobox.crs else None

    def add(self, rows: slice, cols: slice, values: NDArray[np.uint8]) -> None:
        """Counts one block, (y, x), that lies at these rows and columns of the scene."""
        areas = row_areas(self.geobox, rows, cols) if self.square_km is not None else None
        for name, value in self.classes.items():
            count = np.count_nonzero(values == value, axis=1)  # pixels in each row
            self.pixels[name] += int(count.sum())
            if self.square_km is not None and areas is not None:
                self.square_km[name] += float(count @ areas) / SQUARE_KM
