"""Outlines without stairs, of the same area and the same topology."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from flora.products.components import map_rings

HALF = 0.5  # px from a corner at which it is cut; corners of neighbouring patches then never meet
QUARTER = 0.25  # share of an edge that is cut in the second round
AREA_TOLERANCE = 0.01
ROUNDS = 4  # of bringing the area back; each leaves a hundredth of the fault of the last

Ring = NDArray[np.float64]


def smooth(polygon: Polygon) -> Polygon:
    """Cuts the corners of a polygon made of pixels.

    Corners are cut half a pixel away from them, which keeps every two outlines at least half a pixel apart, then each
    edge's ends once more (Chaikin). A closed ring of pixels loses half a pixel of area by that, so each is moved
    outwards, by 0.15 px at most, until its area is what it was. Nothing meets, nothing vanishes, and a hole stays one.

    Args:
        polygon: In px, corners at whole numbers, edges along rows and columns.

    Returns:
        Smoothed; or as it was, where the result would not be valid or would differ by more than 1 % in area.

    Source: G. Chaikin, An algorithm for high-speed curve generation, 1974. Departs from it: the first cut has a fixed
        length, and the area is restored.
    """
    smoothed = map_rings(polygon, _smooth_ring)
    kept = len(smoothed.interiors) == len(polygon.interiors) and smoothed.is_valid
    close = abs(smoothed.area - polygon.area) <= AREA_TOLERANCE * polygon.area
    return smoothed if kept and close else polygon


def _smooth_ring(ring: Ring) -> Ring:
    return _restore(_cut_share(_cut_corners(ring)), abs(_area(ring)))


def _cut_corners(ring: Ring) -> Ring:
    """Replaces each corner by two points half a pixel before and after it."""
    before, after = np.roll(ring, 1, axis=0) - ring, np.roll(ring, -1, axis=0) - ring
    ends = [ring + HALF * step / np.linalg.norm(step, axis=1, keepdims=True) for step in (before, after)]
    points = np.stack(ends, axis=1).reshape(-1, 2)
    # An edge of one pixel gives its middle twice.
    return points[np.any(points != np.roll(points, 1, axis=0), axis=1)]


def _cut_share(ring: Ring) -> Ring:
    """Replaces each corner by two points on its edges, half a pixel from it at most."""
    steps = np.roll(ring, -1, axis=0) - ring
    lengths = np.linalg.norm(steps, axis=1, keepdims=True)
    cut = steps * np.minimum(QUARTER, QUARTER / lengths)
    return np.stack([ring + cut, np.roll(ring, -1, axis=0) - cut], axis=1).reshape(-1, 2)


def _restore(ring: Ring, area: float) -> Ring:
    """Moves a ring in parallel until it encloses an area, px²."""
    for _ in range(ROUNDS):
        outline = Polygon(ring)
        moved = outline.buffer((area - outline.area) / outline.length, join_style="mitre")
        if moved.geom_type != "Polygon" or len(moved.interiors):
            break
        ring = shapely.get_coordinates(moved.exterior)[:-1]
    return ring


def _area(ring: Ring) -> float:
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
