"""Pieces of one scene, such as bursts or the parts of a large export, on their common grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.errors import InputError
from flora.raster.grid import SAME_GRID
from flora.raster.lazy import Band, cut, span_of

# Pieces of one pass follow each other within this.
PASS: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class PiecedBand:
    """One band of several pieces; where they overlap, the first that has a value counts.

    Attributes:
        pieces: Readers of the pieces.
        corners: Row and column of each piece's first pixel on the common grid.
        size: Height and width of that grid, px.
    """

    pieces: tuple[Band, ...]
    corners: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    ndim: int = 2

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.size

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    def __getitem__(self, index: tuple[slice | int, slice | int]) -> NDArray[np.float32]:
        """Reads one window as dB, NaN where no piece has a value."""
        rows, columns = (span_of(i, length) for i, length in zip(index, self.size, strict=True))
        window = np.full((rows.stop - rows.start, columns.stop - columns.start), np.nan, np.float32)
        for piece, (top, left) in zip(self.pieces, self.corners, strict=True):
            inner = [
                slice(max(span.start, start), min(span.stop, start + length))
                for span, start, length in zip((rows, columns), (top, left), piece.shape, strict=True)
            ]
            if any(span.start >= span.stop for span in inner):
                continue
            read = piece[  # type: ignore[index]
                inner[0].start - top : inner[0].stop - top, inner[1].start - left : inner[1].stop - left
            ]
            here = window[
                inner[0].start - rows.start : inner[0].stop - rows.start,
                inner[1].start - columns.start : inner[1].stop - columns.start,
            ]
            np.copyto(here, read, where=np.isnan(here))
        return cut(window, index)


def lay_out(grids: Sequence[GeoBox], names: Sequence[str]) -> tuple[GeoBox, tuple[tuple[int, int], ...]]:
    """Finds the grid that pieces have in common.

    Args:
        grids: Grid of each piece.
        names: Their names, for messages.

    Returns:
        The grid around all of them, and row and column of each piece's first pixel on it.

    Raises:
        InputError: They lie on different lattices.
    """
    first = grids[0]
    offsets = []
    for grid, name in zip(grids, names, strict=True):
        between = ~first.transform @ grid.transform
        row, column = round(between.f), round(between.c)
        far = between @ (grid.shape.x, grid.shape.y)
        shifts = (
            between.f - row,
            between.c - column,
            far[0] - column - grid.shape.x,
            far[1] - row - grid.shape.y,
        )
        if grid.crs != first.crs or max(abs(shift) for shift in shifts) > SAME_GRID:
            raise InputError(
                f"{names[0]} ({first.crs}) and {name} ({grid.crs}) lie on different grids; expected pieces of one "
                "scene on one. Map those of each grid apart, in folders of their own."
            )
        offsets.append((row, column))
    top, left = (min(offset[axis] for offset in offsets) for axis in (0, 1))
    bottom = max(row + grid.shape.y for (row, _), grid in zip(offsets, grids, strict=True))
    right = max(column + grid.shape.x for (_, column), grid in zip(offsets, grids, strict=True))
    whole = GeoBox((bottom - top, right - left), first.transform @ Affine.translation(left, top), first.crs)
    return whole, tuple((row - top, column - left) for row, column in offsets)


def require_one_pass(times: Sequence[str]) -> None:
    """Checks that pieces were taken one after the other.

    Args:
        times: As `acquisition_time` gives them; those that say nothing are passed over.

    Raises:
        InputError: They are of several passes.
    """
    known = sorted(datetime.fromisoformat(time) for time in times if len(time) > len("2024-05-06"))
    if known and known[-1] - known[0] > PASS:
        raise InputError(
            f"The folder holds pieces of {known[0]:%Y-%m-%d %H:%M} and {known[-1]:%Y-%m-%d %H:%M}; expected those of "
            "one pass. Put each pass into a folder of its own."
        )
