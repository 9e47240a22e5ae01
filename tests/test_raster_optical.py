"""Reading optical pictures onto a scene's grid."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from raster_files import GRID, UTM, write
from scipy.ndimage import gaussian_filter, map_coordinates

from flora.atmosphere import surface_reflectance
from flora.errors import InputError
from flora.raster import open_optical


def picture(
    bands: int = 3, height: int = 60, width: int = 70, top: int = 240, dtype: str = "uint8"
) -> np.ndarray:
    noise = np.random.default_rng(0).random((bands, height, width))
    smooth = gaussian_filter(noise, (0, 2, 2))
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    return (1 + smooth * (top - 1)).astype(dtype)


RGB = ("red", "green", "blue")


@pytest.mark.parametrize(
    ("dtype", "top", "extra", "divisor"),
    [
        ("uint8", 240, {}, 892.5),
        ("uint8", 240, {"tags": {"SCALE": "DN = clip(reflectance * 3.5) * 255, approx."}}, 892.5),
        ("uint8", 240, {"tags": {"SCALE": "reflectance * 255"}}, 255.0),
        ("uint16", 9000, {}, 10000.0),
        ("int16", 9000, {}, 10000.0),
        ("float32", 9000, {}, 10000.0),
        ("float32", 0.5, {}, 1.0),
    ],
)
def test_scale(tmp_path: Path, dtype: str, top: float, extra: dict, divisor: float) -> None:
    stored = picture(top=100, dtype="float32") * top / 100
    stored = stored.astype(dtype)
    found = open_optical(write(tmp_path / "o.tif", stored, **extra))
    np.testing.assert_array_equal(found.green, (stored[1] / divisor).astype(np.float32))
    assert found.odc.geobox == GeoBox((60, 70), GRID, UTM)
    assert str(f"{divisor:g}") in found.attrs["optical_scale_reason"] or divisor == 1


@pytest.mark.parametrize(
    ("name", "top", "toa"),
    [
        ("T22JDM_20240506T132229_TCI_10m.tif", 0.2, False),
        ("TCI.tif", 0.2, False),
        ("T22JDM_20240506T132229_TCI.tif", 0.3558, True),
        ("S2A_MSIL1C_20240506T132231_N0510_R081_T22JDM_20240506T190805_TCI.tif", 0.3558, True),
        ("ORTCI.tif", 1 / 3.5, False),
    ],
)
def test_true_colour_of_sentinel2_has_a_scale_of_its_own(
    tmp_path: Path, name: str, top: float, toa: bool
) -> None:
    """Read as other 8-bit pictures, L2A's would be brighter by half."""
    stored = picture(top=240, dtype="uint8")
    found = open_optical(write(tmp_path / name, stored, photometric="RGB"))
    wanted = stored[1].astype(np.float64) / 255 * top
    expected = surface_reflectance(wanted, "green") if toa else wanted
    np.testing.assert_allclose(found.green, expected, atol=1e-6)


def test_scale_and_offset_of_the_band(tmp_path: Path) -> None:
    stored = picture(dtype="uint16", top=5000) + np.uint16(1000)
    found = open_optical(write(tmp_path / "o.tif", stored, scale=1e-4, offset=-0.1))
    np.testing.assert_allclose(found.red, stored[0] / 1e4 - 0.1, atol=1e-7)


@pytest.mark.parametrize(
    ("count", "names", "asked", "expected"),
    [
        (3, (), None, (0, 1, 2, None)),
        (4, (), None, (0, 1, 2, 3)),
        (13, (), None, (3, 2, 1, 7)),
        (12, (), None, (3, 2, 1, 7)),
        (3, ("B4", "B3", "B2"), None, (0, 1, 2, None)),
        (6, ("B2", "B3", "B4", "B8", "B11", "CLP"), None, (2, 1, 0, 3)),
        (4, ("B02 blue", "B03", "B04", "B08"), None, (2, 1, 0, 3)),
        (4, ("red edge 1", "red", "green", "blue"), None, (1, 2, 3, None)),
        (4, (), ("nir", "red", "green", "blue"), (1, 2, 3, 0)),
        (4, (), "nir, red, green, blue", (1, 2, 3, 0)),
    ],
)
def test_bands(tmp_path: Path, count: int, names: tuple, asked: tuple | str | None, expected: tuple) -> None:
    stored = np.stack([np.full((8, 9), 700 + i, np.uint16) for i in range(count)])
    found = open_optical(
        write(tmp_path / "o.tif", stored, names=names, photometric="MINISBLACK"), bands=asked
    )
    for name, position in zip((*RGB, "nir"), expected, strict=True):
        if position is None:
            assert name not in found
            continue
        wanted = np.float32((700 + position) / 1e4)
        if count == 13:  # L1C
            wanted = surface_reflectance(wanted, name)
        assert float(found[name][0, 0]) == pytest.approx(float(wanted), abs=1e-6)


