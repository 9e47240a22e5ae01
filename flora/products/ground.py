"""How large a pixel is on the ground, and where north is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.products.ellipsoid import ellipsoid_of

STEP = 8.0  # px; long enough for numbers, short enough for the Earth to be flat


@dataclass(frozen=True)
class Ground:
    """A grid's middle pixel on the ground.

    Attributes:
        pixel: Height and width of the middle pixel; in m, or 1 and 1 in px where `unit` is `px`.
        unit: `m`, or `px` for a grid without CRS.
        north: Direction of north at the scene's middle as it is seen, clockwise from up, degrees; None without CRS.
        flipped: Whether rows and columns are drawn the other way round, so that nothing is seen in a mirror; files
            keep theirs.
    """

    pixel: tuple[float, float]
    unit: str
    north: float | None
    flipped: tuple[bool, bool] = (False, False)


def ground_of(geobox: GeoBox) -> Ground:
    """Measures a grid at its middle.

    Args:
        geobox: The grid, with or without CRS.

    Returns:
        Size of a pixel and the direction of north.
    """
    if not geobox.crs:
        return Ground((1.0, 1.0), "px", None)
    geod, to_degrees = ellipsoid_of(geobox)
    a, b, c, d, e, f = tuple(geobox.transform)[:6]
    row, col = geobox.shape.y / 2, geobox.shape.x / 2

    def line(rows: float, cols: float) -> tuple[float, float]:
        """Azimuth in degrees and length in m of a step over the grid."""
        ends = [(col + sign * cols / 2, row + sign * rows / 2) for sign in (-1, 1)]
        (lon, lat), (lon2, lat2) = (
            to_degrees.transform(a * x + b * y + c, d * x + e * y + f) for x, y in ends
        )
        azimuth, _, length = geod.inv(lon, lat, lon2, lat2)
        return float(azimuth), float(length)

    (down, height), (right, width) = line(STEP, 0), line(0, STEP)
    # North is s steps to the right and t steps down, each as long as on the ground: their parts to the east cancel.
    s, t = math.sin(math.radians(down)), -math.sin(math.radians(right))
    northwards = s * math.cos(math.radians(right)) + t * math.cos(math.radians(down))
    turn = math.copysign(1, northwards)
    # Of a grid along the axes of its map, rows that run up and columns that run left are drawn down and right.
    upside_down, mirrored = (e > 0, a < 0) if b == d == 0 else (False, False)
    rightwards, upwards = -turn * s if mirrored else turn * s, turn * t if upside_down else -turn * t
    north = math.degrees(math.atan2(rightwards, upwards))
    return Ground((height / STEP, width / STEP), "m", north, (upside_down, mirrored))


def drawn(picture: NDArray[np.uint8], ground: Ground) -> NDArray[np.uint8]:
    """Gives a picture of the grid as it is drawn.

    Args:
        picture: Colours, (H, W, 3), rows and columns as in the grid.
        ground: Says which of them are flipped.

    Returns:
        The picture, same shape.
    """
    rows, columns = (slice(None, None, -1 if flipped else 1) for flipped in ground.flipped)
    return picture[rows, columns]
