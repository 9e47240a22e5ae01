"""Reading an optical picture of any grid as reflectance on the grid of a SAR scene, lazily."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any, Final

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from flora.atmosphere import surface_reflectance
from flora.bands import OPTICAL_BANDS
from flora.errors import InputError
from flora.raster.file import RasterFile, Values, describe
from flora.raster.grid import geobox_of, require_same_grid
from flora.raster.naming import acquisition_time, scene_name
from flora.raster.polarisation import Layer
from flora.raster.reflectance import (
    absent,
    added_offset,
    find_optical_bands,
    is_l1c,
    possible,
    reflectance_scale,
)
from flora.raster.warp import Mean, interpolate, meet, nearest, place

# From this many picture pixels to one of the scene, their mean is taken instead of an interpolation.
AVERAGE_FROM = 1.5

# A pixel of the scene is the mean of no more than about this many picture pixels a side; the rest is passed over.
AVERAGE_OVER = 4.0

# Sentinel-2's scene classification, whose codes of ground and water are not 0: no data, defective, shadow of clouds,
# cloud of medium and high probability, and cirrus. Source: Sentinel-2 L2A, Scene Classification (SCL).
SCL: Final = re.compile(r"(?<![A-Za-z0-9])SCL(?![A-Za-z0-9])", re.IGNORECASE)
SCL_UNUSABLE: Final = (0, 1, 3, 8, 9, 10)


@dataclass(frozen=True)
class Picture:
    """An optical picture as reflectance, read window by window; holds no open file.

    Attributes:
        layers: Red, green, blue and perhaps near infrared.
        divisor: Number that stands for a reflectance of 1.
        mask: A band on the same grid that says where the picture must not be used (`_clear`); None without one.
        toa: It shows the top of the atmosphere, and what is read is brought to the surface.
        offset: What its numbers carry on top; what is below it becomes 0.
    """

    layers: tuple[Layer, ...]
    divisor: float
    mask: Layer | None = None
    toa: bool = False
    offset: int = 0

    def read(self, rows: slice, columns: slice, shape: tuple[int, int] | None = None) -> NDArray[np.float32]:
        """Gives one window as reflectance, NaN where invalid.

        Args:
            rows: Start and stop, px.
            columns: Start and stop, px.
            shape: Height and width to thin to; None keeps every pixel.

        Returns:
            Reflectance, (C, H, W), float32.
        """
        read = [layer.file.read(layer.band.index, rows, columns, shape) for layer in self.layers]
        values = np.stack([band for band, _ in read]).astype(np.float64)
        valid = np.stack([seen for _, seen in read])
        valid &= ~absent(values, [layer.band.dtype for layer in self.layers])
        if self.mask is not None:
            valid &= _clear(self.mask, *self.mask.file.read(self.mask.band.index, rows, columns, shape))
        values = values - self.offset
        valid &= possible(values / self.divisor)
        if self.offset:
            values = np.maximum(values, 0)
        reflectance = np.where(valid, values / self.divisor, np.nan).astype(np.float32)
        if self.toa:
            pairs = zip(reflectance, OPTICAL_BANDS, strict=False)  # nir, the last, may be absent
            reflectance = np.stack([surface_reflectance(band, name) for band, name in pairs])
        return reflectance


def open_optical(
    paths: str | Path | Sequence[str | Path],
    geobox: GeoBox | None = None,
    *,
    bands: Sequence[str] | None = None,
    scale: float | None = None,
    mask: str | Path | None = None,
    crs_required: bool = True,
    chunk: int = 1024,
) -> xr.Dataset:
    """Opens a true-colour or multispectral picture lazily, as reflectance on the grid asked for.

    Invalid, and NaN in the result, each band for itself: no-data, NaN, values that no reflectance is (below -0.2 or
    above 2.5, such as an undeclared -9999 or 65535), pixels masked out by the file or by `mask`; all bands together:
    pixels that are exactly 0 in all of them, and 8-bit pixels painted white, as clouds are. None of these takes part in
    interpolation, so that clouds do not bleed into what lies beside them.

    Numbers of Sentinel-2's processing baseline 04.00 and later lose what was added to them (`added_offset`).
    Sentinel-2 L1C, known by its band B10, its 13 bands or its name, is brought to the surface (`flora.atmosphere`).

    Args:
        paths: One file of several bands, or several on one grid.
        geobox: Grid of the scene; None keeps the picture's own. Where the grids differ the picture is interpolated
            bilinearly, or averaged where it is finer; values do not depend on `chunk`.
        bands: Names of the bands in their order, such as `blue, green, red, nir`; see `find_optical_bands`.
        scale: Number that stands for a reflectance of 1; None reads it from tags or type; see `reflectance_scale`.
        mask: A raster on the picture's grid that is not 0 where the picture must not be used (cloud, shadow); or, with
            `SCL` in its name, Sentinel-2's scene classification.
        crs_required: Whether a picture without CRS is an error; without CRS it must have the scene's size.
        chunk: Side of dask's chunks, px.

    Returns:
        Variables red, green, blue and, where there is one, nir, (y, x), float32, reflectance. Attributes: `name`,
        `source`, `optical_scale_reason`, `band_reason`, `warp` and, where known, `time`.

    Raises:
        InputError: The picture cannot be read, or does not meet the scene; the message says what to do.
    """
    files = [describe(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    layers, band_reason = find_optical_bands(files, bands)
    require_same_grid([layer.file for layer in layers.values()], "the bands of an optical image")
    file = layers["red"].file
    divisor, scale_reason = reflectance_scale(layers, scale)
    toa = is_l1c(files)
    if toa:
        scale_reason += " Sentinel-2 L1C: the air of a clear day is taken off."
    offset = added_offset(files, layers)
    if offset:
        scale_reason += f" {offset} taken off first, as Sentinel-2's numbers carry since 2022."
    picture = Picture(tuple(layers.values()), divisor, _mask_layer(mask, file), toa, offset)
    own = geobox_of(file, crs_required)
    target = own if geobox is None else geobox
    how, block = _warp(picture, own, target, file)
    array = _lazy(block, len(layers), target, chunk)
    dataset = xr.Dataset(
        {name: (("y", "x"), array[i], {"units": "reflectance"}) for i, name in enumerate(layers)},
        coords=xr_coords(target, dims=("y", "x")),
        attrs={
            "name": scene_name(file.path),
            "source": [each.path for each in files],
            "optical_scale_reason": scale_reason,
            "band_reason": band_reason,
            "warp": how,
        },
    )
    time = acquisition_time(files)
    return dataset.assign_attrs(time=time) if time else dataset


def _mask_layer(mask: str | Path | None, file: RasterFile) -> Layer | None:
    """Opens the mask and checks that it lies on the picture's grid."""
    if mask is None:
        return None
    found = describe(mask)
    require_same_grid([file, found], "an optical image and its mask")
    return Layer(found, found.bands[0])


