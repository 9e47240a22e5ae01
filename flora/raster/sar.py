"""Reading a Sentinel-1 scene: files of many habits in, one lazy Dataset of VV and VH in dB out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray
from odc.geo.xr import xr_coords

from flora.bands import SAR_BANDS
from flora.errors import InputError
from flora.raster.file import RasterFile, describe, is_address
from flora.raster.grid import geobox_of, require_same_grid
from flora.raster.naming import acquisition_time, scene_name
from flora.raster.polarisation import Layer, find_polarisations, polarisation_in_path
from flora.raster.radiometry import DB_RANGE, Radiometry, asked, declared, to_db
from flora.raster.sampled import judge

Index = tuple[slice | int, slice | int]
Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class SarBand:
    """One polarisation in dB, read window by window; what dask slices.

    It holds no open file: worker processes receive it pickled and open the file themselves.

    Attributes:
        layer: The band.
        radiometry: What its values are.
        partner: The other polarisation, where 0 in both means absent (see `open_sar`); else None.
    """

    layer: Layer
    radiometry: Radiometry
    partner: Layer | None = None
    ndim: int = 2

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, px."""
        return self.layer.file.height, self.layer.file.width

    @property
    def dtype(self) -> np.dtype[np.float32]:
        """Always float32."""
        return np.dtype(np.float32)

    def __getitem__(self, index: Index) -> NDArray[np.float32]:
        """Reads one window as dB, NaN where invalid."""
        rows, columns = (_span(i, length) for i, length in zip(index, self.shape, strict=True))
        if rows.start == rows.stop or columns.start == columns.stop:
            return np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        values, valid = self.layer.file.read(self.layer.band.index, rows, columns)
        if self.partner is not None:
            other, other_valid = self.partner.file.read(self.partner.band.index, rows, columns)
            valid &= ~((values == 0) & ((other == 0) | ~other_valid))
        decibel = to_db(values, valid, self.radiometry)
        # The window was read whole; steps and single rows are cut from it.
        return decibel[tuple(0 if isinstance(i, int) else slice(None, None, i.step) for i in index)]


def open_sar(
    paths: Paths,
    *,
    bands: Sequence[str] | None = None,
    scale: str = "auto",
    crs_required: bool = True,
    chunk: int = 1024,
) -> xr.Dataset:
    """Opens a Sentinel-1 scene lazily, as VV and VH in dB on their grid.

    Invalid, and NaN in the result: NaN and infinity, declared no-data, pixels masked out by the file, power and
    amplitude of 0 or less (the border of GRD products), and values outside [-60, 40] dB. In dB, 0 is a value; only
    where the file declares no no-data is 0 in both bands at once taken as absent.

    Args:
        paths: A raster with both bands; or two files of one band each; or a folder that holds exactly one VV and one
            VH file. Addresses (`https://…`, `/vsi…`) are left to GDAL.
        bands: Names of the bands in their order, or which band is VV and which VH; see `find_polarisations`.
        scale: `auto`, `db`, `power` or `amplitude`, with a factor where one was used, as in `power x 10000`. What is
            given here wins over what the file declares; `auto` takes the declaration, else the rule of `judge`.
        crs_required: Whether a scene without CRS is an error; without it the grid is in px and has no CRS.
        chunk: Side of dask's chunks, px; rounded to the file's blocks where it is tiled.

    Returns:
        Variables VV and VH, (y, x), float32, dB. Attributes: `name`, `source`, `sar_scale`,
        `sar_scale_reason`, `band_reason`, `crs_note` (empty with a CRS), `simulated` (whether a file is tagged
        `SIMULATED=yes`) and, where known, `time`.

    Raises:
        InputError: The scene cannot be read as VV and VH; the message says what to do.
    """
    files = [describe(path) for path in _expand(paths)]
    layers, band_reason = find_polarisations(files, bands)
    require_same_grid([layer.file for layer in layers.values()])
    geobox = geobox_of(layers["VV"].file, crs_required)
    radiometry, scale_reason = _radiometry(layers, scale)
    arrays = {name: _lazy(band, chunk) for name, band in _sar_bands(layers, radiometry).items()}
    dataset = xr.Dataset(
        {name: (("y", "x"), array, {"units": "dB"}) for name, array in arrays.items()},
        coords=xr_coords(geobox, dims=("y", "x")),
    )
    labels = {name: str(r.quantity) for name, r in radiometry.items()}
    one_scale = len(set(labels.values())) == 1
    dataset.attrs = {
        "name": scene_name(layers["VV"].file.path),
        "source": [file.path for file in files],
        "sar_scale": labels["VV"] if one_scale else ", ".join(f"{k} {v}" for k, v in labels.items()),
        "sar_scale_reason": scale_reason,
        "band_reason": band_reason,
        "crs_note": "" if geobox.crs else "The scene has no CRS; its grid is in pixels.",
        "simulated": any(("simulated", "yes") in file.tags for file in files),
    }
    time = acquisition_time(files)
    return dataset.assign_attrs(time=time) if time else dataset


