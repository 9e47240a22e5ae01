"""`flora vectors`, `zones`, `styles`, `report`, `catalog`: what a result is passed on as."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_rows, print_table, say
from flora.cli.options import Json, Overwrite

Folder = Annotated[
    Path, typer.Argument(help="Folder of a result, with its summary.json.", show_default=False)
]


@app.command()
def vectors(
    folder: Folder,
    min_area: Annotated[float, typer.Option(min=0, help="Leave smaller polygons out, m².")] = 0.0,
    smooth: Annotated[bool, typer.Option("--smooth", help="Cut off the stairs of pixels.")] = False,
    event: Annotated[str | None, typer.Option(help="Name each polygon carries; else the scene's.")] = None,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Trace flood and water as polygons: GeoPackage and GeoJSON."""
    from flora.products.vectors import write_vectors

    written = write_vectors(folder, min_area_m2=min_area, smooth=smooth, event=event, overwrite=overwrite)
    if json_:
        print_json([asdict(patches) for patches in written])
        return
    for patches in written:
        area = f"{patches.area_m2 / 1e6:.3f} km²"
        files = [patches.geopackage, patches.geojson]
        print_rows({"polygons": patches.count, "area": area, "wrote": files}, title=patches.kind)


@app.command()
def zones(
    folder: Folder,
    zones_file: Annotated[
        Path | None, typer.Option("--zones", help="Polygons to count by; left out, the whole scene.")
    ] = None,
    name_field: Annotated[str | None, typer.Option(help="Field of --zones with the names.")] = None,
    population: Annotated[Path | None, typer.Option(help="Raster of people a cell.")] = None,
    land_cover: Annotated[
        Path | None, typer.Option(help="Raster of ESA WorldCover: what stands in the water.")
    ] = None,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Count flood, water, people and land cover, overall and by zones: CSV and JSON."""
    from flora.products.zones import write_zones

    figures = write_zones(
        folder,
        zones_file,
        name_field=name_field,
        population=population,
        land_cover=land_cover,
        overwrite=overwrite,
    )
    if json_:
        print_json([asdict(told) for told in figures])
        return

    def area(low: float | None, middle: float | None, high: float | None) -> str:
        return "" if low is None else f"{middle:.2f} ({low:.2f} to {high:.2f})"

    rows = [
        (
            told.zone,
            area(told.flood_low_km2, told.flood_km2, told.flood_high_km2),
            area(told.water_low_km2, told.water_km2, told.water_high_km2),
            _seen(told.scene_km2, told.covered_share),
            "" if told.people_there is None else f"{told.people_there:.0f} of {told.people:.0f}",
        )
        for told in figures
    ]
    heads = ["zone", "flood, km² (range)", "water, km² (range)", "in the scene, km²", figures[0].people_kind]
    print_table(heads, rows)
    from flora.products.zonefigures import COMPLETE

    known = figures[0].people_share
    if known is not None and known < COMPLETE:
        say(f"The population raster covers {known:.1%} of the scene; people beyond it are not counted.")


def _seen(square_km: float, share: float) -> str:
    """Says what the scene shows of a zone, and how much of it that is where it is not the whole."""
    from flora.products.zonefigures import COMPLETE

    return f"{square_km:.2f}" if share >= COMPLETE else f"{square_km:.2f}, {share:.0%} of it"


@app.command()
def styles(folder: Folder, overwrite: Overwrite = False, json_: Json = False) -> None:
    """Write a QGIS style beside each layer, and a project that opens all of them."""
    from flora.products.qgis import write_styles

    written = write_styles(folder, overwrite=overwrite)
    if json_:
        print_json(written)
    else:
        print_rows({"wrote": written})


@app.command()
def report(folder: Folder, overwrite: Overwrite = False, json_: Json = False) -> None:
    """Write one page for people, report.html: maps, numbers, method, caveats."""
    from flora.products.report import write_report

    written = write_report(folder, overwrite=overwrite)
    if json_:
        print_json({"report": written})
    else:
        print_rows({"wrote": written})


@app.command()
def catalog(
    folder: Annotated[
        Path, typer.Argument(help="Folder of results, as --out of predict.", show_default=False)
    ],
    title: Annotated[str, typer.Option(help="Of the catalogue.")] = "Flood maps by FLoRA",
    check: Annotated[
        bool, typer.Option("--check", help="Judge by the official schemas of STAC first.")
    ] = False,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Make a folder of results a static STAC catalogue."""
    from flora.products.stac import write_catalog

    written = write_catalog(folder, title=title, check=check, overwrite=overwrite)
    if json_:
        print_json({"catalog": written})
    else:
        print_rows({"wrote": written})
