"""The places that are asked for: polygons in longitude and latitude."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import MultiPolygon, Polygon, box, shape

from flora.errors import InputError


def parse_bbox(text: str) -> list[Polygon]:
    """Reads `west,south,east,north` in degrees; a west above the east crosses the antimeridian.

    Returns:
        One polygon, or two where the box crosses the antimeridian.

    Raises:
        InputError: It is no box on Earth.
    """
    try:
        west, south, east, north = (float(word) for word in text.split(","))
    except ValueError as error:
        raise InputError(
            f"'{text}' is not a bounding box; expected west,south,east,north in degrees, such as "
            "-51.3,-30.2,-51.1,-29.9. Correct --bbox."
        ) from error
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90 and west != east):
        raise InputError(
            f"The box '{text}' is empty or not on Earth; expected longitudes from -180 to 180 and south below north. "
            "Correct --bbox: west,south,east,north."
        )
    if west < east:
        return [box(west, south, east, north)]
    parts = [box(west, south, 180, north), box(-180, south, east, north)]
    return [part for part in parts if part.area > 0]


def read_areas(path: str | Path) -> list[Polygon]:
    """Reads the polygons of a GeoJSON file; those that overlap become one.

    Args:
        path: A geometry, a feature or a collection of them, in longitude and latitude (RFC 7946).

    Returns:
        Polygons that do not overlap, from west to east.

    Raises:
        InputError: The file is missing, is no GeoJSON, or holds no polygon on Earth.
    """
    try:
        content = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"'{path}' cannot be read as GeoJSON ({error}); expected polygons. Check --geojson."
        ) from error
    try:
        shapes = [shape(geometry) for geometry in _geometries(content)]
    except (KeyError, TypeError, ValueError, shapely.errors.ShapelyError) as error:
        raise InputError(
            f"'{path}' holds a damaged geometry ({error}); expected polygons. Correct it."
        ) from error
    polygons = [polygon for found in shapes for polygon in _polygons(shapely.make_valid(found))]
    if not polygons:
        raise InputError(
            f"'{path}' holds no polygon; expected at least one area. Draw a polygon, or use --bbox instead."
        )
    merged = list(_polygons(shapely.union_all(polygons)))
    west, south, east, north = shapely.total_bounds(merged)
    if not (west >= -180 and east <= 180 and south >= -90 and north <= 90):
        raise InputError(
            f"'{path}' reaches from {west:g}, {south:g} to {east:g}, {north:g}; expected longitude and latitude in "
            "degrees (EPSG:4326), as GeoJSON has it. Reproject it."
        )
    return sorted(merged, key=lambda polygon: polygon.bounds)


def union(areas: Sequence[Polygon]) -> Polygon | MultiPolygon:
    """Gives areas as one geometry, for a search."""
    return areas[0] if len(areas) == 1 else MultiPolygon(list(areas))


def _geometries(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = content["type"]
    if kind == "FeatureCollection":
        for feature in content["features"]:
            yield from _geometries(feature)
    elif kind == "Feature":
        if content["geometry"] is not None:
            yield content["geometry"]
    else:
        yield content


def _polygons(geometry: Any) -> Iterator[Polygon]:
    if isinstance(geometry, Polygon):
        if geometry.area > 0:
            yield geometry
    else:
        for part in getattr(geometry, "geoms", ()):
            yield from _polygons(part)
