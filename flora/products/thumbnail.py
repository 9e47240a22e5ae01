"""Small versions of large layers, read so that memory does not grow with the scene."""

from __future__ import annotations

import math
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from flora.bands import SAR_BANDS
from flora.raster.file import describe

PIECE = 2048  # px; side of what is read at once
STRIP = 256  # rows of a small picture that are read at once

Planes = NDArray[np.float32]


def thinning(shape: tuple[int, int], wanted: tuple[int, int]) -> int:
    """Gives the largest power of two by which a picture may be thinned and still be as large as is wanted.

    Args:
        shape: Height and width, px.
        wanted: Height and width to be kept at least, px.

    Returns:
        1, 2, 4, and so on: also the steps of a COG's overviews.
    """
    ratio = min(length / least for length, least in zip(shape, wanted, strict=True))
    return 1 << max(0, int(math.log2(max(ratio, 1.0))))


def thin_radar(scene: xr.Dataset, factor: int) -> Planes:
    """Averages the power of `factor` x `factor` pixels: speckle goes, brightness stays.

    Args:
        scene: `VV`, `VH`, (y, x), dB, NaN where invalid.
        factor: Pixels a side, a power of two.

    Returns:
        VV, VH, (2, y / factor, x / factor) rounded up, dB; NaN where no pixel is valid.
    """
    rows, cols = scene["VV"].dims
    height, width = scene.sizes[rows], scene.sizes[cols]
    thin = np.empty((len(SAR_BANDS), -(-height // factor), -(-width // factor)), np.float32)
    side = max(PIECE, factor)
    for row in range(0, height, side):
        for col in range(0, width, side):
            window = {rows: slice(row, row + side), cols: slice(col, col + side)}
            piece = scene[list(SAR_BANDS)].isel(window).compute(scheduler="threads", num_workers=2)
            values = np.stack([_mean_power(piece[name].values, factor) for name in SAR_BANDS])
            top, left = row // factor, col // factor
            thin[:, top : top + values.shape[1], left : left + values.shape[2]] = values
    return thin


class RadarThumbnail:
    """The radar of a scene, thinned tile by tile as the tiles are computed.

    Attributes:
        blocks: What is to be computed with the rest of a tile: VV, VH, (2, y / factor, x / factor), dB.
        planes: What has been added, as `thin_radar` gives it; NaN where nothing was.
    """

    def __init__(self, radar: da.Array, factor: int) -> None:
        """Starts empty.

        Args:
            radar: VV, VH, (2, y, x), dB, NaN where invalid; chunked by tiles whose corners `thins` found to fit.
            factor: Pixels a side, a power of two.
        """
        self._factor = factor
        chunks = (radar.chunks[0], *(tuple(-(-n // factor) for n in axis) for axis in radar.chunks[1:]))
        self.planes = np.full([sum(axis) for axis in chunks], np.nan, np.float32)
        self.blocks: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
            _thin_block,
            radar,
            factor=factor,
            chunks=chunks,
            dtype=np.float32,
            meta=np.empty((0, 0, 0), np.float32),
        )

    def add(self, rows: slice, cols: slice, block: Planes) -> None:
        """Takes the thinned block of the tile at these rows and columns of the scene."""
        top, left = rows.start // self._factor, cols.start // self._factor
        self.planes[:, top : top + block.shape[1], left : left + block.shape[2]] = block


def thins(radar: da.Array, factor: int) -> bool:
    """Tells whether every tile begins at a multiple of `factor`, so that no pixel of the small picture is cut."""
    return all(length % factor == 0 for axis in radar.chunks[-2:] for length in axis[:-1])


def _thin_block(radar: Planes, factor: int) -> Planes:
    return np.stack([_mean_power(plane, factor) for plane in radar])


def thin_file(path: Path, factor: int) -> Planes:
    """Reads a Cloud-Optimised GeoTIFF of ours at one of its overviews.

    Args:
        path: The file.
        factor: How many pixels become one, a power of two.

    Returns:
        Real values of each band, (band, y / factor, x / factor) rounded up; NaN where no data.
    """
    file = describe(path)
    shape = -(-file.height // factor), -(-file.width // factor)
    thin = np.empty((len(file.bands), *shape), np.float32)
    for place, band in enumerate(file.bands):
        # Values are read in double precision; few at a time stay in the processor's cache.
        for top in range(0, shape[0], STRIP):
            bottom = min(top + STRIP, shape[0])
            rows = slice(top * factor, min(bottom * factor, file.height))
            values, valid = file.read(band.index, rows, slice(0, file.width), shape=(bottom - top, shape[1]))
            thin[place, top:bottom] = np.where(valid, values, np.nan)
    return thin


def _mean_power(decibel: Planes, factor: int) -> Planes:
    """Averages power over blocks of `factor` x `factor`; blocks at the end may be smaller."""
    if factor == 1:
        return decibel
    valid = np.isfinite(decibel)
    power = np.exp(decibel * np.float32(math.log(10) / 10))
    if valid.all():
        count = np.outer(*(_block_lengths(length, factor) for length in decibel.shape))
    else:
        np.copyto(power, 0, where=~valid)
        count = block_sum(valid.astype(np.float32), factor)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean: Planes = 10 * np.log10(block_sum(power, factor) / count)
    return mean


def _block_lengths(length: int, factor: int) -> Planes:
    """Gives how many pixels of an axis each block holds."""
    starts = np.arange(0, length, factor)
    return np.diff(starts, append=length).astype(np.float32)


def block_sum(plane: Planes, factor: int) -> Planes:
    """Adds up blocks of `factor` x `factor`; those at the end may be smaller."""
    return _sum_along(_sum_along(plane, factor).T, factor).T


def _sum_along(plane: Planes, factor: int) -> Planes:
    """Adds up `factor` rows at a time; row by row, which is many times as fast as NumPy's `reduceat`."""
    whole, rest = divmod(plane.shape[0], factor)
    total = np.zeros((whole + bool(rest), plane.shape[1]), np.float32)
    for step in range(factor):
        rows = plane[step::factor]
        total[: len(rows)] += rows
    return total
