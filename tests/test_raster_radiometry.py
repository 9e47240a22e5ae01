"""Linear power, amplitude or dB: declared, given or judged by the values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from raster_files import backscatter, write

from flora.errors import InputError
from flora.raster import open_sar, require_valid
from flora.raster.radiometry import Radiometry, asked, parse, to_db

NAMES = ("VV", "VH")


@pytest.mark.parametrize(
    ("value", "radiometry", "expected"),
    [
        (0.1, Radiometry("power"), -10.0),
        (1000.0, Radiometry("power", 10000), -10.0),
        (0.1, Radiometry("amplitude"), -20.0),
        (-1520.0, Radiometry("db", 100), -15.2),
        (-15.2, Radiometry("db"), -15.2),
        (1e-7, Radiometry("power"), np.nan),
        (0.0, Radiometry("power"), np.nan),
        (-0.1, Radiometry("amplitude"), np.nan),
    ],
)
def test_to_db_by_hand(value: float, radiometry: Radiometry, expected: float) -> None:
    found = to_db(np.array([value]), np.array([True]), radiometry)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.float32([expected]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dB", Radiometry("db")),
        ("dB sigma0, step 0.118, clipped to [-30, 0]", Radiometry("db")),
        ("VV, VH: linear power x 10000", Radiometry("power", 10000)),
        ("dB * 100", Radiometry("db", 100)),
        ("10*log10(power)", Radiometry("db")),
        ("dB, pixels of 10 x 10 m", Radiometry("db")),
        ("linear amplitude", Radiometry("amplitude")),
        ("Intensity_VV", Radiometry("power")),
        ("Sigma0_VV_db", Radiometry("db")),
        ("linear", Radiometry("power")),
        ("reflectance x 10000", None),
        ("0.0001", None),
        ("sample", None),
    ],
)
def test_parse(text: str, expected: Radiometry | None) -> None:
    assert parse(text) == expected


DB = backscatter()
POWER = 10 ** (DB.astype(np.float64) / 10)


@pytest.mark.parametrize(
    ("file", "stored", "declaration", "scale"),
    [
        ("a.tif", DB, {"unit": "dB"}, "db"),
        ("a.tif", POWER, {"unit": "power"}, "power"),
        ("a.tif", POWER, {"band_tags": {"units": "linear"}}, "power"),
        ("a.tif", POWER**0.5, {"tags": {"SCALE": "amplitude"}}, "amplitude"),
        (
            "a.tif",
            np.round(POWER * 1e4).astype(np.int16),
            {"tags": {"UNITS": "linear power x 10000"}},
            "power",
        ),
        ("a.tif", np.round(DB * 100).astype(np.int16), {"scale": 0.01, "unit": "dB"}, "db"),
        (
            "a.tif",
            np.round(POWER * 1e4).astype("u2"),
            {"scale": 1e-4, "tags": {"UNITS": "power x 10000"}},
            "power",
        ),
        ("S1A_IW_20180128T161201_DVP_RTC30_G_gauned_FD6A.tif", POWER**0.5, {}, "amplitude"),
        ("S1A_IW_20180128T161201_DVP_RTC30_G_gpuned_FD6A.tif", POWER, {}, "power"),
        ("S1A_IW_20180128T161201_DVP_RTC30_G_gdufem_FD6A.tif", DB, {}, "db"),
        # Their permanent water is cut out, but what is left is read as it is.
        ("S1A_IW_20180128T161201_DVP_RTC30_G_spwned_FD6A.tif", POWER, {}, "power"),
        ("scene_dB.tif", DB, {}, "db"),
        ("OPERA_L2_RTC-S1_T069-147170-IW1_v1.0.tif", POWER, {}, "power"),
    ],
)
def test_declared_scale(tmp_path: Path, file: str, stored: np.ndarray, declaration: dict, scale: str) -> None:
    stored = stored.astype(np.float32) if stored.dtype.kind == "f" else stored
    scene = open_sar(write(tmp_path / file, stored, names=NAMES, **declaration)).load()
    assert scene.attrs["sar_scale"] == scale
    assert "says" in scene.attrs["sar_scale_reason"] or "named like" in scene.attrs["sar_scale_reason"]
    # One step of the stored whole numbers: 0.01 dB, or 1e-4 in power, which is more dB the darker the pixel.
    tolerance = 1e-4 if stored.dtype.kind == "f" else 0.006 + 0.5e-4 / POWER * 4.4
    assert (np.abs(np.stack([scene.VV, scene.VH]) - DB) <= tolerance).all()


@pytest.mark.parametrize(
    ("stored", "scale", "why"),
    [
        (DB, "db", "100 % of its values are negative"),
        (POWER, "power", "not above -22.5"),
        (POWER**0.5, "amplitude", "above -22.5"),
    ],
)
def test_judged_scale(tmp_path: Path, stored: np.ndarray, scale: str, why: str) -> None:
    scene = open_sar(write(tmp_path / "a.tif", stored.astype(np.float32), names=NAMES)).load()
    assert scene.attrs["sar_scale"] == scale
    assert scene.attrs["sar_scale_reason"].startswith("Read as")
    assert why in scene.attrs["sar_scale_reason"]
    np.testing.assert_allclose(scene.VV, DB[0], atol=1e-4)


def test_values_are_judged_where_the_scene_has_them(tmp_path: Path) -> None:
    db = np.full((2, 2100, 700), np.nan, np.float32)
    db[:, 1900:1910, 300:310] = -12
    scene = open_sar(write(tmp_path / "a.tif", db, names=NAMES, tiled=True, compress="DEFLATE"))
    assert (
        scene.attrs["sar_scale_reason"]
        == "Read as dB: the file does not say, but 100 % of its values are negative."
    )


@pytest.mark.parametrize(
    "stored",
    [
        np.round(POWER * 1e4).astype(np.uint16),  # a factor that nobody states
        np.round(POWER**0.5 * 470).astype(np.uint16),  # digital numbers of an uncalibrated GRD
        (POWER**0.5 * 470).astype(np.float32),
        np.clip((DB + 30) * 8, 1, 255).astype(np.uint8),  # a picture in grey levels
        np.round(DB * 100).astype(np.int16),
    ],
)
def test_values_that_are_no_calibrated_backscatter_are_refused(tmp_path: Path, stored: np.ndarray) -> None:
    with pytest.raises(
        InputError, match=r"a.tif holds .* values with median .* --scale, such as 'power x 10000'"
    ):
        open_sar(write(tmp_path / "a.tif", stored, names=NAMES))


@pytest.mark.parametrize(
    ("file", "stored", "declaration", "message"),
    [
        (
            "a.tif",
            POWER * 470**2,
            {"names": ("Intensity_VV", "Intensity_VH")},
            r"declared power .* would be \d+",
        ),
        ("a.tif", POWER**0.5 * 470, {"names": ("Amplitude_VV", "Amplitude_VH")}, "declared amplitude"),
        (
            "a.tif",
            POWER * 1e4,
            {"names": NAMES, "tags": {"UNITS": "linear power"}},
            "UNITS says 'linear power'",
        ),
        ("a.tif", POWER, {"names": NAMES, "unit": "dB"}, "100 % of its values are not negative"),
        ("a.tif", DB, {"names": NAMES, "unit": "power"}, r"\d+ % of its values are below -1"),
        ("a.tif", DB * 100, {"names": ("VV_dB", "VH_dB")}, "100 % of its values are below -60"),
        ("a.tif", DB * 100, {"names": NAMES, "unit": "0.01 dB"}, "100 % of its values are below -60"),
        ("int16_db.tif", DB * 100, {"names": NAMES}, "the file name 'int16_db.tif' says so"),
        ("int16_power.tif", POWER * 1e4, {"names": NAMES}, "the file name 'int16_power.tif' says so"),
    ],
)
def test_declared_scale_that_no_scene_has_is_refused(
    tmp_path: Path, file: str, stored: np.ndarray, declaration: dict, message: str
) -> None:
    path = write(tmp_path / file, stored.astype(np.float32), **declaration)
    with pytest.raises(
        InputError, match=rf"{message}.*which no scene has.*Calibrate the product, or.*--scale"
    ):
        open_sar(path)
    assert open_sar(path, scale="amplitude").attrs["sar_scale"] == "amplitude"


@pytest.mark.parametrize(
    ("file", "stored", "scale"),
    [
        ("power_station.tif", DB, "db"),
        ("db_dump.tif", POWER, "power"),
        ("db_dump.tif", POWER**0.5, "amplitude"),
    ],
)
def test_values_win_over_a_word_in_the_file_name(
    tmp_path: Path, file: str, stored: np.ndarray, scale: str
) -> None:
    scene = open_sar(write(tmp_path / file, stored.astype(np.float32), names=NAMES))
    assert scene.attrs["sar_scale"] == scale
    assert "its name says" in scene.attrs["sar_scale_reason"]
    np.testing.assert_allclose(scene.VV, DB[0], atol=1e-4)


@pytest.mark.parametrize(
    "pattern", ["S1A_IW_20240506T084511_DVP_RTC10_G_gpuned_4F1E_{}_dB.tif", "iw-{}.rtc.tiff"]
)
def test_values_win_over_the_name_of_a_product_that_was_brought_to_db(tmp_path: Path, pattern: str) -> None:
    """Read as the power that the product's name says, all but the few brightest pixels would be no data."""
    names = [pattern.format(band) for band in ("VV", "VH")]
    pair = [write(tmp_path / name, band.astype(np.float32)) for name, band in zip(names, DB, strict=True)]
    scene = open_sar(pair)
    assert scene.attrs["sar_scale"] == "db"
    assert "its name says power, but" in scene.attrs["sar_scale_reason"]
    np.testing.assert_allclose(scene.VH, DB[1], atol=1e-4)


