"""Overviews of a picture that arrives block by block: each block is halved as it comes, and nothing is read again.

GDAL would make them in one thread, from the finished picture: two thirds of the time that its COG driver takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from flora.raster.geotiff import BLOCK, CogSpec, create_geotiff, open_geotiff

# Levels that are made of a block alone, where it begins and ends at multiples of 2 ** FLYING px: 63/64 of the work.
FLYING = 3
# Side of the levels' stored tiles at least, px: GDAL keeps them for a while, and many small ones in the heap leave the
# network no hole of its size.
LEAST_BLOCK = 256
# Rows of a level that are read at a time for the next one, px.
STRIP = 1024

Values = NDArray[Any]


def level_count(shape: tuple[int, int]) -> int:
    """Gives how often a picture, (H, W), is halved until no side is longer than a stored tile.

    A single column is not halved: readers tell levels apart by their width.
    """
    levels = 0
    while max(shape) > BLOCK and shape[1] > 1:
        shape = -(-shape[0] // 2), -(-shape[1] // 2)
        levels += 1
    return levels


def level_grid(geobox: GeoBox, level: int) -> GeoBox:
    """Gives the grid of a picture that was halved `level` times."""
    height, width = (-(-length // 2**level) for length in geobox.shape.yx)
    return GeoBox((height, width), geobox.affine @ Affine.scale(2**level), geobox.crs)


def halve(values: Values, spec: CogSpec) -> Values:
    """Makes one pixel of 2 x 2.

    Args:
        values: (band, H, W) as stored.
        spec: Whether pixels are averaged or the upper left one is taken, and what stands for absent.

    Returns:
        (band, H / 2, W / 2) rounded up, same type. An average leaves absent pixels out, is rounded to the nearest
        whole number where the type is one, and is absent where all four are.
    """
    if spec.overviews == "nearest":
        return values[:, ::2, ::2]
    pad = [(0, 0), *((0, length % 2) for length in values.shape[1:])]
    whole = np.issubdtype(values.dtype, np.integer)
    valid = _valid(values, spec.nodata)
    if valid is None and not any(after for _, after in pad):
        total = _sum_of_four(values, np.uint32 if whole else np.float32)
        total = (total + 2) // 4 if whole else total / 4
        return total.astype(values.dtype)
    mask = np.pad(np.ones_like(values, bool) if valid is None else valid, pad)
    count = _sum_of_four(mask, np.uint32)
    total = _sum_of_four(np.where(mask, np.pad(values, pad), 0), np.uint32 if whole else np.float32)
    some = np.maximum(count, 1)
    mean = (total + some // 2) // some if whole else total / some.astype(np.float32)
    absent = 0 if spec.nodata is None else spec.nodata
    result: Values = np.where(count > 0, mean, absent).astype(values.dtype)
    return result


def _valid(values: Values, nodata: float | None) -> NDArray[np.bool_] | None:
    """Tells which pixels hold something; None where all do."""
    if nodata is None:
        return None
    valid: NDArray[np.bool_] = ~np.isnan(values) if np.isnan(nodata) else values != nodata
    return None if valid.all() else valid


def _sum_of_four(values: Values, dtype: Any) -> Values:
    rows: Values = np.add(values[:, 0::2], values[:, 1::2], dtype=dtype)
    total: Values = rows[..., 0::2] + rows[..., 1::2]
    return total


def levels_of(
    values: Values, rows: slice, cols: slice, shape: tuple[int, int], spec: CogSpec
) -> list[Values] | None:
    """Makes the levels of one block.

    Args:
        values: (band, H, W) as stored.
        rows: Where the block lies in the picture, px.
        cols: Likewise.
        shape: Of the picture, (H, W).
        spec: What its file says of itself.

    Returns:
        The block at each level that is made on the way; None where its edges cut pixels of them.
    """
    levels = min(FLYING, level_count(shape))
    for span, length in zip((rows, cols), shape, strict=True):
        if span.start % 2**levels or (span.stop % 2**levels and span.stop != length):
            return None
    made: list[Values] = []
    for _ in range(levels):
        made.append(halve(made[-1] if made else values, spec))
    return made


class Pyramid:
    """The overviews of a file under way, each in a temporary GeoTIFF beside it.

    Attributes:
        files: The levels' files, the finest first.
        flying: Every block so far began and ended where pixels of the levels do; else the picture itself is read again.
    """

    def __init__(self, part: Path, geobox: GeoBox, spec: CogSpec) -> None:
        """Opens the levels' files.

        Args:
            part: The temporary file of the picture itself; those of the levels begin with its name.
            geobox: Grid of the picture.
            spec: What it says of itself.
        """
        self._part = part
        self._spec = spec
        self.flying = True
        self.files: list[Path] = []
        self._datasets: list[Any] = []
        for level in range(1, level_count(geobox.shape.yx) + 1):
            grid = level_grid(geobox, level)
            self.files.append(part.with_name(f"{part.name}.level{level}.tif"))
            block = max(LEAST_BLOCK, BLOCK >> level)
            self._datasets.append(create_geotiff(self.files[-1], grid, spec, block))

    def write(self, rows: slice, cols: slice, made: list[Values], bands: list[int]) -> None:
        """Writes what `levels_of` gave; by one thread at a time."""
        for level, values in enumerate(made, 1):
            window = Window(cols.start >> level, rows.start >> level, values.shape[2], values.shape[1])
            self._datasets[level - 1].write(values, bands, window=window)

    def complete(self) -> list[Path]:
        """Makes the levels that are still missing, once the picture's file is closed.

        Returns:
            The levels' files, the finest first, closed.
        """
        for number, dataset in enumerate(self._datasets):
            if number >= FLYING or not self.flying:
                with open_geotiff(self.files[number - 1] if number else self._part) as finer:
                    for window in _strips(finer.shape):
                        values = halve(finer.read(window=window), self._spec)
                        place = Window(0, window.row_off // 2, values.shape[2], values.shape[1])
                        dataset.write(values, window=place)
            dataset.close()
        return self.files

    def close(self) -> None:
        """Closes the levels' files as they are."""
        for dataset in self._datasets:
            dataset.close()


def _strips(shape: tuple[int, int]) -> Iterator[Window]:
    """Gives windows over the whole width, an even number of rows each but the last."""
    for row in range(0, shape[0], STRIP):
        yield Window(0, row, shape[1], min(STRIP, shape[0] - row))
