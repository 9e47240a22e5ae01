"""`flora predict`: scenes in, a folder of files for each out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flora.cli import options as given
from flora.cli.app import app
from flora.cli.console import print_json, print_rows, progress, say
from flora.cli.options import PLACE, WRITING

if TYPE_CHECKING:
    from flora.products import Summary


@app.command()
def predict(
    out: Annotated[Path, typer.Option(help="Folder of results; each scene gets a folder of its name in it.")],
    scenes: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files with VV and VH, pairs of files with one each, folders, SAFE products, or STAC items; none "
            "where --bbox or --geojson names a place.",
            show_default=False,
        ),
    ] = None,
    weights: given.Weights = None,
    tile: given.Tile = 1536,
    precision: given.Precision = "auto",
    device: given.Device = "auto",
    backend: given.Backend = "auto",
    tta: given.Tta = False,
    cluster: given.Cluster = None,
    bands: given.Bands = None,
    scale: given.Scale = "auto",
    no_crs: given.NoCrs = False,
    optical: given.Optical = None,
    optical_mask: given.OpticalMask = None,
    bbox: given.Bbox = None,
    geojson: given.Geojson = None,
    date: given.Date = None,
    start: given.Start = None,
    end: given.End = None,
    catalog: given.Catalog = "planetary-computer",
    collection: given.Collection = None,
    limit: given.Limit = 20,
    nearest_optical: Annotated[
        bool, given.option("Also fetch and use the nearest Sentinel-2 picture.", PLACE, "--nearest-optical")
    ] = False,
    uncertainty: Annotated[
        bool, given.option("Also write optical_uncertainty.tif.", WRITING, "--uncertainty")
    ] = False,
    float_probability: Annotated[
        bool, given.option("Probability as float32, not in steps.", WRITING, "--float-probability")
    ] = False,
    overwrite: given.Overwrite = False,
    resume: Annotated[
        bool, given.option("Keep finished tiles, and go on from them.", WRITING, "--resume")
    ] = False,
    json_: given.Json = False,
) -> None:
    """Map the water of Sentinel-1 scenes, and draw the optical picture."""
    settings = {
        "weights": weights,
        "tile": tile,
        "precision": precision,
        "device": device,
        "backend": backend,
        "tta": tta,
        "cluster": cluster,
        "optical": optical,
        "optical_mask": optical_mask,
        "uncertainty": uncertainty,
        "float_probability": float_probability,
    }
    place = {
        "date": date,
        "start": start,
        "end": end,
        "catalog": catalog,
        "collection": collection,
        "limit": limit,
        "nearest_optical": nearest_optical,
    }
    common = {"scale": scale, "overwrite": overwrite, "resume": resume}
    reading = {"bands": bands.split(",") if bands else None, "no_crs": no_crs}
    if scenes:
        _refuse(bbox or geojson or date or start or end, "give either scenes, or a place and a date")
        summaries = _predict(scenes, out, settings | common | reading)
    else:
        _refuse(bands or no_crs, "--bands and --no-crs are for files; scenes by place know both")
        summaries = _predict_place(bbox, geojson, out, place | common, settings)
    if json_:
        print_json([summary.to_dict() for summary in summaries])
        return
    print_summaries(summaries)


def _refuse(found: object, why: str) -> None:
    if found:
        raise typer.BadParameter(f"{why[0].upper()}{why[1:]}.")


def _predict(scenes: Sequence[str], out: Path, settings: dict[str, Any]) -> list[Summary]:
    """Predicts the scenes that were named."""
    from flora.products import run_predict

    with progress("Tiles") as done:
        return run_predict(scenes, out, progress=done, **settings)


def _predict_place(
    bbox: str | None, geojson: Path | None, out: Path, place: dict[str, Any], settings: dict[str, Any]
) -> list[Summary]:
    """Fetches and predicts what was seen of a place."""
    if bbox is None and geojson is None:
        raise typer.BadParameter("Give scenes, or a place by --bbox or --geojson and its --date.")
    areas = given.areas_of(bbox, geojson)
    from flora.products.place import run_predict_place

    with progress("Tiles") as done:
        return run_predict_place(areas, out, progress=done, settings=settings, **place)


def print_summaries(summaries: Sequence[Summary]) -> None:
    """Prints what was found and written, for people."""
    for summary in summaries:
        print_rows(rows_of(summary), title=summary.scene)
        for sentence in filter(None, [summary.note, *summary.remarks]):
            say(sentence)


def rows_of(summary: Summary) -> dict[str, object]:
    """Gives what a person wants to know of a result, by name; None for what is unknown."""
    area = None if summary.water_km2 is None else f"{summary.water_km2:.2f} km²"
    how = f"{summary.seconds:.1f} s, {summary.mpx_per_s:.2f} Mpx/s"
    return {
        "water": area or f"{summary.water_pixels} px",
        "share of the scene": f"{summary.water_share:.1%} of what is valid, {summary.valid_share:.1%} is",
        **reading_rows(summary),
        "time taken": f"{how}, {summary.precision} on {summary.device}",
        "peak memory": f"{summary.peak_mib:.0f} MiB",
        "wrote": list(summary.files.values()),
    }


def reading_rows(summary: Summary) -> dict[str, str | None]:
    """Gives how radar and optical image were read, by name; None for what is not there."""
    usable = summary.optical_image.get("usable_share")
    return {
        "read as": read_as(summary.sar_scale),
        "bands": summary.bands or None,
        "optical image": summary.optical_image.get("read_as"),
        "optical image usable": None if usable is None else f"on {usable:.1%} of the scene",
    }


def read_as(scale: Mapping[str, str]) -> str | None:
    """Gives how values were read, and why; None where nothing is said."""
    return scale.get("why", "").removeprefix("Read as ").rstrip(".") or None
