"""The stored tiles of a GeoTIFF, packed by whoever makes them: differenced, deflated, and kept until they are laid out.

GDAL packs a tile when it is handed the finished picture, which has to be written unpacked first and read again. Packed
as it comes, a tile of the picture is touched once, in the thread that has it in its cache.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray
from rasterio.windows import Window

from flora.raster.geotiff import BLOCK, CogSpec
from flora.raster.pyramid import levels_of

# Speckle does not pack: higher levels take longer and save nothing after the predictor.
LEVEL: Final = 2

Values = NDArray[Any]
Place = tuple[int, int]  # where a tile's bytes begin and how many there are


def tiles_of(rows: slice, cols: slice) -> Iterator[tuple[int, int]]:
    """Gives row and column of each stored tile that a block of a picture touches."""
    for row in range(rows.start // BLOCK, -(-rows.stop // BLOCK)):
        for col in range(cols.start // BLOCK, -(-cols.stop // BLOCK)):
            yield row, col


def window_of(row: int, col: int, shape: Sequence[int]) -> Window:
    """Gives the pixels of a stored tile that lie in a picture, (H, W)."""
    top, left = row * BLOCK, col * BLOCK
    return Window(left, top, min(BLOCK, shape[1] - left), min(BLOCK, shape[0] - top))


def pack(values: Values, absent: float | None) -> bytes:
    """Makes a stored tile.

    Args:
        values: (band, H, W), at most `BLOCK` px a side; the rest of the tile, beyond the picture, is filled up.
        absent: What it is filled with; None for 0.

    Returns:
        Bytes as a TIFF holds them: bands pixel by pixel, horizontally differenced (predictor 2; 3 for floats), in zlib
        format, which TIFF calls DEFLATE.

    Source: TIFF 6.0, section 14; Adobe Photoshop TIFF Technical Note 3, for floats.
    """
    bands, height, width = values.shape
    if (height, width) == (BLOCK, BLOCK):
        tile = np.ascontiguousarray(values.transpose(1, 2, 0))
    else:
        tile = np.full((BLOCK, BLOCK, bands), 0 if absent is None else absent, values.dtype)
        tile[:height, :width] = values.transpose(1, 2, 0)
    return bytes(isal_zlib.compress(_differenced(tile), LEVEL))


def unpack(packed: bytes, bands: int, dtype: np.dtype[Any]) -> Values:
    """Undoes `pack`.

    Returns:
        (band, `BLOCK`, `BLOCK`).
    """
    raw = zlib.decompress(packed)
    if dtype.kind == "f":
        rows = np.frombuffer(raw, np.uint8).reshape(BLOCK, -1, bands)
        whole = np.cumsum(rows, axis=1, dtype=np.uint8).reshape(BLOCK, dtype.itemsize, BLOCK * bands)
        big_endian = np.ascontiguousarray(whole.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))
        tile = big_endian.reshape(BLOCK, BLOCK, bands).astype(dtype)
    else:
        tile = np.cumsum(np.frombuffer(raw, dtype).reshape(BLOCK, BLOCK, bands), axis=1, dtype=dtype)
    return tile.transpose(2, 0, 1)


def _differenced(tile: Values) -> Values:
    """Takes differences along the rows of a (row, column, band) tile."""
    bands = tile.shape[2]
    if tile.dtype.kind == "f":  # bytes of one weight side by side, the weightiest first
        parts = tile.astype(tile.dtype.newbyteorder(">")).view(np.uint8)
        parts = parts.reshape(BLOCK, BLOCK * bands, tile.dtype.itemsize)
        tile = np.ascontiguousarray(parts.transpose(0, 2, 1)).reshape(BLOCK, -1, bands)
    differences = tile.copy()
    differences[:, 1:] -= tile[:, :-1]
    return differences


@dataclass(frozen=True)
class Block:
    """A block of a picture, made ready for its file; travels between processes.

    Attributes:
        rows: Where it lies, px.
        cols: Likewise.
        bands: Numbers of its bands, from 1.
        values: (band, H, W) as stored; None where the tiles hold them and nobody else asks.
        tiles: Row, column and bytes of each stored tile that it consists of; None where it begins or ends within one,
            or is not of all bands.
        levels: What `levels_of` makes of it.
    """

    rows: slice
    cols: slice
    bands: tuple[int, ...]
    values: Values | None
    tiles: list[tuple[int, int, bytes]] | None
    levels: list[Values] | None


def prepare(
    values: Values,
    rows: slice,
    cols: slice,
    shape: tuple[int, int],
    spec: CogSpec,
    bands: tuple[int, ...] | None = None,
    keep: bool = True,
) -> Block:
    """Does all that a block needs before it is written: in any process, so that many can share the work.

    Args:
        values: (band, H, W) as stored, of the file's type.
        rows: Where the block lies in the picture, px.
        cols: Likewise.
        shape: Of the picture, (H, W).
        spec: What its file says of itself.
        bands: Numbers of the bands, from 1; None for all.
        keep: Also keep the values where the tiles hold them.

    Returns:
        The block.
    """
    all_bands = tuple(range(1, len(spec.names) + 1))
    levels = levels_of(values, rows, cols, shape, spec)
    tiles = None
    if _is_whole_tiles(rows, cols, shape) and bands in (None, all_bands):
        tiles = []
        for row, col in tiles_of(rows, cols):
            top, left = row * BLOCK - rows.start, col * BLOCK - cols.start
            part = values[:, top : top + BLOCK, left : left + BLOCK]
            tiles.append((row, col, pack(part, spec.nodata)))
    return Block(
        rows, cols, bands or all_bands, None if tiles is not None and not keep else values, tiles, levels
    )


def _is_whole_tiles(rows: slice, cols: slice, shape: tuple[int, int]) -> bool:
    """Tells whether a block begins and ends where stored tiles do."""
    return all(
        span.start % BLOCK == 0 and (span.stop % BLOCK == 0 or span.stop == length)
        for span, length in zip((rows, cols), shape, strict=True)
    )


class PackedTiles:
    """Packed tiles of a picture, in the order in which they came, in a file beside it.

    Threads may add and read side by side.
    """

    def __init__(self, path: Path) -> None:
        """Creates the file."""
        self._file = path.open("w+b")
        self._lock = threading.Lock()
        self._end = 0
        self._places: dict[tuple[int, int], Place] = {}

    def add(self, row: int, col: int, packed: bytes) -> None:
        """Keeps the tile in this row and column of tiles, and drops what was there."""
        with self._lock:
            self._file.seek(self._end)
            self._file.write(packed)
            self._places[row, col] = self._end, len(packed)
            self._end += len(packed)

    def get(self, row: int, col: int) -> bytes | None:
        """Gives the tile in this row and column; None where there is none."""
        with self._lock:
            place = self._places.get((row, col))
            if place is None:
                return None
            self._file.seek(place[0])
            return self._file.read(place[1])

    def __contains__(self, place: tuple[int, int]) -> bool:
        with self._lock:
            return place in self._places

    def drop(self, row: int, col: int) -> None:
        """Forgets a tile."""
        with self._lock:
            self._places.pop((row, col), None)

    def indices(self) -> list[tuple[int, int]]:
        """Gives row and column of every tile that is kept."""
        with self._lock:
            return sorted(self._places)

    def close(self) -> None:
        """Closes the file; what was not written yet is not needed any more."""
        self._file.close()
