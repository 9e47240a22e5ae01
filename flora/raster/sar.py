"""Reading a Sentinel-1 scene: files of many habits in, one lazy Dataset of VV and VH in dB out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from dask.base import tokenize
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from flora.bands import DB_RANGE, SAR_BANDS
from flora.errors import InputError
from flora.raster.file import RasterFile, describe, file_name, is_address
from flora.raster.folder import Files, Paths, pieces_of
from flora.raster.grid import geobox_of, require_same_grid
from flora.raster.lazy import Band, blocks_from_centre, chunks_of, cut, lazy, span_of
from flora.raster.naming import acquisition_time, require_one_date, scene_name
from flora.raster.pieces import PiecedBand, lay_out, require_one_pass
from flora.raster.polarisation import BY_CONVENTION, Layer, find_polarisations
from flora.raster.radiometry import Declaration, Radiometry, asked, declared, to_db
from flora.raster.safe import find_safe, open_grd, require_no_choice, tags_of
from flora.raster.sampled import NOTHING_TO_JUDGE, contradiction, judge, require_order, zeros_are_fill

Index = tuple[slice | int, slice | int]


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
        rows, columns = (span_of(i, length) for i, length in zip(index, self.shape, strict=True))
        if rows.start == rows.stop or columns.start == columns.stop:
            return np.empty((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        values, valid = self.layer.file.read(self.layer.band.index, rows, columns)
        if self.partner is not None:
            other, other_valid = self.partner.file.read(self.partner.band.index, rows, columns)
            valid &= ~((values == 0) & ((other == 0) | ~other_valid))
        decibel = to_db(values, valid, self.radiometry)
        return cut(decibel, index)


@dataclass(frozen=True)
class Piece:
    """A scene, or a piece of one: its files, bands and grid, and how they were read."""

    files: tuple[RasterFile, ...]
    bands: Mapping[str, Any]
    geobox: GeoBox
    scale: str
    scale_reason: str
    band_reason: str


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
    amplitude of 0 or less (the border of GRD products), and values outside [-60, 40] dB. In dB, 0 is a value; 0
    in both bands at once is absent where the file declares no no-data, or has no other zeros (`zeros_are_fill`).

    Args:
        paths: A raster with both bands; or two files of one band each; or a folder or zip that holds exactly one VV
            and one VH file, or pieces of one scene (see `pieces_of`); or a `.SAFE` folder or zip of a GRD product,
            which is calibrated and placed by its tie points. Addresses (`https://…`, `/vsi…`) are left to GDAL.
        bands: Names of the bands in their order, or which band is VV and which VH; see `find_polarisations`.
        scale: `auto`, `db`, `power` or `amplitude`, with a factor where one was used, as in `power x 10000`. What is
            given here wins over what the file declares; `auto` takes the declaration, unless the values contradict it,
            else the rule of `judge`.
        crs_required: Whether a scene without CRS is an error; without it the grid is in px and has no CRS.
        chunk: Side of dask's chunks, px; rounded to the file's blocks where it is tiled.

    Returns:
        Variables VV and VH, (y, x), float32, dB. Attributes: `name`, `source`, `sar_scale`,
        `sar_scale_reason`, `band_reason`, `crs_note` (empty with a CRS), `simulated` (whether a file is tagged
        `SIMULATED=yes`) and, where known, `time`.

    Raises:
        InputError: The scene cannot be read as VV and VH; the message says what to do.
    """
    if not isinstance(paths, str | Path) and len(paths) == 1:
        paths = paths[0]
    product = find_safe(paths) if isinstance(paths, str | Path) else None
    if product is not None:
        require_no_choice(bands, scale)
        grd = open_grd(product)
        attrs = tags_of(grd)
        files = [band.file for band in grd.bands.values()]
        return _dataset(grd.bands, grd.geobox, attrs, files, (chunk, chunk))
    pieces = [_piece(files, bands, scale, crs_required) for files in pieces_of(paths)]
    whole = pieces[0] if len(pieces) == 1 else _joined(pieces, paths)
    # Of several pieces the first names the scene, unless their folder does.
    named = (
        paths if len(pieces) > 1 and isinstance(paths, str | Path) else pieces[0].bands["VV"].layer.file.path
    )
    attrs = {
        "name": scene_name(str(named)),
        "source": [file.path for file in whole.files],
        "sar_scale": whole.scale,
        "sar_scale_reason": whole.scale_reason,
        "band_reason": whole.band_reason,
        "crs_note": "" if whole.geobox.crs else "The scene has no CRS; its grid is in pixels.",
        "simulated": any(("simulated", "yes") in file.tags for file in whole.files),
    }
    chunks = chunks_of(pieces[0].bands["VV"].layer.file, chunk)
    return _dataset(whole.bands, whole.geobox, attrs, whole.files, chunks)


def require_valid(scene: xr.Dataset) -> None:
    """Checks that some pixel of a scene can be used, reading block by block until one is found.

    Args:
        scene: As `open_sar` gives it.

    Raises:
        InputError: Every pixel of both bands is invalid.
    """
    for block in blocks_from_centre(scene):
        if any(bool(np.isfinite(block[name].values).any()) for name in SAR_BANDS):
            return
    low, high = DB_RANGE
    why = scene.attrs.get("sar_scale_reason", "").rstrip(".")
    raise InputError(
        f"Scene '{scene.attrs.get('name', '')}' has no valid pixel: all {scene.sizes['y'] * scene.sizes['x']:,} are "
        f"NaN, no-data or outside [{low:g}, {high:g}] dB; FLoRA needs some. Take another scene, or check --scale"
        f"{f' ({why})' if why else ''}."
    )


