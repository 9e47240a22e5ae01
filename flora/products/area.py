"""True ground area of a grid's cells, on the ellipsoid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Transformer

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

    Source: metric of the ellipsoid, M(φ) N(φ) cos φ dφ dλ (Snyder, Map Projections, 1987, p. 24 to 25), with dφ dλ of a
        cell from its sides' middles.
    """
    crs = CRS.from_user_input(str(geobox.crs))
    geod, geodetic = crs.get_geod(), crs.geodetic_crs
    assert geod is not None, "a CRS of the Earth has an ellipsoid"
    assert geodetic is not None, "a CRS of the Earth has a geodetic base"
    to_degrees = Transformer.from_crs(crs, geodetic, always_xy=True)
    a, b, c, d, e, f = tuple(geobox.transform)[:6]
    down = np.arange(rows.start, rows.stop) + 0.5
    right = np.full_like(down, (cols.start + cols.stop) / 2)

    def angles(shift_right: float, shift_down: float) -> tuple[Vector, Vector]:
        x, y = right + shift_right, down + shift_down
        lon, lat = to_degrees.transform(a * x + b * y + c, d * x + e * y + f)
        return np.radians(lon), np.radians(lat)

    (left_lon, left_lat), (right_lon, right_lat) = angles(-0.5, 0), angles(0.5, 0)
    (top_lon, top_lat), (bottom_lon, bottom_lat) = angles(0, -0.5), angles(0, 0.5)
    across = _short_way(right_lon - left_lon), right_lat - left_lat
    along = _short_way(bottom_lon - top_lon), bottom_lat - top_lat
    cell = np.abs(across[0] * along[1] - along[0] * across[1])  # square radians
    latitude = (left_lat + right_lat) / 2
    bent = 1 - geod.es * np.sin(latitude) ** 2
    area: Vector = geod.a**2 * (1 - geod.es) / bent**2 * np.cos(latitude) * cell
    return area


def _short_way(turn: Vector) -> Vector:
    """Brings differences of longitude to [-π, π]: a cell on the antimeridian is not as wide as the Earth."""
    short: Vector = np.remainder(turn + np.pi, 2 * np.pi) - np.pi
    return short


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
