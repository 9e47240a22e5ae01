"""Areas and people, overall and by zones, against counts by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from product_files import grid, write_product
from pyproj import Transformer

from flora.cli import main
from flora.errors import InputError, OutputError
from flora.products.report import write_report
from flora.products.zones import write_zones
from flora.raster import CogSpec, write_cog

CELL = 1e-4  # km²; UTM's scale near its middle is 0.9996, so that ground is 0.08 % larger


def toy(folder: Path) -> Path:
    """20 rows of water at 95 %, then 10 at 60 %, land at 20 %, land at 2 %; a column of no data; half is flood."""
    water = np.zeros((60, 50), np.uint8)
    water[:30] = 1
    share = np.full(water.shape, 0.02)
    share[:20], share[20:30], share[30:40] = 0.95, 0.6, 0.2
    water[:, 49] = 255
    flood = np.where(water == 255, 255, 0).astype(np.uint8)
    flood[:30, :20] = 1
    return write_product(folder, water, grid(water.shape), share, flood)


def zone_file(path: Path, boxes: dict[str, tuple[float, float, float, float]]) -> Path:
    """Writes boxes of rows and columns of the toy's grid, as GeoJSON in degrees."""
    to_degrees = Transformer.from_crs(32721, 4326, always_xy=True)
    features = []
    for name, (top, left, bottom, right) in boxes.items():
        corners = [(left, top), (left, bottom), (right, bottom), (right, top), (left, top)]
        ring = [to_degrees.transform(480_000 + 10 * x, 6_680_000 - 10 * y) for x, y in corners]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"NAME": name, "code": 7}, "geometry": geometry})
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_overall_by_hand(tmp_path: Path) -> None:
    folder = toy(tmp_path / "toy")
    (told,) = write_zones(folder, block=16)
    expected = {
        "scene_km2": 60 * 50,
        "no_data_km2": 60,
        "water_km2": 30 * 49,
        "water_low_km2": 20 * 49,
        "water_high_km2": 40 * 49,
        "flood_km2": 30 * 20,
        "flood_low_km2": 20 * 20,
        # Without reference water, whatever may be water may be flood.
        "flood_high_km2": 40 * 49,
    }
    for name, pixels in expected.items():
        assert getattr(told, name) == pytest.approx(pixels * CELL, rel=2e-3), name
    assert (told.zone, told.excluded_km2, told.people) == ("overall", None, None)


def test_zones_share_out_the_whole_and_may_overlap(tmp_path: Path) -> None:
    folder = toy(tmp_path / "toy")
    boxes = {
        "north": (0, 0, 25, 50),
        "south": (25, 0, 60, 50),
        "half out": (0, -50, 60, 50),
        "far": (0, 90, 9, 99),
    }
    overall, north, south, half, far = write_zones(folder, zone_file(tmp_path / "z.geojson", boxes), block=16)
    assert [told.zone for told in (north, south, half, far)] == list(boxes)
    assert north.water_km2 == pytest.approx(25 * 49 * CELL, rel=2e-3)
    assert north.water_km2 + south.water_km2 == pytest.approx(overall.water_km2, rel=1e-12)
    assert half.water_km2 == pytest.approx(overall.water_km2, rel=1e-12)
    assert north.covered_share == pytest.approx(1, rel=1e-4)
    assert half.covered_share == pytest.approx(0.5, rel=1e-3)
    assert (far.scene_km2, far.covered_share, far.water_km2) == (0, 0, 0)


def test_people_are_spread_over_their_cells(tmp_path: Path) -> None:
    folder = toy(tmp_path / "toy")
    people = np.array([[300.0, 0.0], [100.0, -200.0]], np.float32)  # cells of 30 x 25 px; -200 is no data
    geobox = grid((2, 2), Affine(250, 0, 480_000, 0, -300, 6_680_000))
    write_cog(tmp_path / "people.tif", people, geobox, CogSpec("float32", ("people",), nodata=-200))
    (told,) = write_zones(folder, population=tmp_path / "people.tif", block=16)
    assert told.people == pytest.approx(400, rel=1e-4)
    assert told.people_in_water == pytest.approx(300, rel=1e-4)
    assert told.people_in_flood == pytest.approx(300 * 20 / 25, rel=1e-4)


def test_land_cover_in_the_water_by_hand(tmp_path: Path) -> None:
    """Cropland left of column 25, built up right of it, a strange code in the last ten rows, unknown in a corner."""
    folder = toy(tmp_path / "toy")
    codes = np.full((60, 50), 40, np.uint8)
    codes[:, 25:], codes[50:], codes[50:, :5] = 50, 7, 0
    write_cog(tmp_path / "cover.tif", codes, grid(codes.shape), CogSpec("uint8", ("cover",)))
    boxes = {"north": (0, 0, 25, 50)}
    overall, north = write_zones(
        folder, zone_file(tmp_path / "z.geojson", boxes), land_cover=tmp_path / "cover.tif", block=16
    )
    assert overall.land_cover is not None
    assert north.land_cover is not None
    expected = {
        "cropland": {"scene_km2": 50 * 25, "water_km2": 30 * 25, "flood_km2": 30 * 20},
        "built_up": {"scene_km2": 50 * 25, "water_km2": 30 * 24, "flood_km2": 0},
        "class_7": {"scene_km2": 10 * 45, "water_km2": 0, "flood_km2": 0},
        "unknown": {"scene_km2": 10 * 5, "water_km2": 0, "flood_km2": 0},
    }
    assert set(overall.land_cover) == set(expected)
    for kind, figures in expected.items():
        for name, pixels in figures.items():
            assert overall.land_cover[kind][name] == pytest.approx(pixels * CELL, rel=2e-3), (kind, name)
    assert north.land_cover["cropland"]["flood_km2"] == pytest.approx(25 * 20 * CELL, rel=2e-3)
    assert set(north.land_cover) <= {"cropland", "built_up"}
    rows = list(csv.DictReader((folder / "zones.csv").open(encoding="utf-8")))
    told = json.loads((folder / "zones.json").read_text())
    columns = [name for name in rows[0] if name.endswith("_flood_km2")]
    assert columns == [f"{kind}_flood_km2" for kind in ("cropland", "built_up", "class_7", "unknown")]
    assert float(rows[0]["cropland_flood_km2"]) == told[0]["land_cover"]["cropland"]["flood_km2"]
    assert float(rows[1]["class_7_scene_km2"]) == 0
    assert "Land cover in flood" in write_report(folder).read_text()