def require_valid(scene: xr.Dataset) -> None:
    """Checks that some pixel of a scene can be used, reading block by block until one is found.

    Args:
        scene: As `open_sar` gives it.

    Raises:
        InputError: Every pixel of both bands is invalid.
    """
    for block in _blocks_from_centre(scene):
        if any(bool(np.isfinite(block[name].values).any()) for name in SAR_BANDS):
            return
    low, high = DB_RANGE
    why = scene.attrs.get("sar_scale_reason", "").rstrip(".")
    raise InputError(
        f"Scene '{scene.attrs.get('name', '')}' has no valid pixel: all {scene.sizes['y'] * scene.sizes['x']:,} are "
        f"NaN, no-data or outside [{low:g}, {high:g}] dB; FLoRA needs some. Take another scene, or check --scale"
        f"{f' ({why})' if why else ''}."
    )


def _expand(paths: Paths) -> list[str | Path]:
    """Gives the files of a scene; a folder stands for its one VV and one VH file."""
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        raise InputError("No file was given; FLoRA needs one with VV and VH, or two. Name the scene's files.")
    if len(given) > 1 or is_address(str(given[0])) or not Path(given[0]).expanduser().is_dir():
        return given
    folder = Path(given[0]).expanduser()
    rasters = sorted(
        file
        for place in (folder, folder / "measurement")
        for file in place.glob("*")
        if file.suffix.lower() in (".tif", ".tiff")
    )
    pair = [[file for file in rasters if polarisation_in_path(file.name) == name] for name in SAR_BANDS]
    if [len(matches) for matches in pair] != [1, 1]:
        raise InputError(
            f"Folder '{given[0]}' holds {len(pair[0])} VV and {len(pair[1])} VH files, told by their names; expected "
            "one of each. Name the scene's files themselves."
        )
    return [matches[0] for matches in pair]


def _radiometry(layers: dict[str, Layer], scale: str) -> tuple[dict[str, Radiometry], str]:
    """Settles what the values of each band are, and says why."""
    wanted = asked(scale)
    told = {name: declared(layer) for name, layer in layers.items()}
    if wanted is not None:
        # The user names the quantity; a factor that the file declares for this same quantity still holds.
        factors = {
            name: t[0].factor
            if t and wanted.factor == 1 and t[0].quantity == wanted.quantity
            else wanted.factor
            for name, t in told.items()
        }
        chosen = {name: Radiometry(wanted.quantity, factor) for name, factor in factors.items()}
        return chosen, f"Read as {chosen['VV']}: given by --scale."
    if not any(told.values()):
        judged, why = judge(layers)
        return dict.fromkeys(layers, judged), f"{why}."
    # One band's file may say nothing; the two are of one product.
    partner = next(t for t in told.values() if t)
    found = {name: t or partner for name, t in told.items()}
    reasons = dict.fromkeys(f"Read as {radiometry}: {place}" for radiometry, place in found.values())
    return {name: radiometry for name, (radiometry, _) in found.items()}, "; ".join(reasons) + "."


def _sar_bands(layers: dict[str, Layer], radiometry: dict[str, Radiometry]) -> dict[str, SarBand]:
    """Gives the readers of both polarisations."""
    undeclared = all(layer.band.nodata is None and not layer.band.masked for layer in layers.values())
    pairs = undeclared and all(r.quantity == "db" for r in radiometry.values())
    others = dict(zip(SAR_BANDS, reversed(SAR_BANDS), strict=True))
    return {
        name: SarBand(layer, radiometry[name], layers[others[name]] if pairs else None)
        for name, layer in layers.items()
    }


def _lazy(band: SarBand, chunk: int) -> da.Array:
    """Gives a reader as a dask array; slices reach the file, so a window reads no more than itself."""
    chunks = tuple(_chunk_side(chunk, side) for side in _tile(band.layer.file))
    name = f"sar-{tokenize(band, chunks)}"
    array: da.Array = da.from_array(  # type: ignore[no-untyped-call]
        band, chunks=chunks, name=name, lock=False, fancy=False, meta=np.empty((0, 0), np.float32)
    )
    return array


def _tile(file: RasterFile) -> tuple[int, int]:
    """Gives the height and width of a file's tiles; 1 for strips, which no square chunk can follow."""
    height, width = file.block
    return (1, 1) if width >= file.width else (height, width)


def _chunk_side(chunk: int, side: int) -> int:
    """Rounds a chunk's side up to whole tiles."""
    return -(-max(chunk, 1) // side) * side


def _span(index: slice | int, length: int) -> slice:
    """Gives the pixels between the first and the last that an index asks for."""
    if isinstance(index, int):
        return slice(index, index + 1)
    pixels = range(*index.indices(length))
    return slice(min(pixels[0], pixels[-1]), max(pixels[0], pixels[-1]) + 1) if pixels else slice(0, 0)


def _blocks_from_centre(scene: xr.Dataset) -> Iterator[xr.Dataset]:
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
