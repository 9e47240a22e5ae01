"""Bringing a second scene onto the grid of the first, lazily."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import odc.geo.xr  # noqa: F401  (gives datasets their .odc)
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray

from flora.bands import SAR_BANDS
from flora.raster.context import ArrayBand, Context, grid_of, require_meeting

CHUNK = 1024  # px


def align_scene(scene: xr.Dataset, like: xr.Dataset) -> xr.Dataset:
    """Brings a scene onto the grid of another; one that lies there already is left as it is.

    Each pixel is the one that its centre lies in, so that speckle keeps its statistics and two scenes on one lattice
    are merely cut. Where the scene is 1.5 times finer or more, power is averaged.

    Args:
        scene: `VV`, `VH`, (y, x), dB, NaN where invalid, as from `flora.open_sar`.
        like: The scene whose grid is taken.

    Returns:
        `VV`, `VH` on that grid, float32, dB, NaN where the scene does not reach; attributes are the scene's.

    Raises:
        InputError: The two do not overlap.
    """
    own, target = grid_of(scene["VV"]), grid_of(like["VV"])
    require_meeting(own, target, str(scene.attrs.get("name") or "The earlier scene"))
    dims = like["VV"].dims
    bands = {name: scene[name] for name in SAR_BANDS}
    if own != target and own.crs is not None:
        bands = {name: xr.DataArray(_lazy(band, own, target), dims=dims) for name, band in bands.items()}
    layers = {name: (dims, band.data, {"units": "dB"}) for name, band in bands.items()}
    aligned = xr.Dataset(layers, coords=like["VV"].coords, attrs=scene.attrs)
    for name in SAR_BANDS:
        aligned[name].encoding.update(
            {key: value for key, value in like["VV"].encoding.items() if key == "grid_mapping"}
        )
    return aligned


def _lazy(band: xr.DataArray, own: Any, target: Any) -> da.Array:
    context = Context(ArrayBand(band), own, target, "decibel")
    # A plain object behind one key, so that the scene's graph is not merged into this one.
    shared = delayed(context, traverse=False)
    chunks = tuple(tuple(_lengths(length)) for length in target.shape.yx)
    array: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
        _read, context=shared, chunks=chunks, dtype=np.float32, meta=np.empty((0, 0), np.float32)
    )
    return array


def _lengths(length: int) -> list[int]:
    return [min(CHUNK, length - start) for start in range(0, length, CHUNK)]


def _read(context: Context, block_info: Any = None) -> NDArray[np.float32]:
    rows, cols = (slice(*span) for span in block_info[None]["array-location"])
    return context.read(rows, cols)
