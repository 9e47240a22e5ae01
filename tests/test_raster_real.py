"""Real scenes and chips, read as they are published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from raster_files import write

from flora.atmosphere import surface_reflectance
from flora.errors import InputError
from flora.raster import open_optical, open_sar, require_valid
from flora.raster.file import describe

pytestmark = pytest.mark.real

HAND = "sen1floods11/v1.1/data/flood_events/HandLabeled"


def test_guaiba_is_read_as_it_is(real_data: Path) -> None:
    path = real_data / "guaiba/guaiba_after_S1.tif"
    scene = open_sar(path)
    require_valid(scene)
    assert scene.odc.geobox.shape == (4660, 2048)
    assert scene.odc.geobox.crs == "EPSG:4326"
    assert scene.odc.geobox.transform.c == pytest.approx(-51.251239)
    assert "clipped to [-30, 0]" in scene.attrs["sar_scale_reason"]
    part = scene.isel(y=slice(1000, 1400), x=slice(0, 700)).load()
    with rasterio.open(path) as source:
        stored = source.read(window=((1000, 1400), (0, 700)))
    # Zeros are the clipped ceiling here, not a border: NaN is the declared no-data.
    np.testing.assert_array_equal(np.stack([part.VV, part.VH]), stored)
    assert (stored == 0).all(axis=0).any()


def test_spain_chip(real_data: Path) -> None:
    scene = open_sar(real_data / HAND / "S1Hand/Spain_7370579_S1Hand.tif").load()
    assert scene.attrs["sar_scale"] == "db"
    assert scene.attrs["name"] == "Spain_7370579_S1Hand"
    assert float(scene.VV.median()) == pytest.approx(-10.48, abs=0.01)
    assert float(scene.VH.median()) == pytest.approx(-17.73, abs=0.01)


def test_empty_chip_is_told(real_data: Path) -> None:
    with pytest.raises(InputError, match="'Paraguay_34417_S1Hand' has no valid pixel: all 262,144"):
        require_valid(open_sar(real_data / HAND / "S1Hand/Paraguay_34417_S1Hand.tif"))


def test_two_files_with_zero_as_no_data(real_data: Path) -> None:
    folder = real_data / "stac_overflow"
    scene = open_sar([folder / "pxs10_vh.tif", folder / "pxs10_vv.tif"])
    assert scene.attrs["name"] == "pxs10"
    assert "by file name" in scene.attrs["band_reason"]
    with rasterio.open(folder / "pxs10_vv.tif") as source:
        np.testing.assert_array_equal(scene.VV, source.read(1))
    with pytest.raises(InputError, match="EPSG:32646 and EPSG:32721"):
        open_sar([folder / "pxs10_vv.tif", folder / "jja10_vh.tif"])


def test_dfc2024_is_power_in_whole_numbers_without_a_place(real_data: Path) -> None:
    path = real_data / "dfc2024/images/4.tif"
    with pytest.raises(InputError, match="no coordinate reference system"):
        open_sar(path)
    scene = open_sar(path, crs_required=False).load()
    with rasterio.open(path) as source:
        stored = source.read([1, 2]).astype(np.float64)
    expected = 10 * np.log10(np.where(stored > 0, stored / 1e4, np.nan))
    np.testing.assert_allclose(np.stack([scene.VV, scene.VH]), expected, atol=1e-5)
    assert np.isnan(scene.VV).sum() == (stored[0] == 0).sum() > 0


def test_terramesh_bands_are_taken_by_convention(real_data: Path) -> None:
    scene = open_sar(real_data / "terramesh/S1RTC/637U_59R_1_3.tif").load()
    assert "by convention" in scene.attrs["band_reason"]
    assert float(scene.VV.median() - scene.VH.median()) > 4


DUAL = [
    "guaiba/guaiba_*_S1.tif",
    f"{HAND}/S1Hand/[!P]*.tif",
    "terramesh/S1RTC/*.tif",
    "sen12ms_cr/*/s1_*/*.tif",
    "dfc2024/images/*.tif",
    "biomassters/*/*_S1_*.tif",
]


def test_undeclared_scale_of_every_real_scene_is_judged_right(real_data: Path, tmp_path: Path) -> None:
    paths = [path for pattern in DUAL for path in sorted(real_data.glob(pattern))]
    assert len(paths) > 15
    for path in paths:
        scene = open_sar(path, crs_required=False).isel(y=slice(0, 512, 3), x=slice(0, 512, 3)).load()
        db = np.stack([scene.VV, scene.VH])
        for quantity, stored in (("db", db), ("power", 10 ** (db / 10)), ("amplitude", 10 ** (db / 20))):
            bare = write(tmp_path / "bare.tif", stored, names=("VV", "VH"))
            assert open_sar(bare).attrs["sar_scale"] == quantity, path.name


@pytest.mark.parametrize(
    ("sar", "optical", "bands", "median"),
    [
        ("guaiba/guaiba_before_S1.tif", "guaiba/guaiba_before_S2.tif", 3, 0.05),
        (f"{HAND}/S1Hand/Spain_7370579_S1Hand.tif", f"{HAND}/S2Hand/Spain_7370579_S2Hand.tif", 4, 0.10),
        ("terramesh/S1RTC/637U_59R_1_3.tif", "terramesh/S2L1C/637U_59R_1_3.tif", 4, 0.07),
        ("biomassters/288afc34/288afc34_S1_01.tif", "biomassters/288afc34/288afc34_S2_01.tif", 4, 0.03),
    ],
)
def test_optical_lies_on_the_scene(
    real_data: Path, sar: str, optical: str, bands: int, median: float
) -> None:
    geobox = open_sar(real_data / sar, crs_required=False).odc.geobox
    picture = open_optical(real_data / optical, geobox, crs_required=False)
    assert len(picture) == bands
    assert picture.odc.geobox == geobox
    window = picture.isel(y=slice(0, 512), x=slice(0, 512)).load()
    assert float(window.green.median()) == pytest.approx(median, abs=0.02)
    assert float(window.red.max()) <= 2


def test_rgb_is_b4_b3_b2(real_data: Path) -> None:
    path = real_data / HAND / "S2Hand/Spain_7370579_S2Hand.tif"
    picture = open_optical(path)
    with rasterio.open(path) as source:
        for name, band in (("red", 4), ("green", 3), ("blue", 2), ("nir", 8)):
            assert source.descriptions[band - 1] == f"B{band}"
            toa = source.read(band) / 1e4
            np.testing.assert_allclose(picture[name], surface_reflectance(toa, name), atol=1e-6)


def test_guaiba_cloud_is_invalid_and_lake_is_not(real_data: Path) -> None:
    picture = open_optical(real_data / "guaiba/guaiba_after_S2.tif")
    seen = np.isfinite(picture.red.isel(y=slice(4100, 4660)).values)
    with rasterio.open(real_data / "guaiba/guaiba_after_S2.tif") as source:
        stored = source.read(window=((4100, 4660), (0, 2048)))
        inside = source.dataset_mask(window=((4100, 4660), (0, 2048))) > 0
    white = (stored >= 250).all(axis=0)
    np.testing.assert_array_equal(seen, inside & ~white)
    assert white[inside].mean() > 0.1


def test_guaiba_on_another_grid(real_data: Path) -> None:
    """Warped to UTM and back, the picture is itself but for interpolation."""
    path = real_data / "guaiba/guaiba_before_S2.tif"
    own = open_optical(path)
    utm: GeoBox = own.odc.geobox[2000:2600, 500:1100].to_crs("EPSG:32722", resolution=9)
    there = open_optical(path, utm).load()
    assert there.attrs["warp"] == "bilinear"
    inner = there.isel(y=slice(100, -100), x=slice(100, -100))
    here = own.isel(y=slice(2100, 2500), x=slice(600, 1000)).load()
    assert float(inner.red.mean()) == pytest.approx(float(here.red.mean()), rel=0.03)


def test_files_describe_themselves(real_data: Path) -> None:
    file = describe(real_data / "guaiba/guaiba_after_S1.tif")
    assert (file.height, file.width, file.block) == (4660, 2048, (512, 512))
    assert [band.description for band in file.bands] == ["VV", "VH"]
    assert np.isnan(file.bands[0].nodata)