L2A = "S2A_MSIL2A_20240506T132231_N{}_R081_T22JDM_20240506T190805.tif"


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize(
    ("name", "count", "dark", "added"),
    [
        (L2A.format("0510"), 4, 1040, 1000),
        (L2A.format("0301"), 4, 1040, 0),  # an older baseline
        (L2A.format("0510"), 4, 300, 0),  # taken off already, by an archive that kept the name
        ("T22JDM_20240506T132229_RGB.tif", 3, 1040, 1000),
        ("T22JDM_20210506T132229_RGB.tif", 3, 1040, 0),
        ("snow.tif", 3, 4000, 0),  # nothing says so
        ("chip_S2Hand.tif", 13, 1010, 1000),  # its cirrus band sees 0.1
        ("chip_S2Hand.tif", 13, 10, 0),
    ],
)
def test_what_new_products_add_is_taken_off(
    tmp_path: Path, name: str, count: int, dark: int, added: int, dtype: type
) -> None:
    stored = np.full((count, 40, 40), dark, dtype)
    stored[:, :20] += 700
    stored[:, 0] = 0
    found = open_optical(write(tmp_path / name, stored, photometric="MINISBLACK"))
    reflectance = (np.array([dark, dark + 700], np.float64) - added) / 1e4
    for band in RGB:
        wanted = surface_reflectance(reflectance, band) if count == 13 else reflectance
        assert [float(found[band][39, 0]), float(found[band][10, 0])] == pytest.approx(wanted, abs=1e-6)
        assert np.isnan(found[band][0]).all()
    assert ("taken off first" in found.attrs["optical_scale_reason"]) == bool(added)


def test_one_file_a_band(tmp_path: Path) -> None:
    stored = picture(4, dtype="uint16", top=3000)
    paths = [
        write(tmp_path / f"T22JDM_20240506T132229_{b}_10m.tif", a)
        for b, a in zip(("B02", "B03", "B04", "B08"), stored, strict=True)
    ]
    found = open_optical(paths)
    for name, index in (("red", 2), ("green", 1), ("blue", 0), ("nir", 3)):
        np.testing.assert_allclose(found[name], stored[index] / 1e4, atol=1e-7)
    assert found.attrs["time"] == "2024-05-06T13:22:29Z"


@pytest.mark.parametrize(
    ("count", "names"), [(2, ()), (5, ()), (3, ("B5", "B6", "B7")), (3, ("red", "red", "blue"))]
)
def test_unclear_bands_are_refused(tmp_path: Path, count: int, names: tuple) -> None:
    stored = np.ones((count, 8, 9), np.uint16)
    with pytest.raises(InputError, match="does not say which band is red, green and blue"):
        open_optical(write(tmp_path / "o.tif", stored, names=names, photometric="MINISBLACK"))


def test_invalid_pixels(tmp_path: Path) -> None:
    stored = picture()
    stored[:, 0, 0] = 255
    stored[:, 0, 1] = (251, 255, 250)
    stored[:, 0, 2] = 0
    stored[:, 0, 3] = (255, 255, 100)
    stored[:, 0, 4] = (0, 0, 9)
    path = write(tmp_path / "o.tif", stored)
    mask = np.zeros((60, 70), np.uint8)
    mask[5, 6] = 1
    found = open_optical(path, mask=write(tmp_path / "cloud.tif", mask)).load()
    for name in RGB:
        assert np.isnan(found[name].values[0, :3]).all()
        assert np.isfinite(found[name].values[0, 3:]).all()
        assert np.isnan(found[name].values[5, 6])
        assert int(found[name].isnull().sum()) == 4


@pytest.mark.parametrize(
    ("dtype", "top", "fill"),
    [
        ("float32", 0.9, 0),
        ("float32", 0.9, -9999),
        ("float32", 9000, -9999),
        ("float32", 9000, 65535),
        ("int16", 9000, -9999),
        ("uint16", 9000, 65535),
    ],
)
@pytest.mark.parametrize("offset", [0, 1000])
def test_fill_that_nobody_declared_is_absent(
    tmp_path: Path, dtype: str, top: float, fill: float, offset: int
) -> None:
    stored = np.clip(picture(dtype="float32") / 240 * top + offset * (top > 1), 0, None).astype(dtype)
    stored[:, :40] = fill
    name = "S2A_MSIL2A_20240506T132231_N0510_R081_T22JDM.tif" if offset else "o.tif"
    found = open_optical(write(tmp_path / name, stored)).load()
    for band in RGB:
        assert np.isnan(found[band].values[:40]).all()
        assert np.isfinite(found[band].values[40:]).all()
        assert 0.1 < float(found[band].median()) < 0.8


