"""A flood map over a whole scene as a lazy dataset, under the names of the Global Flood Monitoring service."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from flora.errors import ConfigError, InputError
from flora.products.flags import ADVISORY, EXCLUSION
from flora.products.layers import NO_DATA
from flora.products.tileflags import TileFlags, flag_layers
from flora.products.water import (
    LARGEST_OCCURRENCE,
    OCCURRENCE,
    change,
    likelihood,
    observed_flood,
    observed_water,
    reference_water,
)
from flora.raster import open_optical, open_sar
from flora.raster.align import align_scene
from flora.raster.context import Context, FileBand, grid_of, open_context
from flora.raster.polarisation import Layer
from flora.raster.sampled import sample_of
from flora.scene import DEFAULT_TILE, predict

if TYPE_CHECKING:
    from flora.checkpoint import Checkpoint

Scene = xr.Dataset | str | Path | Sequence[str | Path]
Raster = xr.DataArray | str | Path

WATER_MEANINGS = {"land": 0, "water": 1}
FLOOD_MEANINGS = {"no_flood": 0, "flood": 1}
CHANGE_MEANINGS = {"land": 0, "unchanged_water": 1, "new_water": 2, "receded_water": 3}


def map_flood(
    after: Scene,
    before: Scene | None = None,
    reference_water: Raster | None = None,
    dem: Raster | None = None,
    land_cover: Raster | None = None,
    optical: xr.Dataset | str | Path | None = None,
    weights: Checkpoint | Path | str | None = None,
    *,
    reference_threshold: float = OCCURRENCE,
    tile: int = DEFAULT_TILE,
    device: str = "auto",
    precision: str = "auto",
    tta: bool = False,
) -> xr.Dataset:
    """Maps the flood of a scene, lazily: nothing is computed before it is asked for.

    Layers from other grids are brought onto that of `after`; every tile size gives the same pixels.

    Args:
        after: The scene with the flood, as from `flora.open_sar`, or what that opens.
        before: A scene from before the flood, on any grid: gives `change`, and the reference water where
            `reference_water` is not given.
        reference_water: Water that is there without a flood: a mask of 0 and 1, or JRC occurrence in %.
        dem: Elevation in m, to exclude steep slopes.
        land_cover: ESA WorldCover codes, to exclude towns and dense vegetation.
        optical: An optical picture of these days or from before; helps the network.
        weights: Checkpoint; None for the one that comes with FLoRA.
        reference_threshold: Occurrence from which water counts as reference, %.
        tile: Side of a tile, px, a multiple of the network's grid.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `auto`, `fp32` or `bf16`.
        tta: Average over four flips.

    Returns:
        `observed_water`, `likelihood`, `exclusion`, `advisory` (y, x), uint8, with CF flags; with reference water also
        `reference_water` and `observed_flood`; with `before` also `change`. Besides `optical` and
        `optical_uncertainty` (band, y, x), reflectance, and `water_probability`. Attributes as `flora.predict` gives
        them, and `reference`, which says where the reference water comes from.

    Raises:
        InputError: Something cannot be read, lies elsewhere, or holds what was not expected.
        ConfigError: The threshold is no percentage, or tile, device or precision cannot be.
    """
    if not 0 < reference_threshold <= 100:
        raise ConfigError(
            f"The reference threshold is {reference_threshold:g}; expected an occurrence above 0 and up to 100 %, such "
            f"as {OCCURRENCE:g}."
        )
    scene = _opened(after)
    geobox = grid_of(scene["VV"])
    earlier = align_scene(_opened(before), scene) if before is not None else None
    checkpoint = _checkpoint(weights)
    settings: dict[str, Any] = {"tile": tile, "device": device, "precision": precision, "tta": tta}
    prediction = predict(scene, checkpoint, optical=_picture(optical, geobox), **settings)
    water = _water(prediction)
    older = _water(predict(earlier, checkpoint, **settings)) if earlier is not None else None
    reference, told = _reference(reference_water, older, geobox, water, reference_threshold)
    context = TileFlags(
        scene=scene,
        before=earlier,
        geobox=geobox,
        dem=_context(dem, geobox, "quantity", "elevation"),
        cover=_context(land_cover, geobox, "classes", "land cover"),
    )
    flags = flag_layers(context, water, reference)
    layers: dict[str, tuple[da.Array, dict[str, Any]]] = {
        "observed_water": (water, _classes("all water seen", WATER_MEANINGS)),
        "likelihood": (
            _each(likelihood, prediction["water_probability"].data),
            {"long_name": "calibrated probability of water", "units": "percent", "_FillValue": NO_DATA},
        ),
    }
    if reference is not None:
        flood = da.map_blocks(observed_flood, water, reference, dtype=np.uint8)  # type: ignore[no-untyped-call]
        layers["reference_water"] = (reference, _classes(f"reference water: {told}", WATER_MEANINGS))
        layers["observed_flood"] = (
            flood,
            _classes("observed water that is no reference water", FLOOD_MEANINGS),
        )
    layers["exclusion"] = (flags[0], _masks("where the map must not be relied on", EXCLUSION))
    layers["advisory"] = (
        flags[1],
        _masks("where the map should be read with care", ADVISORY) | {"_FillValue": NO_DATA},
    )
    if older is not None:
        changed = da.map_blocks(change, older, water, dtype=np.uint8)  # type: ignore[no-untyped-call]
        layers["change"] = (changed, _classes("water of two dates", CHANGE_MEANINGS))
    return _dataset(layers, prediction, scene, earlier, told)


def _opened(scene: Scene) -> xr.Dataset:
    return scene if isinstance(scene, xr.Dataset) else open_sar(scene)


def _checkpoint(weights: Checkpoint | Path | str | None) -> Checkpoint:
    """Loads once what both dates use."""
    if weights is None or isinstance(weights, str | Path):
        from flora.checkpoint import load

        return load(weights)
    return weights


def _picture(optical: xr.Dataset | str | Path | None, geobox: GeoBox) -> xr.Dataset | None:
    if optical is None or isinstance(optical, xr.Dataset):
        return optical
    picture: xr.Dataset = open_optical(optical, geobox, crs_required=False)
    return picture


def _context(given: Raster | None, geobox: GeoBox, how: Any, name: str) -> Context | None:
    if given is None:
        return None
    if how == "quantity" and geobox.crs is None:
        raise InputError(
            f"The scene has no CRS, so that its pixels have no size; the slope of the {name} needs one. Assign the CRS."
        )
    return open_context(given, geobox, how)


def _water(prediction: xr.Dataset) -> da.Array:
    threshold = float(prediction.attrs["threshold"])
    return _each(observed_water, prediction["water_probability"].data, threshold=threshold)


def _each(function: Any, data: da.Array, **settings: Any) -> da.Array:
    meta = np.empty((0, 0), np.uint8)
    layer: da.Array = data.map_blocks(function, dtype=np.uint8, meta=meta, **settings)
    return layer


def _reference(
    given: Raster | None, older: da.Array | None, geobox: GeoBox, like: da.Array, threshold: float
) -> tuple[da.Array | None, str]:
    """Gives the reference water in the tiles of `like`, and where it comes from."""
    if given is None:
        return older, "none" if older is None else "water of the scene from before"
    context = open_context(given, geobox, "classes")
    mask = _is_mask(context)
    told = "a mask" if mask else f"occurrence of at least {threshold:g} %"
    read = _read_reference
    reference: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
        read,
        context=context,
        threshold=None if mask else threshold,
        chunks=like.chunks,
        dtype=np.uint8,
        meta=np.empty((0, 0), np.uint8),
    )
    return reference, told


def _read_reference(context: Context, threshold: float | None, block_info: Any = None) -> Any:
    rows, cols = (slice(*span) for span in block_info[None]["array-location"])
    return reference_water(context.read(rows, cols), threshold)


def _is_mask(context: Context) -> bool:
    """Tells a mask from an occurrence by a sample of its values."""
    source = context.source
    if isinstance(source, FileBand):
        values = sample_of(Layer(source.file, source.file.bands[0]))
    else:
        rows, cols = (slice(0, length) for length in context.own.shape.yx)
        values = np.asarray(source.read(rows, cols, None), np.float64)
        values = values[np.isfinite(values) & (values != 0)]
    values = values[values != NO_DATA]
    highest = float(values.max()) if values.size else 0.0
    if highest > LARGEST_OCCURRENCE or (values.size and float(values.min()) < 0):
        worst = highest if highest > LARGEST_OCCURRENCE else float(values.min())
        raise InputError(
            f"The reference water holds {worst:g}; expected a mask of 0 and 1 or an occurrence of 0 to 100 % (255 for "
            "no data). Convert it, or give a scene from before the flood."
        )
    return highest <= 1


def _classes(long_name: str, meanings: dict[str, int]) -> dict[str, Any]:
    return {
        "long_name": long_name,
        "flag_values": np.array(list(meanings.values()), np.uint8),
        "flag_meanings": " ".join(meanings),
        "_FillValue": NO_DATA,
    }


def _masks(long_name: str, bits: dict[str, int]) -> dict[str, Any]:
    return {
        "long_name": long_name,
        "flag_masks": np.array(list(bits.values()), np.uint8),
        "flag_meanings": " ".join(bits),
    }


def _dataset(
    layers: dict[str, tuple[da.Array, dict[str, Any]]],
    prediction: xr.Dataset,
    scene: xr.Dataset,
    earlier: xr.Dataset | None,
    told: str,
) -> xr.Dataset:
    """Puts the layers beside the optical picture, with what CF asks for."""
    dims = scene["VV"].dims
    flood = prediction.rename(optical_spread="optical_uncertainty")
    flood["optical"].attrs["long_name"] = "reflectance reconstructed from radar, not photographed"
    flood["optical_uncertainty"].attrs["long_name"] = "Laplace scale of the reconstructed reflectance"
    for name, (data, attrs) in layers.items():
        fill = {key: attrs.pop(key) for key in ("_FillValue",) if key in attrs}
        flood[name] = (dims, data, attrs)
        flood[name].encoding.update(fill | {"dtype": "uint8"})
    mapping = scene["VV"].encoding.get("grid_mapping")
    for layer in flood.data_vars.values():
        if mapping:
            layer.encoding["grid_mapping"] = mapping
    about = {"Conventions": "CF-1.10", "reference": told}
    if earlier is not None:
        about |= {
            "before": str(earlier.attrs.get("name", "")),
            "before_time": str(earlier.attrs.get("time", "")),
        }
    return flood.assign_attrs(about)
