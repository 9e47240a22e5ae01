"""One raster file: what it declares, and its pixels block by block.

A `RasterFile` holds facts, not a handle: it can be pickled, sent to another process and read from many threads; each
process opens the file for itself and keeps it open for the next block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import RasterioError
from rasterio.windows import Window

from flora.errors import InputError
from flora.raster.handles import OPEN_FILES, opened

# GDAL's prefix of a file inside an archive, and what follows it: the archive, in braces or not, and the file in it.
ARCHIVED = re.compile(r"(?:/vsi(?:zip|tar|gzip|7z|rar)/)+\{?(?!/vsi)([^{}]+)")

Values = NDArray[np.float32] | NDArray[np.float64]

# Whatever GDAL may report while a file is opened, read or written.
GDAL_ERRORS: tuple[type[Exception], ...] = (RasterioError, CPLE_BaseError, OSError)


@dataclass(frozen=True)
class Band:
    """What a file declares of one band.

    Attributes:
        index: Position in the file, from 1.
        description: As the file has it; empty where it has none.
        unit: As the file has it; empty where it has none.
        tags: Key and value pairs, keys in lower case.
        dtype: NumPy's name of the stored type.
        nodata: Value that stands for absent; None where undeclared.
        scale: Factor from stored to real value.
        offset: Added after the factor.
        masked: An internal mask or an alpha band says which pixels are valid.
        color: GDAL's colour interpretation, such as `red` or `alpha`.
    """

    index: int
    description: str
    unit: str
    tags: tuple[tuple[str, str], ...]
    dtype: str
    nodata: float | None
    scale: float
    offset: float
    masked: bool
    color: str


@dataclass(frozen=True)
class RasterFile:
    """What a raster file declares, and the way to its pixels.

    Attributes:
        path: Absolute path, or an address that GDAL understands.
        name: File name as messages show it.
        stamp: Time of change and size when it was described, so that a replaced file is opened anew.
        height: Rows in px.
        width: Columns in px.
        transform: The six numbers a, b, c, d, e, f of the affine map from (column, row) to CRS coordinates.
        crs: EPSG code or WKT; empty where undeclared.
        has_gcps: Located by ground control points only, that is, not yet on a map grid.
        block: Height and width of the stored blocks, px.
        bands: All bands but alpha.
        tags: Key and value pairs of the whole file, keys in lower case.
    """

    path: str
    name: str
    stamp: tuple[int, int]
    height: int
    width: int
    transform: tuple[float, float, float, float, float, float]
    crs: str
    has_gcps: bool
    block: tuple[int, int]
    bands: tuple[Band, ...]
    tags: tuple[tuple[str, str], ...]

    def read(
        self, index: int, rows: slice, columns: slice, shape: tuple[int, int] | None = None
    ) -> tuple[Values, NDArray[np.bool_]]:
        """Reads one window of one band, with the band's declared scale and offset applied.

        Args:
            index: The band, from 1.
            rows: Start and stop, px.
            columns: Start and stop, px.
            shape: Height and width to thin the window to by nearest neighbour; None keeps every pixel.

        Returns:
            Values, float32 as stored or float64, 0 where invalid, (H, W); and valid: finite, not no-data, not
            masked out, (H, W).

        Raises:
            InputError: The file is damaged there.
        """
        band = next(band for band in self.bands if band.index == index)
        window = Window.from_slices(rows, columns)
        key = (self.path, self.stamp)
        try:
            with OPEN_FILES.get(key) as source:
                stored = source.read(index, window=window, out_shape=shape)
                mask = source.read_masks(index, window=window, out_shape=shape) if band.masked else None
        except GDAL_ERRORS as error:
            OPEN_FILES.forget(key)
            raise InputError(
                f"{self.name} cannot be read at rows {rows.start} to {rows.stop}, columns {columns.start} to "
                f"{columns.stop}; a whole file was expected, this one is damaged or cut short. Copy it again."
            ) from error
        valid = np.isfinite(stored)
        if band.nodata is not None and np.isfinite(band.nodata):
            # In the stored type: -3.4e38 or 0.1 written as text is not the same number in double precision.
            floats = np.issubdtype(stored.dtype, np.floating)
            valid &= stored != (stored.dtype.type(band.nodata) if floats else band.nodata)
        if mask is not None:
            valid &= mask > 0
        values = stored if stored.dtype == np.float32 else stored.astype(np.float64)
        if not valid.all():
            np.copyto(values, 0, where=~valid)
        if (band.scale, band.offset) != (1.0, 0.0):
            values = np.where(valid, values.astype(np.float64) * band.scale + band.offset, 0.0)
        return values, valid


def describe(path: str | Path) -> RasterFile:
    """Opens a raster once and notes what it declares.

    Args:
        path: A file, or an address left to GDAL (`https://…`, `s3://…`, `/vsi…`, `NETCDF:…`).

    Returns:
        The file's facts.

    Raises:
        InputError: The path is missing, empty, a folder, no raster, or holds complex samples.
    """
    address, stamp = _locate(str(path))
    name = file_name(address)
    try:
        with opened(address) as source:
            _require_bands(source, name)
            return _facts(source, address, name, stamp)
    except GDAL_ERRORS as error:
        raise InputError(
            f"'{path}' is not a raster that GDAL can read; expected a GeoTIFF or another georeferenced image. "
            "Check the file, or download it again."
        ) from error


def file_name(address: str) -> str:
    """Gives the last part of a path or address, without a query."""
    return re.split(r"[/\\]", address.split("?")[0].rstrip("/\\"))[-1]


def is_address(path: str) -> bool:
    """Tells an address that only GDAL can judge from a path on this machine."""
    # One letter before the colon is a Windows drive, not a GDAL prefix.
    return path.startswith("/vsi") or re.match(r"[A-Za-z][A-Za-z0-9_+-]+:", path) is not None


def _locate(path: str) -> tuple[str, tuple[int, int]]:
    """Gives the absolute path and its stamp, or says why there is none."""
    if is_address(path):
        return path, _archive_stamp(path)
    local = Path(path).expanduser()
    try:
        state = local.stat()
    except OSError as error:
        raise InputError(
            f"'{path}' does not exist or may not be read; expected a raster. Check the path."
        ) from error
    if local.is_dir():
        raise InputError(f"'{path}' is a folder; expected a raster. Name the file, or its VV and VH files.")
    if state.st_size == 0:
        raise InputError(f"'{path}' is empty (0 bytes); expected a raster. Download or export it again.")
    return str(local.absolute()), (state.st_mtime_ns, state.st_size)


def _archive_stamp(address: str) -> tuple[int, int]:
    """Gives time of change and size of the archive on this machine that an address leads into; zeros for others."""
    inside = ARCHIVED.match(address)
    for place in (Path(inside[1]), *Path(inside[1]).parents) if inside else ():
        if place.is_file():
            state = place.stat()
            return state.st_mtime_ns, state.st_size
    return 0, 0


def _require_bands(source: Any, name: str) -> None:
    """Refuses containers without bands and products whose samples are complex."""
    if source.count == 0:
        inner = ", ".join(source.subdatasets[:4]) or "nothing that GDAL can name"
        raise InputError(f"{name} has no band of its own; it holds {inner}. Give one of these instead.")
    if any("complex" in dtype for dtype in source.dtypes):
        raise InputError(
            f"{name} has complex samples ({source.dtypes[0]}), that is, a single-look complex product; FLoRA needs "
            "detected backscatter. Use a GRD or RTC product of the same pass."
        )


def _facts(source: Any, address: str, name: str, stamp: tuple[int, int]) -> RasterFile:
    """Copies what an open dataset declares."""
    bands = tuple(_band(source, i) for i in source.indexes if source.colorinterp[i - 1] != ColorInterp.alpha)
    # An alpha "band" that alone is left beside one other is a measured band that some writer mislabelled.
    if source.count == 2 and len(bands) == 1:
        bands = tuple(_band(source, i, alpha_is_data=True) for i in source.indexes)
    return RasterFile(
        path=address,
        name=name,
        stamp=stamp,
        height=source.height,
        width=source.width,
        transform=tuple(source.transform)[:6],
        crs=source.crs.to_string() if source.crs else "",
        has_gcps=bool(source.gcps[0]) and not source.crs,
        block=source.block_shapes[0],
        bands=bands,
        tags=_pairs(source.tags()),
    )


def _band(source: Any, index: int, alpha_is_data: bool = False) -> Band:
    """Copies what an open dataset declares of one band."""
    flags = source.mask_flag_enums[index - 1]
    at = index - 1
    return Band(
        index=index,
        description=(source.descriptions[at] or "").strip(),
        unit=(source.units[at] or "").strip(),
        tags=_pairs(source.tags(index)),
        dtype=source.dtypes[at],
        nodata=source.nodatavals[at],
        scale=float(source.scales[at]),
        offset=float(source.offsets[at]),
        masked=MaskFlags.per_dataset in flags and not (alpha_is_data and MaskFlags.alpha in flags),
        color=source.colorinterp[at].name,
    )


def _pairs(tags: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Gives tags with keys in lower case, in a fixed order."""
    return tuple(sorted((key.lower(), value) for key, value in tags.items()))