def test_snow_cloud_and_shadow_are_not_taken_for_fill(tmp_path: Path) -> None:
    stored = np.full((3, 8, 9), 0.3, np.float32)
    stored[:, 0, :3] = [1.3, 2.1, -0.05]
    stored[0, 0, 3] = 0
    assert int(open_optical(write(tmp_path / "o.tif", stored)).red.isnull().sum()) == 0


def test_mask_on_another_grid_is_told_in_its_own_words(tmp_path: Path) -> None:
    picture = write(tmp_path / "s2.tif", np.full((3, 8, 9), 0.1, np.float32))
    mask = write(tmp_path / "mask.tif", np.zeros((8, 8), np.uint8))
    with pytest.raises(InputError, match="needs an optical image and its mask on one"):
        open_optical(picture, mask=mask)


def test_no_data_is_per_band(tmp_path: Path) -> None:
    stored = picture(4, dtype="uint16", top=3000)
    stored[3, 2, 2] = 0
    found = open_optical(write(tmp_path / "o.tif", stored, nodata=0))
    assert np.isnan(found.nir.values[2, 2])
    assert np.isfinite(found.red.values[2, 2])


def test_no_data_of_0_in_a_mask_means_clear(tmp_path: Path) -> None:
    path = write(tmp_path / "o.tif", picture())
    mask = np.zeros((60, 70), np.uint8)
    mask[5, 6] = 1
    found = open_optical(path, mask=write(tmp_path / "cloud.tif", mask, nodata=0)).load()
    np.testing.assert_array_equal(np.isnan(found.red.values), mask == 1)
    share = write(tmp_path / "share.tif", mask.astype(np.float32), nodata=0)
    assert np.isnan(open_optical(path, mask=share).red.values).all(), "of a share, 0 may well be unknown"


def test_scene_classification_is_a_mask_by_its_codes(tmp_path: Path) -> None:
    """Its 4, 5 and 6 are plants, soil and water; taken for a plain mask, it would leave only what has no data."""
    path = write(tmp_path / "o.tif", picture(dtype="uint16", top=5000), photometric="MINISBLACK")
    codes = np.full((60, 70), 4, np.uint8)
    for row, code in enumerate((0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11)):
        codes[row] = code
    mask = write(tmp_path / "T22JDM_20240506T132229_SCL_10m.tif", codes, nodata=0)
    found = np.isfinite(open_optical(path, mask=mask).green.values).all(axis=1)
    assert [row for row in range(60) if not found[row]] == [0, 1, 3, 7, 8, 9]


def test_internal_mask(tmp_path: Path) -> None:
    path = write(tmp_path / "o.tif", picture())
    mask = np.full((60, 70), 255, np.uint8)
    mask[9, 9] = 0
    with rasterio.open(path, "r+") as out:
        out.write_mask(mask)
    assert np.isnan(open_optical(path).blue.values[9, 9])


# Warping

TARGET = GeoBox((90, 110), Affine(7, 2, 500_020, 2, -7, 6_699_950), UTM)


def test_warp_equals_exact_bilinear(tmp_path: Path) -> None:
    """Independent oracle: SciPy's bilinear interpolation at places that pyproj gives for every pixel."""
    stored = picture(dtype="float32", top=1)
    target = GeoBox((80, 90), Affine(9e-5, 0, -50.9995, 0, -8e-5, -29.8337), "EPSG:4326")
    found = open_optical(write(tmp_path / "o.tif", stored), target)
    assert found.odc.geobox == target
    assert found.attrs["warp"] == "bilinear"
    columns, rows = np.meshgrid(np.arange(90) + 0.5, np.arange(80) + 0.5)
    lon, lat = -50.9995 + 9e-5 * columns, -29.8337 - 8e-5 * rows
    x, y = (
        np.array(v).reshape(80, 90)
        for v in rasterio.warp.transform("EPSG:4326", UTM, lon.ravel(), lat.ravel())
    )
    at = [(6_700_000 - y) / 10 - 0.5, (x - 500_000) / 10 - 0.5]
    expected = map_coordinates(stored[1].astype(np.float64), at, order=1, cval=np.nan)
    seen = np.isfinite(expected)
    assert 0.2 < seen.mean() < 1
    np.testing.assert_allclose(found.green.values[seen], expected[seen], atol=1e-4)


