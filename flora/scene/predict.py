"""Prediction over a whole scene as a lazy, chunked dataset: one independent task a tile."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dask.array as da
import numpy as np
import torch
import xarray as xr
from dask.base import tokenize
from dask.delayed import delayed
from numpy.typing import NDArray

from flora.bands import OPTICAL_BANDS, RGB_BANDS, SAR_BANDS
from flora.errors import ConfigError
from flora.memory import Shelf
from flora.scene.backend import choose_backend
from flora.scene.given import Picture, Scene, load_weights, open_picture, open_scene
from flora.scene.network import CALLERS, PLANES, TileNetwork
from flora.scene.precision import choose_device, choose_precision
from flora.scene.tiling import Tile, Tiling, round_up

if TYPE_CHECKING:
    from flora.checkpoint import Checkpoint

DEFAULT_TILE = 1536
SHELF = Shelf(4)  # what a tile leaves: its radar, validity and planes
LAYERS = len(PLANES) + len(SAR_BANDS)  # of a tile's block


def predict(
    scene: Scene,
    checkpoint: Checkpoint | Path | str | None = None,
    *,
    optical: Picture | None = None,
    tile: int = DEFAULT_TILE,
    device: str = "auto",
    precision: str = "auto",
    tta: bool = False,
    backend: str = "auto",
) -> xr.Dataset:
    """Predicts water and the optical picture of a scene, lazily.

    Each tile is one task that reads its own window, runs the network once and returns all layers. So memory does not
    grow with the scene, and any dask scheduler may run it: threads, or a `dask.distributed` client.
    Every tile size gives the same pixels.

    Args:
        scene: `VV`, `VH`, (y, x), dB, NaN where invalid; as from `flora.open_sar`, or what that opens.
        checkpoint: Loaded weights, a path to them, or None for those that come with FLoRA.
        optical: `red`, `green`, `blue` and perhaps `nir` on the scene's grid, reflectance, NaN where invalid, as from
            `flora.open_optical`; or a file of it on any grid; None for SAR alone.
        tile: Side of a tile, px, a multiple of the network's grid.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `fp32`, `bf16`, or `auto`: bf16 where it is measured to be faster.
        tta: Average over four flips, at four times the cost.
        backend: `torch`, `onnx` or `openvino`; `auto` is torch, which was measured to be fastest.

    Returns:
        `water_probability` (y, x), `optical` (band, y, x) in reflectance and `optical_spread` (band, y, x), the Laplace
        scale of the reflectance; float32, NaN where the scene has no valid band. `radar` (polarisation, y, x) is what
        the network saw, dB, so that what is computed with the rest need not read the scene again. Attributes tell
        `threshold`, `temperature`, `provenance`, `weights`, `weights_sha256`, `inputs`, `tile`, `margin`, `precision`,
        `device`, `tta`, `backend`, `optical_prior`, and `optical_image`: what that image was read as.

    Raises:
        InputError: The scene lacks VV or VH, the optical image lies on another grid, or one of them cannot be read.
        ConfigError: Tile, device, precision or backend cannot be, or the network looks at no optical image.
        CheckpointError: The weights cannot be loaded.
    """
    scene = open_scene(scene)
    optical = open_picture(optical, scene)
    loaded = load_weights(checkpoint)
    model = loaded.model
    if optical is not None and not model.config.sees_optical:
        raise ConfigError(
            f"The network '{model.config.name}' looks at no optical image; leave it out, or use other weights."
        )
    height, width = scene["VV"].shape
    tiling = Tiling(height, width, tile, model.grid, model.margin)
    settled = choose_precision(precision, choose_device(device))
    runs_on = choose_backend(backend, choose_device(device), settled)
    network = TileNetwork(loaded, device, settled, tta, runs_on, min(CALLERS, len(tiling)))
    job = _TileJob(scene, optical, tiling, network)
    packed = _packed(job)
    attrs = {
        "threshold": loaded.threshold,
        "temperature": loaded.temperature,
        "provenance": loaded.provenance,
        "weights": str(loaded.path) if loaded.path else "",
        "weights_sha256": _checksum(model),
        "inputs": _tokens(scene, optical),
        "tile": tile,
        "margin": model.margin,
        "precision": settled,
        "device": choose_device(device),
        "tta": tta,
        "backend": runs_on,
        "optical_prior": optical is not None,
        "optical_image": _told_of(optical),
    }
    return _dataset(packed, scene, attrs)


def _told_of(optical: xr.Dataset | None) -> dict[str, Any]:
    """Gives what an optical image says of itself: its files, its time, and how it was read."""
    told = {} if optical is None else optical.attrs
    keys = {
        "source": "sources",
        "time": "time",
        "optical_scale_reason": "read_as",
        "band_reason": "bands",
        "warp": "warp",
        "usable_share": "usable_share",
    }
    return {name: told[key] for key, name in keys.items() if key in told}


class _TileJob:
    """What a tile's task needs; a plain object, so that dask neither looks inside nor merges the scene's graph."""

    def __init__(
        self, scene: xr.Dataset, optical: xr.Dataset | None, tiling: Tiling, network: TileNetwork
    ) -> None:
        self.scene = scene
        self.optical = optical
        self.tiling = tiling
        self.network = network

    def run(self, index: tuple[int, int]) -> NDArray[np.float32]:
        """Reads one tile's window and predicts its core; NaN where invalid.

        Returns:
            What the network gives and, below it, VV and VH in dB, (planes, rows, columns).
        """
        tile, margin = self.tiling[index], self.tiling.margin
        sar, sar_valid = read_window(self.scene, SAR_BANDS, tile)
        inner_rows, inner_cols = tile.core_in_window
        core = np.s_[:, inner_rows, inner_cols]
        valid: NDArray[np.bool_] = np.any(sar_valid[core], axis=0, keepdims=True)
        whole = bool(valid.all())
        block: NDArray[np.float32] = SHELF.empty((LAYERS, *valid.shape[1:]), np.float32)
        if not sar_valid[core].all():
            block.fill(np.nan)
        if not valid.any():  # nothing to tell: a slanted scene has many such tiles
            return block
        np.copyto(block[len(PLANES) :], sar[core], where=sar_valid[core])
        arrays: list[NDArray[Any]] = [sar, sar_valid]
        if self.optical is not None:
            arrays += read_window(self.optical, OPTICAL_BANDS, tile)
        rows, cols = needed_part(valid[0], self.tiling)
        part = slice(rows.start, rows.stop + 2 * margin), slice(cols.start, cols.stop + 2 * margin)
        given = [np.ascontiguousarray(array[:, *part]) for array in arrays]
        answer = block[: len(PLANES)]
        if whole and (rows.stop, cols.stop) == valid.shape[1:]:
            self.network(*given, cut=margin, planes=answer)
            return block
        planes = self.network(*given, cut=margin)
        inside = valid[:, rows, cols]
        np.copyto(answer[:, rows, cols], planes[:, : inside.shape[1], : inside.shape[2]], where=inside)
        return block


def needed_part(valid: NDArray[np.bool_], tiling: Tiling) -> tuple[slice, slice]:
    """Gives the smallest part of a core on the network's grid that holds all its valid pixels.

    Args:
        valid: Validity of a tile's core, (H, W), somewhere True.
        tiling: Its grid is kept.

    Returns:
        Rows and columns, counted from the core's corner, px; the last may lie up to a grid cell beyond it.
    """
    spans = []
    for axis in (1, 0):
        where = np.flatnonzero(valid.any(axis=axis))
        start = int(where[0]) // tiling.grid * tiling.grid
        spans.append(slice(start, round_up(int(where[-1]) + 1, tiling.grid)))
    return spans[0], spans[1]


def read_window(
    data: xr.Dataset, names: Sequence[str], tile: Tile
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Reads a tile's window of a scene; the plane outside the scene is invalid.

    Args:
        data: Variables (y, x), float32, NaN where invalid.
        names: Variables to read, in this order; all but the first may be missing, and are invalid then.
        tile: Its window is read.

    Returns:
        Values, (names, H, W), 0 where invalid, and their validity of the same shape.
    """
    layers = data[[name for name in names if name in data]]
    dims = data[names[0]].dims
    spans = [
        (dim, slice(max(span.start, 0), min(span.stop, layers.sizes[dim])), span.start)
        for dim, span in zip(dims, tile.window, strict=True)
    ]
    # In a task the calling thread does the reading: a pool of its own in each task would multiply the threads.
    read = layers.isel({dim: span for dim, span, _ in spans}).compute(scheduler="synchronous")
    inside = tuple(slice(span.start - start, span.stop - start) for _, span, start in spans)
    values: NDArray[np.float32] = SHELF.empty((len(names), *tile.window_shape), np.float32)
    valid: NDArray[np.bool_] = SHELF.empty(values.shape, np.bool_)
    valid.fill(False)
    for place, name in enumerate(names):
        if name in read:
            values[place][inside] = read[name].values
            np.isfinite(values[place][inside], out=valid[place][inside])
    np.copyto(values, 0, where=~valid)
    return values, valid


