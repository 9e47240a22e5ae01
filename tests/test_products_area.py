"""Ground area of cells against an independent geodesic computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import CRS, Geod, Transformer

from flora.products.area import AreaTally, row_areas
from flora.products.ground import ground_of


def geodesic_area(geobox: GeoBox, row: int, col: int) -> float:
    """Area of one cell as a polygon on the ellipsoid, its sides cut fine, m²."""
    steps = np.linspace(0, 1, 9)[:-1]
    sides = [(steps, 0 * steps), (1 + 0 * steps, steps), (1 - steps, 1 + 0 * steps), (0 * steps, 1 - steps)]
    x, y = (np.concatenate([side[i] for side in sides]) for i in (0, 1))
    a, b, c, d, e, f = tuple(geobox.transform)[:6]
    x, y = col + x, row + y
    to_degrees = Transformer.from_crs(str(geobox.crs), CRS(str(geobox.crs)).geodetic_crs, always_xy=True)
    lon, lat = to_degrees.transform(a * x + b * y + c, d * x + e * y + f)
    return abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])


@pytest.mark.parametrize(
    ("crs", "transform"),
    [
        ("EPSG:4326", Affine(8.98315e-5, 0, -51.25, 0, -8.98315e-5, -29.83)),
        ("EPSG:4326", Affine(0.01, 0, 20.0, 0, -0.01, 68.0)),
        ("EPSG:4326", Affine(0.01, 0, 20.0, 0, -0.01, 68.0) @ Affine.rotation(20)),
        ("EPSG:32722", Affine(10, 0, 700_000, 0, -10, 6_700_000)),
        ("EPSG:32722", Affine(10, 0, 700_000, 0, -10, 6_700_000) @ Affine.rotation(15)),
        ("EPSG:3857", Affine(20, 0, 2_000_000, 0, -20, 8_400_000)),
        ("EPSG:4326", Affine(0.01, 0, 179.695, 0, -0.01, 10.0)),
        ("EPSG:3832", Affine(1000, 0, 3_309_500, 0, -1000, -1_900_000)),
        ("EPSG:3413", Affine(40, 0, -300_000, 0, -40, -1_000_000)),
        ("EPSG:3995", Affine(40, 0, -1_240, 0, -40, 1_600)),
    ],
    ids=[
        "degrees",
        "degrees north",
        "degrees turned",
        "UTM",
        "UTM turned",
        "Web Mercator",
        "antimeridian",
        "antimeridian in metres",
        "polar",
        "beside the pole",
    ],
)
def test_a_cell_has_its_geodesic_area(crs: str, transform: Affine) -> None:
    geobox = GeoBox((40, 60), transform, crs)
    areas = row_areas(geobox, slice(10, 30), slice(30, 31))
    expected = [geodesic_area(geobox, row, 30) for row in range(10, 30)]
    np.testing.assert_allclose(areas, expected, rtol=2e-5)


def test_an_acre_in_feet_is_an_acre() -> None:
    """A CRS in US survey feet: 208.71 ft squared is about an acre, 4046.87 m²."""
    geobox = GeoBox((2, 2), Affine(208.71, 0, 2_000_000, 0, -208.71, 800_000), "EPSG:2264")
    assert row_areas(geobox, slice(0, 1), slice(0, 1))[0] == pytest.approx(4046.87, rel=1e-3)


def test_a_degree_square_at_the_equator_is_known() -> None:
    """1° × 1° from the equator is 12,308.8 km² on WGS 84 (111.32 km × 110.57 km)."""
    geobox = GeoBox((100, 100), Affine(0.01, 0, 0.0, 0, -0.01, 1.0), "EPSG:4326")
    tally = AreaTally(geobox, {"water": 1})
    tally.add(slice(0, 100), slice(0, 100), np.ones((100, 100), np.uint8))
    assert tally.square_km is not None
    assert tally.square_km["water"] == pytest.approx(12_308.8, rel=1e-4)


def test_the_tally_does_not_depend_on_the_blocks() -> None:
    geobox = GeoBox((90, 70), Affine(0.01, 0, 20.0, 0, -0.01, 68.0), "EPSG:4326")
    values = np.random.default_rng(0).integers(0, 3, (90, 70)).astype(np.uint8)
    classes = {"land": 0, "water": 1}
    whole, parts = AreaTally(geobox, classes), AreaTally(geobox, classes)
    whole.add(slice(0, 90), slice(0, 70), values)
    for rows in (slice(0, 64), slice(64, 90)):
        for cols in (slice(0, 64), slice(64, 70)):
            parts.add(rows, cols, values[rows, cols])
    assert (
        whole.pixels == parts.pixels == {"land": int((values == 0).sum()), "water": int((values == 1).sum())}
    )
    assert whole.square_km is not None
    assert parts.square_km is not None
    assert parts.square_km["water"] == pytest.approx(whole.square_km["water"], rel=1e-9)


def test_without_crs_there_are_pixels_and_no_area() -> None:
    tally = AreaTally(GeoBox((4, 4), Affine.identity(), None), {"water": 1})
    tally.add(slice(0, 2), slice(0, 4), np.ones((2, 4), np.uint8))
    assert tally.pixels == {"water": 8}
    assert tally.square_km is None


def test_a_pixel_on_the_ground_in_degrees_and_in_metres() -> None:
    """1e-4 degrees at 60 degrees north: 11.14 m of latitude, 5.58 m of longitude (cos 60° times 11.17 m)."""
    degrees = ground_of(GeoBox((100, 100), Affine(1e-4, 0, 20, 0, -1e-4, 60.005), "EPSG:4326"))
    assert degrees.pixel == pytest.approx((11.141, 5.580), rel=1e-3)
    assert degrees.north == pytest.approx(0, abs=1e-3)
    mercator = ground_of(GeoBox((100, 100), Affine(20, 0, 2_000_000, 0, -20, 8_400_000), "EPSG:3857"))
    assert mercator.pixel == pytest.approx((10, 10), rel=0.02)
    pixels = ground_of(GeoBox((100, 100), Affine.identity(), None))
    assert (pixels.pixel, pixels.unit, pixels.north) == ((1.0, 1.0), "px", None)


@pytest.mark.parametrize("turn", [-30, 0, 15, 100])
def test_north_follows_a_turned_grid(turn: float) -> None:
    """The rows of a grid that is turned clockwise by 15° point 15° off: north is seen 15° to the left."""
    clockwise = Affine.rotation(-turn)
    geobox = GeoBox(
        (100, 100), Affine.translation(500_000, 6_700_000) @ clockwise @ Affine.scale(10, -10), "EPSG:32722"
    )
    found = ground_of(geobox).north
    assert found is not None
    assert math.remainder(found + turn, 360) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(("right", "down"), [(1, 1), (1, -1), (-1, -1), (-1, 1)])
def test_no_picture_is_seen_in_a_mirror(right: int, down: int) -> None:
    """One place on four grids whose rows and columns run either way: drawn, all are the same, north up."""
    from flora.products.ground import drawn
    from flora.products.mapframe import _graticule, frame_of

    usual = GeoBox((100, 80), Affine(10, 0, 500_000, 0, -10, 6_700_000), "EPSG:32722")
    west, north = 500_000 + (800 if right < 0 else 0), 6_700_000 - (1000 if down > 0 else 0)
    geobox = GeoBox((100, 80), Affine(10 * right, 0, west, 0, 10 * down, north), "EPSG:32722")
    assert geobox.extent.boundingbox == usual.extent.boundingbox
    ground = ground_of(geobox)
    assert ground.north == pytest.approx(0, abs=0.1)
    picture = np.arange(100 * 80 * 3).reshape(100, 80, 3).astype(np.uint8)
    stored = picture[:: -1 if down > 0 else 1, ::right]
    np.testing.assert_array_equal(drawn(stored, ground), picture)
    assert _graticule(frame_of(geobox, 300, 300)) == _graticule(frame_of(usual, 300, 300))


def test_rows_of_a_scene_without_crs_stay() -> None:
    assert ground_of(GeoBox((4, 4), Affine.identity(), None)).flipped == (False, False)


def test_a_sheet_draws_a_mirrored_grid_the_right_way() -> None:
    from PIL import Image

    from flora.products.figure import Panel, Words, draw_sheet

    words = Words("", "", "", [], "")
    picture = np.full((200, 200, 3), 200, np.uint8)
    picture[:50, :50] = 0
    sheets = []
    for transform, stored in (
        (Affine(10, 0, 500_000, 0, -10, 6_700_000), picture),
        (Affine(-10, 0, 502_000, 0, 10, 6_698_000), picture[::-1, ::-1]),
    ):
        ground = ground_of(GeoBox((200, 200), transform, "EPSG:32722"))
        sheets.append(draw_sheet([Panel("", "", Image.fromarray(stored))], words, ground, thinned=1))
    np.testing.assert_array_equal(*(np.asarray(sheet)[:380] for sheet in sheets))


def test_north_up_whatever_the_way_the_grid_is_mirrored() -> None:
    """Rows that run to the south and columns to the west: north is still up."""
    geobox = GeoBox((100, 100), Affine(-10, 0, 500_000, 0, -10, 6_700_000), "EPSG:32722")
    assert ground_of(geobox).north == pytest.approx(0, abs=0.1)
