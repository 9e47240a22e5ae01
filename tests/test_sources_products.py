"""Terrain-corrected products in the layouts of their producers: the right dB, from folder, zip and files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from product_trees import (
    BURSTS,
    HYP3,
    Radar,
    earth_engine_file,
    hyp3_tree,
    opera_tree,
    power,
    some_radar_numbers,
    zipped,
)
from raster_files import GRID, backscatter, write

from flora.errors import InputError
from flora.raster import open_sar
from flora.scene import group_scenes

DB = backscatter(60, 50)


def decibel(scene: object) -> np.ndarray:
    return np.stack([scene[name].values for name in ("VV", "VH")])  # type: ignore[index]


# ASF HyP3


@pytest.mark.parametrize(("letter", "scale"), [("p", "power"), ("a", "amplitude"), ("d", "db")])
def test_hyp3_says_its_scale_in_its_name(tmp_path: Path, letter: str, scale: str) -> None:
    name = HYP3.replace("gpuned", f"g{letter}uned")
    scene = open_sar(hyp3_tree(tmp_path, DB, name))
    assert scene.attrs["sar_scale"] == scale
    assert "HyP3 code" in scene.attrs["sar_scale_reason"]
    assert (scene.attrs["name"], scene.attrs["time"]) == (name, "2024-05-06T08:45:11Z")
    found = decibel(scene)
    np.testing.assert_allclose(found[:, 3:], DB[:, 3:], atol=2e-5)
    assert np.isnan(found[:, :3]).all()


def test_hyp3_folder_zip_and_two_files_are_one_scene(tmp_path: Path) -> None:
    folder = hyp3_tree(tmp_path, DB)
    expected = decibel(open_sar(folder))
    pair = [folder / f"{HYP3}_{band}.tif" for band in ("VH", "VV")]
    for given in ([folder], [zipped(folder)], pair):
        (group,) = group_scenes(given)
        np.testing.assert_array_equal(decibel(open_sar(group)), expected)


# Planetary Computer


def test_planetary_computer_rtc_is_power(tmp_path: Path) -> None:
    """`iw-vv.rtc.tiff` and `iw-vh.rtc.tiff`, float32 power, -32768 where not seen."""
    folder = tmp_path / "S1A_IW_GRDH_1SDV_20240506T084511_20240506T084536_053750_0687A1_rtc" / "measurement"
    folder.mkdir(parents=True)
    values = power(DB)
    values[:, 0] = -32768
    for band, stored in zip(("vv", "vh"), values, strict=True):
        write(folder / f"iw-{band}.rtc.tiff", stored, nodata=-32768)
    scene = open_sar(folder.parent)
    assert scene.attrs["sar_scale"] == "power"
    assert scene.attrs["name"] == folder.parent.name
    found = decibel(scene)
    np.testing.assert_allclose(found[:, 1:], DB[:, 1:], atol=2e-5)
    assert np.isnan(found[:, 0]).all()


# Earth Engine


def test_earth_engine_export_is_decibel(tmp_path: Path) -> None:
    path = earth_engine_file(tmp_path / "S1A_IW_GRDH_1SDV_20240506T084511_20240506T084536.tif", DB)
    scene = open_sar(path)
    assert scene.attrs["sar_scale"] == "db"
    assert scene.odc.geobox.crs.epsg == 4326
    found = decibel(scene)
    np.testing.assert_array_equal(found[:, :-2], DB[:, :-2])
    assert np.isnan(found[:, -2:]).all()


def test_earth_engine_export_without_angle_and_with_masked_zeros(tmp_path: Path) -> None:
    """Where a masked pixel was turned into 0 in both bands, it is absent and not 0 dB."""
    values = DB.copy()
    values[:, 5:9] = 0
    found = decibel(open_sar(write(tmp_path / "image.tif", values, names=("VV", "VH"))))
    assert np.isnan(found[:, 5:9]).all() and np.isfinite(found[:, 9:]).all()


def test_pieces_of_a_large_earth_engine_export_are_one_scene(tmp_path: Path) -> None:
    folder = tmp_path / "porto_alegre"
    folder.mkdir()
    for row, column in ((0, 0), (0, 32), (32, 0), (32, 32)):
        write(
            folder / f"S1-{row:010d}-{column:010d}.tif",
            DB[:, row : row + 32, column : column + 32],
            names=("VV", "VH"),
            transform=GRID @ GRID.translation(column, row),
        )
    scene = open_sar(folder, chunk=20)
    np.testing.assert_array_equal(decibel(scene), DB)
    assert scene.attrs["name"] == "porto_alegre"
    assert scene.odc.geobox.transform == GRID
    assert "4 pieces" in scene.attrs["band_reason"]


# OPERA


def test_burst_of_opera_is_power(tmp_path: Path) -> None:
    folder = opera_tree(tmp_path, DB)
    (group,) = group_scenes([folder / f"{BURSTS[0]}_{band}.tif" for band in ("VV", "VH")])
    scene = open_sar(group)
    assert scene.attrs["sar_scale"] == "power"
    assert (scene.attrs["name"], scene.attrs["time"]) == (BURSTS[0], "2024-05-06T08:45:12Z")
    found = decibel(scene)
    assert np.isnan(found[:, :2, :2]).all()
    np.testing.assert_allclose(found[:, 2:], DB[:, 2:30], atol=2e-5)


def test_bursts_of_one_pass_are_one_scene(tmp_path: Path) -> None:
    """The bursts overlap by ten rows; a hole in the second is filled by the first, and the other way round."""
    folder = opera_tree(tmp_path, DB)
    (group,) = group_scenes(folder)
    scene = open_sar(group)
    found = decibel(scene)
    assert found.shape == DB.shape and np.isnan(found[:, :2, :2]).all()
    np.testing.assert_allclose(found[:, 2:], DB[:, 2:], atol=2e-5)
    assert scene.odc.geobox.resolution.x == 30
    again = open_sar(folder, chunk=16).isel(y=slice(3, 47, 2), x=slice(10, 33))
    np.testing.assert_array_equal(decibel(again), found[:, 3:47:2, 10:33])


def test_bursts_of_two_passes_are_no_scene(tmp_path: Path) -> None:
    folder = opera_tree(tmp_path, DB)
    for band in ("VV", "VH"):
        later = BURSTS[1].replace("20240506T084515Z", "20240518T084515Z")
        shutil.move(folder / f"{BURSTS[1]}_{band}.tif", folder / f"{later}_{band}.tif")
    with pytest.raises(
        InputError, match=r"pieces of 2024-05-06 08:45 and 2024-05-18 08:45; expected those of one pass"
    ):
        open_sar(folder)


def test_bursts_of_two_zones_are_no_scene(tmp_path: Path) -> None:
    folder = opera_tree(tmp_path, DB)
    for band, values in zip(("VV", "VH"), power(DB), strict=True):
        write(folder / f"{BURSTS[1]}_{band}.tif", values, crs="EPSG:32723")
    with pytest.raises(InputError, match=r"lie on different grids; expected pieces of one scene on one"):
        open_sar(folder)


def test_folder_with_a_polarisation_missing_is_told(tmp_path: Path) -> None:
    folder = opera_tree(tmp_path, DB)
    (folder / f"{BURSTS[1]}_VH.tif").unlink()
    with pytest.raises(InputError, match="holds 2 VV and 1 VH files"):
        open_sar(folder)
    archive = zipped(folder)
    with pytest.raises(InputError, match=r"Archive '.*opera\.zip' holds 2 VV and 1 VH files"):
        open_sar(archive)


def test_pieces_that_read_differently_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    for column, values in ((0, DB), (50, power(DB))):
        write(
            folder / f"S1-{0:010d}-{column:010d}.tif",
            values,
            names=("VV", "VH"),
            transform=GRID @ GRID.translation(column, 0),
        )
    with pytest.raises(InputError, match="one reads as db and one as power; expected one scale"):
        open_sar(folder)
    assert open_sar(folder, scale="db").sizes == {"y": 60, "x": 100}


def test_a_piece_without_a_value_does_not_decide(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    for column, values in ((0, np.full_like(DB, np.nan)), (50, power(DB))):
        write(
            folder / f"S1-{0:010d}-{column:010d}.tif",
            values,
            names=("VV", "VH"),
            transform=GRID @ GRID.translation(column, 0),
        )
    scene = open_sar(folder)
    assert scene.attrs["sar_scale"] == "power"
    np.testing.assert_allclose(decibel(scene)[:, :, 50:], DB, atol=2e-5)


def test_numbers_of_the_fixture_are_whole_and_bordered() -> None:
    numbers = some_radar_numbers(Radar())["VV"]
    assert (numbers[:, :5] == 0).all() and (numbers[:, 5:] >= 1).all()
