"""Air is taken off L1C: what is left is what L2A shows, and L2A is left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from raster_files import write

from flora.atmosphere import air, surface_reflectance
from flora.bands import OPTICAL_BANDS, SENTINEL2_L1C
from flora.data import open_dataset
from flora.raster import open_optical


def test_air_scatters_blue_most_and_near_infrared_least() -> None:
    paths = [air(band).path for band in ("blue", "green", "red", "nir")]
    assert paths == sorted(paths, reverse=True)
    # Molecules alone, by hand: depth 0.1560 in blue, 0.0173 in near infrared, times 0.75 (1 + cos² 40°) / (4 cos 40°).
    assert 0.0605 < paths[0] < 0.0605 + 0.01, "aerosol adds a little, ozone takes hardly any"
    assert 0.0067 < paths[-1] < 0.0067 + 0.01


@pytest.mark.parametrize("band", OPTICAL_BANDS)
def test_the_way_up_is_undone(band: str) -> None:
    ground = np.linspace(0, 0.6, 13, dtype=np.float32)
    path, transmittance, albedo = air(band)
    toa = path + transmittance * ground / (1 - albedo * ground)  # 6S
    np.testing.assert_allclose(surface_reflectance(toa, band), ground, atol=1e-6)


def test_darker_than_air_is_black_and_absent_stays_absent() -> None:
    found = surface_reflectance(np.array([0.0, 0.02, np.nan], np.float32), "blue")
    assert found.dtype == np.float32
    assert found[:2].tolist() == [0, 0]
    assert np.isnan(found[2])


def test_dense_wood_of_l1c_looks_like_that_of_l2a(real_data: Path) -> None:
    def wood(dataset: str) -> np.ndarray:
        pixels = []
        for chip in open_dataset(dataset, real_data / dataset, "train"):
            assert chip.optical is not None and chip.optical_valid is not None
            assert chip.meta.optical_radiometry == "surface"
            red, nir = chip.optical[0], chip.optical[3]
            dense = chip.optical_valid.all(axis=0) & (nir - red > 0.7 * (nir + red)) & (nir > 0.15)
            pixels.append(chip.optical[:3, dense])
        return np.median(np.concatenate(pixels, axis=1), axis=1)

    l1c, l2a = wood("terramesh"), wood("biomassters")
    pairs = [(air(band), value) for band, value in zip(OPTICAL_BANDS, l1c, strict=False)]
    toa = np.array([a.path + a.transmittance * v / (1 - a.albedo * v) for a, v in pairs])
    assert (np.abs(l1c - l2a) < 0.65 * np.abs(toa - l2a)).all(), (toa, l1c, l2a)
    assert l1c[2] < l1c[1] and toa[2] > toa[1], "a wood is not blue"


@pytest.mark.parametrize(
    ("name", "count", "described", "is_toa"),
    [
        ("chip_S2Hand.tif", 13, False, True),
        ("chip.tif", 12, False, False),
        ("chip.tif", 4, False, False),
        ("named.tif", 13, True, True),
        ("S2A_MSIL1C_20240506T133221.tif", 3, False, True),
        ("S2A_MSIL2A_20240506T133221.tif", 3, False, False),
    ],
)
def test_a_picture_of_l1c_is_known(
    tmp_path: Path, name: str, count: int, described: bool, is_toa: bool
) -> None:
    stored = np.full((count, 40, 40), 1500, np.uint16)
    if count == 13:
        stored[SENTINEL2_L1C.index("B10")] = 12  # it sees no ground
    names = SENTINEL2_L1C if described else ()
    found = open_optical(write(tmp_path / name, stored, names=names))
    for band in found:
        raw = np.float32(0.15)
        wanted = surface_reflectance(raw, str(band)) if is_toa else raw
        assert found[band].values == pytest.approx(wanted, abs=1e-6)
    assert ("L1C" in found.attrs["optical_scale_reason"]) == is_toa
