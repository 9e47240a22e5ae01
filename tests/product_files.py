"""Small products as files, as `flora predict` leaves them, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.products.layers import NO_DATA, NO_PROBABILITY, WATER_COLORS
from flora.raster import CogSpec, write_cog

UTM = GeoBox((1, 1), Affine(10, 0, 480_000, 0, -10, 6_680_000), "EPSG:32721")


def grid(shape: tuple[int, int], transform: Affine | None = None, crs: str | None = "EPSG:32721") -> GeoBox:
    return GeoBox(shape, UTM.transform if transform is None else transform, crs)


def write_product(
    folder: Path,
    water: NDArray[np.uint8],
    geobox: GeoBox,
    probability: NDArray[np.float64] | None = None,
    flood: NDArray[np.uint8] | None = None,
    **summary: Any,
) -> Path:
    """Writes water.tif, water_probability.tif, optical.tif, maybe observed_flood.tif, and summary.json."""
    folder.mkdir(parents=True)
    valid = water != NO_DATA
    share = np.where(water == 1, 0.9, 0.1) if probability is None else probability
    steps = np.where(valid, np.rint(share * 1e4), NO_PROBABILITY).astype(np.uint16)
    classes = CogSpec("uint8", ("water",), nodata=NO_DATA, colors=WATER_COLORS, overviews="nearest")
    write_cog(folder / "water.tif", water, geobox, classes)
    percent = CogSpec("uint16", ("probability of water",), nodata=NO_PROBABILITY, unit="1", scale=1e-4)
    write_cog(folder / "water_probability.tif", steps, geobox, percent)
    picture = np.where(valid, np.where(water == 1, 400, 1200), 0).astype(np.uint16)
    spec = CogSpec("uint16", ("red", "green", "blue"), nodata=0, unit="reflectance", scale=1e-4, rgb=True)
    write_cog(folder / "optical.tif", np.stack([picture] * 3), geobox, spec)
    if flood is not None:
        write_cog(folder / "observed_flood.tif", flood, geobox, classes)
    told = {
        "scene": "toy",
        "sources": [],
        "time": "2024-05-06T09:00:00Z",
        "crs": str(geobox.crs) if geobox.crs else None,
        "note": "",
        "height": water.shape[0],
        "width": water.shape[1],
        "threshold": 0.5,
        "water_share": float((water == 1).mean()),
        "valid_share": float(valid.mean()),
        "water_km2": 1.0,
        "valid_km2": 2.0,
        "optical_prior": False,
        "tile": 2048,
        "margin": 128,
        "precision": "fp32",
        "device": "cpu",
        "model": {
            "weights": "default.safetensors",
            "weights_sha256": "ab" * 32,
            "provenance": {"name": "toy"},
        },
        "versions": {"flora": "0.1.0"},
        "created": "2024-05-07T00:00:00+00:00",
    }
    (folder / "summary.json").write_text(json.dumps(told | summary))
    return folder


def blobs(shape: tuple[int, int], seed: int = 0, cover: float = 0.4) -> NDArray[np.uint8]:
    """Patches of water with holes, specks and corners that touch, and a rim without data."""
    from scipy import ndimage

    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 3) * 8 + rng.normal(size=shape) * 0.3
    water = (field > np.quantile(field, 1 - cover)).astype(np.uint8)
    water[:3, : shape[1] // 2] = NO_DATA
    return water
