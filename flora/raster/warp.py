"""Bringing a picture onto another grid, each pixel by itself.

GDAL's warper places pixels only to an eighth of one, and differently in each window that it is asked for. Here a
pixel's value depends on its place alone: the same bits come out however the target grid is cut into blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from flora.raster.grid import apply_affine

# Places are projected at every 16th pixel of the whole target grid and interpolated between: over that distance the
# curvature of map projections is below a thousandth of a pixel of 10 m.
NODE: Final = 16

# Points along each side at which two grids are compared.
LATTICE: Final = 33

# A pixel that averages counts as seen where this share of what it covers was.
SEEN_SHARE: Final = 0.5

Numbers = NDArray[np.float64]
Places = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Placement:
    """Where a block of a target grid lies in a picture.

    Attributes:
        row: Row in the picture of each node around the block, px from the picture's corner.
        column: Its column.
        rows: Rows of the block in the target grid.
        columns: Its columns.
        node: Pixels of the target grid from one node to the next.
    """

    row: NDArray[np.float64]
    column: NDArray[np.float64]
    rows: slice
    columns: slice
    node: int = NODE

    def at(self, down: float = 0.5, right: float = 0.5) -> Places:
        """Gives the place of one point of each target pixel.

        Args:
            down: From the pixel's upper edge, 0 to 1; 0.5 is its centre.
            right: From its left edge.

        Returns:
            Row and column in the picture, px from its corner, each (H, W); not finite where there is no answer.
        """
        y = (np.arange(self.rows.start, self.rows.stop) + down) / self.node - self.rows.start // self.node
        x = (np.arange(self.columns.start, self.columns.stop) + right) / self.node
        x -= self.columns.start // self.node
        return _between(self.row, y, x), _between(self.column, y, x)

    def window(self, shape: tuple[int, int], thin: int = 1) -> tuple[slice, slice]:
        """Gives the part of a picture that the block needs, with a margin, in whole steps of `thin` px."""
        spans = []
        for where, length in zip((self.row, self.column), shape, strict=True):
            finite = where[np.isfinite(where)]
            low, high = (float(finite.min()), float(finite.max())) if finite.size else (-2.0, -2.0)
            start, stop = int(np.clip(low - 1, 0, length)), ceil(np.clip(high + 2, 0, length))
            whole = length // thin * thin
            spans.append(slice(min(start // thin * thin, whole), min(-(-stop // thin) * thin, whole)))
        return spans[0], spans[1]


def place(own: GeoBox, target: GeoBox, rows: slice, columns: slice) -> Placement:
    """Finds where a block of a target grid lies in a picture.

    Args:
        own: Grid of the picture.
        target: Grid to be filled.
        rows: Rows of the block in it, start and stop, px.
        columns: Its columns.

    Returns:
        The block's place.
    """
    y, x = (
        np.arange(span.start // NODE, (span.stop - 1) // NODE + 2) * float(NODE) for span in (rows, columns)
    )
    row, column = _project(own, target, *np.meshgrid(y, x, indexing="ij"))
    return Placement(row, column, rows, columns)


def meet(own: GeoBox, target: GeoBox) -> float:
    """Tells whether and how finely a picture covers a target grid.

    Args:
        own: Grid of the picture.
        target: Grid to be filled.

    Returns:
        Pixels of the picture to one of the target, along one side, at the target's centre; 0 where they do not meet.
    """
    height, width = target.shape.yx
    lattice = np.meshgrid(np.linspace(0, height, LATTICE), np.linspace(0, width, LATTICE), indexing="ij")
    for where, length in zip(_project(own, target, *lattice), own.shape.yx, strict=True):
        finite = where[np.isfinite(where)]
        if not finite.size or finite.max() <= 0 or finite.min() >= length:
            return 0.0
    row, column = _project(own, target, height / 2 + np.array([0.0, 1, 0]), width / 2 + np.array([0.0, 0, 1]))
    area = (row[1] - row[0]) * (column[2] - column[0]) - (row[2] - row[0]) * (column[1] - column[0])
    return float(np.sqrt(abs(area)))


def interpolate(pixels: NDArray[np.float32], at: Places) -> NDArray[np.float32]:
    """Interpolates bilinearly between valid pixels.

    Args:
        pixels: Picture, NaN where invalid, (C, H, W).
        at: Row and column in the picture, px from its corner, each (Y, X).

    Returns:
        (C, Y, X), NaN where the nearest pixel is invalid or outside.
    """
    seen = np.isfinite(pixels)
    if (seen == seen[:1]).all():
        seen = seen[:1]
    # A ring of absent pixels, so that the four neighbours exist everywhere.
    ring = ((0, 0), (1, 2), (1, 2))
    values = np.pad(np.where(seen, pixels, np.float32(0)), ring).reshape(len(pixels), -1)
    known = np.pad(seen, ring).reshape(len(seen), -1)
    height, width = pixels.shape[1] + 3, pixels.shape[2] + 3
    row, column = (
        _within(where + 0.5, length - 2) for where, length in zip(at, (height, width), strict=True)
    )
    top, left = row.astype(np.intp), column.astype(np.intp)
    down, right = (row - top).astype(np.float32), (column - left).astype(np.float32)
    first = top * width + left
    total = np.zeros((len(pixels), *row.shape), np.float32)
    weight = np.zeros((len(seen), *row.shape), np.float32)
    for step, share in (
        (0, (1 - down) * (1 - right)),
        (1, (1 - down) * right),
        (width, down * (1 - right)),
        (width + 1, down * right),
    ):
        total += values[:, first + step] * share
        weight += known[:, first + step] * share
    middle = first + np.where(down >= 0.5, width, 0) + (right >= 0.5)
    valid = known[:, middle]
    return np.where(valid, total / np.where(valid, weight, np.float32(1)), np.float32(np.nan))


def _within(where: NDArray[np.float64], last: int) -> NDArray[np.float64]:
    """Moves places outside the ring onto it, those that are not finite too."""
    inside: NDArray[np.float64] = np.clip(np.nan_to_num(where, nan=0.0, posinf=0.0, neginf=0.0), 0, last)
    return inside


def nearest(pixels: NDArray[np.float32], at: Places) -> NDArray[np.float32]:
    """Gives the pixel that each place lies in, (C, Y, X); NaN outside."""
    height, width = pixels.shape[1:]
    inside = (at[0] >= 0) & (at[0] < height) & (at[1] >= 0) & (at[1] < width)
    row = np.where(inside, at[0], 0).astype(np.intp)
    column = np.where(inside, at[1], 0).astype(np.intp)
    return np.where(inside, pixels[:, row, column], np.float32(np.nan))


class Mean:
    """The mean of samples that come one after the other, over those that are valid."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        """Starts with nothing seen.

        Args:
            shape: Shape of each sample, (C, Y, X).
        """
        self.total = np.zeros(shape)
        self.seen = np.zeros(shape, np.int32)
        self.count = 0

    def add(self, sample: NDArray[np.float32]) -> None:
        """Takes one sample, NaN where invalid."""
        valid = np.isfinite(sample)
        self.total += np.where(valid, sample, 0.0)
        self.seen += valid
        self.count += 1

    def result(self) -> NDArray[np.float32]:
        """Gives the mean, NaN where less than `SEEN_SHARE` of the samples were valid."""
        enough = self.seen >= max(1.0, SEEN_SHARE * self.count)
        return np.where(enough, self.total / np.maximum(self.seen, 1), np.nan).astype(np.float32)


def _project(own: GeoBox, target: GeoBox, y: Numbers, x: Numbers) -> Places:
    """Brings rows and columns of a target grid to rows and columns of a picture."""
    easting, northing = apply_affine(target.transform, x, y)
    if own.crs != target.crs:
        easting, northing = _transformer(str(target.crs), str(own.crs)).transform(easting, northing)
    if own.crs is not None and own.crs.geographic:
        # Longitudes come as -180 to 180; those of a picture across the antimeridian go beyond.
        middle = apply_affine(own.transform, own.shape.x / 2, own.shape.y / 2)[0]
        easting = middle + np.remainder(easting - middle + 180.0, 360.0) - 180.0
    column, row = apply_affine(~own.transform, easting, northing)
    return row, column


def _between(
    nodes: NDArray[np.float64], y: NDArray[np.float64], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolates values given at nodes, along one axis after the other."""
    i, j = y.astype(np.intp), x.astype(np.intp)
    down, right = (y - i)[:, None], x - j
    with np.errstate(invalid="ignore"):  # infinity minus itself, where a projection has no answer
        lines = nodes[i] * (1 - down) + nodes[i + 1] * down
        values: NDArray[np.float64] = lines[:, j] * (1 - right) + lines[:, j + 1] * right
    return values


@lru_cache(maxsize=16)
def _transformer(source: str, target: str) -> Transformer:
    """Gives the way from one CRS to another; building it takes longer than using it."""
    return Transformer.from_crs(source, target, always_xy=True)
