"""`flora predict`: scenes in, a folder of files for each out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_rows, progress, say

if TYPE_CHECKING:
    from flora.products import Summary

COMPUTING, READING, WRITING = "Computing", "Reading the scene", "Writing"


@app.command()
def predict(
    scenes: Annotated[
        list[str],
        typer.Argument(
            help="Files with VV and VH, pairs of files with one each, folders, or STAC items.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of results; each scene gets a folder of its name in it.")],
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
    cluster: Annotated[
        str | None,
        typer.Option(help="Address of a dask scheduler whose workers compute.", rich_help_panel=COMPUTING),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(help="Names of the bands in their order, such as VH,VV.", rich_help_panel=READING),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(help="auto, db, power or amplitude, such as 'power x 10000'.", rich_help_panel=READING),
    ] = "auto",
    no_crs: Annotated[
        bool,
        typer.Option(
            "--no-crs", help="Take a scene without CRS; results are in px.", rich_help_panel=READING
        ),
    ] = False,
    optical: Annotated[
        Path | None,
        typer.Option(help="Optical image of these days or from before the event.", rich_help_panel=READING),
    ] = None,
    optical_mask: Annotated[
        Path | None,
        typer.Option(
            help="Raster on that image's grid, not 0 where it shows cloud or shadow.", rich_help_panel=READING
        ),
    ] = None,
    uncertainty: Annotated[
        bool,
        typer.Option("--uncertainty", help="Also write optical_uncertainty.tif.", rich_help_panel=WRITING),
    ] = False,
    float_probability: Annotated[
        bool,
        typer.Option(
            "--float-probability", help="Probability as float32, not in steps.", rich_help_panel=WRITING
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace earlier results.", rich_help_panel=WRITING)
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Keep finished tiles, and go on from them.", rich_help_panel=WRITING),
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the results as JSON.", rich_help_panel=WRITING)
    ] = False,
) -> None:
    """Map the water of Sentinel-1 scenes, and draw the optical picture."""
    from flora.products import run_predict

    with progress("Tiles") as done:
        summaries = run_predict(
            scenes,
            out,
            weights=weights,
            tile=tile,
            precision=precision,
            device=device,
            tta=tta,
            cluster=cluster,
            bands=bands.split(",") if bands else None,
            scale=scale,
            no_crs=no_crs,
            optical=optical,
            optical_mask=optical_mask,
            uncertainty=uncertainty,
            float_probability=float_probability,
            overwrite=overwrite,
            resume=resume,
            progress=done,
        )
    if json_:
        print_json([summary.to_dict() for summary in summaries])
        return
    print_summaries(summaries)


def print_summaries(summaries: Sequence[Summary]) -> None:
    """Prints what was found and written, for people."""
    for summary in summaries:
        print_rows(rows_of(summary), title=summary.scene)
        if summary.note:
            say(summary.note)


def rows_of(summary: Summary) -> dict[str, object]:
    """Gives what a person wants to know of a result, by name; None for what is unknown."""
    area = None if summary.water_km2 is None else f"{summary.water_km2:.2f} km²"
    how = f"{summary.seconds:.1f} s, {summary.mpx_per_s:.2f} Mpx/s"
    return {
        "water": area or f"{summary.water_pixels} px",
        "share of the scene": f"{summary.water_share:.1%} of what is valid, {summary.valid_share:.1%} is",
        "read as": summary.sar_scale["why"].removeprefix("Read as ").rstrip(".") or None,
        "bands": summary.bands or None,
        "time taken": f"{how}, {summary.precision} on {summary.device}",
        "peak memory": f"{summary.peak_mib:.0f} MiB",
        "wrote": list(summary.files.values()),
    }
