"""Reads image files into arrays; rasterio is imported only when a raster is opened."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flora.data.dataset import Footprint
from flora.errors import DataError

Window = tuple[int, int, int, int]


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Opens a raster with rasterio; files without georeference are expected and pass in silence.

    Raises:
        DataError: The file is missing or is not a raster.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as source:
                yield source
        except RasterioIOError as error:
            found = "cannot be read as a raster" if path.exists() else "does not exist"
            raise DataError(
                f"'{path}' {found}; expected a GeoTIFF. Fetch the file again. ({error})"
            ) from error


def read_bands(path: Path, count: int, window: Window | None = None) -> NDArray[Any]:
    """Reads the first bands of a raster.

    Args:
        path: The file.
        count: Number of bands that the published file has at least.
        window: First row, first column, height, width in px; what lies outside the file is left out.

    Returns:
        (count, H, W) in the file's own type.

    Raises:
        DataError: The file is missing, damaged or has fewer bands.
    """
    with opened(path) as source:
        if source.count < count:
            raise DataError(
                f"'{path}' has {source.count} band(s); expected {count}. Fetch the file again or check its layer."
            )
        array: NDArray[Any] = source.read(range(1, count + 1), window=_slices(window))
        return array


def read_mask(path: Path, window: Window | None = None) -> NDArray[np.bool_]:
    """Reads a raster's own mask: True where the file says that there is data, (H, W)."""
    with opened(path) as source:
        mask: NDArray[np.uint8] = source.dataset_mask(window=_slices(window))
    return mask > 0


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Reads a PNG or JPEG as it is stored: (H, W) grey or (H, W, 3) red, green, blue.

    Raises:
        DataError: The file is missing or is not a picture.
    """
    return _picture(path)


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Reads a PNG or JPEG of one quantity as (H, W), also where it is stored as red, green and blue, or as one bit.

    Raises:
        DataError: The file is missing or is not a picture.
    """
    return _picture(path, "L")


def read_colour(path: Path) -> NDArray[np.uint8]:
    """Reads a PNG or JPEG as red, green and blue, (H, W, 3), also where it is stored with alpha or a palette.

    Raises:
        DataError: The file is missing or is not a picture.
    """
    return _picture(path, "RGB")


def footprint_of(path: Path) -> Footprint | None:
    """Gives the ground that a raster covers, in its own CRS; None where it says no place."""
    with opened(path) as source:
        if source.crs is None:
            return None
        left, bottom, right, top = source.bounds
        return Footprint(str(source.crs), left, bottom, right, top)


def _picture(path: Path, mode: str = "") -> NDArray[np.uint8]:
    """Reads a picture, in another of Pillow's modes where one is named."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert(mode) if mode and mode != picture.mode else picture)
    except FileNotFoundError as error:
        raise DataError(f"'{path}' does not exist; expected a picture. Complete the download.") from error
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"'{path}' cannot be read as a picture; fetch the file again. ({error})") from error


def _slices(window: Window | None) -> tuple[tuple[int, int], tuple[int, int]] | None:
    if window is None:
        return None
    row, col, height, width = window
    return (row, row + height), (col, col + width)