def _dataset(
    bands: Mapping[str, Band],
    geobox: GeoBox,
    attrs: dict[str, Any],
    files: Sequence[RasterFile],
    chunks: tuple[int, int],
) -> xr.Dataset:
    """Puts lazy bands on their grid, with what is known of them."""
    facts = tokenize([(file.path, file.stamp) for file in files], attrs, chunks)
    dataset = xr.Dataset(
        {
            name: (("y", "x"), lazy(band, f"sar-{name}-{facts}", chunks), {"units": "dB"})
            for name, band in bands.items()
        },
        coords=xr_coords(geobox, dims=("y", "x")),
        attrs=attrs,
    )
    time = acquisition_time(files)
    return dataset.assign_attrs(time=time) if time else dataset


def _piece(paths: Files, bands: Sequence[str] | None, scale: str, crs_required: bool) -> Piece:
    """Opens a scene that was not cut, or one piece of it."""
    files = [describe(path) for path in paths]
    layers, band_reason = find_polarisations(files, bands)
    require_one_date([layer.file for layer in layers.values()])
    require_same_grid([layer.file for layer in layers.values()])
    geobox = geobox_of(layers["VV"].file, crs_required)
    radiometry, scale_reason = _radiometry(layers, scale)
    if BY_CONVENTION in band_reason:
        require_order(layers, radiometry)
    labels = {name: str(r.quantity) for name, r in radiometry.items()}
    one_scale = len(set(labels.values())) == 1
    return Piece(
        files=tuple(files),
        bands=_sar_bands(layers, radiometry),
        geobox=geobox,
        scale=labels["VV"] if one_scale else ", ".join(f"{k} {v}" for k, v in labels.items()),
        scale_reason=scale_reason,
        band_reason=band_reason,
    )


def _joined(pieces: Sequence[Piece], paths: Paths) -> Piece:
    """Puts pieces together, after checking that they belong together."""
    require_one_pass([acquisition_time(piece.files) for piece in pieces])
    names = [piece.bands["VV"].layer.file.name for piece in pieces]
    geobox, corners = lay_out([piece.geobox for piece in pieces], names)
    # A piece without a value cannot say what its values are.
    telling = [piece for piece in pieces if NOTHING_TO_JUDGE not in piece.scale_reason] or list(pieces)
    differing = next((piece for piece in telling if piece.scale != telling[0].scale), None)
    if differing is not None:
        raise InputError(
            f"Of the pieces in '{paths}' one reads as {telling[0].scale} and one as {differing.scale}; expected one "
            "scale. Say it with --scale."
        )
    size = (geobox.shape.y, geobox.shape.x)
    return Piece(
        files=tuple(file for piece in pieces for file in piece.files),
        bands={
            name: PiecedBand(tuple(piece.bands[name] for piece in pieces), corners, size)
            for name in SAR_BANDS
        },
        geobox=geobox,
        scale=telling[0].scale,
        scale_reason=telling[0].scale_reason,
        band_reason=f"{len(pieces)} pieces, {file_name(str(paths))}: {telling[0].band_reason}",
    )


def _radiometry(layers: dict[str, Layer], scale: str) -> tuple[dict[str, Radiometry], str]:
    """Settles what the values of each band are, and says why."""
    wanted = asked(scale)
    told = {name: declared(layer) for name, layer in layers.items()}
    if wanted is not None:
        # The user names the quantity; a factor that the file declares for this same quantity still holds.
        factors = {
            name: t.radiometry.factor
            if t and wanted.factor == 1 and t.radiometry.quantity == wanted.quantity
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
    return _as_declared(layers, {name: t or partner for name, t in told.items()})


def _as_declared(layers: dict[str, Layer], told: dict[str, Declaration]) -> tuple[dict[str, Radiometry], str]:
    """Takes what the file declares, where its values can be that; else what they are, where only its name says so."""
    radiometry = {name: declaration.radiometry for name, declaration in told.items()}
    standings = {declaration.standing for declaration in told.values()}
    # A product as its archive serves it is what its name says, and sampling it over the network takes its time.
    served = standings == {"standard"} and any(is_address(layer.file.path) for layer in layers.values())
    against = "" if served else contradiction(layers, radiometry)
    reasons = "; ".join(dict.fromkeys(f"Read as {each.radiometry}: {each.place}" for each in told.values()))
    if not against:
        return radiometry, f"{reasons}."
    first = told["VV"]
    refusal = InputError(
        f"{layers['VV'].file.name} is declared {first.radiometry} ({first.place}), but {against}, which no scene has; "
        "expected calibrated sigma0 or gamma0. Calibrate the product, or state the scale and factor with --scale, "
        "such as 'power x 10000' or 'db x 100'."
    )
    if "stated" in standings:
        raise refusal
    try:
        judged, why = judge(layers)
    except InputError as error:
        raise refusal from error
    by_values = dict.fromkeys(layers, judged)
    if contradiction(layers, by_values):
        raise refusal
    return by_values, f"{why}; its name says {radiometry['VV']}, but {against}."


def _sar_bands(layers: dict[str, Layer], radiometry: dict[str, Radiometry]) -> dict[str, SarBand]:
    """Gives the readers of both polarisations."""
    undeclared = all(layer.band.nodata is None and not layer.band.masked for layer in layers.values())
    pairs = all(r.quantity == "db" for r in radiometry.values()) and (undeclared or zeros_are_fill(layers))
    others = dict(zip(SAR_BANDS, reversed(SAR_BANDS), strict=True))
    return {
        name: SarBand(layer, radiometry[name], layers[others[name]] if pairs else None)
        for name, layer in layers.items()
    }
