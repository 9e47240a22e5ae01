"""The Earth under a grid: its ellipsoid, and the way from the grid's coordinates to degrees on it."""

from __future__ import annotations

from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer


def ellipsoid_of(geobox: GeoBox) -> tuple[Geod, Transformer]:
    """Gives the ellipsoid of a grid's CRS, and the transformer to longitude and latitude on it, degrees.

    Args:
        geobox: Grid with a CRS of the Earth.
    """
    crs = CRS.from_user_input(str(geobox.crs))
    geod, geodetic = crs.get_geod(), crs.geodetic_crs
    assert geod is not None, "a CRS of the Earth has an ellipsoid"
    assert geodetic is not None, "a CRS of the Earth has a geodetic base"
    return geod, Transformer.from_crs(crs, geodetic, always_xy=True)
