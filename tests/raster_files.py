"""Small raster files with the habits of real ones, for the tests of `flora.raster`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

UTM = "EPSG:32722"
GRID = Affine(10, 0, 500_000, 0, -10, 6_700_000)


def backscatter(height: int = 40, width: int = 50, seed: int = 0) -> np.ndarray:
    """VV and VH in dB with the level and spread of land, (2, H, W), float32."""
    noise = np.random.default_rng(seed).normal(size=(2, height, width))
    return (np.array([-10.0, -17.0])[:, None, None] + 3 * noise).astype(np.float32)


def write(
    path: Path,
    bands: np.ndarray,
    *,
    names: tuple[str, ...] = (),
    nodata: float | None = None,
    crs: str | None = UTM,
    transform: Affine = GRID,
    unit: str = "",
    scale: float = 1.0,
    offset: float = 0.0,
    tags: dict[str, str] | None = None,
    band_tags: dict[str, str] | None = None,
    **options: Any,
) -> Path:
    """Writes a GeoTIFF and gives its path back."""
    bands = bands[None] if bands.ndim == 2 else bands
    count, height, width = bands.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=count,
        dtype=bands.dtype,
        nodata=nodata,
        crs=crs,
        transform=transform,
        **options,
    ) as out:
        out.write(bands)
        if names:
            out.descriptions = names
        if unit:
            out.units = [unit] * count
        if (scale, offset) != (1.0, 0.0):
            out.scales, out.offsets = [scale] * count, [offset] * count
        out.update_tags(**(tags or {}))
        for index in range(1, count + 1):
            out.update_tags(index, **(band_tags or {}))
    return path
