"""A flood map over a whole scene as a lazy dataset, under the names of the Global Flood Monitoring service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
import xarray as xr

from flora.errors import ConfigError
from flora.products.flooddata import flood_dataset
from flora.products.floodground import open_cover, open_elevation
from flora.products.floodreference import find_reference
from flora.products.tileflags import TileFlags, flag_layers
from flora.products.water import OCCURRENCE, change, likelihood, observed_flood, observed_water
from flora.raster.align import align_scene
from flora.raster.context import grid_of
from flora.raster.file import describe
from flora.scene import DEFAULT_TILE, predict
from flora.scene.given import Picture, Scene, load_weights, open_scene

if TYPE_CHECKING:
    from flora.checkpoint import Checkpoint

Raster = xr.DataArray | str | Path


def map_flood(
    after: Scene,
    before: Scene | None = None,
    reference_water: Raster | None = None,
    dem: Raster | None = None,
    land_cover: Raster | None = None,
    optical: Picture | None = None,
    weights: Checkpoint | Path | str | None = None,
    *,
    reference_threshold: float | None = None,
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
        optical: An optical picture of these days or from before, which helps the network: as from
            `flora.open_optical` on the grid of `after`, or a file on any grid.
        weights: Checkpoint; None for the one that comes with FLoRA.
        reference_threshold: Occurrence from which water counts as reference, %; None for 50 where `reference_water`
            is one by its values. Give it where an occurrence nowhere exceeds 1 %, or it is taken for a mask.
        tile: Side of a tile, px, a multiple of the network's grid.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `auto`, `fp32` or `bf16`.
        tta: Average over four flips.

    Returns:
        `observed_water`, `likelihood`, `exclusion`, `advisory` (y, x), uint8, with CF flags; with reference water also
        `reference_water` and `observed_flood`; with `before` also `change`. Besides `optical` and
        `optical_uncertainty` (band, y, x), reflectance, and `water_probability`. Attributes as `flora.predict` gives
        them, `reference`, which says where the reference water comes from, and `reference_water_source`, `dem_source`
        and `land_cover_source`, which name what was given.

    Raises:
        InputError: Something cannot be read, lies elsewhere, or holds what was not expected.
        ConfigError: The threshold is no percentage, or tile, device or precision cannot be.
    """
    _check_threshold(reference_threshold)
    scene = open_scene(after)
    geobox = grid_of(scene["VV"])
    earlier = align_scene(open_scene(before), scene) if before is not None else None
    context = TileFlags(
        scene=scene,
        before=earlier,
        geobox=geobox,
        dem=open_elevation(dem, geobox),
        cover=open_cover(land_cover, geobox),
    )
    checkpoint = load_weights(weights)
    settings: dict[str, Any] = {"tile": tile, "device": device, "precision": precision, "tta": tta}
    prediction = predict(scene, checkpoint, optical=optical, **settings)
    water = _water(prediction)
    older = _water(predict(earlier, checkpoint, **settings)) if earlier is not None else None
    reference, told = find_reference(reference_water, older, geobox, water, reference_threshold)
    layers = {"observed_water": water, "likelihood": _each(likelihood, prediction["water_probability"].data)}
    if reference is not None:
        layers["reference_water"] = reference
        layers["observed_flood"] = da.map_blocks(observed_flood, water, reference, dtype=np.uint8)  # type: ignore[no-untyped-call]
    layers["exclusion"], layers["advisory"] = flag_layers(context, water, reference)
    if older is not None:
        layers["change"] = da.map_blocks(change, older, water, dtype=np.uint8)  # type: ignore[no-untyped-call]
    given = {"reference_water": reference_water, "dem": dem, "land_cover": land_cover}
    files = {name: _named(raster) for name, raster in given.items()}
    return flood_dataset(layers, prediction, scene, earlier, told, files)


def _named(raster: Raster | None) -> str:
    """Gives the path of what was given, or the name of an array; empty where nothing was."""
    if raster is None:
        return ""
    if isinstance(raster, xr.DataArray):
        return "an array" if raster.name is None else str(raster.name)
    return describe(raster).path


def _check_threshold(percent: float | None) -> None:
    if percent is not None and not 0 < percent <= 100:
        raise ConfigError(
            f"The reference threshold is {percent:g}; expected an occurrence above 0 and up to 100 %, such as "
            f"{OCCURRENCE:g}."
        )


def _water(prediction: xr.Dataset) -> da.Array:
    threshold = float(prediction.attrs["threshold"])
    return _each(observed_water, prediction["water_probability"].data, threshold=threshold)


def _each(function: Any, data: da.Array, **settings: Any) -> da.Array:
    meta = np.empty((0, 0), np.uint8)
    layer: da.Array = data.map_blocks(function, dtype=np.uint8, meta=meta, **settings)
    return layer
