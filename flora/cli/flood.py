"""`flora flood`: a scene with a flood in, the layers of a flood map out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_rows, progress, say
from flora.cli.predict import COMPUTING, READING, WRITING

if TYPE_CHECKING:
    from flora.products.floodfiles import FloodSummary

KNOWN = "What is known of the place"


@app.command()
def flood(
    after: Annotated[
        list[Path],
        typer.Argument(
            help="The scene with the flood: a file, a VV and a VH file, or a folder.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of results; the map gets a folder of the scene's name.")],
    before: Annotated[
        list[Path] | None,
        typer.Option(
            help="A scene from before the flood, on any grid; give it twice for VV and VH files.",
            rich_help_panel=KNOWN,
        ),
    ] = None,
    reference_water: Annotated[
        Path | None,
        typer.Option(
            help="Water without a flood: a mask of 0 and 1, or JRC occurrence in %.", rich_help_panel=KNOWN
        ),
    ] = None,
    reference_threshold: Annotated[
        float,
        typer.Option(help="Occurrence from which water counts as reference, %.", rich_help_panel=KNOWN),
    ] = 50.0,
    dem: Annotated[
        Path | None,
        typer.Option(help="Elevation in m; steep slopes are excluded.", rich_help_panel=KNOWN),
    ] = None,
    land_cover: Annotated[
        Path | None,
        typer.Option(help="ESA WorldCover; towns and dense vegetation are excluded.", rich_help_panel=KNOWN),
    ] = None,
    optical: Annotated[
        Path | None,
        typer.Option(help="Optical image of these days or from before the event.", rich_help_panel=KNOWN),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Weights file; left out, those shipped.", rich_help_panel=COMPUTING)
    ] = None,
    tile: Annotated[
        int,
        typer.Option(help="Side of a tile, px; changes memory, not the result.", rich_help_panel=COMPUTING),
    ] = 2048,
    precision: Annotated[
        str, typer.Option(help="auto, fp32 or bf16.", metavar="FORMAT", rich_help_panel=COMPUTING)
    ] = "auto",
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N.", metavar="NAME", rich_help_panel=COMPUTING)
    ] = "auto",
    tta: Annotated[
        bool,
        typer.Option(
            "--tta", help="Average over four flips, at four times the cost.", rich_help_panel=COMPUTING
        ),
    ] = False,
    scale: Annotated[
        str,
        typer.Option(help="auto, db, power or amplitude, such as 'power x 10000'.", rich_help_panel=READING),
    ] = "auto",
    no_crs: Annotated[
        bool,
        typer.Option("--no-crs", help="Take scenes without CRS; results are in px.", rich_help_panel=READING),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier results.", rich_help_panel=WRITING)
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=WRITING)
    ] = False,
) -> None:
    """Map a flood apart from rivers and lakes, with where and how far to trust the map."""
    from flora.products.floodfiles import run_flood

    with progress("Tiles") as done:
        summary = run_flood(
            list(after) if len(after) > 1 else after[0],
            out,
            before=(list(before) if len(before) > 1 else before[0]) if before else None,
            reference_water=reference_water,
            reference_threshold=reference_threshold,
            dem=dem,
            land_cover=land_cover,
            optical=optical,
            weights=weights,
            tile=tile,
            precision=precision,
            device=device,
            tta=tta,
            scale=scale,
            no_crs=no_crs,
            overwrite=overwrite,
            progress=done,
        )
    if json_:
        print_json(summary.to_dict())
        return
    print_rows(_rows(summary), title=summary.scene)
    if summary.note:
        say(summary.note)


def _rows(summary: FloodSummary) -> dict[str, object]:
    """Gives what a person wants to know of a flood map, by name."""

    def area(square_km: float | None) -> str | None:
        return None if square_km is None else f"{square_km:.2f} km²"

    return {
        "flood": area(summary.flood_km2) or f"{summary.flood_pixels} px",
        "of it not excluded": area(summary.flood_outside_exclusion_km2),
        "all water": area(summary.water_km2) or f"{summary.water_pixels} px",
        "excluded": area(summary.excluded_km2),
        "receded water": area(summary.change_km2.get("receded_water")),
        "reference water": summary.reference,
        "time taken": f"{summary.seconds:.1f} s, {summary.mpx_per_s:.2f} Mpx/s, on {summary.device}",
        "peak memory": f"{summary.peak_mib:.0f} MiB",
        "wrote": list(summary.files.values()),
    }
