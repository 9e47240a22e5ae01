"""Connected patches of a class, found block by block and joined across blocks.

A patch is 4-connected: pixels that touch at a corner only belong to different patches, so that each polygon is simple.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.features import shapes
from scipy import ndimage
from shapely import Polygon

from flora.raster.file import Values

BLOCK = 1024  # px; side of what is held at once

Ids = NDArray[np.int64]
Weights = Callable[[slice, slice], NDArray[np.float64]]


class Classes(Protocol):
    """What is asked of a raster of classes; `RasterFile` is one."""

    @property
    def height(self) -> int:
        """Rows, px."""

    @property
    def width(self) -> int:
        """Columns, px."""

    def read(self, index: int, rows: slice, columns: slice, /) -> tuple[Values, NDArray[np.bool_]]:
        """Reads values and validity of a window, (H, W)."""


@dataclass
class Component:
    """One patch, or what is known of it so far.

    Attributes:
        pieces: Its polygons in each block, in px: x to the right, y down, whole numbers at corners of pixels.
        pixels: Number of pixels.
        weight: Sum of a quantity over its pixels.
        weighed: Pixels at which that quantity is known.
        ids: Labels that it has had.
    """

    pieces: list[Polygon]
    pixels: int
    weight: float
    weighed: int
    ids: list[int] = field(default_factory=list)

    def polygon(self) -> Polygon:
        """Joins the pieces; exact, as all corners are whole numbers."""
        if len(self.pieces) == 1:
            return self.pieces[0]
        joined = shapely.union_all(self.pieces)
        assert isinstance(joined, Polygon), "pieces of a patch share edges"
        return map_rings(joined, _without_straight)

    def mean(self) -> float | None:
        """Gives the mean of the quantity; None where it is nowhere known."""
        return self.weight / self.weighed if self.weighed else None


def components(
    file: Classes, value: int, weights: Weights | None = None, block: int = BLOCK
) -> Iterator[Component]:
    """Finds the patches of one class in a raster; each is given as soon as no further block can add to it.

    Memory holds one block and the outlines of patches that reach the lowest row read so far.

    Args:
        file: Raster of classes, one band.
        value: The class.
        weights: Quantity to sum over each patch, by rows and columns, (H, W), NaN where unknown.
        block: Side of a block, px.

    Yields:
        Patches, from top to bottom by their last row.
    """
    groups = _Groups()
    above: Ids = np.zeros(file.width, np.int64)
    for top in range(0, file.height, block):
        rows = slice(top, min(top + block, file.height))
        lowest: Ids = np.zeros(file.width, np.int64)
        before: Ids = np.zeros(rows.stop - rows.start, np.int64)
        for left in range(0, file.width, block):
            cols = slice(left, min(left + block, file.width))
            values, valid = file.read(1, rows, cols)
            ids = groups.add(valid & (values == value), rows, cols, weights)
            groups.join(before, ids[:, 0])
            groups.join(above[cols], ids[0])
            before, lowest[cols] = ids[:, -1], ids[-1]
        above = lowest
        yield from groups.close(set(np.unique(lowest).tolist()))
    yield from groups.close(set())


class _Groups:
    """Union-find over the labels of patches that may still grow."""

    def __init__(self) -> None:
        self.parent: dict[int, int] = {}
        self.open: dict[int, Component] = {}
        self.last = 0

    def add(self, mask: NDArray[np.bool_], rows: slice, cols: slice, weights: Weights | None) -> Ids:
        """Takes the patches of one block in, and gives their labels, (H, W); 0 where there is none."""
        labels, count = ndimage.label(mask)
        if not count:
            return np.zeros(mask.shape, np.int64)
        flat = labels[mask]
        pixels = np.bincount(flat, minlength=count + 1)
        sums, known = np.zeros(count + 1), np.zeros(count + 1, np.int64)
        if weights is not None:
            quantity = weights(rows, cols)[mask]
            finite = np.isfinite(quantity)
            sums = np.bincount(flat[finite], weights=quantity[finite], minlength=count + 1)
            known = np.bincount(flat[finite], minlength=count + 1)
        place = Affine.translation(cols.start, rows.start)
        for shape, label in shapes(labels.astype(np.int32), mask=mask, connectivity=4, transform=place):
            at, outline = int(label), shape["coordinates"]
            name = self.last + at
            self.parent[name] = name
            self.open[name] = Component(
                [Polygon(outline[0], outline[1:])], int(pixels[at]), float(sums[at]), int(known[at]), [name]
            )
        ids: Ids = np.where(mask, labels.astype(np.int64) + self.last, 0)
        self.last += count
        return ids

    def join(self, here: Ids, there: Ids) -> None:
        """Joins patches whose pixels lie side by side along an edge."""
        both = (here > 0) & (there > 0)
        for one, other in np.unique(np.stack([here[both], there[both]], axis=1), axis=0).tolist():
            a, b = self._root(one), self._root(other)
            if a == b:
                continue
            keep, drop = (a, b) if len(self.open[a].ids) >= len(self.open[b].ids) else (b, a)
            kept, dropped = self.open[keep], self.open.pop(drop)
            self.parent[drop] = keep
            kept.pieces += dropped.pieces
            kept.ids += dropped.ids
            kept.pixels += dropped.pixels
            kept.weight += dropped.weight
            kept.weighed += dropped.weighed

    def close(self, reaching: set[int]) -> Iterator[Component]:
        """Gives and forgets the patches that do not reach the lowest row, by the labels along it."""
        growing = {self._root(name) for name in reaching if name}
        for root in [root for root in self.open if root not in growing]:
            done = self.open.pop(root)
            for name in done.ids:
                del self.parent[name]
            yield done

    def _root(self, name: int) -> int:
        while self.parent[name] != name:
            self.parent[name] = self.parent[self.parent[name]]
            name = self.parent[name]
        return name


def map_rings(polygon: Polygon, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Polygon:
    """Changes each ring of a polygon, given and taken as (vertices, 2) without the closing one."""
    rings = [polygon.exterior, *polygon.interiors]
    shell, *holes = (change(shapely.get_coordinates(ring)[:-1]) for ring in rings)
    return Polygon(shell, holes)


def _without_straight(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Drops vertices between two steps in one direction: where blocks met."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns: NDArray[np.bool_] = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return ring[turns]
