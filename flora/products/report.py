"""One page for people: maps, numbers, how they came about, and what to beware of. Everything is inside the file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import flora
from flora.products.floodsummary import remedy_for_unknown, unchecked, warn_of_unknown
from flora.products.landcover import in_order
from flora.products.layerstyle import TITLES
from flora.products.reportmaps import map_section
from flora.products.reporttext import CAVEATS, METHOD, RADAR, SIMULATED_NOTE, STYLE, WITH_IMAGE
from flora.products.result import OBSERVED_FLOOD, OBSERVED_WATER, Result, added, open_result
from flora.products.summary import NOTICE
from flora.products.zonefigures import COMPLETE, JSON_FILE, Figures, read_figures
from flora.products.zones import count_zones
from flora.raster.file import file_name

REPORT_FILE = "report.html"
ZONES_SHOWN = 25

Rows = Iterable[tuple[str, object]]


def write_report(folder: str | Path, *, overwrite: bool = False) -> Path:
    """Writes `report.html` into a product's folder.

    Figures by zones are in it where `flora zones` has written them, and the radar where its file is still there.

    Args:
        folder: A product, as `flora predict` writes it.
        overwrite: Whether an older report is replaced.

    Returns:
        The report.

    Raises:
        InputError: The folder holds no product, layers are missing, or the figures by zones are damaged.
        OutputError: The file cannot be written.
    """
    result = open_result(folder)
    with added(result.folder, [REPORT_FILE], overwrite=overwrite) as hidden:
        (hidden / REPORT_FILE).write_text(_page(result), encoding="utf-8")
    return result.folder / REPORT_FILE


def _page(result: Result) -> str:
    figures = _figures(result)
    when = str(result.summary.get("time") or "time unknown").replace("T", " ").replace("Z", " UTC")
    title = "Flood map" if result.find(OBSERVED_FLOOD) else "Water map"
    alerts = [SIMULATED_NOTE] if result.simulated else []
    if not result.summary.get("crs"):
        alerts.append("The scene has no place on Earth: areas are unknown.")
    if warning := warn_of_unknown(result.summary):
        alerts.append(f"{warning} {remedy_for_unknown(result.summary)}")
    notice = "" if result.simulated else f" {NOTICE}"
    parts = [
        f"<header><h1>{title}: {escape(result.name)}</h1><p>{escape(when)}</p></header>",
        *(f'<p class="alert">{escape(alert)}</p>' for alert in alerts),
        _numbers(figures, result),
        map_section(result),
        _cover_table(figures),
        _zone_table(figures),
        f"<section><h2>How it was made</h2>{_paragraphs(_method(result))}</section>",
        f"<section><h2>What to beware of</h2><ul>{''.join(f'<li>{escape(c)}</li>' for c in CAVEATS)}</ul></section>",
        f"<section><h2>Data and model</h2>{_table(_provenance(result))}</section>",
        f"<section><h2>Files</h2>{_table(_files(result))}</section>",
        f"<footer>FLoRA {escape(flora.__version__)}.{escape(notice)}</footer>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(result.name)}</title><style>{STYLE}</style>'
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _method(result: Result) -> Iterable[str]:
    """Says how the map came about."""
    first, *others = METHOD
    return [f"{WITH_IMAGE if result.summary.get('optical_prior') else RADAR} {first}", *others]


def _figures(result: Result) -> list[Figures]:
    """Gives what `flora zones` has written, else counts the whole; nothing without a place on Earth."""
    if (result.folder / JSON_FILE).is_file():
        return read_figures(result.folder)
    return count_zones(result.folder) if result.layer(OBSERVED_WATER).crs else []


def _numbers(figures: list[Figures], result: Result) -> str:
    """Gives the few numbers that matter, large."""
    if not figures:
        shown = [
            ("water", f"{100 * float(result.summary.get('water_share', 0)):.1f} %", "of the valid pixels")
        ]
    else:
        told = figures[0]
        shown = [("water", _area(told.water_km2), _range(told.water_low_km2, told.water_high_km2))]
        if told.flood_km2 is not None:
            flood = ("flood", _area(told.flood_km2), _range(told.flood_low_km2, told.flood_high_km2))
            shown.insert(0, flood)
        if result.summary.get("reference_unknown_pixels"):
            unknown = float(result.summary.get("reference_unknown_km2") or 0)
            shown.append(("of it, reference unknown", _area(unknown), "not counted as flood"))
        if told.people_in_flood is not None or told.people_in_water is not None:
            shown.append((told.people_kind, f"{told.people_there or 0:,.0f}", _people_known(told)))
        if told.excluded_km2 is not None:
            shown.append(
                ("excluded", _area(told.excluded_km2), unchecked(result.summary) or "not to be trusted")
            )
        seen = told.scene_km2 - told.no_data_km2
        shown.append(("observed", _area(seen), f"of {_area(told.scene_km2)}"))
    cells = (f"<div><b>{escape(v)}</b><span>{escape(k)}</span><i>{escape(n)}</i></div>" for k, v, n in shown)
    return f'<section class="numbers">{"".join(cells)}</section>'


def _area(square_km: float) -> str:
    return f"{square_km:,.0f} km²" if square_km >= 100 else f"{square_km:,.2f} km²"


def _people_known(told: Figures) -> str:
    """Says how many people there are, and where they are known where that is not the whole scene."""
    words = f"of {told.people or 0:,.0f} in the scene"
    partly = told.people_share is not None and told.people_share < COMPLETE
    return f"{words}; known for {told.people_share:.0%} of it" if partly else words


def _range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_area(low)} sure, {_area(high)} possible"


def _cover_table(figures: list[Figures]) -> str:
    """Tells what stands in the water, where land cover was counted."""
    cover = figures[0].land_cover if figures else None
    if not cover:
        return ""
    figure = "flood" if figures[0].flood_km2 is not None else "water"
    shown = [
        (kind, cover[kind].get(f"{figure}_km2", 0.0), cover[kind]["scene_km2"])
        for kind in in_order(set(cover))
    ]
    rows = [
        (kind.replace("_", " "), f"{_area(wet)} of {_area(whole)}, {wet / whole:.1%}")
        for kind, wet, whole in shown
        if whole
    ]
    return f"<section><h2>Land cover in {figure}</h2>{_table(rows)}</section>"


def _zone_table(figures: list[Figures]) -> str:
    zones = figures[1 : ZONES_SHOWN + 1]
    if not zones:
        return ""
    flood, people = zones[0].flood_km2 is not None, zones[0].people is not None
    heads = ["zone", *(["flood, km²", "range"] if flood else []), "water, km²", "range"]
    heads += ["covered", *([zones[0].people_kind] if people else [])]
    rows = []
    for told in zones:
        cells = [told.zone]
        if flood:
            low, middle, high = (
                value or 0.0 for value in (told.flood_low_km2, told.flood_km2, told.flood_high_km2)
            )
            cells += [f"{middle:,.2f}", f"{low:,.2f} to {high:,.2f}"]
        cells += [f"{told.water_km2:,.2f}", f"{told.water_low_km2:,.2f} to {told.water_high_km2:,.2f}"]
        cells.append(f"{told.covered_share:.0%}")
        cells += [f"{told.people_there or 0:,.0f}"] if people else []
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    more = len(figures) - 1 - len(zones)
    rest = f"<p>{more} more zones are in zones.csv.</p>" if more > 0 else ""
    table = f'<table class="zones"><tr>{head}</tr>{"".join(rows)}</table>'
    return f"<section><h2>By zones</h2>{table}{rest}</section>"


def _optical_image(told: Mapping[str, Any]) -> str:
    """Says which optical image was given, and how it was read."""
    if not told.get("optical_prior"):
        return "no: from radar alone"
    image: Mapping[str, Any] = told.get("optical_image") or {}
    names = ", ".join(file_name(str(source)) for source in image.get("sources") or [])
    said = (names, image.get("time"), image.get("read_as"))
    return ". ".join(str(part).rstrip(".") for part in said if part) or "yes"


def _provenance(result: Result) -> Rows:
    told: Mapping[str, Any] = result.summary
    model = told.get("model") or {}
    yield "Scene", ", ".join(file_name(str(source)) for source in told.get("sources") or []) or result.name
    yield "Taken", told.get("time") or "unknown"
    file = file_name(str(told.get("reference_file") or ""))
    yield "Reference water", ", ".join(str(part) for part in (file, told.get("reference")) if part)
    yield "Elevation", file_name(str(told.get("dem_file") or ""))
    yield "Land cover", file_name(str(told.get("land_cover_file") or ""))
    earlier = ", ".join(file_name(str(source)) for source in told.get("before_sources") or [])
    yield "Scene before", f"{earlier} {told.get('before_time') or ''}".strip()
    yield "Grid", f"{told.get('height')} × {told.get('width')} px, {told.get('crs') or 'no CRS'}"
    yield "Read as", str((told.get("sar_scale") or {}).get("why") or "").removeprefix("Read as ")
    yield (
        "Before, read as",
        str((told.get("before_sar_scale") or {}).get("why") or "").removeprefix("Read as "),
    )
    yield "Optical image given", _optical_image(told)
    yield (
        "Weights",
        f"{file_name(str(model.get('weights') or 'shipped'))}, sha256 {model.get('weights_sha256')}",
    )
    for key, value in (model.get("provenance") or {}).items():
        if isinstance(value, str | int | float) and key != "experiment":
            yield f"Weights: {key}", value
    yield "Computed", f"{told.get('created')}, {told.get('precision')} on {told.get('device')}"
    yield "Software", ", ".join(f"{name} {version}" for name, version in (told.get("versions") or {}).items())


def _files(result: Result) -> Rows:
    for path in result.rasters():
        yield path.name, TITLES.get(path.stem, path.stem.replace("_", " "))
    for name, words in {
        "polygons.gpkg": "Polygons with their areas, in the CRS of the scene",
        "flood_polygons.geojson": "Polygons of flood, WGS 84",
        "water_polygons.geojson": "Polygons of water, WGS 84",
        "zones.csv": "Areas by zones",
        "item.json": "STAC item",
    }.items():
        if (result.folder / name).is_file():
            yield name, words


def _table(rows: Rows) -> str:
    cells = (
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in rows
        if value not in (None, "")
    )
    return f"<table>{''.join(cells)}</table>"


def _paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{escape(text)}</p>" for text in texts)