def test_given_scale_wins_over_declared(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", (POWER**0.5).astype(np.float32), names=NAMES, tags={"UNITS": "power"})
    scene = open_sar(path, scale="amplitude")
    np.testing.assert_allclose(scene.VV, DB[0], atol=1e-4)
    assert scene.attrs["sar_scale_reason"] == "Read as amplitude: given by --scale."


def test_given_factor(tmp_path: Path) -> None:
    stored = np.round(POWER * 1e4).astype(np.int16)
    scene = open_sar(write(tmp_path / "a.tif", stored, names=NAMES), scale="power x 10000")
    np.testing.assert_allclose(scene.VV, DB[0], atol=0.05)


def test_declared_factor_holds_where_the_given_quantity_agrees(tmp_path: Path) -> None:
    stored = np.round(POWER * 1e4).astype(np.int16)
    path = write(tmp_path / "a.tif", stored, names=NAMES, tags={"UNITS": "linear power x 10000"})
    scene = open_sar(path, scale="power")
    np.testing.assert_allclose(scene.VV, DB[0], atol=0.05)


@pytest.mark.parametrize(
    "scale",
    ["bright", "decibels of joy", "power to the people", "dBm", "power x", "power x ten", "power x 0", ""],
)
def test_unknown_scale_is_refused(tmp_path: Path, scale: str) -> None:
    path = write(tmp_path / "a.tif", DB, names=NAMES)
    with pytest.raises(
        InputError, match=f"Scale '{scale}' is not known; expected auto, db, power or amplitude"
    ):
        open_sar(path, scale=scale)


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ("dB", Radiometry("db")),
        (" Decibel ", Radiometry("db")),
        ("dB x 100", Radiometry("db", 100)),
        ("linear power", Radiometry("power")),
        ("sigma0 power x 1e4", Radiometry("power", 1e4)),
        ("10*log10(power)", Radiometry("db")),
        ("linear amplitude", Radiometry("amplitude")),
        ("auto", None),
    ],
)
def test_given_scales(scale: str, expected: Radiometry | None) -> None:
    assert asked(scale) == expected
    assert expected is None or asked(str(expected)) == expected


