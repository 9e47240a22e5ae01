"""The grid of a file as a GeoBox: shape, affine map and CRS as one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from flora.errors import InputError
from flora.raster.file import RasterFile

# Grids whose corners differ by less than this are the same grid, px.
SAME_GRID = 0.01

# The farthest latitude, and the widest pixel that may reach beyond it, degrees.
POLE, WIDEST = 90.0, 5.0


def geobox_of(file: RasterFile, crs_required: bool = True) -> GeoBox:
    """Gives the grid of a file; rotated grids are kept as they are.

    Args:
        file: The file.
        crs_required: Whether a file without a place on Earth is an error.

    Returns:
        Its GeoBox; where it has no CRS, no map grid or one that is nowhere on Earth, one in px without CRS.

    Raises:
        InputError: The file has no place on Earth, and one is required.
    """
    transform = Affine(*file.transform)
    lacking = _lack(file, transform)
    if not lacking:
        return GeoBox((file.height, file.width), transform, file.crs)
    if crs_required:
        raise InputError(f"{file.name} {lacking}, or pass --no-crs to work in pixels.")
    usable = not file.crs and transform.determinant != 0
    return GeoBox((file.height, file.width), transform if usable else Affine.identity(), None)


def apply_affine(affine: Affine, x: Any, y: Any) -> tuple[Any, Any]:
    """Maps columns x and rows y, numbers or arrays, to CRS coordinates (or back, with the inverse)."""
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def require_same_grid(files: Sequence[RasterFile], what: str = "VV and VH") -> None:
    """Checks that files lie on one grid.

    Args:
        files: The files.
        what: What they hold, for messages.

    Raises:
        InputError: They differ in size, CRS or place.
    """
    first = files[0]
    for other in files[1:]:
        difference = _difference(first, other)
        if difference:
            raise InputError(
                f"{first.name} and {other.name} lie on different grids ({difference}); FLoRA needs {what} "
                "on one. Warp one onto the other's grid, with gdalwarp for example."
            )


def _difference(first: RasterFile, other: RasterFile) -> str:
    """Says in what two grids differ; empty where they do not."""
    if (first.height, first.width) != (other.height, other.width):
        return f"{first.height} x {first.width} and {other.height} x {other.width} px"
    if first.crs != other.crs:
        return f"{first.crs or 'no CRS'} and {other.crs or 'no CRS'}"
    here, there = Affine(*first.transform), Affine(*other.transform)
    pixel = max(abs(here.determinant) ** 0.5, 1e-12)
    columns, rows = np.array([0, first.width] * 2), np.array([0, 0, first.height, first.height])
    between = np.subtract(apply_affine(here, columns, rows), apply_affine(there, columns, rows))
    apart = float(np.hypot(*between).max()) / pixel
    return f"shifted by up to {apart:.3g} px" if apart > SAME_GRID else ""


def _lack(file: RasterFile, transform: Affine) -> str:
    """Says what a file lacks to lie on a map, and what to do; empty where it lacks nothing."""
    if file.crs and transform != Affine.identity() and transform.determinant != 0:
        return _misplaced(file, transform)
    if file.has_gcps:
        return (
            "is in radar geometry (ground control points, no map grid); expected a terrain-corrected scene. Use its "
            "RTC product, or give the whole .SAFE folder or zip that it came in"
        )
    lacking = "has a CRS but no geotransform" if file.crs else "has no coordinate reference system (CRS)"
    return f"{lacking}; expected a georeferenced scene. Assign it, with gdal_edit.py or rio edit-info for example"


def _misplaced(file: RasterFile, transform: Affine) -> str:
    """Says why a CRS and a map grid are no place on Earth; empty where they are one."""
    try:
        crs = CRS(file.crs)
    except RuntimeError:  # pyproj's CRSError
        return "has a CRS that PROJ does not know; expected a map projection or longitude and latitude. Assign it anew"
    if not (crs.geographic or crs.projected):
        return (
            f"has a CRS of its own without a place on Earth ({crs.proj.type_name}); expected a map projection or "
            "longitude and latitude. Assign it, with gdal_edit.py for example"
        )
    columns, rows = np.array([0, file.width] * 2), np.array([0, 0, file.height, file.height])
    latitude = np.asarray(apply_affine(transform, columns, rows)[1])
    # The grids of whole-Earth layers reach beyond the poles by half a pixel.
    if crs.geographic and float(np.abs(latitude).max()) > POLE + min(
        abs(transform.determinant) ** 0.5, WIDEST
    ):
        return (
            f"says that its grid is in degrees ({file.crs.split('[')[0]}), but it reaches from {latitude.min():g} to "
            f"{latitude.max():g}; expected -90 to 90 of latitude. Assign the CRS that its coordinates are in"
        )
    return ""
