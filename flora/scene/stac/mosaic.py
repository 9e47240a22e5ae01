"""Several products of one pass as one scene over an area, read lazily and only there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from odc.geo.xr import xr_coords, xr_reproject
from shapely.geometry import Polygon

from flora.bands import SAR_BANDS
from flora.errors import InputError

# Grids this close are one grid, px; then values are copied and keep their bits.
SAME_GRID: Final = 0.01
# Chunks of the mosaic, px: a multiple of the stored tiles of 512.
CHUNK: Final = 2048
# Around the area, where a product lies on another grid, px: for the nearest pixel beyond the edge.
RIM: Final = 8
# A straight line in degrees is a curve in metres: this far apart points of an outline are brought over, degrees.
STEP: Final = 0.01
# Pixels of a mosaic that no one wanted, by a slip in the coordinates.
MOST_PIXELS: Final = 4_000_000_000


def canvas_over(area: Polygon, grid: GeoBox) -> GeoBox:
    """Gives the pixels of a grid, continued beyond its own edge, that enclose an area.

    Args:
        area: In longitude and latitude.
        grid: The grid to keep to.

    Returns:
        A grid whose pixels coincide with those of `grid`.

    Raises:
        InputError: It is far too large.
    """
    canvas = grid.enclosing(_moved(Geometry(area, "EPSG:4326"), grid, STEP).boundingbox)
    if canvas.shape.x * canvas.shape.y > MOST_PIXELS:
        raise InputError(
            f"The area takes {canvas.shape.y:,} x {canvas.shape.x:,} px; expected no more than one pass shows. Cut it "
            "into smaller areas."
        )
    return canvas


def mosaic(scenes: Sequence[xr.Dataset], area: Polygon) -> xr.Dataset:
    """Puts scenes over each other on the grid of the first, cut to the area's bounds; the first valid value counts.

    Scenes on another grid, of the next UTM zone for example, are brought over by nearest neighbour, so that every
    value of the mosaic is one that was measured.

    Args:
        scenes: As `open_sar` gives them, of one pass.
        area: In longitude and latitude.

    Returns:
        Variables VV and VH, (y, x), dB, float32, NaN where no scene has a value.

    Raises:
        InputError: The area is far too large.
    """
    canvas = canvas_over(area, scenes[0]["VV"].odc.geobox)
    bands = {}
    for name in SAR_BANDS:
        merged = _empty(canvas)
        for scene in scenes:
            layer = _placed(scene[name], canvas)
            merged = da.where(da.isnan(merged), layer, merged)
        bands[name] = (("y", "x"), _whole_chunks(merged), {"units": "dB"})
    return xr.Dataset(bands, coords=xr_coords(canvas, dims=("y", "x")))


def _placed(layer: xr.DataArray, canvas: GeoBox) -> da.Array:
    """Gives one band on the canvas, NaN outside its own extent."""
    grid: GeoBox = layer.odc.geobox
    offset = _offset(grid, canvas)
    if offset is None:
        near = grid.enclosing(_moved(canvas.pad(RIM).extent, grid, canvas.resolution.x * 256))
        rows, columns = _overlap(grid, near, _offset(grid, near) or (0, 0))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return _empty(canvas)
        window = layer.isel(y=rows, x=columns)
        moved = xr_reproject(window, canvas, resampling="nearest", dst_nodata=np.nan)
        array: da.Array = moved.data
        return array
    rows, columns = _overlap(grid, canvas, offset)
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return _empty(canvas)
    window = layer.isel(y=rows, x=columns)
    top, left = rows.start - offset[0], columns.start - offset[1]
    missing = (
        (top, canvas.shape.y - top - window.shape[0]),
        (left, canvas.shape.x - left - window.shape[1]),
    )
    padded: da.Array = da.pad(window.data, missing, constant_values=np.float32(np.nan))
    return padded


def _offset(grid: GeoBox, canvas: GeoBox) -> tuple[int, int] | None:
    """Gives the row and column of the grid at which a canvas of the same pixels begins; None for other pixels."""
    if grid.crs != canvas.crs:
        return None
    between = ~grid.transform @ canvas.transform
    corner = between @ (canvas.shape.x, canvas.shape.y)
    left, top = round(between.c), round(between.f)
    shifts = (
        between.c - left,
        between.f - top,
        corner[0] - left - canvas.shape.x,
        corner[1] - top - canvas.shape.y,
    )
    return (top, left) if max(abs(shift) for shift in shifts) < SAME_GRID else None


def _overlap(grid: GeoBox, canvas: GeoBox, offset: tuple[int, int]) -> tuple[slice, slice]:
    """Gives the rows and columns of the grid that lie on a canvas."""
    (top, left), (height, width) = offset, canvas.shape.yx
    rows = slice(max(top, 0), min(top + height, grid.shape.y))
    return rows, slice(max(left, 0), min(left + width, grid.shape.x))


def _empty(canvas: GeoBox) -> da.Array:
    empty: da.Array = da.full(  # type: ignore[no-untyped-call]
        canvas.shape.yx, np.nan, dtype=np.float32, chunks=(CHUNK, CHUNK)
    )
    return empty


def _whole_chunks(array: da.Array) -> da.Array:
    """Gives chunks that a file is written by."""
    chunked: da.Array = array.rechunk((CHUNK, CHUNK))  # type: ignore[no-untyped-call]
    return chunked


def _moved(outline: Geometry, grid: GeoBox, step: float) -> Geometry:
    """Brings an outline over to a grid's CRS, with points no further apart than `step` in its own."""
    return outline.to_crs(grid.crs, resolution=step)  # type: ignore[arg-type]
