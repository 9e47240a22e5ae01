"""Writing Cloud-Optimised GeoTIFFs block by block, whole or not at all.

Blocks may come in any order and from several threads. Those that are whole stored tiles are packed where they were
made, by this or another process; others wait unpacked in a temporary GeoTIFF. `close` lays all of them out as a COG and
renames it. Neither step holds more than a few blocks in memory. On disk the temporary files take about as much as the
finished one, and as much as the unpacked overviews.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from flora.errors import OutputError
from flora.raster.blocks import Block, PackedTiles, pack, prepare, tiles_of, unpack, window_of
from flora.raster.file import GDAL_ERRORS
from flora.raster.geotiff import BLOCK, CogSpec, band_statistics, create_geotiff, open_geotiff
from flora.raster.layout import Tiles, fill_frame, write_frame
from flora.raster.pyramid import Pyramid

# Side of the pieces in which an array in memory is handed on, px.
PIECE = 2048
# Pixels from which statistics are taken at most; of a larger picture an overview speaks.
SAMPLE = 2048 * 2048


class CogSink:
    """A GeoTIFF under way that takes blocks by index, as `dask.array.store` gives them.

    Use it as a context: leaving it writes the COG, an exception inside it removes every trace.

    ```python
    with CogSink("water.tif", geobox, CogSpec("uint8", ("water",), nodata=255)) as sink:
        sink[0:512, 0:512] = block                   # (y, x), one band
        dask.array.store(probability, sink, lock=False)
    ```
    """

    def __init__(self, path: str | Path, geobox: GeoBox, spec: CogSpec, *, overwrite: bool = False) -> None:
        """Opens the temporary file beside `path`.

        Args:
            path: Where the finished file goes; its folder must exist.
            geobox: Grid of the picture, with or without CRS.
            spec: Bands, type and description.
            overwrite: Whether a file at `path` may be replaced.

        Raises:
            OutputError: The place cannot be written, or holds a file and `overwrite` is not set.
        """
        self.path = Path(path)
        self.spec = spec
        self.shape: tuple[int, ...] = (len(spec.names), *geobox.shape.yx)
        self.dtype = np.dtype(spec.dtype)
        self.geobox = geobox
        self._lock = threading.Lock()
        if self.path.exists() and not overwrite:
            raise OutputError(
                f"'{self.path}' exists already; nothing is overwritten unasked. Choose another place, or pass "
                "--overwrite."
            )
        self._part = _temporary_beside(self.path)
        self._clean = weakref.finalize(self, _remove, self._part)
        try:
            self._loose: Any = create_geotiff(self._part, geobox, spec)
            self._packed = PackedTiles(self._part.with_name(self._part.name + ".tiles"))
            self._pyramid = Pyramid(self._part, geobox, spec)
        except GDAL_ERRORS as error:
            self._fail(error)

    def __setitem__(self, index: tuple[slice, ...], block: NDArray[np.generic]) -> None:
        """Writes one block.

        Args:
            index: Slices of rows and columns, in px; before them one of bands, where the block has that axis.
            block: Values as stored, (y, x) for a file of one band, or (band, y, x).

        Raises:
            OutputError: It cannot be written, for want of space for example.
            ValueError: The block does not fit the file or its slices.
        """
        bands, (rows, cols) = self._place(index)
        values = np.asarray(block).astype(self.dtype, casting="same_kind", copy=False)
        values = values.reshape((len(bands), rows.stop - rows.start, cols.stop - cols.start))
        self.put(prepare(values, rows, cols, self.geobox.shape.yx, self.spec, tuple(bands)))

    def put(self, block: Block) -> None:
        """Writes one block that `flora.raster.blocks.prepare` has made ready, here or in another process.

        Args:
            block: With values, unless it consists of whole stored tiles.

        Raises:
            OutputError: It cannot be written, for want of space for example.
        """
        try:
            for row, col, packed in block.tiles or ():
                self._packed.add(row, col, packed)
            with self._lock:
                if block.tiles is None:
                    self._loosen([at for at in tiles_of(block.rows, block.cols) if at in self._packed])
                    window = Window.from_slices(block.rows, block.cols)
                    self._loose.write(block.values, list(block.bands), window=window)
                if block.levels is None:
                    self._pyramid.flying = False
                elif self._pyramid.flying:
                    self._pyramid.write(block.rows, block.cols, block.levels, list(block.bands))
        except GDAL_ERRORS as error:
            self._fail(error)

    def close(self) -> Path:
        """Makes the COG of what was written and puts it in its place.

        Returns:
            Where it is.

        Raises:
            OutputError: It cannot be written.
        """
        cog = self._part.with_name(self._part.name + ".cog.tif")
        try:
            if not self._pyramid.flying:
                self._loosen(self._packed.indices())
            self._loose.close()
            files = [self._part, *self._pyramid.complete()]
            write_frame(cog, self.geobox, self.spec, len(files) - 1, self._statistics(files))
            fill_frame(cog, [self._tiles(file, level) for level, file in enumerate(files)])
            self._packed.close()
            cog.replace(self.path)
        except GDAL_ERRORS as error:
            self._fail(error)
        finally:
            self._clean()
        return self.path

    def abort(self) -> None:
        """Removes everything written so far."""
        with contextlib.suppress(*GDAL_ERRORS):
            self._loose.close()
            self._packed.close()
            self._pyramid.close()
        self._clean()

    def __enter__(self) -> CogSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __dask_tokenize__(self) -> tuple[str, str]:
        return type(self).__name__, str(self._part)

    def __reduce__(self) -> NoReturn:
        raise OutputError(
            f"'{self.path}' is being written by one process and cannot be sent to another; compute the blocks there "
            "and store them here, or use dask's threads."
        )

    def _place(self, index: tuple[slice, ...]) -> tuple[list[int], tuple[slice, slice]]:
        """Turns slices into GDAL's band numbers and whole spans of rows and columns."""
        if len(index) == 2:
            index = (slice(None), *index)
        spans = [part.indices(length) for part, length in zip(index, self.shape, strict=True)]
        if any(step != 1 for _, _, step in spans):
            raise ValueError(f"CogSink takes whole blocks; found steps in {index}.")
        (first, last, _), (top, bottom, _), (left, right, _) = spans
        return list(range(first + 1, last + 1)), (slice(top, bottom), slice(left, right))

    def _loosen(self, tiles: Iterable[tuple[int, int]]) -> None:
        """Moves packed tiles to the unpacked file, where single pixels of them can be written or read."""
        for row, col in tiles:
            packed = self._packed.get(row, col)
            assert packed is not None, "only tiles that are there are moved"
            window = window_of(row, col, self.shape[1:])
            values = unpack(packed, self.shape[0], self.dtype)
            self._loose.write(values[:, : window.height, : window.width], window=window)
            self._packed.drop(row, col)

    def _tiles(self, file: Path, level: int) -> Tiles:
        """Gives the packed tiles of the picture, or of an overview, row by row."""
        with open_geotiff(file) as source:
            for row in range(-(-source.height // BLOCK)):
                for col in range(-(-source.width // BLOCK)):
                    packed = self._packed.get(row, col) if level == 0 else None
                    if packed is None:
                        values = source.read(window=window_of(row, col, source.shape))
                        packed = pack(values, self.spec.nodata)
                    yield packed

    def _statistics(self, files: Sequence[Path]) -> list[dict[str, str]]:
        """Gives the tags of each band's statistics, by the finest picture that is not large."""
        for level, file in enumerate(files):
            with open_geotiff(file) as source:
                if source.width * source.height > SAMPLE and level < len(files) - 1:
                    continue
                values = source.read()
            break
        if level == 0:
            for row, col in self._packed.indices():
                window = window_of(row, col, self.shape[1:])
                tile = unpack(self._packed.get(row, col) or b"", self.shape[0], self.dtype)
                rows, cols = window.toslices()
                values[:, rows, cols] = tile[:, : window.height, : window.width]
        return [band_statistics(band, self.spec.nodata, level > 0) for band in values]

    def _fail(self, error: Exception) -> NoReturn:
        """Removes every trace and says what happened."""
        if hasattr(self, "_pyramid"):
            self.abort()
        self._clean()
        raise OutputError(
            f"'{self.path}' could not be written ({error.__cause__ or error}); expected a writable folder with enough "
            "free space. Choose another place, or free some space."
        ) from error


def write_cog(
    path: str | Path,
    array: NDArray[np.generic] | da.Array | xr.DataArray,
    geobox: GeoBox,
    spec: CogSpec,
    *,
    overwrite: bool = False,
) -> Path:
    """Writes an array as a Cloud-Optimised GeoTIFF; a dask array is computed and written chunk by chunk.

    Args:
        path: Where the file goes; its folder must exist.
        array: Values as stored, (y, x) for one band, or (band, y, x).
        geobox: Grid of the picture, with or without CRS.
        spec: Bands, type and description.
        overwrite: Whether a file at `path` may be replaced.

    Returns:
        Where the file is.

    Raises:
        OutputError: The file cannot be written.
        ValueError: The array does not fit the grid or the bands.
    """
    values = array.data if isinstance(array, xr.DataArray) else array
    expected = (len(spec.names), *geobox.shape.yx)
    if values.shape not in (expected, expected[1:] if expected[0] == 1 else expected):
        raise ValueError(f"Array of shape {values.shape} does not fit bands and grid {expected}.")
    with CogSink(path, geobox, spec, overwrite=overwrite) as sink:
        if isinstance(values, da.Array):
            da.store(values, sink, lock=False)  # type: ignore[arg-type]
        else:
            for rows, columns in _pieces(expected[1], expected[2]):
                sink[(*(slice(None) for _ in values.shape[:-2]), rows, columns)] = values[..., rows, columns]
    return Path(path)


def _pieces(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Gives windows that cover a picture."""
    for row in range(0, height, PIECE):
        for column in range(0, width, PIECE):
            yield slice(row, min(row + PIECE, height)), slice(column, min(column + PIECE, width))


def _temporary_beside(path: Path) -> Path:
    """Creates an empty temporary file in the folder of `path`, so that renaming it later is atomic."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part.tif", dir=path.parent)
    except OSError as error:
        raise OutputError(
            f"Folder '{path.parent}' cannot be written ({error.strerror}); expected an existing, writable folder. "
            "Create it or choose another."
        ) from error
    os.close(handle)
    return Path(name)


def _remove(part: Path) -> None:
    """Removes a temporary file and whatever GDAL wrote beside it."""
    for file in part.parent.iterdir():
        if file.name.startswith(part.name):
            file.unlink(missing_ok=True)