def _clear(mask: Layer, marked: Values, seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Finds where a mask lets a picture be used.

    Args:
        mask: Its band.
        marked: Its values, (H, W).
        seen: Where it has any, (H, W).
    """
    if SCL.search(mask.file.name):
        clear: NDArray[np.bool_] = seen & ~np.isin(marked, SCL_UNUSABLE)
        return clear
    # A mask of whole numbers that declares 0 to be no data means by it: no cloud.
    zero_is_absent = mask.band.nodata == 0 and np.issubdtype(np.dtype(mask.band.dtype), np.integer)
    unmarked: NDArray[np.bool_] = (seen | zero_is_absent) & (marked == 0)
    return unmarked


def _warp(picture: Picture, own: GeoBox, target: GeoBox, file: RasterFile) -> tuple[str, Any]:
    """Chooses how the picture comes onto the target grid; gives a word for it and the function for one block."""
    if own == target:
        return "none", partial(_read_block, picture)
    if own.crs is None or target.crs is None:
        # Without a place on Earth, only pictures of one size can be laid over each other.
        if own.crs is None and target.crs is None and own.shape == target.shape:
            return "none", partial(_read_block, picture)
        lacking = file.name if own.crs is None else "the scene"
        raise InputError(
            f"{file.name} and the scene cannot be laid over each other, as {lacking} has no CRS; expected both with "
            "one, or both without and of one size. Assign the CRS."
        )
    finer = meet(own, target)
    if finer == 0:
        raise InputError(
            f"{file.name} does not overlap the scene; expected a picture of the same place. Check the file."
        )
    how = "average" if finer >= AVERAGE_FROM else "bilinear"
    return how, partial(_warp_block, picture, own, target, finer)


def _lazy(block: Any, count: int, target: GeoBox, chunk: int) -> da.Array:
    """Gives the picture as a dask array in chunks of the target grid, (C, H, W)."""
    height, width = target.shape.yx
    chunks = ((count,), _lengths(height, chunk), _lengths(width, chunk))
    empty = np.empty((0, 0, 0), np.float32)
    array: da.Array = da.map_blocks(block, chunks=chunks, dtype=np.float32, meta=empty)  # type: ignore[no-untyped-call]
    return array


def _lengths(length: int, chunk: int) -> tuple[int, ...]:
    """Gives the lengths of the chunks along one axis."""
    return tuple(min(chunk, length - start) for start in range(0, length, chunk))


def _span(block_info: Any) -> tuple[slice, slice]:
    """Gives the rows and columns that dask asks a block for."""
    _, rows, columns = block_info[None]["array-location"]
    return slice(*rows), slice(*columns)


def _read_block(picture: Picture, block_info: Any = None) -> NDArray[np.float32]:
    """Reads one block of a picture that lies on the target grid already."""
    return picture.read(*_span(block_info))


def _warp_block(
    picture: Picture, own: GeoBox, target: GeoBox, finer: float, block_info: Any = None
) -> NDArray[np.float32]:
    """Warps what one block of the target grid needs of the picture.

    Args:
        picture: The picture.
        own: Its grid.
        target: The scene's grid.
        finer: Pixels of the picture to one of the scene, along one side.
        block_info: From dask: which block.

    Returns:
        Reflectance, (C, H, W), NaN where invalid.
    """
    rows, columns = _span(block_info)
    thin = max(1, int(finer / AVERAGE_OVER))
    steps = 1 if finer < AVERAGE_FROM else ceil(finer / thin)
    points = (np.arange(steps) + 0.5) / steps
    placement = place(own, target, rows, columns)
    high, wide = placement.window(own.shape.yx, thin)
    shape = ((high.stop - high.start) // thin, (wide.stop - wide.start) // thin)
    size = (len(picture.layers), rows.stop - rows.start, columns.stop - columns.start)
    if min(shape) <= 0:
        return np.full(size, np.nan, np.float32)
    pixels = picture.read(high, wide, shape if thin > 1 else None)
    mean = Mean(size)
    for y in points:
        for x in points:
            row, column = placement.at(float(y), float(x))
            at = (row - high.start) / thin, (column - wide.start) / thin
            if steps == 1:
                return interpolate(pixels, at)
            mean.add(nearest(pixels, at))
    return mean.result()
