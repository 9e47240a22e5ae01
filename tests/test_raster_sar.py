"""Reading scenes: grids, laziness, what is invalid, and what is refused."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from pathlib import Path

import dask
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from raster_files import GRID, UTM, backscatter, write
from rasterio.env import get_gdal_config, set_gdal_config

from flora.errors import InputError
from flora.raster import open_sar, require_valid
from flora.raster.file import describe
from flora.raster.handles import OpenFile

NAMES = ("VV", "VH")


def test_dataset_has_names_units_grid_and_says_how_it_was_read(tmp_path: Path) -> None:
    db = backscatter()
    scene = open_sar(write(tmp_path / "S1A_20240506T091500_x.tif", db, names=NAMES, tags={"UNITS": "dB"}))
    assert list(scene) == ["VV", "VH"]
    assert scene.VV.dims == ("y", "x")
    assert scene.VV.dtype == np.float32
    assert dask.is_dask_collection(scene)
    assert scene.odc.geobox == GeoBox((40, 50), GRID, UTM)
    np.testing.assert_array_equal(np.stack([scene.VV, scene.VH]), db)
    assert scene.attrs["name"] == "S1A_20240506T091500_x"
    assert scene.attrs["time"] == "2024-05-06T09:15:00Z"
    assert scene.attrs["sar_scale"] == "db"
    assert scene.attrs["sar_scale_reason"] == "Read as dB: the file's tag UNITS says 'dB'."
    assert scene.attrs["band_reason"] == (
        "VV is band 1 and VH band 2 of S1A_20240506T091500_x.tif, by description."
    )
    assert scene.attrs["source"] == [str(tmp_path / "S1A_20240506T091500_x.tif")]


def test_nothing_is_read_until_values_are_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", backscatter(), names=NAMES)
    scene = open_sar(path, scale="db")
    path.unlink()
    with pytest.raises(InputError, match=r"scene.tif cannot be read at rows 0 to 40.*damaged"):
        scene.VV.load()


def test_chunks_follow_the_tiles_of_the_file(tmp_path: Path) -> None:
    db = backscatter(200, 130)
    tiled = write(tmp_path / "tiled.tif", db, names=NAMES, tiled=True, blockxsize=48, blockysize=32)
    assert open_sar(tiled, chunk=60).chunksizes == {"y": (64, 64, 64, 8), "x": (96, 34)}
    striped = write(tmp_path / "striped.tif", db, names=NAMES)
    assert open_sar(striped, chunk=60).chunksizes == {"y": (60, 60, 60, 20), "x": (60, 60, 10)}


@pytest.fixture(scope="module")
def power_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene in power, one pixel wider and higher than a block of 64, with holes."""
    power = 10 ** (backscatter(129, 65) / 10)
    power[:, 100:, :9] = 0
    power[0, 5:9, 60:] = np.nan
    folder = tmp_path_factory.mktemp("power")
    return write(folder / "scene.tif", power, names=NAMES, tiled=True, blockxsize=64, blockysize=64)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_pixel_has_the_same_bits_in_every_window(power_scene: Path, data: st.DataObject) -> None:
    scene = open_sar(power_scene, scale="power", chunk=data.draw(st.sampled_from([64, 128])))
    whole = scene.load()
    rows, columns = (
        slice(*sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n))))) for n in (129, 65)
    )
    step = data.draw(st.sampled_from([1, 2, -1]))
    part = (
        open_sar(power_scene, scale="power", chunk=64).isel(y=rows, x=columns).isel(y=slice(None, None, step))
    )
    for name in NAMES:
        expected = whole[name].values[rows, columns][::step]
        np.testing.assert_array_equal(part[name].values.view(np.uint32), expected.view(np.uint32))


def test_one_row_can_be_taken(power_scene: Path) -> None:
    scene = open_sar(power_scene, scale="power")
    np.testing.assert_array_equal(scene.VV.isel(y=3).values, scene.VV.values[3])


def test_scene_can_be_pickled_and_read_in_another_thread(power_scene: Path) -> None:
    scene = open_sar(power_scene, scale="power", chunk=64)
    again = pickle.loads(pickle.dumps(scene))
    with dask.config.set(scheduler="threads", num_workers=4):
        np.testing.assert_array_equal(again.VH.values, scene.VH.values)


