"""True ground area of a grid's cells, on the ellipsoid."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Proj, Transformer

SQUARE_KM = 1e6  # m²


def row_areas(geobox: GeoBox, rows: slice, cols: slice) -> NDArray[np.float64]:
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

    Source: metric of the ellipsoid, M(φ) N(φ) cos φ dφ dλ (Snyder, Map Projections, 1987, p. 24 to 25); for projected
        grids divided by the projection's areal scale (PROJ).
    """
    crs = CRS.from_user_input(str(geobox.crs))
    middle = np.full(rows.stop - rows.start, (cols.start + cols.stop) / 2)
    a, b, c, d, e, f = tuple(geobox.transform)[:6]
    centre = np.arange(rows.start, rows.stop) + 0.5
    x, y = a * middle + b * centre + c, d * middle + e * centre + f
    cell = abs(a * e - b * d)
    if crs.is_geographic:
        unit = crs.axis_info[0].unit_conversion_factor  # radians in one unit
        return _geographic(crs, y * unit) * float(cell * unit**2)
    unit = crs.axis_info[0].unit_conversion_factor  # metres in one unit
    return float(cell * unit**2) / _areal_scale(crs, x, y)


def _geographic(crs: CRS, latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives M N cos φ, m² for each square radian, at latitudes in radians."""
    geod = crs.get_geod()
    assert geod is not None, "a geographic CRS has an ellipsoid"
    bent = 1 - geod.es * np.sin(latitude) ** 2
    area: NDArray[np.float64] = geod.a**2 * (1 - geod.es) / bent**2 * np.cos(latitude)
    return area


def _areal_scale(crs: CRS, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives by how much the projection enlarges areas, at points in CRS units."""
    with warnings.catch_warnings():
        # pyproj warns that a CRS loses its datum as a PROJ string; scale does not depend on the datum's place.
        warnings.simplefilter("ignore", UserWarning)
        proj = Proj(crs)
    geodetic = crs.geodetic_crs
    assert geodetic is not None, "a projected CRS has a geodetic base"
    lon, lat = Transformer.from_crs(crs, geodetic, always_xy=True).transform(x, y)
    scale: NDArray[np.float64] = np.asarray(proj.get_factors(lon, lat).areal_scale)
    return scale


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
