"""Slope of the ground, in degrees, on grids of metres or degrees, rotated or not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.products.ellipsoid import ellipsoid_of

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Steps:
    """What a step by one pixel is on the ground, for each row, m.

    Attributes:
        right: East and north part of a step to the next column, each (H,).
        down: East and north part of a step to the next row, each (H,).
    """

    right: tuple[Real, Real]
    down: tuple[Real, Real]

    @classmethod
    def square(cls, rows: int, pixel: float) -> Steps:
        """Gives the steps of a north-up grid of square pixels."""
        side, none = np.full(rows, float(pixel)), np.zeros(rows)
        return cls((side, none), (none, -side))


def ground_steps(geobox: GeoBox, rows: slice) -> Steps:
    """Measures a grid's steps on the ellipsoid, at the middle column of the whole grid.

    The middle stands for its row: so a tile and the whole scene agree, and over a scene's width the scale of a
    projection differs by less than 0.1 %.

    Args:
        geobox: Grid with a CRS.
        rows: Start and stop, px; may lie outside the grid.

    Returns:
        The steps of these rows.

    Source: metric of the ellipsoid, M(φ) dφ northwards and N(φ) cos φ dλ eastwards (Snyder 1987, p. 24 to 25).
    """
    geod, to_degrees = ellipsoid_of(geobox)
    a, b, c, d, e, f = tuple(geobox.transform)[:6]
    row = np.arange(rows.start, rows.stop) + 0.5
    col = np.full_like(row, geobox.shape.x / 2)

    def at(right: float, down: float) -> tuple[Real, Real]:
        x, y = col + right, row + down
        lon, lat = to_degrees.transform(a * x + b * y + c, d * x + e * y + f)
        return np.radians(lon), np.radians(lat)

    def step(right: float, down: float) -> tuple[Real, Real]:
        (lon, lat), (lon2, lat2) = at(-right, -down), at(right, down)
        middle = (lat + lat2) / 2
        bent = 1 - geod.es * np.sin(middle) ** 2
        turn = np.remainder(lon2 - lon + np.pi, 2 * np.pi) - np.pi  # the short way over the antimeridian
        east = geod.a / np.sqrt(bent) * np.cos(middle) * turn
        north = geod.a * (1 - geod.es) / bent**1.5 * (lat2 - lat)
        return east, north

    return Steps(step(0.5, 0), step(0, 0.5))


def slope(elevation: NDArray[np.float32], steps: Steps) -> Real:
    """Gives the slope of each pixel but the outermost, by Horn's weighted differences.

    A missing neighbour is continued from the opposite one, so that a plane keeps its slope at the edge of the data.

    Args:
        elevation: m, NaN where unknown, (H + 2, W + 2).
        steps: Of the H inner rows.

    Returns:
        Degrees, (H, W); NaN where the pixel's own elevation is unknown.

    Source: Horn, Hill shading and the reflectance map, Proc. IEEE 69 (1981), doi 10.1109/PROC.1981.11918.
    """
    z = elevation.astype(np.float64)
    height, width = z.shape[0] - 2, z.shape[1] - 2
    own = z[1:-1, 1:-1]

    def at(down: int, right: int) -> Real:
        here = z[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        opposite = z[1 - down : 1 - down + height, 1 - right : 1 - right + width]
        continued = np.where(np.isfinite(opposite), 2 * own - opposite, own)
        return np.where(np.isfinite(here), here, continued)

    across = (at(-1, 1) + 2 * at(0, 1) + at(1, 1) - at(-1, -1) - 2 * at(0, -1) - at(1, -1)) / 8
    along = (at(1, -1) + 2 * at(1, 0) + at(1, 1) - at(-1, -1) - 2 * at(-1, 0) - at(-1, 1)) / 8
    (right_east, right_north), (down_east, down_north) = (
        (east[:, None], north[:, None]) for east, north in (steps.right, steps.down)
    )
    # across = gradient · step to the right, along = gradient · step down: two equations for its two parts.
    area = right_east * down_north - right_north * down_east
    east = (across * down_north - along * right_north) / area
    north = (along * right_east - across * down_east) / area
    degrees: Real = np.degrees(np.arctan(np.hypot(east, north)))
    return degrees
