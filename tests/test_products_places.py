"""Flood maps of awkward places: over the antimeridian, near a pole, in degrees, rotated; dry, and all water."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr, xr_coords
from shapely.geometry import shape
from standin import StandInCheckpoint

from flora.errors import InputError
from flora.products.flood import map_flood
from flora.products.floodfiles import write_flood
from flora.products.report import write_report
from flora.products.result import open_result
from flora.products.stac import item_of
from flora.products.stacschema import stac_faults
from flora.products.vectors import write_vectors
from flora.products.zones import count_zones

SHAPE = (48, 56)
STEP = 1e-4  # degrees
TURNED = Affine.translation(480_000, 6_680_000) @ Affine.rotation(30) @ Affine.scale(10, -10)
PLACES = {
    "degrees": (Affine(STEP, 0, 18.0, 0, -STEP, 60.0), "EPSG:4326"),
    "antimeridian": (Affine(STEP, 0, 179.997, 0, -STEP, -16.0), "EPSG:4326"),
    # 3° east of the middle of zone 60 at 16° S: 320,940 m.
    "antimeridian, metres": (Affine(40, 0, 820_000, 0, -40, 8_230_000), "EPSG:32760"),
    "arctic": (Affine(40, 0, 300_000, 0, -40, 500_000), "EPSG:3995"),
    "antarctic": (Affine(40, 0, -300_000, 0, -40, 1_500_000), "EPSG:3031"),
    "rotated": (TURNED, "EPSG:32721"),
}


def lay(values: np.ndarray, geobox: GeoBox) -> xr.DataArray:
    return wrap_xr(values, geobox)


def scene_of(geobox: GeoBox, seed: int) -> xr.Dataset:
    """Speckle in patches, with a rim without data."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices(geobox.shape.yx)
    level = np.where(np.hypot(rows - 24, cols - 20 - 8 * seed) < 14, -20.0, -9.0)
    vv = (level + rng.normal(0, 1, level.shape)).astype(np.float32)
    vv[:2] = np.nan
    bands = {"VV": (geobox.dimensions, vv), "VH": (geobox.dimensions, vv - 7)}
    attrs = {"name": f"scene{seed}", "source": [], "time": "2024-05-06T09:00:00Z"}
    return xr.Dataset(bands, coords=xr_coords(geobox), attrs=attrs).chunk(32)


@pytest.mark.parametrize("place", PLACES)
def test_every_place_on_earth(tmp_path: Path, place: str) -> None:
    geobox = GeoBox(SHAPE, *PLACES[place])
    after, before = scene_of(geobox, 1), scene_of(geobox, 0)
    rows, cols = np.indices(SHAPE)
    flood = map_flood(
        after,
        before,
        dem=lay((cols * 4.0).astype(np.float32), geobox),
        land_cover=lay(np.where(rows > 40, 50, 30).astype(np.uint8), geobox),
        weights=StandInCheckpoint(),
        tile=32,
        device="cpu",
        precision="fp32",
    )
    summary = write_flood(flood, after, tmp_path, before=before)
    folder = tmp_path / "scene1"
    flags = flood["exclusion"].values
    assert (flags[41:] & 4 == 4).all(), "context lies where it is"
    assert not (flags[2:41] & 4).any()
    # 4 m a pixel is 22° where a pixel is 10 m, 6° at 40 m, and 36° where it is 5.6 m across.
    steep = (flags[5:40, 5:-5] & 2 == 2).mean()
    assert steep == (place not in ("antimeridian, metres", "arctic", "antarctic"))
    for told in write_vectors(folder):
        expected = summary.flood_km2 if told.kind == "flood" else summary.water_km2
        assert expected is not None
        assert told.area_m2 / 1e6 == pytest.approx(expected, rel=1e-3)
    (figures,) = count_zones(folder)
    assert figures.flood_km2 == pytest.approx(summary.flood_km2, rel=1e-4)
    item = item_of(open_result(folder))
    assert not stac_faults(item)
    footprint = shape(item["geometry"])
    assert footprint.is_valid
    assert footprint.geom_type == ("MultiPolygon" if place.startswith("antimeridian") else "Polygon")
    for feature in json.loads((folder / "water_polygons.geojson").read_text())["features"]:
        assert footprint.buffer(1e-3).contains(shape(feature["geometry"]))
    assert "Flood map" in write_report(folder).read_text()


