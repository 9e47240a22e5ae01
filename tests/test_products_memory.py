"""Polygons, figures and flags of a large scene never hold it: windows stay small, memory does not grow with it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from product_files import blobs, grid, write_product

from flora.products.components import components
from flora.products.vectors import write_vectors
from flora.products.zones import count_zones
from flora.raster.file import RasterFile

BLOCK = 256


class Tall:
    """A raster that is made where it is read: lakes with islands, one to 128 px each way, over block borders."""

    width = 1024

    def __init__(self, height: int) -> None:
        self.height = height
        self.read_px = 0

    def read(
        self, index: int, rows: slice, columns: slice, /
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        y, x = np.ogrid[rows, columns]
        far = np.hypot(y % 128 - 63.5, x % 128 - 63.5)
        water = ((far < 45) & (far > 6)).astype(np.float32)
        self.read_px = max(self.read_px, water.size)
        return water, np.ones(water.shape, np.bool_)


def peak(height: int) -> tuple[int, int, int]:
    """Gives the highest memory of finding all patches, their number, and the largest window read."""
    raster = Tall(height)
    tracemalloc.start()
    try:
        found = sum(len(patch.polygon().interiors) for patch in components(raster, 1, block=BLOCK))
        return tracemalloc.get_traced_memory()[1], found, raster.read_px
    finally:
        tracemalloc.stop()


def test_patches_of_a_scene_eight_times_as_tall_take_the_same_memory() -> None:
    low, few, _ = peak(1024)
    high, many, window = peak(8192)
    assert (few, many) == (64, 512), "each lake has its island"
    assert window == BLOCK * BLOCK
    assert high < 1.2 * low


def test_no_layer_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    water = blobs((300, 410), seed=3)
    folder = write_product(tmp_path / "toy", water, grid(water.shape), flood=water)
    sizes: list[int] = []
    read = RasterFile.read

    def noted(self: RasterFile, index: int, rows: slice, columns: slice, *rest: Any, **more: Any) -> Any:
        sizes.append((rows.stop - rows.start) * (columns.stop - columns.start))
        return read(self, index, rows, columns, *rest, **more)

    monkeypatch.setattr(RasterFile, "read", noted)
    write_vectors(folder, block=64)
    count_zones(folder, block=64)
    assert max(sizes) == 64 * 64
    # Water twice (polygons, figures), flood twice, likelihood three times: each pixel once a pass.
    assert sum(sizes) == 7 * water.size
