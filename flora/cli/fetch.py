"""`flora fetch`: a place and dates in, Sentinel-1 scenes in dB out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_table, progress, say


@app.command()
def fetch(
    start: Annotated[str, typer.Option(help="First day, such as 2024-05-01; UTC.", metavar="DATE")],
    end: Annotated[str, typer.Option(help="Last day.", metavar="DATE")],
    out: Annotated[Path, typer.Option(help="Folder that the files go into.")],
    bbox: Annotated[
        str | None, typer.Option(help="West,south,east,north in degrees.", metavar="W,S,E,N")
    ] = None,
    geojson: Annotated[
        Path | None, typer.Option(help="Polygons; each gets files of its own. Instead of --bbox.")
    ] = None,
    catalog: Annotated[
        str,
        typer.Option(
            help="planetary-computer, earth-search, cdse, or the address or path of a STAC catalogue."
        ),
    ] = "planetary-computer",
    collection: Annotated[
        str | None, typer.Option(help="Collection of Sentinel-1; left out, the catalogue's.")
    ] = None,
    scale: Annotated[
        str, typer.Option(help="auto, db, power or amplitude, such as 'power x 10000'.")
    ] = "auto",
    optical: Annotated[
        bool, typer.Option("--optical", help="Also fetch the nearest Sentinel-2 picture.")
    ] = False,
    before: Annotated[
        str | None,
        typer.Option(help="Also fetch each orbit's latest pass until this day.", metavar="DATE"),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Largest number of passes.")] = 20,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier files.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find Sentinel-1 over a place, and read only that place, as VV and VH in dB."""
    if (bbox is None) == (geojson is None):
        raise typer.BadParameter("Give one of --bbox and --geojson.")
    from dataclasses import asdict

    from flora.scene.stac import fetch as run
    from flora.scene.stac import parse_bbox, read_areas

    areas = parse_bbox(bbox) if bbox is not None else read_areas(geojson or "")
    with progress("Passes") as done:
        found = run(
            areas,
            start,
            end,
            out,
            catalog=catalog,
            collection=collection,
            scale=scale,
            optical=optical,
            before=before,
            limit=limit,
            overwrite=overwrite,
            progress=done,
        )
    if json_:
        print_json([asdict(each) for each in found])
        return
    print_table(
        ("time", "orbit", "items", "valid", "wrote"),
        [(each.time, each.orbit, len(each.items), f"{each.valid_share:.1%}", each.path) for each in found],
    )
    if optical:
        for each in found:
            say(f"Picture: {each.optical}" if each.optical else f"No clear picture near {each.time}.")
