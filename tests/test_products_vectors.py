"""Polygons say what the raster says: same pixels, same areas, whatever the blocks, the grid and the place."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from odc.geo.geobox import GeoBox
from product_files import blobs, grid, write_product
from rasterio.features import rasterize
from shapely.geometry import shape

from flora.errors import InputError, OutputError
from flora.products.area import row_areas
from flora.products.components import components
from flora.products.smooth import smooth
from flora.products.stacschema import FOLDER
from flora.products.vectors import write_vectors

NORTH = Affine(1e-4, 0, 18.0, 0, -1e-4, 60.0)


class InMemory:
    """A raster without a file: hundreds of examples need none."""

    def __init__(self, values: Any) -> None:
        self.values = values
        self.height, self.width = values.shape

    def read(self, index: int, rows: slice, cols: slice) -> Any:
        block = self.values[rows, cols]
        return block, block != 255


def patches(folder: Path, layer: str = "water") -> tuple[list[Any], dict[str, Any]]:
    meta, _, geometry, fields = pyogrio.raw.read(folder / "polygons.gpkg", layer=layer)
    return list(shapely.from_wkb(geometry)), dict(zip(meta["fields"].tolist(), fields, strict=True))


def back(polygons: list[Any], geobox: GeoBox) -> Any:
    if not polygons:
        return np.zeros(geobox.shape.yx, np.uint8)
    return rasterize([(p, 1) for p in polygons], out_shape=geobox.shape.yx, transform=geobox.transform)


def pixel_area(water: Any, geobox: GeoBox) -> float:
    rows, cols = (slice(0, length) for length in water.shape)
    return float((water == 1).sum(axis=1) @ row_areas(geobox, rows, cols))


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (None, "EPSG:32721"),
        (NORTH, "EPSG:4326"),
        (Affine.translation(480_000, 6_680_000) @ Affine.rotation(30) @ Affine.scale(10, -10), "EPSG:32721"),
    ],
)
def test_polygons_are_the_mask(tmp_path: Path, transform: Affine | None, crs: str) -> None:
    water = blobs((150, 211))
    geobox = grid(water.shape, transform, crs)
    folder = write_product(tmp_path / "toy", water, geobox)
    (told,) = write_vectors(folder, block=64)
    polygons, fields = patches(folder)
    assert told.count == len(polygons) > 50
    assert all(p.is_valid for p in polygons)
    assert sum(len(p.interiors) for p in polygons) > 20, "or this shows nothing about holes"
    np.testing.assert_array_equal(back(polygons, geobox), water == 1)
    assert told.area_m2 == pytest.approx(pixel_area(water, geobox), rel=1e-3)
    np.testing.assert_allclose(fields["area_ha"], fields["area_m2"] / 1e4, atol=1e-6)
    np.testing.assert_allclose(fields["mean_likelihood"], 90)
    assert set(fields["event"]) == {"toy"}
    assert set(fields["time"]) == {"2024-05-06T09:00:00Z"}


def test_a_long_strip_at_60_degrees_north_has_its_true_area(tmp_path: Path) -> None:
    """An edge along a parallel is no geodesic; over 200 km the difference would be many rows of pixels."""
    water = np.zeros((20, 4000), np.uint8)
    water[5:8] = 1
    geobox = grid(water.shape, Affine(1e-3, 0, 18.0, 0, -1e-3, 60.0), "EPSG:4326")
    (told,) = write_vectors(write_product(tmp_path / "toy", water, geobox))
    assert told.count == 1
    assert told.area_m2 == pytest.approx(pixel_area(water, geobox), rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 3, 5, 8]), st.floats(0.1, 0.9))
def test_blocks_change_nothing(seed: int, block: int, cover: float) -> None:
    rng = np.random.default_rng(seed)
    water = (rng.random((11, 13)) < cover).astype(np.uint8)
    known = rng.random(water.shape)

    def weights(rows: slice, cols: slice) -> Any:
        return known[rows, cols]

    found = [
        {
            c.polygon().normalize().wkt: (c.pixels, round(c.mean() or 0, 9))
            for c in components(InMemory(water), 1, weights, b)
        }
        for b in (64, block)
    ]
    assert found[0] == found[1]
    assert sum(pixels for pixels, _ in found[0].values()) == water.sum()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9))
def test_smoothing_keeps_area_and_topology(seed: int, cover: float) -> None:
    rng = np.random.default_rng(seed)
    water = (rng.random((12, 12)) < cover).astype(np.uint8)
    stairs = [c.polygon() for c in components(InMemory(water), 1)]
    curves = [smooth(p) for p in stairs]
    for before, after in zip(stairs, curves, strict=True):
        assert after.is_valid
        assert not after.equals(before), "none had to be left as it was"
        assert after.area == pytest.approx(before.area, rel=0.01)
        assert len(after.interiors) == len(before.interiors)
    tree = shapely.STRtree(curves)
    left, right = tree.query(curves, predicate="intersects")
    assert (left == right).all(), "two patches touch"


def test_smoothed_polygons_keep_their_areas(tmp_path: Path) -> None:
    water = blobs((120, 130), seed=2)
    folder = write_product(tmp_path / "toy", water, grid(water.shape))
    (stairs,) = write_vectors(folder)
    (curves,) = write_vectors(folder, smooth=True, overwrite=True)
    assert curves.count == stairs.count
    assert curves.area_m2 == pytest.approx(stairs.area_m2, rel=1e-3)


def test_small_polygons_are_left_out_and_holes_kept(tmp_path: Path) -> None:
    water = np.zeros((40, 40), np.uint8)
    water[5:25, 5:25] = 1
    water[10, 10] = 0
    water[30, 30] = 1
    folder = write_product(tmp_path / "toy", water, grid(water.shape))
    (told,) = write_vectors(folder, min_area_m2=500, event="Guaíba 2024")
    (polygon,), fields = patches(folder)
    assert len(polygon.interiors) == 1
    assert polygon.area == 399 * 100
    assert told.area_m2 == pytest.approx(39_900, rel=2e-3), "UTM's scale is 0.9996 at its middle"
    assert fields["event"][0] == "Guaíba 2024"


def test_flood_is_told_from_water(tmp_path: Path) -> None:
    water = blobs((60, 60))
    flood = np.where(water == 1, np.tri(60, dtype=np.uint8), water)
    folder = write_product(tmp_path / "toy", water, grid(water.shape), flood=flood.astype(np.uint8))
    told = {patch.kind: patch for patch in write_vectors(folder)}
    assert set(told) == {"flood", "water"}
    np.testing.assert_array_equal(back(patches(folder, "flood")[0], grid(water.shape)), flood == 1)
    assert told["flood"].area_m2 < told["water"].area_m2


def test_geojson_follows_its_standard(tmp_path: Path) -> None:
    water = blobs((80, 80), seed=4)
    folder = write_product(tmp_path / "toy", water, grid(water.shape))
    write_vectors(folder)
    told = json.loads((folder / "water_polygons.geojson").read_text())
    assert set(told) == {"type", "features"}, "no CRS member: RFC 7946 knows WGS 84 only"
    official = json.loads((FOLDER / "geojson-feature.json").read_text())
    for feature in told["features"]:
        assert list(Draft7Validator(official).iter_errors(feature)) == []
        polygon = shape(feature["geometry"])
        assert polygon.is_valid
        assert polygon.exterior.is_ccw
        assert not any(ring.is_ccw for ring in polygon.interiors)
        assert -60 < polygon.centroid.x < -54, "longitude first"
    assert len(told["features"]) == len(patches(folder)[0])


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (Affine(0.01, 0, 179.5, 0, -0.01, -16.0), "EPSG:4326"),
        (Affine(1000, 0, 440_000 + 350_000, 0, -1000, 8_200_000), "EPSG:32760"),
    ],
)
def test_a_polygon_over_the_antimeridian_is_cut(tmp_path: Path, transform: Affine, crs: str) -> None:
    water = np.zeros((30, 100), np.uint8)
    water[5:25, 5:95] = 1
    water[10:12, 20:80] = 0  # a hole that crosses as well
    geobox = grid(water.shape, transform, crs)
    folder = write_product(tmp_path / "toy", water, geobox)
    (told,) = write_vectors(folder)
    assert told.area_m2 == pytest.approx(pixel_area(water, geobox), rel=2e-3)
    (feature,) = json.loads((folder / "water_polygons.geojson").read_text())["features"]
    whole = shape(feature["geometry"])
    assert whole.geom_type == "MultiPolygon"
    assert whole.is_valid
    west, _, east, _ = whole.bounds
    assert (west, east) == (-180, 180)
    assert all(part.bounds[2] - part.bounds[0] < 1.5 for part in whole.geoms)
    assert len(patches(folder)[0]) == 1, "in its own CRS it is one piece"


def test_beside_a_pole_it_works_and_around_it_is_a_sentence(tmp_path: Path) -> None:
    water = np.zeros((40, 40), np.uint8)
    water[2:9, 2:38] = 1
    geobox = grid(water.shape, Affine(1000, 0, -20_000, 0, -1000, 20_000), "EPSG:3413")
    (told,) = write_vectors(write_product(tmp_path / "beside", water, geobox))
    assert told.area_m2 == pytest.approx(pixel_area(water, geobox), rel=5e-3)
    water[2:38, 2:38] = 1
    folder = write_product(tmp_path / "around", water, geobox)
    with pytest.raises(InputError, match="goes around a pole"):
        write_vectors(folder)
    assert not list(folder.glob("*polygons*")), "nothing half-written"
    assert not list(folder.glob(".partial*"))


def test_a_geopackage_is_of_a_version_that_all_know_and_brings_its_colours(tmp_path: Path) -> None:
    """QGIS looks for the style of a layer in `layer_styles`; GDAL before 3.7 warns of version 1.4."""
    water = blobs((40, 40))
    folder = write_product(tmp_path / "toy", water, grid(water.shape), flood=water)
    write_vectors(folder)
    with closing(sqlite3.connect(folder / "polygons.gpkg")) as package:
        assert package.execute("PRAGMA user_version").fetchone() == (10200,)
        assert package.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        styles = package.execute(
            "SELECT f_table_name, f_geometry_column, useAsDefault, styleQML FROM layer_styles ORDER BY 1"
        ).fetchall()
        assert [style[:3] for style in styles] == [("flood", "geom", 1), ("water", "geom", 1)]
        assert all("<renderer-v2" in style[3] for style in styles)
        geometry = dict(
            package.execute("SELECT table_name, column_name FROM gpkg_geometry_columns").fetchall()
        )
    assert geometry == {"flood": "geom", "water": "geom"}


@pytest.mark.parametrize("value", [0, 1, 255])
def test_one_class_everywhere(tmp_path: Path, value: int) -> None:
    water = np.full((20, 30), value, np.uint8)
    folder = write_product(tmp_path / "toy", water, grid(water.shape))
    (told,) = write_vectors(folder, block=8)
    assert told.count == (value == 1)
    polygons, fields = patches(folder)
    assert len(polygons) == (value == 1)
    assert list(fields) == ["area_m2", "area_ha", "mean_likelihood", "event", "time"]
    assert json.loads((folder / "water_polygons.geojson").read_text())["type"] == "FeatureCollection"


def test_faults_are_sentences(tmp_path: Path) -> None:
    water = blobs((20, 20))
    with pytest.raises(InputError, match=r"no result of FLoRA: it has no summary.json"):
        write_vectors(tmp_path)
    lost = write_product(tmp_path / "lost", water, grid(water.shape, crs=None))
    with pytest.raises(InputError, match="has no CRS; polygons"):
        write_vectors(lost)
    folder = write_product(tmp_path / "toy", water, grid(water.shape))
    write_vectors(folder)
    with pytest.raises(OutputError, match=r"polygons.gpkg' exists already; .* Pass --overwrite"):
        write_vectors(folder)
    (folder / "water.tif").unlink()
    with pytest.raises(InputError, match=r"has no observed_water.tif or water.tif; it is incomplete"):
        write_vectors(folder, overwrite=True)
