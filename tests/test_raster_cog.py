"""Writing Cloud-Optimised GeoTIFFs: valid, complete, atomic, streamed."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from raster_files import GRID, UTM, backscatter, write
from rio_cogeo.cogeo import cog_validate

from flora.errors import OutputError
from flora.raster import CogSink, CogSpec, open_sar, write_cog

WATER = CogSpec(
    "uint8",
    ("water",),
    nodata=255,
    colors={0: (235, 230, 215, 255), 1: (30, 90, 200, 255), 255: (0, 0, 0, 0)},
    overviews="nearest",
    tags={"CLASSES": "0 land, 1 water, 255 no data"},
)
PROBABILITY = CogSpec("float32", ("water_probability",), nodata=float("nan"), unit="1")
OPTICAL = CogSpec("uint16", ("red", "green", "blue"), nodata=0, scale=1e-4, unit="reflectance", rgb=True)


def grid(height: int, width: int) -> GeoBox:
    return GeoBox((height, width), GRID, UTM)


def assert_cog(path: Path) -> None:
    valid, errors, warnings = cog_validate(path, strict=True)
    assert valid, (errors, warnings)


def test_class_map_keeps_colours_no_data_names_and_tags(tmp_path: Path) -> None:
    classes = np.random.default_rng(0).choice(np.array([0, 1, 255], np.uint8), size=(1100, 1300))
    path = write_cog(tmp_path / "water.tif", classes, grid(1100, 1300), WATER)
    assert_cog(path)
    with rasterio.open(path) as found:
        np.testing.assert_array_equal(found.read(1), classes)
        assert found.crs.to_epsg() == 32722
        assert found.transform == GRID
        assert found.nodata == 255
        assert found.descriptions == ("water",)
        assert found.tags()["CLASSES"] == "0 land, 1 water, 255 no data"
        assert found.block_shapes == [(512, 512)]
        assert found.overviews(1) == [2, 4]
        assert found.colorinterp[0].name == "palette"
        colors = found.colormap(1)
        assert {value: colors[value] for value in (0, 1, 255)} == WATER.colors
    with rasterio.open(path, overview_level=0) as half:
        small = half.read(1)
    # Each pixel of the overview is one of the four below it, at the same place in all.
    thinned = [classes[y::2, x::2] for y in (0, 1) for x in (0, 1)]
    assert any(np.array_equal(small, each) for each in thinned), "classes must not be mixed in overviews"


def test_probability_keeps_nan_and_averages(tmp_path: Path) -> None:
    values = np.zeros((1024, 1024), np.float32)
    values[::2] = 1
    values[:512, :512] = np.nan
    path = write_cog(tmp_path / "p.tif", values, grid(1024, 1024), PROBABILITY)
    assert_cog(path)
    with rasterio.open(path) as found:
        np.testing.assert_array_equal(found.read(1), values)
        assert np.isnan(found.nodata)
        assert found.units == ("1",)
        assert float(found.tags(1)["STATISTICS_MEAN"]) == pytest.approx(0.5)
    with rasterio.open(path, overview_level=0) as half:
        small = half.read(1)
    assert np.isnan(small[:256, :256]).all()
    np.testing.assert_array_equal(small[256:], 0.5)


def test_optical_keeps_scale_and_colours(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 9000, (3, 600, 700)).astype(np.uint16)
    path = write_cog(tmp_path / "o.tif", values, grid(600, 700), OPTICAL)
    assert_cog(path)
    with rasterio.open(path) as found:
        np.testing.assert_array_equal(found.read(), values)
        assert found.scales == (1e-4,) * 3
        assert found.offsets == (0.0,) * 3
        assert found.descriptions == ("red", "green", "blue")
        assert [color.name for color in found.colorinterp] == ["red", "green", "blue"]
        assert found.nodatavals == (0, 0, 0)


@pytest.mark.parametrize(
    "geobox",
    [
        GeoBox((40, 30), Affine.identity(), None),
        GeoBox((40, 30), Affine.translation(5e5, 6.7e6) * Affine.rotation(30) * Affine.scale(10, -10), UTM),
        GeoBox((40, 30), Affine(1e-3, 0, 179.99, 0, -1e-3, -17), "EPSG:4326"),
    ],
    ids=["no-crs", "rotated", "antimeridian"],
)
def test_grids(tmp_path: Path, geobox: GeoBox) -> None:
    path = write_cog(tmp_path / "p.tif", np.zeros((40, 30), np.float32), geobox, PROBABILITY)
    assert_cog(path)
    with rasterio.open(path) as found:
        assert found.transform.almost_equals(geobox.transform)
        assert (found.crs.to_string() if found.crs else None) == (str(geobox.crs) if geobox.crs else None)


def test_grid_of_a_dataset_keeps_its_epsg_code(tmp_path: Path) -> None:
    """odc-geo gives the CRS of a Dataset as WKT; the file must still say EPSG."""
    geobox = open_sar(write(tmp_path / "s.tif", backscatter(), names=("VV", "VH"))).odc.geobox
    path = write_cog(tmp_path / "p.tif", np.zeros((40, 50), np.float32), geobox, PROBABILITY)
    with rasterio.open(path) as found:
        assert found.crs.to_string() == UTM
        assert found.transform == GRID


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    height=st.integers(1, 1100),
    # A validator wants overviews of every long file, and finds none of one column; and it takes a file as wide as its
    # tiles for one in strips.
    width=st.integers(2, 1100).filter(lambda width: width != 512),
    chunk=st.integers(100, 700),
    seed=st.integers(0, 9),
)
def test_dask_array_of_any_chunks(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, chunk: int, seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 200, (height, width)).astype(np.uint8)
    lazy = da.from_array(values, chunks=chunk)
    path = write_cog(tmp_path_factory.mktemp("any") / "w.tif", lazy, grid(height, width), WATER)
    assert_cog(path)
    with rasterio.open(path) as found:
        np.testing.assert_array_equal(found.read(1), values)


def test_bands_and_data_arrays(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 9000, (3, 60, 70)).astype(np.uint16)
    array = xr.DataArray(da.from_array(values, chunks=(1, 32, 32)), dims=("band", "y", "x"))
    path = write_cog(tmp_path / "o.tif", array, grid(60, 70), OPTICAL)
    with rasterio.open(path) as found:
        np.testing.assert_array_equal(found.read(), values)


def test_blocks_from_many_threads_in_any_order(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((1300, 1100)).astype(np.float32)
    blocks = [
        (slice(r, r + 256), slice(c, c + 256)) for r in range(0, 1300, 256) for c in range(0, 1100, 256)
    ]
    with CogSink(tmp_path / "p.tif", grid(1300, 1100), PROBABILITY) as sink:
        assert sink.shape == (1, 1300, 1100)

        def store(mine: list[tuple[slice, slice]]) -> None:
            for block in mine:
                sink[block] = values[block]

        threads = [threading.Thread(target=store, args=(blocks[i::4][::-1],)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with rasterio.open(tmp_path / "p.tif") as found:
        np.testing.assert_array_equal(found.read(1), values)


def test_blocks_never_written_are_no_data(tmp_path: Path) -> None:
    with CogSink(tmp_path / "w.tif", grid(1100, 1100), WATER) as sink:
        sink[0:512, 0:512] = np.ones((512, 512), bool)
    assert_cog(tmp_path / "w.tif")
    with rasterio.open(tmp_path / "w.tif") as found:
        values = found.read(1)
    assert (values[:512, :512] == 1).all()
    assert (values[512:] == 255).all()


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    def spoil() -> None:
        with CogSink(tmp_path / "w[1].tif", grid(600, 600), WATER) as sink:
            sink[0:512, 0:512] = np.ones((512, 512), np.uint8)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        spoil()
    assert list(tmp_path.iterdir()) == []
    sink = CogSink(tmp_path / "w.tif", grid(600, 600), WATER)
    assert {path.name.startswith(".w.tif.") for path in tmp_path.iterdir()} == {True}
    del sink
    assert list(tmp_path.iterdir()) == []


def test_failing_block_of_a_lazy_array_leaves_nothing(tmp_path: Path) -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise RuntimeError("the network stumbled")

    lazy = da.zeros((600, 600), chunks=300, dtype=np.uint8).map_blocks(fail, dtype=np.uint8)
    with pytest.raises(RuntimeError, match="stumbled"):
        write_cog(tmp_path / "w.tif", lazy, grid(600, 600), WATER)
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("flora.raster.cog.write_frame", full)
    with pytest.raises(OutputError, match=r"w.tif' could not be written .*No space left.*free some space"):
        write_cog(tmp_path / "w.tif", np.zeros((9, 9), np.uint8), grid(9, 9), WATER)
    assert list(tmp_path.iterdir()) == []


def test_disk_that_fills_up_between_blocks_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def write() -> None:
        with CogSink(tmp_path / "w.tif", grid(600, 600), WATER) as sink:
            sink[0:512, 0:512] = np.ones((512, 512), np.uint8)
            monkeypatch.setattr("flora.raster.blocks.PackedTiles.add", full)
            sink[512:600, 0:512] = np.ones((88, 512), np.uint8)

    with pytest.raises(OutputError, match=r"w.tif' could not be written .*No space left.*free some space"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    path = write_cog(tmp_path / "w.tif", np.zeros((9, 9), np.uint8), grid(9, 9), WATER)
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"w.tif' exists already.*--overwrite"):
        write_cog(path, np.ones((9, 9), np.uint8), grid(9, 9), WATER)
    assert path.read_bytes() == before
    write_cog(path, np.ones((9, 9), np.uint8), grid(9, 9), WATER, overwrite=True)
    with rasterio.open(path) as found:
        assert (found.read(1) == 1).all()
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"Folder '.*nowhere' cannot be written"):
        write_cog(tmp_path / "nowhere" / "w.tif", np.zeros((9, 9), np.uint8), grid(9, 9), WATER)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Array of shape \(9, 8\) does not fit bands and grid \(1, 9, 9\)"):
        write_cog(tmp_path / "w.tif", np.zeros((9, 8), np.uint8), grid(9, 9), WATER)
    with pytest.raises(TypeError, match="Cannot cast"):
        write_cog(tmp_path / "w.tif", np.zeros((9, 9)), grid(9, 9), WATER)
    assert list(tmp_path.iterdir()) == []


def test_sink_stays_in_its_process(tmp_path: Path) -> None:
    with (
        CogSink(tmp_path / "w.tif", grid(9, 9), WATER) as sink,
        pytest.raises(OutputError, match="cannot be sent"),
    ):
        pickle.dumps(sink)


PEAK = """
import resource, sys
import dask, dask.array as da, numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from flora.raster import CogSpec, write_cog

side = int(sys.argv[1])
lazy = da.full((side, side), 0.5, chunks=1024, dtype=np.float32)
with dask.config.set(num_workers=2):
    write_cog(sys.argv[2], lazy, GeoBox((side, side), Affine(10, 0, 0, 0, -10, 0), "EPSG:32722"),
              CogSpec("float32", ("p",), nodata=float("nan")))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """25 times the pixels (17 to 419 million, 1.7 GB) may not cost more than GDAL's cache and a few blocks."""
    monkeypatch.setenv("GDAL_CACHEMAX", "64")
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", PEAK, str(side), str(tmp_path / f"{side}.tif")]))
        for side in (4096, 20480)
    ]
    assert peaks[1] < peaks[0] + 200, peaks
