"""Products as STAC items, and a folder of products as a static catalogue."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import shapely
from odc.geo.geobox import GeoBox

from flora.errors import InputError, OutputError
from flora.products.folder import SUMMARY_FILE
from flora.products.geographic import Globe, split_at_antimeridian
from flora.products.result import OBSERVED_WATER, Result, added, open_result, require_absent
from flora.products.stacassets import assets_of
from flora.products.stacschema import EXTENSIONS, stac_faults

VERSION: Final = "1.1.0"
ITEM_FILE, CATALOG_FILE = "item.json", "catalog.json"
# Where the time of a scene is unknown: from the launch of Sentinel-1A on.
LAUNCH: Final = "2014-04-03T00:00:00Z"
FOOTPRINT_EDGES: Final = 8  # of its longer side, so that it bends with the map
PLACES: Final = 6  # of a degree: 0.1 m


def write_catalog(
    folder: str | Path,
    *,
    title: str = "Flood maps by FLoRA",
    check: bool = False,
    overwrite: bool = False,
) -> Path:
    """Writes `item.json` into each product under a folder, and `catalog.json` that links them into it.

    Links are relative: the folder may be moved, or served from any address.

    Args:
        folder: Folder of products.
        title: Of the catalogue.
        check: Judge all by the official schemas of STAC before anything is written.
        overwrite: Whether an older catalogue is replaced.

    Returns:
        The catalogue.

    Raises:
        InputError: There is no product, or one of them has no place on Earth.
        OutputError: The files cannot be written, or would not be valid.
        ConfigError: What judges is not installed.
    """
    root = Path(folder).expanduser()
    found = sorted(file.parent for file in root.rglob(SUMMARY_FILE) if not _hidden(file, root))
    if not found:
        raise InputError(
            f"'{folder}' holds no result of FLoRA; expected folders with {SUMMARY_FILE}. Give the --out of "
            "`flora predict`."
        )
    require_absent([*(place / ITEM_FILE for place in found), root / CATALOG_FILE], overwrite)
    items = {place: _linked(item_of(open_result(place), _name(place, root)), place, root) for place in found}
    catalog = _catalog(root, items, title)
    if check:
        for name, told in {
            **{str(place): item for place, item in items.items()},
            CATALOG_FILE: catalog,
        }.items():
            _require_valid(name, told)
    for place, item in items.items():
        _write(place, ITEM_FILE, item, overwrite)
    _write(root, CATALOG_FILE, catalog, overwrite)
    return root / CATALOG_FILE


def _linked(item: dict[str, Any], place: Path, root: Path) -> dict[str, Any]:
    """Links an item to its catalogue."""
    up = "../" * len(place.relative_to(root).parts) or "./"
    links = [
        {"rel": rel, "href": f"{up}{CATALOG_FILE}", "type": "application/json"} for rel in ("root", "parent")
    ]
    return item | {"links": links}


def _catalog(root: Path, items: dict[Path, dict[str, Any]], title: str) -> dict[str, Any]:
    return {
        "type": "Catalog",
        "stac_version": VERSION,
        "id": re.sub(r"[^\w.-]+", "-", root.resolve().name) or "flora",
        "title": title,
        "description": "Maps of flood and water from Sentinel-1 scenes. Contains modified Copernicus Sentinel data.",
        "links": [
            {"rel": "root", "href": f"./{CATALOG_FILE}", "type": "application/json"},
            *(_link(place, item, root) for place, item in items.items()),
        ],
    }


def _require_valid(name: str, told: dict[str, Any]) -> None:
    faults = stac_faults(told)
    if faults:
        raise OutputError(
            f"What would be written of '{name}' is no valid STAC ({faults[0]}; {len(faults)} in all); expected none. "
            "Check its summary.json, and report this as a fault of FLoRA."
        )


def item_of(result: Result, name: str | None = None) -> dict[str, Any]:
    """Describes a product as a STAC item, without links.

    Args:
        result: The product; its scene has a CRS.
        name: Identifier; None for the scene's name.

    Returns:
        The item, as JSON holds it.

    Raises:
        InputError: The scene has no CRS, or reaches around a pole.
    """
    geobox = result.located(result.layer(OBSERVED_WATER))
    height, width = geobox.shape.yx
    outline = Globe(geobox).to_degrees(shapely.box(0, 0, width, height), max(height, width) / FOOTPRINT_EDGES)
    parts = split_at_antimeridian(outline)
    summary = result.summary
    extensions = [url for key, url in EXTENSIONS.items() if key != "sar" or not result.simulated]
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": extensions,
        "id": name or result.name,
        **_footprint(parts),
        "properties": {
            "title": result.name,
            "description": "Water and flood, mapped from radar. " + str(summary.get("note") or ""),
            **_time(summary),
            "created": _utc(summary.get("created")) or _now(),
            **_projection(geobox),
            **_processing(summary),
            **({} if result.simulated else _sar(summary)),
        },
        "links": [],
        "assets": assets_of(result),
    }


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def _name(place: Path, root: Path) -> str:
    return "-".join(place.relative_to(root).parts) or place.resolve().name


def _link(place: Path, item: dict[str, Any], root: Path) -> dict[str, str]:
    href = f"./{(place / ITEM_FILE).relative_to(root).as_posix()}"
    return {"rel": "item", "href": href, "type": "application/geo+json", "title": item["properties"]["title"]}


def _write(folder: Path, name: str, content: dict[str, Any], overwrite: bool) -> None:
    with added(folder, [name], overwrite=overwrite) as hidden:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
        (hidden / name).write_text(text + "\n", encoding="utf-8")


def _footprint(parts: list[shapely.Polygon]) -> dict[str, Any]:
    """Gives geometry and box; a box over the antimeridian has its west east of its east (RFC 7946, 5.2)."""
    rings = [[[[round(x, PLACES), round(y, PLACES)] for x, y in part.exterior.coords]] for part in parts]
    whole = len(rings) == 1
    bounds = [part.bounds for part in parts]
    west = bounds[0][0] if whole else max(west for west, *_ in bounds)
    east = bounds[0][2] if whole else min(east for _, _, east, _ in bounds)
    box = [west, min(south for _, south, _, _ in bounds), east, max(north for *_, north in bounds)]
    return {
        "geometry": {"type": "Polygon", "coordinates": rings[0]}
        if whole
        else {"type": "MultiPolygon", "coordinates": rings},
        "bbox": [round(value, PLACES) for value in box],
    }


def _time(summary: dict[str, Any]) -> dict[str, Any]:
    """Gives the moment; or the day, or all the time that there are scenes of, where that is all that is known."""
    day = _day(summary.get("time"))
    if day:
        return {"datetime": None, "start_datetime": f"{day}T00:00:00Z", "end_datetime": f"{day}T23:59:59Z"}
    time = _utc(summary.get("time"))
    if time:
        return {"datetime": time}
    return {
        "datetime": None,
        "start_datetime": LAUNCH,
        "end_datetime": _utc(summary.get("created")) or _now(),
    }


def _day(text: object) -> str | None:
    """Gives a time that is a date alone, as in 2024-05-06 or 20240506; None where it tells more or nothing."""
    try:
        return date.fromisoformat(str(text)).isoformat()
    except ValueError:
        return None


def _utc(text: object) -> str | None:
    """Gives a time as STAC wants it, UTC with Z; None where it is none. A time without zone is UTC."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    zoned = time if time.tzinfo else time.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _projection(geobox: GeoBox) -> dict[str, Any]:
    assert geobox.crs is not None, "checked before"
    code = geobox.crs.to_epsg()
    told: dict[str, Any] = {"proj:code": f"EPSG:{code}" if code else None}
    if not code:
        told["proj:wkt2"] = str(geobox.crs)
    bounds = geobox.extent.boundingbox
    return told | {
        "proj:shape": list(geobox.shape.yx),
        "proj:transform": list(geobox.transform)[:6],
        "proj:bbox": [bounds.left, bounds.bottom, bounds.right, bounds.top],
    }


def _processing(summary: dict[str, Any]) -> dict[str, Any]:
    model = summary.get("model") or {}
    lineage = (
        f"Water where the probability reaches {float(summary.get('threshold', 0.5)):.3g}, with weights "
        f"{model.get('weights') or 'shipped'} (sha256 {model.get('weights_sha256') or 'unknown'})."
    )
    versions = summary.get("versions") or {}
    return {
        "processing:level": "L3",
        "processing:lineage": lineage,
        "processing:software": {"FLoRA": str(versions.get("flora", "unknown"))},
    }


def _sar(summary: dict[str, Any]) -> dict[str, Any]:
    """Gives what is known of the radar; mode and product from the file's name, else those usual over land."""
    named = re.search(r"_(IW|EW|SM|WV)_(SLC|GRD|RTC)", " ".join(map(str, summary.get("sources") or [])))
    mode, product = named.groups() if named else ("IW", "GRD")
    return {
        "constellation": "sentinel-1",
        "instruments": ["c-sar"],
        "sar:instrument_mode": mode,
        "sar:frequency_band": "C",
        "sar:center_frequency": 5.405,
        "sar:polarizations": ["VV", "VH"],
        "sar:product_type": product,
    }
