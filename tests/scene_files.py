"""Scenes and weights as files, small enough for tests of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from flora.checkpoint import Checkpoint, save
from flora.model import FLoRA

SIZE = 70  # px; neither a multiple of the grid nor of a block


def write_weights(folder: Path) -> Path:
    """Writes untrained weights of the small network."""
    return save(folder / "small.safetensors", Checkpoint(FLoRA("small")))


def write_scene(
    path: Path,
    bands: Sequence[str] = ("VV", "VH"),
    crs: str | None = "EPSG:32721",
    value: float | None = None,
    **options: str,
) -> Path:
    """Writes a scene of speckle in dB, or of one value everywhere."""
    rng = np.random.default_rng(3)
    shape = (len(bands), SIZE, SIZE)
    data = rng.normal(-14, 3, shape) if value is None else np.full(shape, value)
    profile = {"driver": "GTiff", "count": len(bands), "height": SIZE, "width": SIZE, "dtype": "float32"}
    place = {"crs": crs, "transform": from_origin(480_000, 6_680_000, 10, 10)} if crs else {}
    with rasterio.open(path, "w", **profile, **place, **options) as file:
        file.write(data.astype(np.float32))
        for index, name in enumerate(bands, start=1):
            file.set_band_description(index, name)
    return path
