"""Tiles cover a scene once, start on the grid, and read as far as they must."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.errors import ConfigError
from flora.scene import Tiling


def test_spans_worked_by_hand() -> None:
    tiling = Tiling(height=300, width=144, tile=128, grid=64, margin=64)
    assert tiling.shape == (3, 2)
    assert tiling.chunks == ((128, 128, 44), (128, 16))
    last = tiling[2, 1]
    assert last.core == (slice(256, 300), slice(128, 144))
    # 44 rows are padded to 64, 16 columns to 64, and 64 px lie around them.
    assert last.window == (slice(192, 384), slice(64, 256))
    assert last.window_shape == (192, 192)
    assert last.core_in_window == (slice(64, 108), slice(64, 80))


def test_no_core_is_larger_than_asked_for() -> None:
    tiling = Tiling(20_000, 3_073, 1536, 32, 128)
    assert tiling.chunks == ((*(1536,) * 13, 32), (1536, 1536, 1))


@given(
    height=st.integers(1, 400),
    width=st.integers(1, 400),
    grid=st.sampled_from([4, 8, 64]),
    cells=st.integers(1, 6),
    cells_of_margin=st.integers(0, 3),
)
def test_cores_cover_the_scene_once_on_the_grid(
    height: int, width: int, grid: int, cells: int, cells_of_margin: int
) -> None:
    tiling = Tiling(height, width, cells * grid, grid, cells_of_margin * grid)
    written = np.zeros((height, width), np.int64)
    tiles = list(tiling)
    for tile in tiles:
        written[tile.core] += 1
        for core, window, side in zip(tile.core, tile.window, tile.window_shape, strict=True):
            assert core.start % grid == 0
            assert core.start - window.start == tiling.margin
            assert tiling.margin <= window.stop - core.stop < tiling.margin + grid
            assert side % grid == 0
    assert (written == 1).all()
    assert len(tiles) == len(tiling) == len({tile.index for tile in tiles})
    assert (sum(tiling.chunks[0]), sum(tiling.chunks[1])) == (height, width)


@pytest.mark.parametrize(("tile", "advice"), [(100, "128"), (0, "64"), (-64, "64")])
def test_a_tile_off_the_grid_is_refused_with_advice(tile: int, advice: str) -> None:
    with pytest.raises(ConfigError, match=rf"The tile is {tile} px.*multiple of 64 px, such as {advice}\."):
        Tiling(10, 10, tile, 64, 64)
