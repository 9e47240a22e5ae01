"""Rules of the water classes and flags, worked out by hand, and on real chips with their context."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from flora.errors import InputError
from flora.products.around import box_moments, box_sum
from flora.products.flags import (
    ADVISORY,
    EXCLUSION,
    HALO,
    advisory,
    exclusion,
    low_contrast,
    near_edge,
    rough_water,
    small_patch,
    wet_snow,
)
from flora.products.terrain import Steps, ground_steps, slope
from flora.products.water import change, likelihood, observed_flood, observed_water, reference_water
from flora.raster.context import open_context

CORE = 20
SIDE = CORE + 2 * HALO


def radar(vv: float = -8.0, vh: float = -15.0) -> np.ndarray:
    return np.stack([np.full((SIDE, SIDE), value, np.float32) for value in (vv, vh)])


def land() -> np.ndarray:
    return np.zeros((SIDE, SIDE), np.uint8)


def test_water_and_likelihood_by_hand() -> None:
    probability = np.array([0.0, 0.494, 0.5, 0.996, np.nan], np.float32)
    assert observed_water(probability, 0.5).tolist() == [0, 0, 1, 1, 255]
    assert likelihood(probability).tolist() == [0, 49, 50, 100, 255]


def test_reference_by_hand() -> None:
    occurrence = np.array([0, 49, 50, 101, 255, np.nan], np.float32)
    assert reference_water(occurrence, 50).tolist() == [0, 0, 1, 1, 255, 255]
    assert reference_water(np.array([0, 1, 255], np.float32), None).tolist() == [0, 1, 255]
    with pytest.raises(InputError, match="holds 7; expected 0 and 1"):
        reference_water(np.array([7], np.float32), None)


def test_flood_and_change_by_hand() -> None:
    first, second = (plane.astype(np.uint8) for plane in np.meshgrid([0, 1, 255], [0, 1, 255]))
    # Rows are the second argument, columns the first.
    assert observed_flood(first, second).tolist() == [[0, 1, 255], [0, 0, 255], [0, 255, 255]]
    assert change(first, second).tolist() == [[0, 3, 255], [2, 1, 255], [255, 255, 255]]


def test_box_sums_against_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(-12, 4, (11, 13)).astype(np.float32)
    where = rng.random(values.shape) < 0.7
    count, mean, variance = box_moments(values, where, 2)
    for i, j in ((0, 0), (6, 8), (3, 5)):
        patch, chosen = values[i : i + 5, j : j + 5], where[i : i + 5, j : j + 5]
        assert count[i, j] == chosen.sum() == box_sum(where, 2)[i, j]
        assert mean[i, j] == pytest.approx(patch[chosen].mean(), abs=0.005)
        assert variance[i, j] == pytest.approx(patch[chosen].var(), abs=0.05)


@pytest.mark.parametrize("tilt", [0.0, 0.1, 1.0])
def test_slope_of_a_plane(tilt: float) -> None:
    rows, cols = np.indices((8, 9))
    plane = (10 * tilt * (0.6 * cols + 0.8 * rows)).astype(np.float32)
    found = slope(plane, Steps.square(6, 10))
    np.testing.assert_allclose(found, np.degrees(np.arctan(tilt)), atol=1e-4)
    plane[0] = np.nan  # the edge of the data keeps the slope
    np.testing.assert_allclose(slope(plane, Steps.square(6, 10)), found, atol=1e-3)


def test_slope_by_horns_weights() -> None:
    step = np.zeros((3, 3), np.float32)
    step[:, 2] = [1, 2, 3]
    # across (1 + 2 * 2 + 3) / 8 = 1 m, along (3 - 1) / 8 = 0.25 m, a pixel of 10 m
    expected = np.degrees(np.arctan(np.hypot(1.0, 0.25) / 10))
    assert slope(step, Steps.square(1, 10))[0, 0] == pytest.approx(expected)


def test_degrees_are_not_metres() -> None:
    degrees = GeoBox((100, 100), Affine(1e-4, 0, 20, 0, -1e-4, 60.005), "EPSG:4326")
    steps = ground_steps(degrees, slice(50, 51))
    # At 60 N a degree of longitude is 55,800 m and one of latitude 111,412 m.
    assert steps.right[0][0] == pytest.approx(5.580, abs=0.002)
    assert steps.down[1][0] == pytest.approx(-11.1412, abs=0.002)
    metres = GeoBox((100, 100), Affine(10, 0, 500_000, 0, -10, 6_650_000), "EPSG:32634")
    assert ground_steps(metres, slice(50, 51)).right[0][0] == pytest.approx(10 / 0.9996, abs=1e-3)
    turned = metres.transform * Affine.rotation(30)
    plane = (np.indices((5, 5))[1] * 5.0).astype(np.float32)  # 5 m a step of 10 m
    found = slope(plane, ground_steps(GeoBox((5, 5), turned, metres.crs), slice(1, 4)))
    np.testing.assert_allclose(found, np.degrees(np.arctan(0.5 * 0.9996)), atol=0.01)


def test_exclusion_bits_by_hand() -> None:
    scene = radar()
    scene[:, HALO, HALO] = np.nan
    steep = np.zeros((CORE, CORE))
    steep[1, 1], steep[1, 2], steep[2, 2] = 15.0, 14.9, np.nan
    cover = np.full((CORE, CORE), 30, np.float32)
    cover[1, 1], cover[3, :4] = 50, [10, 95, 80, np.nan]
    flags = exclusion(scene, land(), steep, cover)
    assert flags[0, 0] == EXCLUSION["no_data"]
    assert flags[1, 1] == EXCLUSION["steep_slope"] + EXCLUSION["low_sensitivity"]
    assert flags[3, :4].tolist() == [4, 4, 0, 0]
    assert np.count_nonzero(flags) == 4


@pytest.mark.parametrize(("distance", "low"), [(10.0, False), (1.0, True), (-5.0, True)])
def test_low_contrast_is_a_matter_of_spread(distance: float, low: bool) -> None:
    rng = np.random.default_rng(1)
    water = land()
    water[:, : SIDE // 2] = 1
    scene = radar() + rng.normal(0, 2, (2, SIDE, SIDE)).astype(np.float32)
    scene[:, water == 1] -= distance
    # D = √2 x 10 / √8 = 5; √2 x 1 / √8 = 0.5
    assert (low_contrast(scene, water) == low).all()


def test_one_band_with_contrast_is_enough_and_one_class_tells_nothing() -> None:
    rng = np.random.default_rng(1)
    water = land()
    water[:, : SIDE // 2] = 1
    scene = radar() + rng.normal(0, 2, (2, SIDE, SIDE)).astype(np.float32)
    scene[1, water == 1] -= 12
    assert not low_contrast(scene, water).any()
    scene[1] = np.nan
    assert low_contrast(scene, water).all()
    assert not low_contrast(scene, land()).any()
    assert not low_contrast(scene, land() + 1).any()


def test_rough_water() -> None:
    assert rough_water(radar(-13, -26)).all()
    assert not rough_water(radar(-22, -28)).any()  # calm water
    assert not rough_water(radar(-10, -17)).any()  # land
    everywhere = np.ones((SIDE, SIDE), np.uint8)
    assert rough_water(radar(-13, -20), everywhere).all()
    assert not rough_water(radar(-20, -26), everywhere).any()


def test_wet_snow_needs_a_drop_on_a_slope() -> None:
    steep = np.full((CORE, CORE), 10.0)
    steep[:, 5:] = 2.0
    found = wet_snow(radar() - 2.5, radar(), steep)
    assert found[:, :5].all()
    assert not found[:, 5:].any()
    assert not wet_snow(radar() - 1.5, radar(), steep).any()


def test_small_patches_reach_out_of_the_core() -> None:
    water = land()
    water[HALO - 12 : HALO + 12, HALO + 3] = 1  # 24 px, half of them in the halo
    water[HALO - 12 : HALO + 13, HALO + 9] = 1  # 25 px
    water[HALO + 5, HALO + 15] = water[HALO + 6, HALO + 16] = 1  # touching at a corner
    found = small_patch(water)
    assert found[:12, 3].all()
    assert not found[:, 9].any()
    assert found[5, 15]
    assert found[6, 16]
    assert found.sum() == 14


def test_near_edge() -> None:
    scene = radar()
    scene[:, :HALO] = np.nan
    found = near_edge(scene)
    assert found[:16].all()
    assert not found[16:].any()
    hole = radar()
    hole[:, HALO + 10, HALO + 10] = np.nan  # a single pixel is no edge
    assert not near_edge(hole).any()
    assert advisory(hole, land())[10, 10] == 255


def test_context_is_read_anywhere_and_by_place() -> None:
    from odc.geo.xr import wrap_xr

    coarse = GeoBox((20, 20), Affine(30, 0, 478_000, 0, -30, 6_700_000), "EPSG:32721")
    fine = GeoBox((40, 40), Affine(10, 0, 478_100, 0, -10, 6_699_900), "EPSG:32721")
    codes = wrap_xr(np.arange(400, dtype=np.uint16).reshape(20, 20), coarse)
    context = open_context(codes, fine, "classes")
    whole = context.read(slice(-5, 45), slice(-5, 45))
    np.testing.assert_array_equal(whole[20:33, 7:31], context.read(slice(15, 28), slice(2, 26)))
    assert whole[5, 5] == codes.values[3, 3]  # 100 m in: the fourth pixel of 30 m
    east = wrap_xr((np.arange(20) * 30.0 + 15)[None].repeat(20, 0).astype(np.float32), coarse)
    ramp = open_context(east, fine, "quantity").read(slice(0, 2), slice(0, 40))
    np.testing.assert_allclose(ramp[0], 100 + 10 * np.arange(40) + 5, atol=1e-2)
    with pytest.raises(InputError, match="only one has a CRS"):
        open_context(codes, GeoBox((40, 40), Affine.identity(), None), "classes")


def test_rules_on_real_context(real_data: Path) -> None:
    """Flags of chips that carry elevation, land cover and water occurrence; the label stands for observed water."""
    from flora.data.dfc2024 import DFC2024

    chips = DFC2024(real_data / "dfc2024", "all")
    for index, record in enumerate(chips.records):
        chip, context = chips[index], chips.context(index)
        assert chip.water is not None
        sar = np.where(chip.sar_valid, chip.sar, np.float32(np.nan))
        water = np.where(chip.water_valid, chip.water, np.uint8(255))
        reference = reference_water(context["water_occurrence"].astype(np.float32), 50)
        flood = observed_flood(water, reference)
        assert not ((flood == 1) & (reference == 1)).any()
        elevation = context["dem_copernicus"].astype(np.float32)
        elevation[elevation <= -9999] = np.nan
        steep = slope(elevation, Steps.square(510, 10))[HALO - 1 : 1 - HALO, HALO - 1 : 1 - HALO]
        core = slice(HALO, -HALO), slice(HALO, -HALO)
        cover = context["worldcover"][core].astype(np.float32)
        excluded = exclusion(sar, water, steep, cover)
        advised = advisory(sar, water, reference=reference, slope=steep, cover=cover)
        share = {name: float(((excluded & bit) > 0).mean()) for name, bit in EXCLUSION.items()}
        known = advised != 255
        share |= {name: float((known & ((advised & bit) > 0)).mean()) for name, bit in ADVISORY.items()}
        print(
            record.chip, {name: round(part, 3) for name, part in share.items()}, "flood", (flood == 1).mean()
        )
        assert share["low_sensitivity"] == pytest.approx(np.isin(cover, (10, 50, 95)).mean(), abs=0.02)
        assert share["steep_slope"] < 0.9
        assert share["small_patch"] < 0.1


def test_a_flood_map_of_a_real_chip_with_all_its_context(real_data: Path) -> None:
    """From files of elevation, land cover and water occurrence on other grids to layers, with the shipped weights."""
    import xarray as xr
    from odc.geo.xr import wrap_xr, xr_coords

    from flora.data.dfc2024 import DFC2024
    from flora.products.flood import map_flood

    chips = DFC2024(real_data / "dfc2024", "all")
    index = next(place for place, record in enumerate(chips.records) if record.chip == "dfc2024_4")
    chip, context = chips[index], chips.context(index)
    window = np.s_[192:448, 32:288]
    # The place is not stated: any does, as long as a pixel is 10 m.
    geobox = GeoBox((256, 256), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")
    radar = np.where(chip.sar_valid, chip.sar, np.float32(np.nan))[:, *window]
    bands = {name: (geobox.dimensions, band) for name, band in zip(("VV", "VH"), radar, strict=True)}
    around = GeoBox((512, 512), geobox.transform @ Affine.translation(-32, -192), geobox.crs)
    elevation = context["dem_copernicus"].astype(np.float32)
    elevation[elevation <= -9999] = np.nan
    cover, occurrence = (context[name].astype(np.uint8) for name in ("worldcover", "water_occurrence"))
    flood = map_flood(
        xr.Dataset(bands, coords=xr_coords(geobox)),
        reference_water=wrap_xr(occurrence, around),
        dem=wrap_xr(elevation, around),
        land_cover=wrap_xr(cover, around),
        tile=256,
        device="cpu",
        precision="fp32",
    ).compute(scheduler="synchronous")
    assert flood.attrs["reference"] == "occurrence of at least 50 %"
    often = occurrence[window] >= 50
    assert often.any(), "or this shows nothing about reference water"
    reference = flood["reference_water"].values
    np.testing.assert_array_equal(reference == 1, often & (occurrence[window] != 255))
    water, new = flood["observed_water"].values == 1, flood["observed_flood"].values == 1
    np.testing.assert_array_equal(new, water & (reference == 0))
    flags = flood["exclusion"].values
    known = flags != 1
    hidden = np.isin(cover[window], (10, 50, 95))
    np.testing.assert_array_equal((flags & 4 > 0)[known], hidden[known])
    steep = slope(elevation[191:449, 31:289], ground_steps(geobox, slice(0, 256)))
    np.testing.assert_array_equal((flags & 2 > 0)[known], (steep >= 15)[known])
    assert 0 < hidden.mean() < 1, "or this shows nothing about land cover"
