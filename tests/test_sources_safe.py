"""GRD products as Copernicus gives them: calibrated by their table, noise removed, placed by their tie points."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
from product_trees import (
    GRD,
    Radar,
    annotation_xml,
    calibration_xml,
    noise_xml,
    safe_tree,
    some_radar_numbers,
    zipped,
)
from rasterio.control import GroundControlPoint
from rasterio.transform import GCPTransformer

from flora.errors import InputError
from flora.raster import open_sar
from flora.raster.annotation import read_calibration, read_noise, read_tie_points
from flora.raster.geocoding import geocode, grid_around, map_crs
from flora.scene import group_scenes

RADAR = Radar()
FLAT = calibration_xml(RADAR, {0: [500, 500], RADAR.height - 1: [500, 500]}, [0, RADAR.width - 1])


def product(folder: Path, numbers: dict[str, np.ndarray] | None = None, **options: str | bool) -> Path:
    settings = {"calibration": FLAT, "noise": noise_xml(RADAR, 0.0)} | options
    return safe_tree(folder, numbers or some_radar_numbers(RADAR), radar=RADAR, **settings)  # type: ignore[arg-type]


def constant(number: int) -> dict[str, np.ndarray]:
    return {band: np.full((RADAR.height, RADAR.width), number) for band in ("VV", "VH")}


def seen(scene: object, band: str = "VV") -> np.ndarray:
    values = scene[band].values  # type: ignore[index]
    return values[np.isfinite(values)]


def test_decibel_worked_by_hand(tmp_path: Path) -> None:
    """DN 400, A 500 and noise 10000: (160000 - 10000) / 250000 = 0.6, that is -2.218 dB."""
    scene = open_sar(product(tmp_path, constant(400), noise=noise_xml(RADAR, 10_000.0)))
    np.testing.assert_allclose(seen(scene), -2.2185, atol=1e-4)
    assert scene.attrs["name"] == f"{GRD}_COG"
    assert scene.attrs["time"] == "2024-05-06T08:45:11Z"
    assert "not terrain-corrected" in scene.attrs["sar_scale_reason"]
    # The image is whole on the map: as many pixels of 10 m as it has.
    assert seen(scene).size == pytest.approx(RADAR.height * RADAR.width, rel=2e-3)


def test_noise_of_two_swaths_and_of_old_products(tmp_path: Path) -> None:
    """(160000 - 40000) / 250000 = 0.48 where the noise is four times as strong."""
    two = open_sar(product(tmp_path / "two", constant(400), noise=noise_xml(RADAR, 10_000.0, (1.0, 4.0))))
    np.testing.assert_allclose(
        np.unique(seen(two)), [-3.18759, -2.21849], atol=1e-4
    )  # (160000 - 40000) / 250000 = 0.48
    old = open_sar(
        product(tmp_path / "old", constant(400), noise=noise_xml(RADAR, 10_000.0, old=True), cog=False)
    )
    np.testing.assert_allclose(seen(old), -2.2185, atol=1e-4)
    assert old.attrs["name"] == GRD


def test_what_noise_swallows_is_dark_and_what_was_not_seen_is_absent(tmp_path: Path) -> None:
    numbers = constant(90)
    numbers["VV"][:, :100] = 0
    scene = open_sar(product(tmp_path, numbers, noise=noise_xml(RADAR, 10_000.0)))
    assert np.unique(seen(scene, "VH")).tolist() == [-40]
    assert np.unique(seen(scene)).tolist() == [-40]
    assert seen(scene).size == pytest.approx(RADAR.height * (RADAR.width - 100), rel=5e-3)


def test_every_pixel_is_where_its_tie_points_put_it(tmp_path: Path) -> None:
    """The plane is turned by 12 degrees: each map pixel's number is worked out from the turn alone."""
    rows, columns = np.mgrid[: RADAR.height, : RADAR.width]
    numbers = 200 + rows + 2 * columns
    scene = open_sar(product(tmp_path, {"VV": numbers, "VH": numbers // 2}))
    assert scene.odc.geobox.crs.epsg == 32722
    assert scene.odc.geobox.resolution.xy == (10, -10)
    assert scene.odc.geobox.transform.c % 10 == 0
    x, y = np.meshgrid(scene.x.values, scene.y.values)
    inverse = ~RADAR.grid()
    column = inverse.a * x + inverse.b * y + inverse.c
    row = inverse.d * x + inverse.e * y + inverse.f
    clear = (np.abs(column - column.round()) > 0.02) & (np.abs(row - row.round()) > 0.02)
    inside = (column >= 0) & (column < RADAR.width) & (row >= 0) & (row < RADAR.height)
    expected = np.full(x.shape, np.nan)
    expected[inside] = numbers[row[inside].astype(int), column[inside].astype(int)]
    expected = 20 * np.log10(expected / 500)
    assert (clear & inside).sum() > 70_000
    np.testing.assert_allclose(scene.VV.values[clear], expected[clear], atol=1e-4)


def test_windows_have_the_bits_of_the_whole(tmp_path: Path) -> None:
    path = product(tmp_path)
    whole = open_sar(path).load()
    part = pickle.loads(pickle.dumps(open_sar(path, chunk=64).isel(y=slice(31, 170), x=slice(5, 203, 3))))
    for band in ("VV", "VH"):
        np.testing.assert_array_equal(part[band].values, whole[band].values[31:170, 5:203:3])
    assert open_sar(path).VV[7, 100:140].values.tobytes() == whole.VV.values[7, 100:140].tobytes()


def test_folder_manifest_and_zip_are_one_scene(tmp_path: Path) -> None:
    path = product(tmp_path)
    expected = open_sar(path).load()
    for other in (path / "manifest.safe", zipped(path), tmp_path):
        assert group_scenes(other) == [[other]]
        scene = open_sar(group_scenes(other)[0])
        np.testing.assert_array_equal(scene.VH.values, expected.VH.values)
        assert scene.attrs["name"] == f"{GRD}_COG"


def test_table_as_another_library_reads_it(tmp_path: Path) -> None:
    """Independent oracle: xarray-sentinel, on a table that changes along and across the image."""
    sentinel1 = pytest.importorskip("xarray_sentinel.sentinel1")
    import xarray as xr

    pixels = [0, 40, 200, 339]
    text = calibration_xml(
        RADAR, {-20: [300, 350, 420, 500], 100: [310, 340, 430, 480], 259: [320, 360, 400, 490]}, pixels
    )
    path = tmp_path / "calibration-s1a-iw-grd-vv-001.xml"
    path.write_text(text)
    table = sentinel1.open_calibration_dataset(str(path))
    image = xr.DataArray(
        np.full((RADAR.height, RADAR.width), 400.0),
        dims=("line", "pixel"),
        coords={"line": np.arange(RADAR.height), "pixel": np.arange(RADAR.width)},
    )
    expected = sentinel1.calibrate_intensity(image, table.sigmaNought)
    ours = read_calibration(text.encode(), path.name).at(slice(17, 230), slice(3, 310))
    np.testing.assert_allclose(400.0**2 / ours**2, expected.values[17:230, 3:310], rtol=1e-5)


def test_places_as_gdal_finds_them() -> None:
    """Independent oracle: GDAL's thin-plate spline through the same points."""
    points = read_tie_points(annotation_xml(RADAR).encode(), "a.xml")
    geobox = grid_around(points)
    gcps = [
        GroundControlPoint(line + 0.5, pixel + 0.5, x, y)
        for line, pixel, x, y in zip(
            points.line, points.pixel, points.longitude, points.latitude, strict=True
        )
    ]
    placement = geocode(points, geobox).place(slice(100, 116), slice(130, 146))
    row, column = placement.at()
    from pyproj import Transformer

    x, y = np.meshgrid(np.arange(130, 146) + 0.5, np.arange(100, 116) + 0.5)
    easting, northing = (
        geobox.transform.a * x + geobox.transform.c,
        geobox.transform.e * y + geobox.transform.f,
    )
    degrees = Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True).transform(easting, northing)
    with GCPTransformer(gcps, tps=True) as gdal:
        found = gdal.rowcol(degrees[0].ravel(), degrees[1].ravel(), op=np.asarray)
    np.testing.assert_allclose(row.ravel(), found[0], atol=0.02)
    np.testing.assert_allclose(column.ravel(), found[1], atol=0.02)


@pytest.mark.parametrize(
    ("longitudes", "latitude", "crs"),
    [
        ((-51.9, -50.1), -30.0, "EPSG:32722"),
        ((179.2, -179.4), 10.0, "EPSG:32660"),
        ((179.8, -178.4), -17.0, "EPSG:32701"),
        ((5.0, 7.0), 85.0, "EPSG:3413"),
        ((5.0, 7.0), -82.0, "EPSG:3031"),
    ],
)
def test_grid_of_the_image(longitudes: tuple[float, float], latitude: float, crs: str) -> None:
    from flora.raster.annotation import TiePoints

    values = np.array(longitudes)
    assert map_crs(TiePoints(values, values, values, np.full(2, latitude), 10.0)) == crs


def _without(pattern: str):
    def change(root: Path) -> None:
        for file in root.glob(pattern):
            file.unlink()

    return change


def _as_slc(root: Path) -> None:
    for file in list((root / "measurement").iterdir()):
        file.rename(file.with_name(file.name.replace("-grd-", "-slc-")))


def _garbled(pattern: str, text: str):
    def change(root: Path) -> None:
        next(root.glob(pattern)).write_text(text)

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_without("measurement/*-vh-*"), "holds VV in 'measurement'; FLoRA needs VV and VH"),
        (_without("measurement/*"), "holds no image in 'measurement'"),
        (_as_slc, "is no GRD product .* Use the GRD or RTC product"),
        (_without("annotation/*-vv-*.xml"), "has 0 files with the annotation of VV"),
        (_without("annotation/calibration/calibration-*-vh-*"), "has 0 files with the calibration of VH"),
        (_without("annotation/calibration/noise-*-vv-*"), "has 0 files with the noise of VV"),
        (_garbled("annotation/*-vv-*.xml", "<product"), "expected an annotation of Sentinel-1 GRD"),
        (_garbled("annotation/*-vv-*.xml", "<product/>"), "holds 0 tie points"),
        (_garbled("annotation/calibration/calibration-*-vv-*", "<a/>"), "holds no calibrationVector"),
        (_garbled("measurement/*-vv-*", "no image"), "is not a raster that GDAL can read"),
    ],
)
def test_products_that_cannot_be_read_are_told_in_one_sentence(tmp_path: Path, change, sentence: str) -> None:
    root = product(tmp_path)
    change(root)
    with pytest.raises(InputError, match=sentence):
        open_sar(root)


