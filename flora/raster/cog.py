"""Writing Cloud-Optimised GeoTIFFs block by block, whole or not at all.

Blocks may come in any order and from several threads. They go to tiled temporary GeoTIFFs, one for the picture and
one for each overview; `close` lays these out as a COG through GDAL's COG driver and renames it. Neither step holds more
than a few blocks in memory. On disk the temporary files take the pixels' own size, and a third of it for the overviews.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
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
from flora.raster.file import GDAL_ERRORS
from flora.raster.geotiff import CogSpec, copy_as_cog, create_geotiff, join_levels
from flora.raster.pyramid import Pyramid

# Side of the pieces in which an array in memory is handed on, px.
PIECE = 2048


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
        self._lock = threading.Lock()
        if self.path.exists() and not overwrite:
            raise OutputError(
                f"'{self.path}' exists already; nothing is overwritten unasked. Choose another place, or pass "
                "--overwrite."
            )
        self._part = _temporary_beside(self.path)
        self._clean = weakref.finalize(self, _remove, self._part)
        try:
            self._dataset: Any = create_geotiff(self._part, geobox, spec)
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
        try:
            made = self._pyramid.halved(rows, cols, values)
            with self._lock:
                self._dataset.write(values, bands, window=Window.from_slices(rows, cols))
                self._pyramid.write(rows, cols, made, bands)
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
            self._dataset.close()
            copy_as_cog(join_levels(self._part, self._pyramid.complete()), cog, self.spec)
            cog.replace(self.path)
        except GDAL_ERRORS as error:
            self._fail(error)
        finally:
            self._clean()
        return self.path

    def abort(self) -> None:
        """Removes everything written so far."""
        with contextlib.suppress(*GDAL_ERRORS):
            self._dataset.close()
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
