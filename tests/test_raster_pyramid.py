"""Overviews made block by block: right by hand, and the same however the blocks come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from raster_files import GRID, UTM

from flora.raster import CogSink, CogSpec
from flora.raster.pyramid import halve, level_count

CLASSES = CogSpec("uint8", ("water",), nodata=255, overviews="nearest")
STEPS = CogSpec("uint16", ("red", "green"), nodata=0)
REAL = CogSpec("float32", ("p",), nodata=float("nan"))


def test_an_average_by_hand() -> None:
    values = np.array([[[10, 11, 0, 4, 7], [12, 14, 0, 0, 0]]], np.uint16)
    # 47 / 4 = 11.75; one valid pixel of four; the last column has two pixels, of which one is valid.
    np.testing.assert_array_equal(halve(values, CogSpec("uint16", ("x",), nodata=0)), [[[12, 4, 7]]])
    np.testing.assert_array_equal(halve(values, CogSpec("uint16", ("x",))), [[[12, 1, 4]]])


def test_an_average_of_nothing_is_absent() -> None:
    values = np.array([[[np.nan, np.nan, 1, np.nan], [np.nan, np.nan, 2, 6]]], np.float32)
    np.testing.assert_array_equal(halve(values, REAL), [[[np.nan, 3]]])


def test_great_values_do_not_overflow() -> None:
    assert halve(np.full((1, 2, 2), 65534, np.uint16), STEPS).item() == 65534


def test_classes_are_not_mixed() -> None:
    values = np.array([[[1, 0, 255], [0, 0, 1], [0, 1, 1]]], np.uint8)
    np.testing.assert_array_equal(halve(values, CLASSES), [[[1, 255], [0, 1]]])


@pytest.mark.parametrize(
    ("shape", "levels"),
    [
        ((512, 512), 0),
        ((513, 20), 1),
        ((1100, 1300), 2),
        ((1, 20_000), 6),
        ((20_000, 2), 1),
        ((20_000, 1), 0),
    ],
)
def test_levels_end_where_one_stored_tile_holds_the_picture(shape: tuple[int, int], levels: int) -> None:
    assert level_count(shape) == levels


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(1030, 1300),
    width=st.integers(1030, 1300),
    chunk=st.sampled_from(
        [264, 512, 300, 333]
    ),  # the first two follow the levels' pixels, the others cut them
    spec=st.sampled_from([CLASSES, STEPS, REAL]),
    seed=st.integers(0, 9),
)
def test_any_blocks_give_the_levels_of_the_whole_picture(
    tmp_path: Path, height: int, width: int, chunk: int, spec: CogSpec, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 3, (len(spec.names), height, width)).astype(spec.dtype)
    if spec is REAL:
        values[values == 0] = np.nan
    path = tmp_path / "p.tif"
    corners = [(row, col) for row in range(0, height, chunk) for col in range(0, width, chunk)]
    with CogSink(path, GeoBox((height, width), GRID, UTM), spec, overwrite=True) as sink:
        for row, col in rng.permutation(corners):
            sink[:, row : row + chunk, col : col + chunk] = values[:, row : row + chunk, col : col + chunk]
    expected = values
    for level in range(level_count((height, width))):
        expected = halve(expected, spec)
        with rasterio.open(path, overview_level=level) as found:
            np.testing.assert_array_equal(found.read(), expected)
