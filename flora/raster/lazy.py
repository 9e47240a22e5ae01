"""Readers of bands as dask arrays: slices reach the file, so that a window reads no more than itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from flora.raster.file import RasterFile


class Band(Protocol):
    """What dask slices: one band in dB, NaN where invalid; it holds no open file."""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""


def lazy(band: Band, token: str, chunks: tuple[int, int]) -> da.Array:
    """Gives a reader as a dask array.

    Args:
        band: The reader.
        token: A name that no other array has.
        chunks: Height and width of dask's chunks, px.

    Returns:
        (H, W), float32.
    """
    array: da.Array = da.from_array(  # type: ignore[no-untyped-call]
        band, chunks=chunks, name=token, lock=False, fancy=False, meta=np.empty((0, 0), np.float32)
    )
    return array


def chunks_of(file: RasterFile, chunk: int) -> tuple[int, int]:
    """Gives chunks of about a size that follow a file's tiles."""
    height, width = file.block
    # Strips span the file, and no square chunk can follow them.
    sides = (1, 1) if width >= file.width else (height, width)
    return chunk_side(chunk, sides[0]), chunk_side(chunk, sides[1])


def chunk_side(chunk: int, side: int) -> int:
    """Rounds a chunk's side up to whole tiles."""
    return -(-max(chunk, 1) // side) * side


def span_of(index: slice | int, length: int) -> slice:
    """Gives the pixels between the first and the last that an index asks for."""
    if isinstance(index, int):
        return slice(index, index + 1)
    pixels = range(*index.indices(length))
    return slice(min(pixels[0], pixels[-1]), max(pixels[0], pixels[-1]) + 1) if pixels else slice(0, 0)


def cut(window: NDArray[np.float32], index: tuple[slice | int, slice | int]) -> NDArray[np.float32]:
    """Takes steps and single rows from a window that was read whole."""
    return window[tuple(0 if isinstance(i, int) else slice(None, None, i.step) for i in index)]


def blocks_from_centre(scene: xr.Dataset) -> Iterator[xr.Dataset]:
    """Gives the blocks of a scene, those at its centre first, where borders are not."""
    spans = []
    for dim in ("y", "x"):
        sizes = scene.chunksizes.get(dim) or (scene.sizes[dim],)
        ends = np.cumsum(sizes)
        spans.append([slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)])
    middle = [len(axis) / 2 - 0.5 for axis in spans]
    order = sorted(
        np.ndindex(len(spans[0]), len(spans[1])),
        key=lambda at: (at[0] - middle[0]) ** 2 + (at[1] - middle[1]) ** 2,
    )
    for row, column in order:
        yield scene.isel(y=spans[0][row], x=spans[1][column])
