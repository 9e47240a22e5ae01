"""`flora flood`: a scene with a flood in, the layers of a flood map out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_rows, progress, say
from flora.cli.options import (
    OPTICAL_MASK,
    Bands,
    Device,
    Json,
    NoCrs,
    Overwrite,
    Precision,
    Scale,
    Tile,
    Tta,
    Weights,
    option,
)
from flora.cli.predict import read_as, reading_rows

if TYPE_CHECKING:
    from flora.products.floodsummary import FloodSummary

KNOWN = "What is known of the place"
Before = Annotated[
    list[Path] | None,
    option("A scene from before the flood, on any grid; give it twice for VV and VH files.", KNOWN),
]
ReferenceWater = Annotated[
    Path | None, option("Water without a flood: a mask of 0 and 1, or JRC occurrence in %.", KNOWN)
]
ReferenceThreshold = Annotated[
    float | None,
    option("Occurrence from which water counts as reference, %; left out, 50 unless it is a mask.", KNOWN),
]
Dem = Annotated[Path | None, option("Elevation in m; steep slopes are excluded.", KNOWN)]
LandCover = Annotated[Path | None, option("ESA WorldCover; towns and dense vegetation are excluded.", KNOWN)]
Archive = Annotated[
    Path | None,
    option("Optical image from the same days as the radar, or from before the event.", KNOWN),
]
ArchiveMask = Annotated[Path | None, option(OPTICAL_MASK, KNOWN)]


@app.command()
def flood(
    after: Annotated[
        list[Path],
        typer.Argument(
            help="The scene with the flood: a file, a VV and a VH file, or a folder.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of results; the map gets a folder of the scene's name.")],
    before: Before = None,
    reference_water: ReferenceWater = None,
    reference_threshold: ReferenceThreshold = None,
    dem: Dem = None,
    land_cover: LandCover = None,
    optical: Archive = None,
    optical_mask: ArchiveMask = None,
    weights: Weights = None,
    tile: Tile = 1536,
    precision: Precision = "auto",
    device: Device = "auto",
    tta: Tta = False,
    bands: Bands = None,
    scale: Scale = "auto",
    no_crs: NoCrs = False,
    overwrite: Overwrite = False,
    json_: Json = False,
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
            optical_mask=optical_mask,
            weights=weights,
            tile=tile,
            precision=precision,
            device=device,
            tta=tta,
            bands=bands.split(",") if bands else None,
            scale=scale,
            no_crs=no_crs,
            overwrite=overwrite,
            progress=done,
        )
    if json_:
        print_json(summary.to_dict())
        return
    print_rows(_rows(summary), title=summary.scene)
    from flora.products.floodsummary import remedy_for_unknown

    for sentence in (summary.note, *summary.remarks, remedy_for_unknown(summary.to_dict())):
        if sentence:
            say(sentence)


def _rows(summary: FloodSummary) -> dict[str, object]:
    """Gives what a person wants to know of a flood map, by name."""

    def area(square_km: float | None) -> str | None:
        return None if square_km is None else f"{square_km:.2f} km²"

    from flora.products.floodsummary import unchecked

    unknown = summary.reference_unknown_pixels
    reference = area(summary.reference_water_km2) or f"{summary.reference_water_pixels} px"
    return {
        "flood": area(summary.flood_km2) or f"{summary.flood_pixels} px",
        "of it not excluded": area(summary.flood_outside_exclusion_km2),
        "all water": area(summary.water_km2) or f"{summary.water_pixels} px",
        "of it, reference unknown": area(summary.reference_unknown_km2) or f"{unknown} px"
        if unknown
        else None,
        "excluded": "; ".join(filter(None, (area(summary.excluded_km2), unchecked(summary.to_dict()))))
        or None,
        "receded water": area(summary.change_km2.get("receded_water")),
        "reference water": f"{reference}: {summary.reference}",
        **reading_rows(summary),
        "before, read as": read_as(summary.before_sar_scale),
        "before, bands": summary.before_bands or None,
        "time taken": f"{summary.seconds:.1f} s, {summary.mpx_per_s:.2f} Mpx/s, on {summary.device}",
        "peak memory": f"{summary.peak_mib:.0f} MiB",
        "wrote": list(summary.files.values()),
    }
