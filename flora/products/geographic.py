"""Polygons on the Earth: longitude and latitude, true area, and the antimeridian."""

from __future__ import annotations

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer
from shapely import Polygon, affinity

from flora.errors import InputError
from flora.products.components import map_rings

# An edge of a map is no straight line on the globe; pieces of this length, px, are one to well under a thousandth of
# a pixel.
STRAIGHT = 64
DEGREES = CRS.from_epsg(4326)
AROUND_POLE = (
    "A polygon goes around a pole, where longitude and latitude cannot hold it; expected one beside the pole. Use the "
    "raster layers, which are right there, or cut the scene."
)


class Globe:
    """Brings polygons from pixels of a grid to its CRS and to WGS 84."""

    def __init__(self, geobox: GeoBox) -> None:
        """Prepares for a grid with CRS."""
        crs = CRS.from_user_input(str(geobox.crs))
        self._affine = Affine(*tuple(geobox.transform)[:6])
        self._to_degrees = Transformer.from_crs(crs, DEGREES, always_xy=True)
        self._geod = Geod(ellps="WGS84")

    def to_map(self, polygon: Polygon) -> Polygon:
        """Gives a polygon in px in coordinates of the CRS, shells counter-clockwise."""
        return shapely.orient_polygons(map_rings(polygon, self._place))

    def to_degrees(self, polygon: Polygon, straight: float = STRAIGHT) -> Polygon:
        """Gives a polygon in px in degrees of WGS 84, shells counter-clockwise.

        Longitudes run on past ±180 where the polygon does, so that it is one piece.

        Args:
            polygon: In px.
            straight: Longest edge that is taken as straight in both, px.

        Returns:
            In degrees, longer edges cut into pieces.

        Raises:
            InputError: It goes around a pole.
        """
        first = self._lonlat(shapely.get_coordinates(polygon.exterior)[:1])[0, 0]
        dense = shapely.segmentize(polygon, straight)
        degrees = shapely.orient_polygons(map_rings(dense, lambda ring: self._unrolled(ring, first)))
        west, _, east, _ = degrees.bounds
        if east - west > 180 and not degrees.is_valid:
            raise InputError(AROUND_POLE)
        return degrees

    def area(self, degrees: Polygon) -> float:
        """Gives the area on the ellipsoid of a polygon as `to_degrees` gives it, m².

        Source: C. F. F. Karney, Algorithms for geodesics, 2013, doi 10.1007/s00190-012-0578-z.
        """
        area, _ = self._geod.geometry_area_perimeter(degrees)
        return abs(float(area))

    def _place(self, ring: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(_apply(self._affine, ring), axis=1)

    def _lonlat(self, ring: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(self._to_degrees.transform(*_apply(self._affine, ring)), axis=1)

    def _unrolled(self, ring: NDArray[np.float64], first: float) -> NDArray[np.float64]:
        points = self._lonlat(ring)
        steps = np.diff(points[:, 0], append=points[0, 0])
        steps = np.remainder(steps + 180, 360) - 180
        if abs(steps.sum()) > 180:
            raise InputError(AROUND_POLE)
        start = first + np.remainder(points[0, 0] - first + 180, 360) - 180
        points[:, 0] = start + np.concatenate([[0], np.cumsum(steps[:-1])])
        return points


def split_at_antimeridian(polygon: Polygon) -> list[Polygon]:
    """Cuts a polygon whose longitudes run past ±180 into parts within, as RFC 7946 section 3.1.9 asks.

    Args:
        polygon: In degrees.

    Returns:
        Parts with longitudes from -180 to 180, shells counter-clockwise.
    """
    west, _, east, _ = polygon.bounds
    if west >= -180 and east <= 180:
        return [polygon]
    parts = []
    for turn in range(int(np.floor((west + 180) / 360)), int(np.floor((east + 180) / 360)) + 1):
        world = shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90)
        cut = shapely.get_parts(shapely.intersection(shapely.make_valid(polygon), world))
        solid = [part for part in cut if isinstance(part, Polygon) and part.area > 0]
        parts += [affinity.translate(part, xoff=-360 * turn) for part in solid]
    return [shapely.orient_polygons(part) for part in parts]


def _apply(affine: Affine, ring: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = ring.T
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f
