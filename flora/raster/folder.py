"""Folders and archives as producers hand them out: which of the rasters inside are the scene."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flora.bands import SAR_BANDS
from flora.errors import InputError
from flora.raster.file import file_name, is_address
from flora.raster.naming import scene_name
from flora.raster.polarisation import polarisation_in_path

Paths = str | Path | Sequence[str | Path]
Files = list[str | Path]

RASTER: Final = re.compile(r"\.tiff?$", re.IGNORECASE)

# Earth Engine cuts large exports and appends where each piece begins: rows, columns.
# Source: "Exporting images", developers.google.com/earth-engine/guides/exporting_images.
PIECE: Final = re.compile(r"-?\d{10}-\d{10}\.tiff?$", re.IGNORECASE)


def pieces_of(paths: Paths) -> list[Files]:
    """Gives the files of a scene, piece by piece.

    A folder, or a zip of one, stands for its one VV and one VH file; for several such pairs whose names differ in more
    than the polarisation (bursts of OPERA RTC-S1); or for the pieces of a large export of Earth Engine.

    Args:
        paths: What `flora.open_sar` was given.

    Returns:
        For each piece its file with both bands, or its two files; one piece where a scene was not cut.

    Raises:
        InputError: Nothing was given, or the folder holds something else.
    """
    given: Files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise InputError("No file was given; FLoRA needs one with VV and VH, or two. Name the scene's files.")
    if len(given) > 1 or is_address(str(given[0])):
        return [given]
    place = Path(given[0]).expanduser()
    if place.is_dir():
        rasters = [str(file) for inner in (place, place / "measurement") for file in sorted(inner.glob("*"))]
        return _pieces([file for file in rasters if RASTER.search(file)], f"Folder '{given[0]}'")
    if place.suffix.lower() == ".zip" and zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            names = sorted(name for name in archive.namelist() if RASTER.search(name))
        return _pieces([f"/vsizip/{place.absolute()}/{name}" for name in names], f"Archive '{given[0]}'")
    return [given]


def _pieces(rasters: list[str], what: str) -> list[Files]:
    """Sorts the rasters of a folder."""
    if rasters and all(PIECE.search(file_name(raster)) for raster in rasters):
        return [[raster] for raster in rasters]
    named = {
        band: {scene_name(file): file for file in rasters if polarisation_in_path(file_name(file)) == band}
        for band in SAR_BANDS
    }
    counts = [sum(polarisation_in_path(file_name(file)) == band for file in rasters) for band in SAR_BANDS]
    if counts == [1, 1]:
        return [[file for band in SAR_BANDS for file in named[band].values()]]
    if (
        counts[0] > 1
        and counts[0] == counts[1] == len(named["VV"])
        and named["VV"].keys() == named["VH"].keys()
    ):
        return [[named[band][name] for band in SAR_BANDS] for name in named["VV"]]
    raise InputError(
        f"{what} holds {counts[0]} VV and {counts[1]} VH files, told by their names; expected one of each, or pairs "
        "that are pieces of one scene. Name the scene's files themselves."
    )
