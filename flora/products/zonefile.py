"""Polygons of zones from a file, brought onto the grid of a product."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import CRSError
from shapely import MultiPolygon, Polygon

from flora.errors import InputError
from flora.products.area import SQUARE_KM
from flora.raster.grid import apply_affine

NAMES = ("name", "zone", "admin_name", "adm3_en", "adm2_en", "adm1_en", "nome", "id")
PIECES = (
    100  # of which an edge is made at least across the extent of all zones, so that it bends with the map
)


@dataclass(frozen=True)
class Zone:
    """One zone.

    Attributes:
        name: As its field has it, or its number.
        pixels: Its outline in px of the product's grid, x to the right, y down.
        square_km: Its ground area, km².
    """

    name: str
    pixels: Polygon | MultiPolygon
    square_km: float


def read_zones(path: str | Path, name_field: str | None, geobox: GeoBox) -> list[Zone]:
    """Reads zones.

    Args:
        path: Any file of polygons that GDAL reads; its first layer.
        name_field: Field with the names; None for one that is called so.
        geobox: Grid of the product, with CRS.

    Returns:
        The zones, in the order of the file; entries without a polygon are left out.

    Raises:
        InputError: The file cannot be read, has no CRS, no polygon or no such field.
    """
    file = Path(path).expanduser()
    if not file.exists():
        raise InputError(f"'{path}' does not exist; expected a file of polygons. Check --zones.")
    try:
        meta, _, wkb, values = pyogrio.raw.read(file)
    except (DataSourceError, DataLayerError) as error:
        raise InputError(
            f"'{path}' cannot be read ({error}); expected polygons as GeoPackage, GeoJSON or Shapefile. Convert it, "
            "with ogr2ogr for example."
        ) from error
    if not meta["crs"]:
        raise InputError(f"'{path}' has no CRS; expected one, to know where the zones are. Assign it.")
    try:
        source = CRS.from_user_input(meta["crs"])
    except CRSError as error:
        raise InputError(f"'{path}' has a CRS that is not understood ({error}); assign another.") from error
    shapes = list(shapely.from_wkb(wkb)) if wkb is not None else []
    names = _names(file, meta["fields"].tolist(), values, name_field, len(shapes))
    found = [(name, shape) for name, shape in zip(names, shapes, strict=True) if _solid(shape)]
    if not found:
        raise InputError(f"'{path}' has no polygon; expected one a zone. Give another file.")
    return [_zone(name, shapely.make_valid(shape), source, geobox) for name, shape in found]


def require_inside(zones: list[Zone], geobox: GeoBox, path: str | Path) -> None:
    """Checks that at least one zone meets the scene.

    Args:
        zones: As `read_zones` gives them.
        geobox: Grid of the product.
        path: Their file, for the message.

    Raises:
        InputError: None does.
    """
    height, width = geobox.shape.yx
    scene = shapely.box(0, 0, width, height)
    if not any(zone.pixels.intersects(scene) for zone in zones):
        raise InputError(
            f"None of the {len(zones)} zones in '{path}' overlaps the scene; expected zones of the same place. Check "
            "the file and its CRS."
        )


def _solid(shape: Any) -> bool:
    return isinstance(shape, Polygon | MultiPolygon) and not shape.is_empty


def _names(file: Path, fields: list[str], values: Any, wanted: str | None, count: int) -> list[str]:
    if wanted is not None and wanted not in fields:
        known = ", ".join(fields) or "none"
        raise InputError(f"'{file.name}' has no field '{wanted}'; its fields are: {known}. Name one of them.")
    by_name = {field.lower(): field for field in reversed(fields)}
    field = wanted or next((by_name[name] for name in NAMES if name in by_name), None)
    if field is None:
        return [str(number) for number in range(1, count + 1)]
    return [str(value) for value in values[fields.index(field)]]


def _zone(name: str, shape: Any, source: CRS, geobox: GeoBox) -> Zone:
    west, south, east, north = shape.bounds
    dense = shapely.segmentize(shape, max(east - west, north - south) / PIECES)
    to_degrees = Transformer.from_crs(source, 4326, always_xy=True)
    degrees = shapely.transform(dense, lambda points: np.stack(to_degrees.transform(*points.T), axis=1))
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(shapely.orient_polygons(degrees))
    return Zone(name, _on_grid(dense, source, geobox), abs(area) / SQUARE_KM)


def _on_grid(shape: Any, source: CRS, geobox: GeoBox) -> Polygon | MultiPolygon:
    """Brings a zone to px of a grid.

    On a grid of degrees whose longitudes run past ±180, what lies beyond the antimeridian is a turn away: so a zone is
    laid there once more to each side.
    """
    target = CRS.from_user_input(str(geobox.crs))
    to_map = Transformer.from_crs(source, target, always_xy=True)
    inverse = ~geobox.transform

    def placed(turn: float = 0.0) -> Polygon | MultiPolygon:
        def place(points: NDArray[np.float64]) -> NDArray[np.float64]:
            x, y = to_map.transform(*points.T)
            return np.stack(apply_affine(inverse, x + turn, y), axis=1)

        return _areal(shapely.transform(shape, place))

    bounds = geobox.extent.boundingbox
    if not target.is_geographic or (bounds.left >= -180 and bounds.right <= 180):
        return placed()
    return _areal(shapely.union_all([shapely.make_valid(placed(turn)) for turn in (-360.0, 0.0, 360.0)]))


def _areal(shape: Any) -> Polygon | MultiPolygon:
    """Leaves only the areas of what a repair may have given."""
    if isinstance(shape, Polygon | MultiPolygon):
        return shape
    return MultiPolygon([part for part in shapely.get_parts(shape) if isinstance(part, Polygon)])
