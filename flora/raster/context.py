"""Layers that help to read a scene (elevation, land cover, an older scene), window by window on the scene's grid."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import odc.geo.xr  # noqa: F401  (gives arrays their .odc)
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.errors import InputError
from flora.raster.file import RasterFile, describe
from flora.raster.grid import geobox_of
from flora.raster.optical import AVERAGE_FROM, AVERAGE_OVER
from flora.raster.warp import Mean, interpolate, meet, nearest, place

How = Literal["classes", "quantity", "decibel"]
Plane = NDArray[np.float32]


class Source(Protocol):
    """One band that can be read window by window."""

    def read(self, rows: slice, cols: slice, shape: tuple[int, int] | None) -> Plane:
        """Gives a window inside the band, thinned to a shape; NaN where invalid, (H, W)."""


@dataclass(frozen=True)
class FileBand:
    """A band of a file.

    Attributes:
        file: The file.
        index: The band, from 1.
    """

    file: RasterFile
    index: int = 1

    def read(self, rows: slice, cols: slice, shape: tuple[int, int] | None) -> Plane:
        """Gives a window, thinned to a shape; NaN where invalid, (H, W)."""
        values, valid = self.file.read(self.index, rows, cols, shape)
        return np.where(valid, values, np.nan).astype(np.float32)


@dataclass(frozen=True)
class ArrayBand:
    """A band in an xarray array, lazy or not.

    Attributes:
        array: (y, x); NaN where invalid.
    """

    array: xr.DataArray

    def read(self, rows: slice, cols: slice, shape: tuple[int, int] | None) -> Plane:
        """Gives a window, thinned to a shape; NaN where invalid, (H, W)."""
        window = self.array[rows, cols].compute(scheduler="synchronous")
        values: Plane = window.values.astype(np.float32)
        if shape is None or not all(shape):
            return values
        steps = [length // wanted for length, wanted in zip(values.shape, shape, strict=True)]
        thinned: Plane = values[steps[0] // 2 :: steps[0], steps[1] // 2 :: steps[1]]
        return thinned


@dataclass(frozen=True)
class Context:
    """A band seen on another grid; a pixel's value depends on its place alone, not on the window it is read in.

    Attributes:
        source: The band.
        own: Its grid.
        target: Grid of the scene.
        how: `classes` takes the pixel that the centre lies in; `quantity` interpolates bilinearly; `decibel` takes the
            pixel that the centre lies in, so that speckle keeps its statistics. A finer band is averaged (decibel as
            power), unless it holds classes.
    """

    source: Source
    own: GeoBox
    target: GeoBox
    how: How

    def read(self, rows: slice, cols: slice) -> Plane:
        """Gives a window of the target grid; it may reach outside the scene.

        Args:
            rows: Start and stop, px; may be negative.
            cols: Start and stop, px.

        Returns:
            Values, (H, W), float32, NaN where the band is invalid or does not reach.
        """
        if self.own == self.target or self.own.crs is None:
            return self._copied(rows, cols)
        finer = meet(self.own, self.target)
        averaged = self.how != "classes" and finer >= AVERAGE_FROM
        thin = max(1, int(finer / AVERAGE_OVER)) if averaged else 1
        steps = ceil(finer / thin) if averaged else 1
        placement = place(self.own, self.target, rows, cols)
        high, wide = placement.window(self.own.shape.yx, thin)
        shape = (high.stop - high.start) // thin, (wide.stop - wide.start) // thin
        size = rows.stop - rows.start, cols.stop - cols.start
        if min(shape) <= 0:
            return np.full(size, np.nan, np.float32)
        pixels = self._linear(self.source.read(high, wide, shape if thin > 1 else None))[None]
        sample = interpolate if self.how == "quantity" and not averaged else nearest
        mean = Mean((1, *size))
        for down, right in np.ndindex(steps, steps):
            row, col = placement.at((down + 0.5) / steps, (right + 0.5) / steps)
            values = sample(pixels, ((row - high.start) / thin, (col - wide.start) / thin))
            if steps == 1:
                return self._back(values[0])
            mean.add(values)
        return self._back(mean.result()[0])

    def _copied(self, rows: slice, cols: slice) -> Plane:
        """Reads where the grids are one; NaN outside."""
        block = np.full((rows.stop - rows.start, cols.stop - cols.start), np.nan, np.float32)
        spans = [
            slice(max(span.start, 0), min(span.stop, length))
            for span, length in zip((rows, cols), self.target.shape.yx, strict=True)
        ]
        if all(span.stop > span.start for span in spans):
            inner = tuple(
                slice(span.start - outer.start, span.stop - outer.start)
                for span, outer in zip(spans, (rows, cols), strict=True)
            )
            block[inner] = self.source.read(spans[0], spans[1], None)
        return block

    def _linear(self, values: Plane) -> Plane:
        """Turns dB into power, whose mean has a meaning, when it will be averaged."""
        if self.how != "decibel" or meet(self.own, self.target) < AVERAGE_FROM:
            return values
        power: Plane = np.power(np.float32(10), values / np.float32(10)).astype(np.float32)
        return power

    def _back(self, values: Plane) -> Plane:
        if self.how != "decibel" or meet(self.own, self.target) < AVERAGE_FROM:
            return values
        with np.errstate(divide="ignore"):
            decibel: Plane = 10 * np.log10(values)
        return decibel


def open_context(given: str | Path | xr.DataArray, target: GeoBox, how: How) -> Context:
    """Opens a band for use on a scene's grid.

    Args:
        given: A raster whose first band is taken, or an array (y, x) with its grid.
        target: Grid of the scene.
        how: What its values are; see `Context`.

    Returns:
        The band, to be read by windows of the scene.

    Raises:
        InputError: It cannot be read, or does not meet the scene.
    """
    source: Source
    if isinstance(given, xr.DataArray):
        own, name = grid_of(given), "the array" if given.name is None else str(given.name)
        source = ArrayBand(given)
    else:
        file = describe(given)
        own, name = geobox_of(file, crs_required=False), file.name
        source = FileBand(file)
    require_meeting(own, target, name)
    return Context(source, own, target, how)


def require_meeting(own: GeoBox, target: GeoBox, name: str) -> None:
    """Checks that a raster can be laid over a scene.

    Raises:
        InputError: It lies elsewhere, or one of the two has no CRS and they are not of one size.
    """
    if own == target:
        return
    if own.crs is None or target.crs is None:
        if own.crs is None and target.crs is None and own.shape == target.shape:
            return
        lacking = "neither has" if own.crs is None and target.crs is None else "only one has"
        raise InputError(
            f"{name} ({_size(own)} px) and the scene ({_size(target)} px) cannot be laid over each other, as {lacking} "
            "a CRS; expected both with one, or both without and of one size. Assign the CRS."
        )
    if meet(own, target) == 0:
        raise InputError(
            f"{name} does not overlap the scene; expected a raster of the same place. Check the file."
        )


def grid_of(array: xr.DataArray) -> GeoBox:
    """Gives the grid of an array; one in px where it has no CRS.

    Raises:
        InputError: It is not a plane.
    """
    if array.ndim != 2:
        raise InputError(
            f"The array has dimensions {array.dims}; expected rows and columns. Choose one band."
        )
    found: Any = array.odc.geobox
    if isinstance(found, GeoBox):
        return found
    from affine import Affine

    return GeoBox((array.shape[0], array.shape[1]), Affine.identity(), None)


def _size(geobox: GeoBox) -> str:
    return f"{geobox.shape.y} x {geobox.shape.x}"
