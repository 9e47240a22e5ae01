"""Stored tiles packed by ourselves: what GDAL and others read is what was put in, where the file says it is."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from raster_files import GRID, UTM
from tifffile import TiffFile

from flora.raster import CogSink, CogSpec, write_cog
from flora.raster.blocks import PackedTiles, pack, unpack
from flora.raster.geotiff import band_statistics

STEPS = CogSpec("uint16", ("red", "green", "blue"), nodata=0, rgb=True)
CLASSES = CogSpec("uint8", ("water",), nodata=255, overviews="nearest")
REAL = CogSpec("float32", ("p", "q"), nodata=float("nan"))


def grid(height: int, width: int) -> GeoBox:
    return GeoBox((height, width), GRID, UTM)


def any_values(spec: CogSpec, height: int, width: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 256, (len(spec.names), height, width)).astype(spec.dtype)
    if spec is REAL:
        values = (values * rng.random(values.shape) - 50).astype(np.float32)
        values[values < -40] = np.nan
    return values


@pytest.mark.parametrize("spec", [STEPS, CLASSES, REAL], ids=["steps", "classes", "real"])
@pytest.mark.parametrize("shape", [(512, 512), (512, 37), (1, 512), (100, 200)])
def test_packing_loses_nothing(spec: CogSpec, shape: tuple[int, int]) -> None:
    values = any_values(spec, *shape, seed=3)
    tile = unpack(pack(values, spec.nodata), len(spec.names), np.dtype(spec.dtype))
    np.testing.assert_array_equal(tile[:, : shape[0], : shape[1]], values)
    beyond = tile[:, shape[0] :]
    np.testing.assert_array_equal(beyond, np.full_like(beyond, spec.nodata))


def test_tiles_are_kept_until_they_are_replaced_or_dropped(tmp_path: Path) -> None:
    tiles = PackedTiles(tmp_path / "t")
    tiles.add(0, 1, b"one")
    tiles.add(2, 0, b"three")
    tiles.add(0, 1, b"other")
    assert tiles.get(0, 1) == b"other"
    assert tiles.indices() == [(0, 1), (2, 0)]
    tiles.drop(2, 0)
    assert tiles.get(2, 0) is None
    assert (2, 0) not in tiles
    tiles.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), spec=st.sampled_from([STEPS, CLASSES, REAL]), seed=st.integers(0, 9))
def test_the_last_write_of_a_pixel_counts(
    tmp_path: Path, data: st.DataObject, spec: CogSpec, seed: int
) -> None:
    """Whole stored tiles, parts of them and single bands, over each other in any order."""
    height, width = 1100, 1300
    expected = np.full((len(spec.names), height, width), spec.nodata, spec.dtype)
    with CogSink(tmp_path / "x.tif", grid(height, width), spec, overwrite=True) as sink:
        for number in range(data.draw(st.integers(1, 6))):
            step = data.draw(st.sampled_from([512, 512, 100]))
            top = step * data.draw(st.integers(0, (height - 1) // step))
            left = step * data.draw(st.integers(0, (width - 1) // step))
            rows, cols = slice(top, min(top + step, height)), slice(left, min(left + 2 * step, width))
            bands = slice(0, data.draw(st.integers(1, len(spec.names))))
            block = any_values(spec, height, width, seed + number)[bands, rows, cols]
            sink[bands, rows, cols] = block
            expected[bands, rows, cols] = block
    with rasterio.open(tmp_path / "x.tif") as found:
        np.testing.assert_array_equal(found.read(), expected)


@pytest.mark.parametrize("spec", [STEPS, CLASSES, REAL], ids=["steps", "classes", "real"])
def test_tiles_lie_as_the_header_promises(tmp_path: Path, spec: CogSpec) -> None:
    path = write_cog(tmp_path / "x.tif", any_values(spec, 1100, 1300, 1), grid(1100, 1300), spec)
    raw = path.read_bytes()
    for promise in (b"BLOCK_ORDER=ROW_MAJOR", b"SIZE_AS_UINT4", b"LAST_4_BYTES_REPEATED"):
        assert promise in raw[:300]
    with TiffFile(path) as file:
        pages = [(page.dataoffsets, page.databytecounts) for page in file.pages]
    assert [len(offsets) for offsets, _ in pages] == [9, 4, 1]
    end = len(raw)
    for offsets, counts in pages:  # the finest last in the file, each row by row, without gaps
        for offset, count in reversed(list(zip(offsets, counts, strict=True))):
            assert offset + count + 4 == end
            assert struct.unpack("<I", raw[offset - 4 : offset]) == (count,)
            assert raw[offset + count : end] == raw[offset + count - 4 : offset + count]
            end = offset - 4


def test_a_file_that_may_outgrow_four_gigabytes_counts_in_eight_bytes(tmp_path: Path) -> None:
    """Its tables are of another type; of its pixels only one tile is there, so that it is small."""
    spec = CogSpec("float32", ("a", "b", "c", "d"), nodata=-1)
    with CogSink(tmp_path / "x.tif", grid(12_000, 12_000), spec) as sink:
        sink[:, 512:1024, 512:1024] = np.full((4, 512, 512), 7, np.float32)
    with TiffFile(tmp_path / "x.tif") as file:
        assert file.is_bigtiff
    with rasterio.open(tmp_path / "x.tif") as found:
        window = found.read(window=rasterio.windows.Window(500, 500, 100, 100))
        assert set(np.unique(window)) == {-1, 7}
        assert (window == 7).sum() == 4 * 88 * 88


def test_statistics_by_hand() -> None:
    tags = band_statistics(np.array([[1, 3, 0], [0, 0, 5]], np.uint16), 0, sampled=True)
    assert tags == {
        "STATISTICS_MINIMUM": "1",
        "STATISTICS_MAXIMUM": "5",
        "STATISTICS_MEAN": "3",
        "STATISTICS_STDDEV": "1.632993162",
        "STATISTICS_VALID_PERCENT": "50",
        "STATISTICS_APPROXIMATE": "YES",
    }
    assert band_statistics(np.full((2, 2), np.nan, np.float32), None, sampled=False) == {}


def test_statistics_of_a_large_picture_are_said_to_be_an_overviews(tmp_path: Path) -> None:
    values = np.full((2100, 2100), 4, np.uint8)
    with rasterio.open(write_cog(tmp_path / "x.tif", values, grid(2100, 2100), CLASSES)) as found:
        tags = found.tags(1)
    assert (tags["STATISTICS_MEAN"], tags["STATISTICS_APPROXIMATE"]) == ("4", "YES")
    with rasterio.open(write_cog(tmp_path / "y.tif", values[:600], grid(600, 2100), CLASSES)) as found:
        assert "STATISTICS_APPROXIMATE" not in found.tags(1)