def test_exclusion_and_reference_water_are_taken_into_account(tmp_path: Path) -> None:
    folder = toy(tmp_path / "toy")
    flags = np.zeros((60, 50), np.uint8)
    flags[50:, :10] = 2
    reference = np.zeros((60, 50), np.uint8)
    reference[:30, 20:] = 1
    for name, values in (("exclusion", flags), ("reference_water", reference)):
        write_cog(folder / f"{name}.tif", values, grid(values.shape), CogSpec("uint8", (name,), nodata=255))
    (told,) = write_zones(folder)
    assert told.excluded_km2 == pytest.approx(100 * CELL, rel=2e-3)
    assert told.flood_high_km2 == pytest.approx((30 * 20 + 10 * 49) * CELL, rel=2e-3)


def test_both_files_say_the_same(tmp_path: Path) -> None:
    folder = toy(tmp_path / "toy")
    write_zones(folder, zone_file(tmp_path / "z.geojson", {"São João, norte": (0, 0, 9, 9)}))
    told = json.loads((folder / "zones.json").read_text())
    rows = list(csv.DictReader((folder / "zones.csv").open(encoding="utf-8")))
    assert (
        [row["zone"] for row in rows] == [entry["zone"] for entry in told] == ["overall", "São João, norte"]
    )
    assert [float(row["water_km2"]) for row in rows] == [entry["water_km2"] for entry in told]
    assert rows[0]["people"] == ""


def test_faults_are_sentences(tmp_path: Path) -> None:
    folder = toy(tmp_path / "toy")
    file = zone_file(tmp_path / "z.geojson", {"a": (0, 0, 9, 9)})
    with pytest.raises(InputError, match=r"z.geojson' has no field 'district'; its fields are: NAME, code"):
        write_zones(folder, file, name_field="district")
    with pytest.raises(InputError, match="does not exist; expected a file of polygons"):
        write_zones(folder, tmp_path / "none.gpkg")
    (tmp_path / "text.gpkg").write_text("no zones")
    with pytest.raises(InputError, match="cannot be read"):
        write_zones(folder, tmp_path / "text.gpkg")
    assert write_zones(folder, file, name_field="code")[1].zone == "7"
    with pytest.raises(OutputError, match=r"zones.csv' exists already"):
        write_zones(folder, file)


def test_what_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    """Otherwise there would be 0 people, or 0 km² in every zone."""
    folder = toy(tmp_path / "toy")
    far = grid((2, 2), Affine(250, 0, 580_000, 0, -300, 6_680_000))
    write_cog(tmp_path / "people.tif", np.ones((2, 2), np.float32), far, CogSpec("float32", ("people",)))
    with pytest.raises(InputError, match=r"people.tif does not overlap the scene"):
        write_zones(folder, population=tmp_path / "people.tif")
    with pytest.raises(InputError, match=r"None of the 1 zones in .* overlaps the scene"):
        write_zones(folder, zone_file(tmp_path / "z.geojson", {"far": (500, 500, 600, 600)}))
    assert not (folder / "zones.json").exists()


def test_people_and_zones_say_how_much_is_covered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = toy(tmp_path / "toy")
    half = grid((1, 1), Affine(250, 0, 480_000, 0, -600, 6_680_000))
    write_cog(
        tmp_path / "people.tif", np.full((1, 1), 600.0, np.float32), half, CogSpec("float32", ("people",))
    )
    zones = zone_file(tmp_path / "z.geojson", {"half": (-30, 0, 30, 50)})
    with pytest.raises(SystemExit) as end:
        main(["zones", str(folder), "--zones", str(zones), "--population", str(tmp_path / "people.tif")])
    assert not end.value.code
    said = capsys.readouterr()
    assert "50% of it" in said.out
    assert "people in flood" in said.out
    assert "240 of 600" in said.out
    assert "covers 50.0% of the scene" in said.err
    (overall, _) = json.loads((folder / "zones.json").read_text())
    assert overall["people_share"] == pytest.approx(0.5, rel=1e-4)
    page = write_report(folder).read_text()
    assert "of 600 in the scene; known for 50% of it" in page
    assert "<th>people in flood</th>" in page
    assert "<td>240</td>" in page


def test_nothing_is_counted_before_the_place_is_known_to_be_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = toy(tmp_path / "toy")
    write_zones(folder)
    monkeypatch.setattr("flora.products.zones.count_zones", lambda *_, **__: pytest.fail("counted"))
    with pytest.raises(OutputError, match=r"zones.csv' exists already"):
        write_zones(folder)


@pytest.mark.parametrize("text", ['[{"zone": "over', '[{"zone": "overall", "unheard": 1}]', "[]", "7"])
def test_damaged_figures_are_one_sentence(tmp_path: Path, text: str) -> None:
    folder = toy(tmp_path / "toy")
    (folder / "zones.json").write_text(text)
    with pytest.raises(InputError, match=r"zones.json' (is damaged|holds no figures)"):
        write_report(folder)