@pytest.mark.parametrize("archived", [False, True])
def test_replaced_file_is_read_anew(tmp_path: Path, archived: bool) -> None:
    def scene(seed: int) -> Path:
        folder = tmp_path / str(seed)
        folder.mkdir()
        if not archived:
            return write(folder / "scene.tif", backscatter(seed=seed), names=NAMES)
        for name, band in zip(NAMES, backscatter(seed=seed), strict=True):
            write(folder / f"{name}.tif", band)
        return Path(shutil.make_archive(str(tmp_path / f"{seed}"), "zip", folder))

    path, new = scene(1), scene(2)
    os.utime(new, (2e9, 2e9))  # GDAL tells archives apart by the second
    with dask.config.set(scheduler="synchronous"):  # the thread that keeps the old file open
        open_sar(path).load()
        new.replace(path)
        np.testing.assert_array_equal(open_sar(path).VV.values, backscatter(seed=2)[0])


def test_stamp_of_a_file_in_an_archive_is_the_archives(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", backscatter(), names=NAMES)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.write(tmp_path / "a.tif", "in/a.tif")
    state = (tmp_path / "x.zip").stat()
    for address in (f"/vsizip/{tmp_path}/x.zip/in/a.tif", f"/vsizip/{{{tmp_path}/x.zip}}/in/a.tif"):
        assert describe(address).stamp == (state.st_mtime_ns, state.st_size)


# What is invalid


def test_invalid_is_nan_each_band_for_itself(tmp_path: Path) -> None:
    db = backscatter()
    db[0, 0, :7] = [np.nan, np.inf, -np.inf, -9999, -60.5, 40.5, 0.0]
    db[1, 1, 0] = -9999
    scene = open_sar(write(tmp_path / "s.tif", db, names=NAMES, nodata=-9999)).load()
    assert np.isnan(scene.VV.values[0, :6]).all()
    assert scene.VV.values[0, 6] == 0.0
    assert np.isfinite(scene.VH.values[0]).all()
    assert np.isnan(scene.VH.values[1, 0])
    assert np.isfinite(scene.VV.values[1, 0])
    assert int(scene.VV.isnull().sum()) == 6


def test_range_limits_are_valid_themselves(tmp_path: Path) -> None:
    db = backscatter()
    db[0, 0, :2] = [-60.0, 40.0]
    scene = open_sar(write(tmp_path / "s.tif", db, names=NAMES))
    np.testing.assert_array_equal(scene.VV.values[0, :2], [-60.0, 40.0])


def test_undeclared_fill_of_minus_9999_is_invalid_and_does_not_mislead(tmp_path: Path) -> None:
    power = 10 ** (backscatter() / 10)
    power[:, :30] = -9999
    scene = open_sar(write(tmp_path / "s.tif", power, names=NAMES))
    assert scene.attrs["sar_scale"] == "power"
    assert np.isnan(scene.VV.values[:30]).all()
    assert np.isfinite(scene.VV.values[30:]).all()


def test_zero_border_of_power_and_amplitude_is_invalid(tmp_path: Path) -> None:
    power = 10 ** (backscatter() / 10)
    power[:, :, :4] = 0
    power[0, 0, 10] = -1e-4
    for scale in ("power", "amplitude"):
        scene = open_sar(write(tmp_path / f"{scale}.tif", power, names=NAMES), scale=scale).load()
        assert np.isnan(scene.VV.values[:, :4]).all()
        assert np.isnan(scene.VV.values[0, 10])
        assert int(scene.VV.isnull().sum()) == 4 * 40 + 1


@pytest.mark.parametrize(
    ("nodata", "clipped", "border_is_valid"),
    [
        (None, False, False),
        (None, True, False),
        (np.nan, False, False),
        (-9999.0, False, False),
        (np.nan, True, True),
        (0.0, False, False),
    ],
)
def test_zero_db_in_both_bands_is_border_unless_zeros_are_measured(
    tmp_path: Path, nodata: float | None, clipped: bool, border_is_valid: bool
) -> None:
    """Where no-data is declared, values clipped at 0 dB are values, and zeros that only come in pairs are not."""
    db = backscatter()
    db[:, :, :4] = 0
    db[0, 7, 20] = 0
    if clipped:
        db[0, 8:20, 30:] = 0
    scene = open_sar(write(tmp_path / "s.tif", db, names=NAMES, nodata=nodata)).load()
    assert bool(np.isfinite(scene.VV.values[:, :4]).all()) is border_is_valid
    assert bool(np.isfinite(scene.VV.values[7, 20])) is (nodata != 0.0)
    assert np.isfinite(scene.VH.values[7, 20])


def test_internal_mask_is_honoured(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", backscatter(), names=NAMES, tags={"UNITS": "dB"})
    mask = np.full((40, 50), 255, np.uint8)
    mask[3, 4] = 0
    with rasterio.open(path, "r+") as out:
        out.write_mask(mask)
    scene = open_sar(path).load()
    assert np.isnan(scene.VV.values[3, 4])
    assert int(scene.VH.isnull().sum()) == 1


def test_float32_nodata_is_compared_in_float32(tmp_path: Path) -> None:
    db = backscatter()
    db[:, 0, 0] = np.float32(0.1)
    scene = open_sar(write(tmp_path / "s.tif", db, names=NAMES, nodata=float(np.float32(0.1))))
    assert np.isnan(scene.VV.values[0, 0])
    assert int(scene.VV.isnull().sum()) == 1


def test_require_valid(tmp_path: Path) -> None:
    db = np.full((2, 300, 200), np.nan, np.float32)
    empty = open_sar(write(tmp_path / "empty.tif", db, names=NAMES), chunk=64)
    with pytest.raises(InputError, match=r"Scene 'empty' has no valid pixel: all 60,000 are NaN.*--scale"):
        require_valid(empty)
    db[1, 299, 199] = -12
    require_valid(open_sar(write(tmp_path / "corner.tif", db, names=NAMES), chunk=64))


# Grids


def test_rotated_grid_is_kept(tmp_path: Path) -> None:
    rotated = Affine.translation(5e5, 6.7e6) * Affine.rotation(30) * Affine.scale(10, -10)
    scene = open_sar(write(tmp_path / "s.tif", backscatter(), names=NAMES, transform=rotated))
    assert scene.odc.geobox == GeoBox((40, 50), rotated, UTM)
    assert scene.VV.dims == ("y", "x")


def test_grid_across_the_antimeridian_is_kept(tmp_path: Path) -> None:
    across = Affine(1e-3, 0, 179.98, 0, -1e-3, -17)
    scene = open_sar(write(tmp_path / "s.tif", backscatter(), names=NAMES, crs="EPSG:4326", transform=across))
    assert scene.odc.geobox == GeoBox((40, 50), across, "EPSG:4326")
    assert float(scene.x[-1]) > 180


def test_without_crs(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", backscatter(), names=NAMES, crs=None, transform=Affine.identity())
    with pytest.raises(InputError, match=r"s.tif has no coordinate reference system.*--no-crs"):
        open_sar(path)
    scene = open_sar(path, crs_required=False)
    assert scene.odc.geobox == GeoBox((40, 50), Affine.identity(), None)
    assert scene.attrs["crs_note"] == "The scene has no CRS; its grid is in pixels."


def test_crs_without_geotransform_is_no_place(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", backscatter(), names=NAMES, transform=Affine.identity())
    with pytest.raises(InputError, match="has a CRS but no geotransform"):
        open_sar(path)


LOCAL = 'LOCAL_CS["site",UNIT["metre",1],AXIS["Easting",EAST],AXIS["Northing",NORTH]]'


@pytest.mark.parametrize(
    ("crs", "message"),
    [
        (LOCAL, r"a CRS of its own without a place on Earth \(Engineering CRS\)"),
        ("EPSG:4326", r"in degrees \(EPSG:4326\), but it reaches from 6.6996e\+06 to 6.7e\+06"),
    ],
)
def test_grid_that_is_nowhere_on_earth_is_told(tmp_path: Path, crs: str, message: str) -> None:
    path = write(tmp_path / "s.tif", backscatter(), names=NAMES, crs=crs)
    with pytest.raises(InputError, match=rf"s.tif .*{message}; expected .*--no-crs"):
        open_sar(path)
    assert open_sar(path, crs_required=False).odc.geobox == GeoBox((40, 50), Affine.identity(), None)


def test_grid_of_the_whole_earth_is_kept(tmp_path: Path) -> None:
    around = Affine(9, 0, -184.5, 0, -4.6, 92)
    path = write(tmp_path / "s.tif", backscatter(), names=NAMES, crs="EPSG:4326", transform=around)
    assert open_sar(path).odc.geobox.crs is not None


def test_radar_geometry_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif", backscatter(), names=NAMES, crs=None, transform=Affine.identity())
    corners = ((0, 0), (0, 50), (40, 0))
    points = [rasterio.control.GroundControlPoint(r, c, -51 + c / 1e3, -30 - r / 1e3) for r, c in corners]
    with rasterio.open(path, "r+") as out:
        out.gcps = (points, rasterio.CRS.from_epsg(4326))
    with pytest.raises(InputError, match=r"radar geometry \(ground control points"):
        open_sar(path)


# Files


def test_two_files(tmp_path: Path) -> None:
    db = backscatter()
    vv = write(tmp_path / "pxs10_vv.tif", db[0])
    vh = write(tmp_path / "pxs10_vh.tif", db[1])
    for paths in ([vv, vh], [vh, vv], tmp_path):
        scene = open_sar(paths)
        np.testing.assert_array_equal(np.stack([scene.VV, scene.VH]), db)
        assert scene.attrs["name"] == "pxs10"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transform": Affine(10, 0, 500_004, 0, -10, 6_700_000)}, "shifted by up to 0.4 px"),
        ({"crs": "EPSG:32721"}, "EPSG:32722 and EPSG:32721"),
        ({"bands": backscatter(40, 51)[1]}, "40 x 50 and 40 x 51 px"),
    ],
)
def test_files_of_different_grids_are_refused(tmp_path: Path, change: dict, message: str) -> None:
    db = backscatter()
    vv = write(tmp_path / "a_VV.tif", db[0])
    vh = write(tmp_path / "a_VH.tif", **({"bands": db[1]} | change))
    with pytest.raises(InputError, match=rf"a_VV.tif and a_VH.tif lie on different grids \({message}\)"):
        open_sar([vv, vh])


def test_folder_must_hold_one_pair(tmp_path: Path) -> None:
    write(tmp_path / "a_VV.tif", backscatter()[0])
    with pytest.raises(InputError, match="holds 1 VV and 0 VH files"):
        open_sar(tmp_path)


def test_what_is_no_scene_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("flood on Tuesday")
    (tmp_path / "empty.tif").touch()
    whole = write(tmp_path / "whole.tif", backscatter(400, 400), names=NAMES, tags={"UNITS": "dB"})
    slc = write(tmp_path / "slc.tif", backscatter().astype(np.complex64), names=NAMES)
    one = write(tmp_path / "one.tif", backscatter()[0], names=("VV",))
    for path, message in (
        (tmp_path / "notes.txt", "is not a raster that GDAL can read; expected a GeoTIFF"),
        (tmp_path / "empty.tif", r"is empty \(0 bytes\)"),
        (tmp_path / "missing.tif", "does not exist"),
        ([tmp_path, whole], "is a folder"),
        ([], "No file was given"),
        (slc, r"complex samples \(complex64\).*GRD or RTC"),
        (one, r"one.tif has 1 band \(VV\); FLoRA needs VV and VH\. Export both polarisations"),
        ("https://localhost:1/scene.tif", "is not a raster that GDAL can read"),
    ):
        with pytest.raises(InputError, match=message) as found:
            open_sar(path)
        assert "\n" not in str(found.value)
    cut = tmp_path / "cut.tif"
    shutil.copy(whole, cut)
    with cut.open("r+b") as file:
        file.truncate(cut.stat().st_size // 2)
    with pytest.raises(InputError, match=r"cut.tif|not a raster"):
        open_sar(cut).load()


@pytest.mark.parametrize("tiled", [True, False])
def test_rows_of_a_striped_file_are_kept_while_they_are_read_in_pieces(tmp_path: Path, tiled: bool) -> None:
    path = tmp_path / "s.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=32, width=20_000, count=2, dtype="float32", tiled=tiled
    ) as file:
        file.write(np.full((2, 32, 20_000), -10, np.float32))
    before = get_gdal_config("GDAL_CACHEMAX")
    set_gdal_config("GDAL_CACHEMAX", 32 << 20)
    try:
        with OpenFile(str(path)):
            assert get_gdal_config("GDAL_CACHEMAX") == (32 << 20 if tiled else 256 << 20)
    finally:
        set_gdal_config("GDAL_CACHEMAX", before)
