"""Laying a Cloud-Optimised GeoTIFF out: GDAL writes all that is not pixels, and the packed tiles are put behind it.

GDAL's COG driver makes the frame from an empty picture: header, directories of the picture and its overviews, colours,
grid and tags, with tables of tiles that are still zero. The tiles follow as the frame's header promises: the coarsest
overview first, row by row, each led by its length and trailed by its last four bytes once more.

Source: GDAL's documentation of the COG driver, "File format details".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from odc.geo.geobox import GeoBox
from tifffile import TiffFile, TiffPage

from flora.raster.geotiff import CogSpec, copy_as_cog, create_geotiff, join_levels
from flora.raster.pyramid import level_grid

# Bytes that lead and trail each tile.
AROUND: Final = 4

Tiles = Iterator[bytes]  # of one picture, row by row


def write_frame(
    target: Path, geobox: GeoBox, spec: CogSpec, levels: int, statistics: Sequence[Mapping[str, str]]
) -> None:
    """Writes a COG without pixels.

    Args:
        target: Where it goes; files whose names begin like it are used meanwhile.
        geobox: Grid of the picture.
        spec: What it says of itself.
        levels: Number of overviews.
        statistics: Tags of each band beside those.
    """
    empty = [target.with_name(f"{target.name}.empty{level}.tif") for level in range(levels + 1)]
    for level, path in enumerate(empty):
        with create_geotiff(path, level_grid(geobox, level), spec) as dataset:
            for band, tags in enumerate(statistics if level == 0 else (), 1):
                dataset.update_tags(band, **tags)
    copy_as_cog(join_levels(empty[0], empty[1:]), target, spec)


def fill_frame(path: Path, pictures: Sequence[Tiles]) -> None:
    """Puts the tiles behind the frame and writes down where they are.

    Args:
        path: As `write_frame` left it.
        pictures: Packed tiles of the picture and of each overview, the finest first.
    """
    with TiffFile(path) as frame:
        tables = [_tables(page) for page in frame.pages]  # type: ignore[arg-type]
        order = frame.byteorder
    assert len(tables) == len(pictures), "a directory for each picture"
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        for (offsets, counts), tiles in zip(reversed(tables), reversed(pictures), strict=True):
            starts, lengths = [], []
            for tile in tiles:
                file.write(struct.pack("<I", len(tile)))
                file.write(tile)
                file.write(tile[-AROUND:])
                starts.append(end + AROUND)
                lengths.append(len(tile))
                end += len(tile) + 2 * AROUND
            _write(file, offsets, starts, order)
            _write(file, counts, lengths, order)
            file.seek(end)


class _Table:
    """Where an array of a TIFF directory lies, and of what it is made."""

    def __init__(self, tag: Any) -> None:
        self.offset: int = tag.valueoffset
        self.count: int = tag.count
        self.size: int = {3: 2, 4: 4, 16: 8}[int(tag.dtype)]  # SHORT, LONG and LONG8 of TIFF


def _tables(page: TiffPage) -> tuple[_Table, _Table]:
    return _Table(page.tags["TileOffsets"]), _Table(page.tags["TileByteCounts"])


def _write(file: BinaryIO, table: _Table, numbers: list[int], order: str) -> None:
    assert len(numbers) == table.count, "a tile for each place"
    file.seek(table.offset)
    file.write(np.array(numbers, np.uint64).astype(f"{order}u{table.size}").tobytes())
