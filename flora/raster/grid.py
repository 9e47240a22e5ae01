"""The grid of a file as a GeoBox: shape, affine map and CRS as one value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from flora.errors import InputError
from flora.raster.file import RasterFile

# Grids whose corners differ by less than this are the same grid, px.
SAME_GRID = 0.01


def geobox_of(file: RasterFile, crs_required: bool = True) -> GeoBox:
    """Gives the grid of a file; rotated grids are kept as they are.

    Args:
        file: The file.
        crs_required: Whether a file without a place on Earth is an error.

    Returns:
        Its GeoBox; where it has no CRS or no map grid, one in px without CRS.

    Raises:
        InputError: The file has no CRS or no map grid, and one is required.
    """
    transform = Affine(*file.transform)
    located = bool(file.crs) and transform != Affine.identity() and transform.determinant != 0
    if located:
        return GeoBox((file.height, file.width), transform, file.crs)
    if crs_required:
        raise InputError(f"{file.name} {_lack(file)}, or pass --no-crs to work in pixels.")
    usable = not file.crs and transform.determinant != 0
    return GeoBox((file.height, file.width), transform if usable else Affine.identity(), None)


def apply_affine(affine: Affine, x: Any, y: Any) -> tuple[Any, Any]:
    """Maps columns x and rows y, numbers or arrays, to CRS coordinates (or back, with the inverse)."""
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def require_same_grid(files: Sequence[RasterFile]) -> None:
    """Checks that files lie on one grid.

    Raises:
        InputError: They differ in size, CRS or place.
    """
    first = files[0]
    for other in files[1:]:
        difference = _difference(first, other)
        if difference:
            raise InputError(
                f"{first.name} and {other.name} lie on different grids ({difference}); FLoRA needs VV and VH on "
                "one. Warp one onto the other's grid, with gdalwarp for example."
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


def _lack(file: RasterFile) -> str:
    """Says what a file lacks to lie on a map, and what to do."""
    if file.has_gcps:
        return (
            "is in radar geometry (ground control points, no map grid); expected a terrain-corrected scene. Use its "
            "RTC product, or give the whole .SAFE folder or zip that it came in"
        )
    lacking = "has a CRS but no geotransform" if file.crs else "has no coordinate reference system (CRS)"
    return f"{lacking}; expected a georeferenced scene. Assign it, with gdal_edit.py or rio edit-info for example"
