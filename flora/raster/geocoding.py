"""From radar geometry to a map by tie points: where on Earth each pixel lies, without the help of an elevation model.

Between its tie points, 10 to 20 km apart and each at the height of the ground there, a product says nothing of the
ground. A hill in between is moved towards the radar by about its height over that plane (by its height divided by the
tangent of the incidence angle, 30 to 46 degrees), and its brightness is not corrected for its slope.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Final

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy.interpolate import RBFInterpolator

from flora.raster.annotation import Numbers, TiePoints
from flora.raster.grid import apply_affine
from flora.raster.warp import Placement

# Pixels of the map from one node to the next; over 1.3 km a Sentinel-1 image is straight to hundredths of a pixel.
STEP: Final = 128

# Pixels around the outermost tie points, as the edge between two of them is a curve on the map.
RIM: Final = 8

# UTM ends there; beyond, the polar stereographic grids that sea-ice services use.
UTM_NORTH, UTM_SOUTH = 84.0, -80.0
POLAR_NORTH, POLAR_SOUTH = "EPSG:3413", "EPSG:3031"


@dataclass(frozen=True, eq=False)
class Geocoder:
    """The way from a map grid to a radar image, known at nodes of the grid and linear between.

    Attributes:
        geobox: The map grid.
        row: Row in the image of each node, px from its corner, (Y, X).
        column: Its column.
    """

    geobox: GeoBox
    row: Numbers
    column: Numbers

    def place(self, rows: slice, columns: slice) -> Placement:
        """Finds where a block of the map grid lies in the image.

        Args:
            rows: Rows of the block, start and stop, px.
            columns: Its columns.

        Returns:
            The block's place.
        """
        near = tuple(slice(span.start // STEP, (span.stop - 1) // STEP + 2) for span in (rows, columns))
        return Placement(self.row[near], self.column[near], rows, columns, STEP)


def geocode(points: TiePoints, geobox: GeoBox) -> Geocoder:
    """Fits the way from a map grid to an image: a thin-plate spline through all tie points.

    Args:
        points: Tie points of the image.
        geobox: The map grid.

    Returns:
        The way, known at every `STEP` pixels of the grid.
    """
    known = np.stack(project(points, str(geobox.crs)), axis=1)
    # The spline's numbers are best where coordinates are about 1.
    middle, half = known.mean(axis=0), np.ptp(known) / 2
    spline = RBFInterpolator(
        (known - middle) / half,
        np.stack([points.line, points.pixel], axis=1),
        kernel="thin_plate_spline",
        degree=1,
    )
    y, x = (np.arange(0, length + STEP, STEP, dtype=np.float64) for length in geobox.shape.yx)
    y, x = np.meshgrid(np.append(y, y[-1] + STEP), np.append(x, x[-1] + STEP), indexing="ij")
    nodes = np.stack(apply_affine(geobox.transform, x, y), axis=-1).reshape(-1, 2)
    found = spline((nodes - middle) / half).reshape((*y.shape, 2))
    # Annotations count at pixel centres, places in an image from the corner of its first pixel.
    return Geocoder(geobox, found[..., 0] + 0.5, found[..., 1] + 0.5)


def grid_around(points: TiePoints) -> GeoBox:
    """Gives the map grid of an image: its UTM zone, north up, pixels of the image's spacing on whole multiples of it.

    Args:
        points: Tie points of the image.

    Returns:
        The grid.
    """
    crs = map_crs(points)
    easting, northing = project(points, crs)
    size = points.spacing
    left, top = floor(easting.min() / size) - RIM, ceil(northing.max() / size) + RIM
    right, bottom = ceil(easting.max() / size) + RIM, floor(northing.min() / size) - RIM
    transform = Affine(size, 0, left * size, 0, -size, top * size)
    return GeoBox((top - bottom, right - left), transform, crs)


def map_crs(points: TiePoints) -> str:
    """Gives the UTM zone of the middle of an image, such as `EPSG:32722`."""
    latitude = float(np.mean([points.latitude.min(), points.latitude.max()]))
    if latitude > UTM_NORTH or latitude < UTM_SOUTH:
        return POLAR_NORTH if latitude > 0 else POLAR_SOUTH
    # Counted from the first point, so that an image across the antimeridian has its middle there.
    first = float(points.longitude[0])
    around = np.remainder(points.longitude - first + 180.0, 360.0) - 180.0
    middle = (first + (around.min() + around.max()) / 2 + 180.0) % 360.0
    return f"EPSG:{326 if latitude >= 0 else 327}{int(middle // 6) + 1:02d}"


def project(points: TiePoints, crs: str) -> tuple[Numbers, Numbers]:
    """Gives tie points in map coordinates, m."""
    easting, northing = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(
        points.longitude, points.latitude
    )
    return np.asarray(easting), np.asarray(northing)
