"""Polygons of flood and of water, as GeoPackage and GeoJSON, with their true areas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError
from shapely import Polygon

from flora.errors import OutputError
from flora.products.components import BLOCK, Component, components
from flora.products.geographic import Globe, split_at_antimeridian
from flora.products.layers import WATER
from flora.products.qgisstyle import polygon_style, style_text
from flora.products.result import LIKELIHOOD, OBSERVED_FLOOD, OBSERVED_WATER, Result, added, open_result
from flora.products.smooth import smooth as smoothed
from flora.raster.file import RasterFile

GEOPACKAGE = "polygons.gpkg"
HECTARE = 1e4  # m²
DIGITS = 7  # of a degree: 1 cm
BATCH = 2000  # features written at once
# Readers of the last ten years know this version; GDAL's own choice makes those before 3.7 warn.
GEOPACKAGE_OPTIONS = {"VERSION": "1.2"}
PERCENT = 100.0


@dataclass(frozen=True)
class Patches:
    """What was written of one class.

    Attributes:
        kind: `flood` or `water`.
        count: Number of polygons.
        area_m2: Their area together.
        geojson: Where they are as GeoJSON.
        geopackage: Where they are as GeoPackage, in the layer `kind`.
    """

    kind: str
    count: int
    area_m2: float
    geojson: Path
    geopackage: Path


@dataclass(frozen=True)
class _Feature:
    polygon: Polygon  # coordinates of the CRS
    degrees: Polygon
    fields: dict[str, Any]


def write_vectors(
    folder: str | Path,
    *,
    min_area_m2: float = 0.0,
    smooth: bool = False,
    event: str | None = None,
    overwrite: bool = False,
    block: int = BLOCK,
) -> list[Patches]:
    """Writes the polygons of a product into its folder.

    `polygons.gpkg` has them in the CRS of the scene, a layer for each class; `water_polygons.geojson` and, where the
    product tells flood from water, `flood_polygons.geojson` in WGS 84 (RFC 7946). Memory does not grow with the scene.

    Args:
        folder: A product, as `flora predict` writes it.
        min_area_m2: Smaller polygons are left out, m². Holes stay, however small.
        smooth: Cut the stairs of pixels off; every polygon keeps its area to 1 %.
        event: Name that each polygon carries; None for the scene's.
        overwrite: Whether older polygons are replaced.
        block: Side of what is read at once, px; does not change the result.

    Returns:
        What was written, a class each.

    Raises:
        InputError: The folder holds no product, the scene has no CRS, or a polygon goes around a pole.
        OutputError: The files cannot be written.
    """
    result = open_result(folder)
    kinds = {"flood": OBSERVED_FLOOD, "water": OBSERVED_WATER}
    layers = {
        kind: result.layer(names) for kind, names in kinds.items() if kind == "water" or result.find(names)
    }
    names = {kind: f"{kind}_polygons.geojson" for kind in layers}
    fixed = {"event": event or result.name, "time": str(result.summary.get("time") or "")}
    written: list[Patches] = []
    with added(result.folder, [GEOPACKAGE, *names.values()], overwrite=overwrite) as hidden:
        for kind, file in layers.items():
            features = _features(result, file, fixed, min_area_m2, smooth, block)
            count, area = _write(features, hidden / GEOPACKAGE, hidden / names[kind], kind, file.crs)
            _add_style(hidden / GEOPACKAGE, kind, new=not written)
            place = result.folder / names[kind]
            written.append(Patches(kind, count, area, place, result.folder / GEOPACKAGE))
    return written


def _features(
    result: Result, file: RasterFile, fixed: dict[str, str], least: float, smooth: bool, block: int
) -> Iterator[_Feature]:
    globe = Globe(result.located(file))
    for component in components(file, WATER, _Likelihood(result.layer(LIKELIHOOD)), block):
        polygon = component.polygon()
        degrees = globe.to_degrees(polygon)
        area = globe.area(degrees)
        if area < least:
            continue
        if smooth:
            polygon = smoothed(polygon)
            degrees = globe.to_degrees(polygon)
            area = globe.area(degrees)
        yield _Feature(globe.to_map(polygon), degrees, _fields(component, area) | fixed)


def _fields(component: Component, area: float) -> dict[str, Any]:
    mean = component.mean()
    return {
        "area_m2": round(area, 2),
        "area_ha": round(area / HECTARE, 6),
        "mean_likelihood": None if mean is None else round(mean, 2),
    }


class _Likelihood:
    """Reads the likelihood in percent; a probability is one hundredth of it."""

    def __init__(self, file: RasterFile) -> None:
        self.file = file
        self.factor = PERCENT if Path(file.path).stem == "water_probability" else 1.0

    def __call__(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        values, valid = self.file.read(1, rows, cols)
        return np.where(valid, values * self.factor, np.nan).astype(np.float64)


def _write(
    features: Iterator[_Feature], geopackage: Path, geojson: Path, kind: str, crs: str
) -> tuple[int, float]:
    """Writes features into both files as they come; gives their number and area."""
    count, area = 0, 0.0
    batch: list[_Feature] = []
    with ExitStack() as stack:
        text = stack.enter_context(geojson.open("w", encoding="utf-8"))
        text.write('{"type": "FeatureCollection", "features": [')
        for feature in features:
            _write_geojson(text, feature, first=count == 0)
            count, area = count + 1, area + feature.fields["area_m2"]
            batch.append(feature)
            if len(batch) == BATCH:
                _append(geopackage, kind, crs, batch, new=count == BATCH)
                batch = []
        text.write("\n]}\n")
        if batch or count == 0:
            _append(geopackage, kind, crs, batch, new=count < BATCH)
    return count, area


def _write_geojson(text: TextIO, feature: _Feature, first: bool) -> None:
    # Rounding may close a neck narrower than a centimetre, and leave two parts.
    rounded = [shapely.set_precision(part, 10.0**-DIGITS) for part in split_at_antimeridian(feature.degrees)]
    parts = [part for part in shapely.get_parts(rounded) if part.geom_type == "Polygon" and not part.is_empty]
    coordinates = [_rings(shapely.orient_polygons(part)) for part in parts]
    whole = len(coordinates) == 1
    geometry = {
        "type": "Polygon" if whole else "MultiPolygon",
        "coordinates": coordinates[0] if whole else coordinates,
    }
    entry = {"type": "Feature", "properties": feature.fields, "geometry": geometry}
    text.write(("\n" if first else ",\n") + json.dumps(entry, allow_nan=False))


def _rings(polygon: Polygon) -> list[list[list[float]]]:
    rings = [polygon.exterior, *polygon.interiors]
    return [[[round(x, DIGITS), round(y, DIGITS)] for x, y in ring.coords] for ring in rings]


def _append(path: Path, layer: str, crs: str, features: list[_Feature], new: bool) -> None:
    """Adds features to a layer of a GeoPackage."""
    names = ("area_m2", "area_ha", "mean_likelihood")
    numbers = [np.array([f.fields[name] for f in features], np.float64) for name in names]
    texts = [np.array([f.fields[name] for f in features], object) for name in ("event", "time")]
    _to_geopackage(
        path,
        new,
        layer=layer,
        geometry=np.array([shapely.to_wkb(f.polygon) for f in features], object),
        field_data=[*numbers, *texts],
        fields=np.array([*names, "event", "time"], object),
        geometry_type="Polygon",
        crs=crs,
    )


def _add_style(path: Path, layer: str, new: bool) -> None:
    """Puts the style of a layer into the table in which QGIS looks for it."""
    told = {
        "f_table_catalog": "",
        "f_table_schema": "",
        "f_table_name": layer,
        "f_geometry_column": "geom",
        "styleName": layer,
        "styleQML": style_text(polygon_style(layer)),
        "styleSLD": "",
        "description": f"Polygons of {layer}",
        "owner": "",
        "ui": "",
        "update_time": "",
    }
    _to_geopackage(
        path,
        new,
        layer="layer_styles",
        geometry=None,
        field_data=[*(np.array([text], object) for text in told.values()), np.array([True])],
        fields=np.array([*told, "useAsDefault"], object),
        layer_options={"FID": "id"} if new else {},
    )


def _to_geopackage(path: Path, new: bool, **content: Any) -> None:
    """Writes a table of a GeoPackage, or adds to it.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        pyogrio.raw.write(path, driver="GPKG", append=not new, dataset_options=GEOPACKAGE_OPTIONS, **content)
    except DataSourceError as error:
        raise OutputError(
            f"'{path.name}' could not be written ({error}); expected a writable folder with enough free space. Free "
            "some space, or copy the result elsewhere."
        ) from error