def _packed(job: _TileJob) -> da.Array:
    """Lays the tiles' tasks out as one array (planes, y, x), so that every layer comes from the same network call."""
    name = f"flora-predict-{uuid4().hex}"
    shared = delayed(job, name=f"{name}-job", traverse=False)
    packed: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
        _run_tile,
        job=shared,
        name=name,
        chunks=((LAYERS,), *job.tiling.chunks),
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
    )
    return packed


def _run_tile(job: _TileJob, block_info: Any = None) -> NDArray[np.float32]:
    _, row, col = block_info[None]["chunk-location"]
    return job.run((row, col))


def _dataset(packed: da.Array, scene: xr.Dataset, attrs: dict[str, Any]) -> xr.Dataset:
    rows, cols = scene["VV"].dims
    named = {"band": list(RGB_BANDS), "polarisation": list(SAR_BANDS)}
    layers = {
        "water_probability": ((rows, cols), packed[0], {"units": "1", "long_name": "probability of water"}),
        "optical": (("band", rows, cols), packed[1:4], {"units": "reflectance"}),
        "optical_spread": (("band", rows, cols), packed[4:7], {"units": "reflectance"}),
        "radar": (("polarisation", rows, cols), packed[7:9], {"units": "dB"}),
    }
    predicted = xr.Dataset(layers, coords={**scene.coords, **named}, attrs=attrs)
    # The grid mapping is what ties a layer to its CRS.
    for name in layers:
        predicted[name].encoding.update(
            {k: v for k, v in scene["VV"].encoding.items() if k == "grid_mapping"}
        )
    return predicted


def _checksum(model: torch.nn.Module) -> str:
    """Tells weights apart, wherever their file lies and whatever it is called."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _tokens(scene: xr.Dataset, optical: xr.Dataset | None) -> list[str]:
    """Tells inputs apart: dask names a lazy array after its file, the file's time and how it is read."""
    arrays = [scene[name].data for name in SAR_BANDS]
    arrays += [band.data for band in optical.data_vars.values()] if optical is not None else []
    return [array.name if isinstance(array, da.Array) else tokenize(array) for array in arrays]