def test_product_says_its_bands_and_scale_itself(tmp_path: Path) -> None:
    root = product(tmp_path)
    with pytest.raises(InputError, match="--scale was given with a SAFE product"):
        open_sar(root, scale="power")
    with pytest.raises(InputError, match="--bands was given with a SAFE product"):
        open_sar(root, bands=["VH", "VV"])


def test_image_taken_out_of_its_product_is_told(tmp_path: Path) -> None:
    root = product(tmp_path)
    images = [shutil.copy(file, tmp_path) for file in sorted((root / "measurement").iterdir(), reverse=True)]
    with pytest.raises(InputError, match=r"radar geometry.*or give the whole \.SAFE folder or zip"):
        open_sar(images)


def test_damaged_noise_is_told() -> None:
    text = noise_xml(RADAR, 1.0).replace('<pixel count="2">0 339</pixel>', '<pixel count="2">0</pixel>')
    with pytest.raises(InputError, match="lists of different lengths"):
        read_noise(text.encode(), "noise.xml")
    with pytest.raises(InputError, match="pixel 'a b'"):
        read_noise(text.replace('"2">0<', '"2">a b<').encode(), "noise.xml")


def test_measurement_has_no_crs_of_its_own(tmp_path: Path) -> None:
    """Guards the fixture: it is in radar geometry, as the real ones are."""
    with rasterio.open(next((product(tmp_path) / "measurement").iterdir())) as source:
        assert source.crs is None and len(source.gcps[0]) == 210