def test_a_band_that_says_nothing_is_as_its_partner(tmp_path: Path) -> None:
    vv = write(tmp_path / "a_VV.tif", (POWER[0] ** 0.5).astype(np.float32), tags={"UNITS": "amplitude"})
    vh = write(tmp_path / "a_VH.tif", (POWER[1] ** 0.5).astype(np.float32))
    np.testing.assert_allclose(open_sar([vv, vh]).VH, DB[1], atol=1e-4)


def test_bands_of_different_scales(tmp_path: Path) -> None:
    vv = write(tmp_path / "a_VV.tif", POWER[0].astype(np.float32), tags={"UNITS": "power"})
    vh = write(tmp_path / "a_VH.tif", DB[1], tags={"UNITS": "dB"})
    scene = open_sar([vv, vh])
    np.testing.assert_allclose(np.stack([scene.VV, scene.VH]), DB, atol=1e-4)
    assert scene.attrs["sar_scale"] == "VV power, VH db"


def test_scene_of_the_wrong_scale_has_no_valid_pixel(tmp_path: Path) -> None:
    scene = open_sar(write(tmp_path / "a.tif", DB, names=NAMES), scale="power")
    with pytest.raises(InputError, match=r"no valid pixel.*Read as power: given by --scale"):
        require_valid(scene)
