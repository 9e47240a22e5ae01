"""The raster files that this process has open, shared by its threads."""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from contextlib import nullcontext
from typing import Any, Final

import numpy as np
import rasterio
from rasterio.env import get_gdal_config, set_gdal_config
from rasterio.errors import NotGeoreferencedWarning

# Files that a process keeps open; the two polarisations of some scenes fit, and what helps to read them.
MOST = 16

# Rows that are kept of a file in strips, and what they may take at most, bytes. With a fifth less, one that is 5,000 px
# wide is decoded twice.
STRIP_ROWS, MOST_KEPT = 7 * 1024, 256 << 20

# Files elsewhere: stores of objects have no listing of the folder beside a file, and asking for one takes long. On this
# machine the listing is what finds the mask beside a picture.
REMOTE: Final = ("http://", "https://", "s3://", "/vsicurl", "/vsis3")
LISTING: Final = "GDAL_DISABLE_READDIR_ON_OPEN"
# A setting of GDAL's holds for all threads, so that they open files one after the other.
OPENING = threading.RLock()

Key = tuple[str, tuple[int, int]]  # address and stamp of a file


def opened(path: str) -> Any:
    """Opens a raster, without a listing of its folder where it is elsewhere and the user has not set that.

    Args:
        path: Path or address.

    Returns:
        The dataset, which knows whether a mask lies beside it.
    """
    elsewhere = path.lower().startswith(REMOTE)
    with OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        unset = elsewhere and get_gdal_config(LISTING) is None
        with rasterio.Env.from_defaults(**{LISTING: "EMPTY_DIR"}) if unset else nullcontext():
            dataset = rasterio.open(path, sharing=False)
            _ = dataset.mask_flag_enums  # GDAL looks for the mask no earlier than asked
            return dataset


class OpenFile:
    """A file that is open; one thread at a time reads it, as GDAL asks."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._dataset: Any = None

    def __enter__(self) -> Any:
        """Takes the dataset, opened where it is not."""
        self._lock.acquire()
        try:
            if self._dataset is None:
                self._dataset = opened(self._path)
                keep_strips(self._dataset)
        except BaseException:
            self._lock.release()
            raise
        return self._dataset

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def close(self) -> None:
        """Closes it once nobody reads it; who waits for it opens it again."""
        with self._lock:
            if self._dataset is not None:
                self._dataset.close()
            self._dataset = None


def keep_strips(dataset: Any) -> None:
    """Lets GDAL keep the rows that a tile asks for, where each of them is decoded over the whole width of the file.

    A tile is read in pieces side by side: without this a striped file is decoded again for each of them.

    Args:
        dataset: An open raster; one that is stored in tiles changes nothing.
    """
    if dataset.width > dataset.block_shapes[0][1]:
        return
    wanted = min(MOST_KEPT, STRIP_ROWS * dataset.width * np.dtype(dataset.dtypes[0]).itemsize)
    if get_gdal_config("GDAL_CACHEMAX") < wanted:
        set_gdal_config("GDAL_CACHEMAX", wanted)


class OpenFiles:
    """The files that this process has open, the latest used last.

    Threads share them, and with them the blocks that GDAL keeps: of two tiles side by side, read by two threads, the
    second finds what both need unpacked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[Key, OpenFile] = OrderedDict()

    def get(self, key: Key) -> OpenFile:
        """Gives a file, and closes the one that has not been used for longest where there are too many."""
        with self._lock:
            file = self._files.pop(key, None) or OpenFile(key[0])
            self._files[key] = file
            oldest = self._files.popitem(last=False)[1] if len(self._files) > MOST else None
        if oldest is not None:
            oldest.close()
        return file

    def forget(self, key: Key) -> None:
        """Leaves a file that failed to be opened anew."""
        with self._lock:
            self._files.pop(key, None)


OPEN_FILES = OpenFiles()
