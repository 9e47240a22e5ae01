"""Small STAC catalogues over small rasters, served by `web_server` or lying in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import rasterio
from rasterio.warp import transform_bounds
from web_server import Web

SEARCH = "https://api.stacspec.org/v1.0.0/item-search"
CORE = "https://api.stacspec.org/v1.0.0/core"


def footprint(raster: Path) -> tuple[float, float, float, float]:
    with rasterio.open(raster) as source:
        return transform_bounds(source.crs, "EPSG:4326", *source.bounds)


def polygon(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def sar_item(
    name: str,
    time: str,
    files: dict[str, str],
    bounds: tuple[float, float, float, float],
    orbit: int | None = 63,
    **properties: Any,
) -> dict[str, Any]:
    """An item as the Planetary Computer has it for Sentinel-1 RTC."""
    kind = "image/tiff; application=geotiff; profile=cloud-optimized"
    assets = {key: {"href": href, "type": kind, "roles": ["data"]} for key, href in files.items()}
    facts = {"datetime": time, "platform": "SENTINEL-1A", "sat:orbit_state": "descending"} | properties
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": name,
        "collection": "sentinel-1-rtc",
        "geometry": polygon(*bounds),
        "bbox": list(bounds),
        "properties": facts | ({} if orbit is None else {"sat:relative_orbit": orbit}),
        "assets": assets | {"thumbnail": {"href": "look.png", "type": "image/png"}},
        "links": [],
    }


def static_catalog(items: list[dict[str, Any]]) -> dict[str, bytes]:
    """Gives a static catalogue, path to content: catalog.json, and a folder for each item."""
    links = [{"rel": "item", "href": f"./{item['id']}/{item['id']}.json"} for item in items]
    root = {
        "type": "Catalog",
        "stac_version": "1.0.0",
        "id": "test",
        "description": "test",
        "links": [{"rel": "root", "href": "./catalog.json"}, *links],
    }
    # An item that names a collection has to link to it; a static catalogue without collections has none.
    bare = [{key: value for key, value in item.items() if key != "collection"} for item in items]
    files = {f"{item['id']}/{item['id']}.json": json.dumps(item).encode() for item in bare}
    return files | {"catalog.json": json.dumps(root).encode()}


def serve_static(web: Web, items: list[dict[str, Any]]) -> str:
    """Serves a static catalogue and gives its address."""
    web.files |= {f"/static/{path}": content for path, content in static_catalog(items).items()}
    return f"{web.url}/static/catalog.json"


def serve_api(web: Web, items: list[dict[str, Any]]) -> str:
    """Serves a STAC API that filters by collection, time and box; gives its address."""

    def landing(*_: Any) -> dict[str, Any]:
        return {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": "api",
            "description": "test",
            "conformsTo": [CORE, SEARCH],
            "links": [
                {"rel": "self", "href": f"{web.url}/api"},
                {"rel": "root", "href": f"{web.url}/api"},
                {"rel": "search", "href": f"{web.url}/api/search", "method": "POST"},
            ],
        }

    def search(_: str, posted: bytes) -> dict[str, Any]:
        from shapely.geometry import shape

        asked = json.loads(posted)
        start, end = asked.get("datetime", "0/9").split("/")
        found = [
            item
            for item in items
            if start <= item["properties"]["datetime"] <= end
            and item["collection"] in asked.get("collections", [item["collection"]])
            and shape(item["geometry"]).intersects(shape(asked["intersects"]))
        ]
        return {"type": "FeatureCollection", "features": found, "links": []}

    web.pages |= {"/api": landing, "/api/search": search}
    return f"{web.url}/api"
