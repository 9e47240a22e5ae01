"""Options that several verbs share, with one meaning and one help text each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from shapely.geometry import Polygon

COMPUTING, READING, WRITING = "Computing", "Reading the scene", "Writing"
PLACE = "A place and a date"

# Where datasets are looked for when no folder is named.
ENVIRONMENT = "FLORA_DATA"


def option(help_: str, panel: str | None = None, *names: str, **more: Any) -> Any:
    """Gives an option with its help text, and the panel that it is listed in."""
    return typer.Option(*names, help=help_, rich_help_panel=panel, **more)


Weights = Annotated[Path | None, option("Weights file; left out, those shipped.", COMPUTING)]
Tile = Annotated[int, option("Side of a tile, px; changes memory, not the result.", COMPUTING)]
Precision = Annotated[str, option("auto, fp32 or bf16.", COMPUTING, metavar="FORMAT")]
Device = Annotated[str, option("auto, cpu, cuda or cuda:N.", COMPUTING, metavar="NAME")]
Backend = Annotated[
    str, option("What runs the network: auto, torch, onnx or openvino.", COMPUTING, metavar="NAME")
]
Tta = Annotated[bool, option("Average over four flips, at four times the cost.", COMPUTING, "--tta")]
Cluster = Annotated[str | None, option("Address of a dask scheduler whose workers compute.", COMPUTING)]

Bands = Annotated[str | None, option("Names of the bands in their order, such as VH,VV.", READING)]
Scale = Annotated[str, option("auto, db, power or amplitude, such as 'power x 10000'.", READING)]
NoCrs = Annotated[bool, option("Take a scene without CRS; results are in px.", READING, "--no-crs")]
Optical = Annotated[
    Path | None, option("Optical image from the same days as the radar, or from before the event.", READING)
]
OPTICAL_MASK = (
    "Raster on the optical image's grid, not 0 where it must not be used: cloud, shadow; or Sentinel-2's SCL."
)
OpticalMask = Annotated[Path | None, option(OPTICAL_MASK, READING)]

Bbox = Annotated[str | None, option("West,south,east,north in degrees.", PLACE, metavar="W,S,E,N")]
Geojson = Annotated[Path | None, option("Polygons; each gets files of its own. Instead of --bbox.", PLACE)]
Start = Annotated[str | None, option("First day, such as 2024-05-01; UTC.", PLACE, metavar="DATE")]
End = Annotated[str | None, option("Last day.", PLACE, metavar="DATE")]
Date = Annotated[
    str | None,
    option("The pass nearest to this day. Instead of --start and --end.", PLACE, metavar="DATE"),
]
Catalog = Annotated[
    str,
    option("planetary-computer, earth-search, cdse, or the address or path of a STAC catalogue.", PLACE),
]
Collection = Annotated[str | None, option("Collection of Sentinel-1; left out, the catalogue's.", PLACE)]
Limit = Annotated[int, option("Largest number of passes.", PLACE, min=1)]

Overwrite = Annotated[bool, option("Replace earlier files.", WRITING, "--overwrite")]
Json = Annotated[bool, option("Print the result as JSON.", WRITING, "--json")]


def areas_of(bbox: str | None, geojson: Path | None) -> list[Polygon]:
    """Reads the place that two options name.

    Raises:
        BadParameter: Both are given, or neither.
        InputError: It is no place on Earth.
    """
    if (bbox is None) == (geojson is None):
        raise typer.BadParameter("Give one of --bbox and --geojson.")
    from flora.scene.stac import parse_bbox, read_areas

    return parse_bbox(bbox) if bbox is not None else read_areas(geojson or "")
