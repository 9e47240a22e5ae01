"""Elevation and land cover given for a flood map: opened, and checked that they say something of the scene."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from flora.errors import InputError
from flora.products.landcover import WORLDCOVER
from flora.raster.context import Context, Plane, open_context
from flora.raster.file import describe

BLOCK: Final = 1024  # px
CODES_TOLD: Final = 3


def open_elevation(given: xr.DataArray | str | Path | None, geobox: GeoBox) -> Context | None:
    """Opens an elevation model on the grid of a scene.

    Args:
        given: Elevation, m, on any grid; None without one.
        geobox: Grid of the scene.

    Returns:
        The elevation; None without one.

    Raises:
        InputError: It cannot be read, holds several bands, lies elsewhere or is empty within the scene, or the scene
            has no CRS.
    """
    if given is None:
        return None
    if geobox.crs is None:
        raise InputError(
            "The scene has no CRS, so that its pixels have no size; the slope of the elevation needs one. "
            "Assign the CRS."
        )
    _require_one_band(given, "elevation in metres")
    elevation = open_context(given, geobox, "quantity")
    if not any(np.isfinite(block).any() for block in _blocks(elevation)):
        raise InputError(
            f"{name_of_raster(given)} has no elevation within the scene: all is NaN or no-data; expected metres. Give "
            "another elevation model, or none."
        )
    return elevation


def _require_one_band(given: xr.DataArray | str | Path, what: str) -> None:
    """Refuses a file of several bands: an optical image would pass for ground without a word.

    Raises:
        InputError: It has more than one.
    """
    if isinstance(given, xr.DataArray):
        return
    file = describe(given)
    if (count := len(file.bands)) > 1:
        raise InputError(
            f"{file.name} holds {count} bands; expected one of {what}. Check that it is the right file, or cut that "
            "band out (gdal_translate -b)."
        )


def open_cover(given: xr.DataArray | str | Path | None, geobox: GeoBox) -> Context | None:
    """Opens land cover on the grid of a scene.

    Args:
        given: Codes of ESA WorldCover, on any grid; None without it.
        geobox: Grid of the scene.

    Returns:
        The land cover; None without it.

    Raises:
        InputError: It cannot be read, holds several bands, lies elsewhere, or has none of WorldCover's codes within the
            scene.
    """
    if given is None:
        return None
    _require_one_band(given, "codes of ESA WorldCover")
    cover = open_context(given, geobox, "classes")
    seen: set[float] = set()
    for block in _blocks(cover):
        seen |= set(np.unique(block[np.isfinite(block)]).tolist())
        if seen & set(WORLDCOVER):
            return cover
    codes = ", ".join(f"{code:g}" for code in sorted(seen)[:CODES_TOLD])
    found = codes + (", …" if len(seen) > CODES_TOLD else "") if seen else "no data"
    raise InputError(
        f"{name_of_raster(given)} holds {found} within the scene and none of the codes of ESA WorldCover "
        "(10 tree cover, 50 built-up, …), which are expected. Recode it, or leave it out."
    )


def name_of_raster(given: xr.DataArray | str | Path) -> str:
    """Gives the file's name, or the array's."""
    if isinstance(given, xr.DataArray):
        return "The array" if given.name is None else str(given.name)
    return describe(given).name


def _blocks(context: Context) -> Iterator[Plane]:
    """Reads a band on the grid of the scene block by block, those at its centre first."""
    height, width = context.target.shape.yx
    corners = [(top, left) for top in range(0, height, BLOCK) for left in range(0, width, BLOCK)]
    middle = (height - BLOCK) / 2, (width - BLOCK) / 2
    corners.sort(key=lambda at: (at[0] - middle[0]) ** 2 + (at[1] - middle[1]) ** 2)
    for top, left in corners:
        rows, cols = slice(top, min(top + BLOCK, height)), slice(left, min(left + BLOCK, width))
        yield context.read(rows, cols)
