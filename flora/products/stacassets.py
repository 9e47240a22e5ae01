"""The files of a product as the assets of a STAC item."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from flora.products.folder import SUMMARY_FILE
from flora.products.layerstyle import BITS, CLASSES, TITLES, FlagStyle, Rgb
from flora.products.result import Result
from flora.raster.file import Band, describe

COG: Final = "image/tiff; application=geotiff; profile=cloud-optimized"
# Media type, roles and title of files that are no raster, by what their names end in.
OTHER_FILES: Final = {
    "quicklook.png": ("image/png", ["thumbnail", "overview"], "Quicklook"),
    SUMMARY_FILE: ("application/json", ["metadata"], "Numbers and settings"),
    ".geojson": ("application/geo+json", ["data"], "Polygons, WGS 84"),
    "flora.qgs": ("application/x-qgis", ["metadata"], "Project for QGIS"),
    ".gpkg": ("application/geopackage+sqlite3", ["data"], "Polygons, CRS of the scene"),
    "zones.csv": ("text/csv", ["data"], "Figures by zone"),
    "zones.json": ("application/json", ["data"], "Figures by zone"),
    "report.html": ("text/html", ["overview"], "Report"),
}


def assets_of(result: Result) -> dict[str, Any]:
    """Describes each raster of a product, and what else of ours lies in its folder.

    Args:
        result: The product.

    Returns:
        Assets by their key, addresses relative to the item.
    """
    assets = {path.stem: _raster(path) for path in result.rasters()}
    for path in sorted(result.folder.iterdir()):
        for ending, (media, roles, title) in OTHER_FILES.items():
            if path.name.endswith(ending):
                key = (
                    path.name.replace(".", "_") if path.stem in assets or path.stem == "zones" else path.stem
                )
                assets[key] = {"href": f"./{path.name}", "type": media, "roles": roles, "title": title}
    return assets


def _raster(path: Path) -> dict[str, Any]:
    file = describe(path)
    asset: dict[str, Any] = {
        "href": f"./{path.name}",
        "type": COG,
        "roles": ["data"],
        "title": TITLES.get(path.stem, path.stem.replace("_", " ")),
        "bands": [_band(band) for band in file.bands],
    }
    if path.stem in CLASSES:
        asset["classification:classes"] = [
            {
                "value": c.value,
                "name": c.name,
                "title": c.title,
                "color_hint": _hint(c.color),
            }
            for c in CLASSES[path.stem]
        ]
    if path.stem in BITS:
        asset["classification:bitfields"] = [
            _bitfield(place, flag) for place, flag in enumerate(BITS[path.stem])
        ]
    return asset


def _bitfield(place: int, flag: FlagStyle) -> dict[str, Any]:
    unset = {"value": 0, "name": f"not_{flag.name}"}
    is_set = {"value": 1, "name": flag.name, "title": flag.title, "color_hint": _hint(flag.color)}
    return {
        "name": flag.name,
        "description": flag.title,
        "offset": place,
        "length": 1,
        "classes": [unset, is_set],
    }


def _hint(color: Rgb) -> str:
    return "{:02X}{:02X}{:02X}".format(*color)


def _band(band: Band) -> dict[str, Any]:
    """Describes a band in the words of STAC 1.1; only scale, offset and sampling are the raster extension's."""
    name = band.description or str(band.index)
    told: dict[str, Any] = {"name": name, "data_type": band.dtype, "raster:sampling": "area"}
    if band.nodata is not None:
        told["nodata"] = "nan" if band.nodata != band.nodata else band.nodata
    if band.unit:
        told["unit"] = band.unit
    if (band.scale, band.offset) != (1.0, 0.0):
        told |= {"raster:scale": band.scale, "raster:offset": band.offset}
    tags = dict(band.tags)
    names = ("minimum", "maximum", "mean", "stddev", "valid_percent")
    known = {name: float(tags[f"statistics_{name}"]) for name in names if f"statistics_{name}" in tags}
    return told | ({"statistics": known} if known else {})