def test_a_scene_around_the_pole_is_a_map_and_for_its_footprint_a_sentence(tmp_path: Path) -> None:
    geobox = GeoBox(SHAPE, Affine(40, 0, -1120, 0, -40, 960), "EPSG:3995")
    after, before = scene_of(geobox, 1), scene_of(geobox, 0)
    flood = map_flood(after, before, weights=StandInCheckpoint(), device="cpu", precision="fp32")
    summary = write_flood(flood, after, tmp_path)
    assert summary.water_km2 is not None
    # At the pole EPSG:3995, true at 71° N, shrinks by 1 - 0.0272 in length.
    valid = (48 - 2) * 56 * 1600 / 1e6
    assert summary.valid_km2 == pytest.approx(valid * (1 / 0.9728) ** 2, rel=2e-3)
    with pytest.raises(InputError, match="goes around a pole"):
        item_of(open_result(tmp_path / "scene1"))


@pytest.mark.parametrize(("threshold", "water"), [(1.0, 0), (0.0, 1)])
def test_no_water_and_all_water(tmp_path: Path, threshold: float, water: int) -> None:
    geobox = GeoBox(SHAPE, *PLACES["degrees"])
    after, before = scene_of(geobox, 1), scene_of(geobox, 0)
    weights = StandInCheckpoint(threshold=threshold)
    dry = lay(np.zeros(SHAPE, np.uint8), geobox)
    flood = map_flood(after, before, reference_water=dry, weights=weights, device="cpu", precision="fp32")
    summary = write_flood(flood, after, tmp_path, before=before)
    seen = flood["observed_water"].values
    assert (seen[2:] == water).all()
    assert (seen[:2] == 255).all()
    assert summary.flood_pixels == water * 46 * 56
    assert not (flood["exclusion"].values & 8).any(), "one class alone has no contrast to judge"
    polygons = {told.kind: told for told in write_vectors(tmp_path / "scene1")}
    assert polygons["flood"].count == water
    assert polygons["flood"].area_m2 / 1e6 == pytest.approx(summary.flood_km2, rel=1e-3)
    (figures,) = count_zones(tmp_path / "scene1")
    assert figures.water_km2 == pytest.approx(summary.water_km2, abs=1e-9, rel=1e-4)
    assert "Flood map" in write_report(tmp_path / "scene1").read_text()


def test_a_polygon_of_zones_over_the_antimeridian_meets_a_grid_that_runs_past_it(tmp_path: Path) -> None:
    from flora.products.zonefile import read_zones

    geobox = GeoBox(SHAPE, *PLACES["antimeridian"])
    east = shapely.box(-180, -17, -179.99, -15)
    west = shapely.box(179.99, -17, 180, -15)
    told = {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": {"name": name}, "geometry": shapely.geometry.mapping(zone)}
            for name, zone in {"east": east, "west": west, "both": shapely.MultiPolygon([east, west])}.items()
        ],
    }
    (tmp_path / "zones.geojson").write_text(json.dumps(told))
    here = shapely.box(0, 0, SHAPE[1], SHAPE[0])
    zones = {
        zone.name: zone.pixels.intersection(here)
        for zone in read_zones(tmp_path / "zones.geojson", None, geobox)
    }
    # The antimeridian lies 0.003° / 0.0001° = 30 px in.
    assert zones["west"].area == pytest.approx(30 * 48, rel=1e-6)
    assert zones["east"].area == pytest.approx(26 * 48, rel=1e-6)
    assert zones["both"].area == pytest.approx(56 * 48, rel=1e-6)
