"""Finding VV and VH, and naming the scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from raster_files import backscatter, write

from flora.errors import InputError
from flora.raster import open_sar
from flora.raster.naming import acquisition_time, scene_name


def bands_of(scene) -> tuple[float, float]:
    return float(scene.VV[0, 0]), float(scene.VH[0, 0])


@pytest.fixture
def levels() -> np.ndarray:
    """Five bands, each of one value that tells it: band 1 is -1 dB, band 2 is -2 dB."""
    return np.stack([np.full((8, 9), -i, np.float32) for i in range(1, 6)])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("VV", "VH"), (-1, -2)),
        (("VH", "VV"), (-2, -1)),
        (("vh", "vv"), (-2, -1)),
        (("sigma0_VV", "Gamma0_VH"), (-1, -2)),
        (("Sigma0_VH_db", "Sigma0_VV_db"), (-2, -1)),
        (("angle", "VV", "VH"), (-2, -3)),
        (("VV", "VH", "VV/VH ratio"), (-1, -2)),
        (("VV_speckle", "VV", "VH"), (-2, -3)),
        (("", ""), (-1, -2)),
        (("bands", "bands"), (-1, -2)),
        (("Band 1", "Band 2"), (-1, -2)),
    ],
)
def test_bands_by_description(tmp_path: Path, levels, names, expected) -> None:
    path = write(tmp_path / "scene.tif", levels[: len(names)], names=names, tags={"UNITS": "dB"})
    assert bands_of(open_sar(path)) == expected


def test_convention_is_told(tmp_path: Path, levels) -> None:
    scene = open_sar(write(tmp_path / "scene.tif", levels[:2], tags={"UNITS": "dB"}))
    assert scene.attrs["band_reason"].endswith("by convention, as the file does not name them.")


@pytest.mark.parametrize("quantity", ["db", "power", "amplitude"])
def test_unnamed_bands_that_look_swapped_are_refused(tmp_path: Path, quantity: str) -> None:
    db = backscatter()
    stored = db if quantity == "db" else 10 ** (db / (10 if quantity == "power" else 20))
    right = write(tmp_path / "right.tif", stored)
    assert open_sar(right).attrs["sar_scale"] == quantity
    swapped = write(tmp_path / "swapped.tif", stored[::-1])
    with pytest.raises(InputError, match=r"band 2 is clearly brighter than band 1.*Pass --bands VH,VV"):
        open_sar(swapped)
    np.testing.assert_allclose(open_sar(swapped, bands=("VH", "VV")).VV, db[0], atol=1e-4)
    insisted = open_sar(swapped, bands=("VV", "VH"), scale=quantity)
    np.testing.assert_allclose(insisted.VV, db[1], atol=1e-4)


def test_unnamed_bands_of_a_calm_lake_are_not_taken_for_swapped(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(-24, 1, (2, 40, 50)).astype(np.float32)
    noise[1] += 1
    assert bands_of(open_sar(write(tmp_path / "lake.tif", noise))) == tuple(noise[:, 0, 0])


def test_bands_by_polarisation_tag(tmp_path: Path, levels) -> None:
    vv = write(tmp_path / "a.tif", levels[0], band_tags={"POLARISATION": "VV"}, tags={"UNITS": "dB"})
    vh = write(tmp_path / "b.tif", levels[1], band_tags={"POLARISATION": "VH"}, tags={"UNITS": "dB"})
    assert bands_of(open_sar([vh, vv])) == (-1, -2)


@pytest.mark.parametrize(
    ("vv", "vh", "name"),
    [
        ("x_VV.tif", "x_VH.tif", "x"),
        ("vv.tif", "vh.tif", "scene7"),
        (
            "s1a-grd-vv-20240506t091500-001.tiff",
            "s1a-grd-vh-20240506t091500-002.tiff",
            "s1a-grd-20240506t091500-001",
        ),
        ("measurement/iw-vv.rtc.tiff", "measurement/iw-vh.rtc.tiff", "scene7"),
        ("VV/chip_1.tif", "VH/chip_1.tif", "chip_1"),
    ],
)
def test_bands_by_file_name(tmp_path: Path, levels, vv, vh, name) -> None:
    folder = tmp_path / "scene7"
    for file in (vv, vh):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    paths = [
        write(folder / vh, levels[1], tags={"UNITS": "dB"}),
        write(folder / vv, levels[0], tags={"UNITS": "dB"}),
    ]
    scene = open_sar(paths)
    assert bands_of(scene) == (-1, -2)
    assert scene.attrs["name"] == name


def test_description_wins_over_file_name(tmp_path: Path, levels) -> None:
    a = write(tmp_path / "x_VV.tif", levels[0], names=("VH",), tags={"UNITS": "dB"})
    b = write(tmp_path / "x_VH.tif", levels[1], names=("VV",), tags={"UNITS": "dB"})
    assert bands_of(open_sar([a, b])) == (-2, -1)


@pytest.mark.parametrize(
    ("names", "asked", "expected"),
    [
        (("", ""), ("VH", "VV"), (-2, -1)),
        (("", ""), "VH, VV", (-2, -1)),
        (("VV", "VH"), ("VH", "VV"), (-2, -1)),
        (("", "", ""), ("angle", "vv", "vh"), (-2, -3)),
        (("", "", "", ""), ("VV", "VH"), (-1, -2)),
        (("angle", "VV", "VH"), ("VV", "VH"), (-2, -3)),
        (("VV_pre", "VV_post", "VH_pre", "VH_post"), ("VV_post", "VH_post"), (-2, -4)),
        (("VV_pre", "VV_post", "VH_pre", "VH_post"), ("1", "3"), (-1, -3)),
    ],
)
def test_bands_as_asked(tmp_path: Path, levels, names, asked, expected) -> None:
    path = write(tmp_path / "scene.tif", levels[: len(names)], names=names, tags={"UNITS": "dB"})
    scene = open_sar(path, bands=asked)
    assert bands_of(scene) == expected
    assert "as given by --bands" in scene.attrs["band_reason"]


@pytest.mark.parametrize(
    ("names", "asked", "message"),
    [
        (
            ("VV_pre", "VV_post", "VH"),
            None,
            "band 1 of scene.tif and band 2 of scene.tif are all VV.*--bands 1,2",
        ),
        (("HH", "HV"), None, "scene.tif has HH and HV; FLoRA needs VV and VH"),
        (("VV", "angle"), None, r"scene.tif \(VV, angle\) has VV but no band that says it is VH"),
        (
            ("red", "green", "blue"),
            None,
            r"scene.tif \(red, green, blue\) does not say which bands are VV and VH",
        ),
        (("red", "nir"), None, "does not say which bands are VV and VH"),
        (("", ""), ("VV", "HH"), "--bands VV,HH does not fit"),
        (("", ""), ("a", "VV", "VH"), "--bands a,VV,VH does not fit"),
        (("", ""), ("1", "1"), "--bands 1,1 does not fit"),
    ],
)
def test_unclear_bands_are_refused(tmp_path: Path, levels, names, asked, message) -> None:
    path = write(tmp_path / "scene.tif", levels[: len(names)], names=names)
    with pytest.raises(InputError, match=message):
        open_sar(path, bands=asked)


def test_files_of_two_dates_are_no_scene(tmp_path: Path, levels) -> None:
    dates = {"VV": "S1A_20240401_VV.tif", "VH": "S1A_20240506_VH.tif"}
    paths = [write(tmp_path / dates[n], levels[i], tags={"UNITS": "dB"}) for i, n in enumerate(dates)]
    for given in (paths, paths[::-1], tmp_path):
        with pytest.raises(
            InputError, match=r"VV.tif \(2024-04-01\) and .*VH.tif \(2024-05-06\) are of two dates"
        ):
            open_sar(given)
    tagged = [
        write(tmp_path / f"{n}.tif", levels[i], tags={"UNITS": "dB", "TIME": f"2024-05-0{i + 1}T08:45:11Z"})
        for i, n in enumerate(dates)
    ]
    with pytest.raises(InputError, match="are of two dates"):
        open_sar(tagged)


@pytest.mark.parametrize(("vv", "vh"), [("20240506T235958", "20240507T000001"), ("20240506", "x")])
def test_files_of_one_pass_or_of_no_date_are_a_scene(tmp_path: Path, levels, vv: str, vh: str) -> None:
    paths = [
        write(tmp_path / name, levels[i], tags={"UNITS": "dB"})
        for i, name in enumerate((f"{vv}_VV.tif", f"{vh}_VH.tif"))
    ]
    assert bands_of(open_sar(paths)) == (-1, -2)


def test_two_unnamed_files_need_bands(tmp_path: Path, levels) -> None:
    paths = [write(tmp_path / f"{n}.tif", levels[i], tags={"UNITS": "dB"}) for i, n in enumerate("ab")]
    with pytest.raises(InputError, match=r"a.tif and b.tif .* does not say which bands"):
        open_sar(paths)
    assert bands_of(open_sar(paths, bands=("VH", "VV"))) == (-2, -1)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/d/guaiba_after_S1.tif", "guaiba_after_S1"),
        (
            "/d/S1A_IW_20180128T161201_DVP_RTC30_G_gpuned_FD6A_VV.tif",
            "S1A_IW_20180128T161201_DVP_RTC30_G_gpuned_FD6A",
        ),
        ("https://h/S1A_X_rtc/measurement/iw-vv.rtc.tiff?sig=a/b", "S1A_X_rtc"),
        ("vv.tif", "vv"),
        ("C:\\data\\x_vv.tif", "x"),
    ],
)
def test_scene_name(path: str, name: str) -> None:
    assert scene_name(path) == name


@pytest.mark.parametrize(
    ("name", "tags", "time"),
    [
        ("S1A_IW_20180128T161201_x.tif", {}, "2018-01-28T16:12:01Z"),
        ("x_2024-05-06.tif", {}, "2024-05-06"),
        ("x_20249999.tif", {}, ""),
        ("x.tif", {"ACQUISITION_START_TIME": "2021-08-14T05:06:07.5"}, "2021-08-14T05:06:07Z"),
        ("x.tif", {"TIME": "2024-05-06T08:45:11+03:00"}, "2024-05-06T05:45:11Z"),
        ("x.tif", {"TIME": "2024-05-06T22:45:11.25-0330"}, "2024-05-07T02:15:11Z"),
        ("x.tif", {"TIME": "2024-05-06T08:45:11Z"}, "2024-05-06T08:45:11Z"),
        ("x_20240506T084511-20240506T084536_x.tif", {}, "2024-05-06T08:45:11Z"),
        ("x_20240506T084511-01.tif", {}, "2024-05-06T08:45:11Z"),
        ("x.tif", {"TIFFTAG_DATETIME": "2021:08:14 05:06:07"}, ""),
    ],
)
def test_acquisition_time(tmp_path: Path, levels, name, tags, time) -> None:
    from flora.raster.file import describe

    assert acquisition_time([describe(write(tmp_path / name, levels[:2], tags=tags))]) == time
