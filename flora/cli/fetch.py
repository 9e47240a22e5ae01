"""`flora fetch`: a place and dates in, Sentinel-1 scenes in dB out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flora.cli import options as given
from flora.cli.app import app
from flora.cli.console import print_json, print_table, progress, say

if TYPE_CHECKING:
    from flora.scene.stac import Fetched


@app.command()
def fetch(
    out: Annotated[Path, typer.Option(help="Folder that the files go into.")],
    bbox: given.Bbox = None,
    geojson: given.Geojson = None,
    date: given.Date = None,
    start: given.Start = None,
    end: given.End = None,
    catalog: given.Catalog = "planetary-computer",
    collection: given.Collection = None,
    limit: given.Limit = 20,
    scale: given.Scale = "auto",
    optical: Annotated[
        bool, typer.Option("--optical", help="Also fetch the nearest Sentinel-2 picture.")
    ] = False,
    before: Annotated[
        str | None,
        typer.Option(help="Also fetch each orbit's latest pass until this day.", metavar="DATE"),
    ] = None,
    context: Annotated[
        str | None,
        typer.Option(
            help="Also fetch some of dem, water, landcover, hand, separated by commas.", metavar="NAMES"
        ),
    ] = None,
    overwrite: given.Overwrite = False,
    json_: given.Json = False,
) -> None:
    """Find Sentinel-1 over a place, and read only that place, as VV and VH in dB."""
    areas = given.areas_of(bbox, geojson)
    from flora.scene.stac import fetch as run
    from flora.scene.stac import parse_context

    with progress("Passes") as done:
        found = run(
            areas,
            start,
            end,
            out,
            date=date,
            catalog=catalog,
            collection=collection,
            scale=scale,
            optical=optical,
            before=before,
            context=parse_context(context) if context is not None else (),
            limit=limit,
            overwrite=overwrite,
            progress=done,
        )
    if json_:
        from dataclasses import asdict

        print_json([asdict(each) for each in found])
        return
    _print(found, optical)


def _print(found: Sequence[Fetched], optical: bool) -> None:
    """Prints what was written, for people."""
    print_table(
        ("time", "orbit", "items", "valid", "wrote"),
        [(each.time, each.orbit, len(each.items), f"{each.valid_share:.1%}", each.path) for each in found],
    )
    if optical:
        for each in found:
            say(f"Picture: {each.optical}" if each.optical else f"No clear picture near {each.time}.")
    for path in dict.fromkeys(path for each in found for path in each.context.values()):
        say(f"Context: {path}")