def test_warp_does_not_depend_on_chunks_or_windows(tmp_path: Path) -> None:
    path = write(tmp_path / "o.tif", picture())
    whole = open_optical(path, TARGET).red.values
    assert 0.1 < np.isfinite(whole).mean() < 1
    for chunk in (17, 32, 64):
        np.testing.assert_array_equal(open_optical(path, TARGET, chunk=chunk).red.values, whole)
    part = open_optical(path, TARGET, chunk=32).red.isel(y=slice(21, 77), x=slice(40, 41))
    np.testing.assert_array_equal(part.values, whole[21:77, 40:41])


def test_clouds_and_borders_do_not_bleed(tmp_path: Path) -> None:
    stored = np.full((3, 60, 70), 50, np.uint8)
    stored[:, 20:40, 20:40] = 255
    values = open_optical(write(tmp_path / "o.tif", stored), TARGET).red.values
    np.testing.assert_allclose(values[np.isfinite(values)], 50 / 892.5, rtol=1e-6)
    assert np.isnan(values).any()


def test_finer_picture_is_averaged(tmp_path: Path) -> None:
    """Each scene pixel is the mean of the 4 x 4 picture pixels it covers."""
    stored = picture(dtype="float32", height=64, width=80, top=1)
    fine = Affine(2.5, 0, 500_000, 0, -2.5, 6_700_000)
    target = GeoBox((16, 20), GRID, UTM)
    found = open_optical(write(tmp_path / "o.tif", stored, transform=fine), target, chunk=8)
    assert found.attrs["warp"] == "average"
    expected = stored[0].reshape(16, 4, 20, 4).mean((1, 3))
    np.testing.assert_allclose(found.red, expected, atol=1e-6)


def test_much_finer_picture_is_thinned(tmp_path: Path) -> None:
    stored = np.repeat(
        np.repeat(picture(height=10, width=12, dtype="float32", top=1), 40, axis=1), 40, axis=2
    )
    fine = Affine(0.25, 0, 500_000, 0, -0.25, 6_700_000)
    target = GeoBox((10, 12), GRID, UTM)
    path = write(tmp_path / "o.tif", stored, transform=fine)
    for chunk in (5, 12):
        np.testing.assert_allclose(
            open_optical(path, target, chunk=chunk).red, stored[0, ::40, ::40], atol=1e-6
        )


def test_same_grid_is_not_warped(tmp_path: Path) -> None:
    stored = picture()
    found = open_optical(write(tmp_path / "o.tif", stored), GeoBox((60, 70), GRID, UTM))
    assert found.attrs["warp"] == "none"
    np.testing.assert_array_equal(found.red, (stored[0] / 892.5).astype(np.float32))


def test_picture_across_the_antimeridian(tmp_path: Path) -> None:
    """The picture counts its longitudes on from 180; the scene lies in the UTM zone beyond."""
    stored = picture(height=120, width=160)
    across = write(
        tmp_path / "o.tif", stored, crs="EPSG:4326", transform=Affine(1e-4, 0, 179.992, 0, -1e-4, -17)
    )
    assert np.isfinite(open_optical(across).red.values).all()
    scene = GeoBox.from_bbox((179.995, -17.01, 180.005, -17.003), "EPSG:4326", resolution=1e-4).to_crs(
        "EPSG:32701"
    )
    assert np.isfinite(open_optical(across, scene).red.values).mean() > 0.9
    beyond = GeoBox.from_bbox((-179.997, -17.009, -179.994, -17.005), "EPSG:4326", resolution=1e-4)
    for grid in (beyond, beyond.to_crs("EPSG:32701")):
        assert np.isfinite(open_optical(across, grid).red.values).mean() > 0.9


def test_pickled_picture(tmp_path: Path) -> None:
    found = open_optical(write(tmp_path / "o.tif", picture()), TARGET)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(found)).red.values, found.red.values)


def test_pictures_that_do_not_meet_the_scene(tmp_path: Path) -> None:
    path = write(tmp_path / "o.tif", picture())
    far = GeoBox((60, 70), Affine(10, 0, 600_000, 0, -10, 6_700_000), UTM)
    with pytest.raises(InputError, match="does not overlap the scene"):
        open_optical(path, far)
    bare = write(tmp_path / "bare.tif", picture(), crs=None, transform=Affine.identity())
    with pytest.raises(InputError, match=r"bare.tif has no CRS"):
        open_optical(bare, TARGET, crs_required=False)
    with pytest.raises(InputError, match="the scene has no CRS"):
        open_optical(path, GeoBox((60, 70), Affine.identity(), None))
    fits = open_optical(bare, GeoBox((60, 70), Affine.identity(), None), crs_required=False)
    assert np.isfinite(fits.red.values).all()
    with pytest.raises(InputError, match="different grids"):
        open_optical(path, mask=write(tmp_path / "m.tif", np.zeros((60, 71), np.uint8)))
    with pytest.raises(InputError, match="Optical scale 0 is not positive"):
        open_optical(path, scale=0)
