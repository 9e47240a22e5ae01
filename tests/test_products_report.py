"""The report is one whole file, says the numbers, and survives any name; styles are well-formed."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import pytest
from affine import Affine
from product_files import blobs, grid, write_product

from flora.cli import main
from flora.errors import OutputError
from flora.products.mapframe import _graticule, frame_of, round_degrees
from flora.products.qgis import write_styles
from flora.products.report import write_report
from flora.products.vectors import write_vectors
from flora.products.zones import write_zones

VOID = {"meta"}


class Checker(HTMLParser):
    """Notes what is opened and not closed, and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.addresses += [value for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.addresses += [value for name, value in attrs if name in ("href", "src")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def product(folder: Path, **settings: Any) -> Path:
    water = blobs((60, 70))
    flood = np.where(water == 1, np.tri(60, 70, dtype=np.uint8), water).astype(np.uint8)
    return write_product(folder, water, settings.pop("geobox", grid(water.shape)), flood=flood, **settings)


def words(page: str) -> str:
    return re.sub(r"<[^>]+>", " ", page)


def test_a_report_names_the_optical_image_and_how_it_was_read(tmp_path: Path) -> None:
    image = {"sources": ["/data/before.tif"], "time": "2024-04-21", "read_as": "Divided by 10000: as given."}
    told = {"optical_prior": True, "optical_image": image}
    pages = [
        words(write_report(product(tmp_path / name, **settings)).read_text(encoding="utf-8"))
        for name, settings in (("guided", told), ("alone", {}), ("old", {"optical_prior": True}))
    ]
    assert "before.tif. 2024-04-21. Divided by 10000: as given" in pages[0]
    assert "/data" not in pages[0]
    assert "from radar alone" in pages[1]
    assert re.search(r"Optical image given\s+yes", pages[2])
    assert "from radar and an optical image, parts of which it repeats" in pages[0]
    assert "at night, and an optical image" in pages[0]
    assert "from radar, not photographed" in pages[1]
    assert "at night. It gave" in pages[1]


def test_a_report_is_whole_and_tells_the_numbers(tmp_path: Path) -> None:
    folder = product(tmp_path / "toy")
    write_zones(folder)
    write_vectors(folder)
    page = write_report(folder).read_text()
    checker = Checker()
    checker.feed(page)
    assert not checker.open
    assert len(checker.addresses) == 2, "the optical picture and the map; the radar is gone"
    assert all(address.startswith("data:image/jpeg;base64,") for address in checker.addresses)
    assert "<script" not in page
    assert "http" not in page.replace("https://", ""), "nothing is loaded"
    (told,) = json.loads((folder / "zones.json").read_text())
    for number in (told["flood_km2"], told["water_km2"]):
        assert f"{number:,.2f} km²" in page
    for word in (
        "Flood map: toy",
        "2024-05-06 09:00:00 UTC",
        "EPSG:32721",
        "ab" * 32,
        "polygons.gpkg",
        "Copernicus",
    ):
        assert word in words(page)


def test_names_are_escaped(tmp_path: Path) -> None:
    folder = product(tmp_path / "toy", scene='<script>alert("x")</script> & co')
    page = write_report(folder).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"note": "The scene is simulated."}, "SIMULATED"),
        ({"geobox": grid((60, 70), crs=None), "crs": None}, "areas are unknown"),
        ({"geobox": grid((60, 70), Affine(1e-4, 0, 179.997, 0, -1e-4, -16), "EPSG:4326")}, "179.998°W"),
        ({"geobox": grid((60, 70), Affine(1000, 0, -35_000, 0, -1000, 30_000), "EPSG:3413")}, "Flood map"),
    ],
)
def test_awkward_scenes(tmp_path: Path, settings: Any, said: str) -> None:
    page = write_report(product(tmp_path / "toy", **settings)).read_text()
    assert said in words(page)


def test_zones_are_in_the_report(tmp_path: Path) -> None:
    folder = product(tmp_path / "toy")
    write_zones(folder)
    figures = json.loads((folder / "zones.json").read_text())
    figures += [figures[0] | {"zone": f"zone <{number}>"} for number in range(30)]
    (folder / "zones.json").write_text(json.dumps(figures))
    page = write_report(folder).read_text()
    assert "zone &lt;24&gt;" in page
    assert "zone &lt;25&gt;" not in page
    assert "5 more zones" in page


def test_pictures_keep_the_proportions_of_the_ground() -> None:
    """At 60° north a degree of longitude is half as long as one of latitude."""
    frame = frame_of(grid((100, 200), Affine(1e-3, 0, 18, 0, -1e-3, 60.05), "EPSG:4326"), 340, 330)
    assert frame.size == pytest.approx((330, 330), abs=3)
    assert [round_degrees(value) for value in (0.7, 0.5, 0.03, 12)] == pytest.approx([0.5, 0.5, 0.02, 10])


@pytest.mark.parametrize("shift", np.arange(12) * 0.02)
def test_names_of_meridians_stay_in_the_picture(shift: float) -> None:
    geobox = grid((200, 200), Affine(1e-3, 0, -51.3 + shift, 0, -1e-3, -29.9), "EPSG:4326")
    frame = frame_of(geobox, 340, 300)
    drawn = "".join(_graticule(frame))
    names = re.findall(r'<text class="degree" x="([\d.]+)" y="[\d.]+"( text-anchor="end")?>([^<]*W)<', drawn)
    spans = sorted(
        (float(x) - 52 * bool(end), float(x) + 52 * (not end)) for x, end, _ in names
    )  # 52 px as looked at
    assert spans
    assert spans[0][0] >= 0
    assert spans[-1][1] <= frame.size[0]
    assert all(left[1] < right[0] for left, right in pairwise(spans))


def test_a_style_lies_beside_each_layer(tmp_path: Path) -> None:
    folder = product(tmp_path / "toy")
    write_vectors(folder)
    styles = {path.stem: Xml.parse(path).getroot() for path in write_styles(folder)}
    rasters = {"water", "observed_flood", "water_probability", "optical"}
    assert set(styles) == rasters | {"flood_polygons", "water_polygons", "flora"}
    entries = styles["observed_flood"].findall("pipe/rasterrenderer/colorPalette/paletteEntry")
    assert [(entry.get("value"), entry.get("alpha")) for entry in entries] == [("0", "0"), ("1", "255")]
    ramp = styles["water_probability"].findall(".//colorrampshader/item")
    assert [float(item.get("value") or -1) for item in ramp] == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert styles["water_polygons"].find("renderer-v2/symbols/symbol") is not None


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    folder = product(tmp_path / "toy")
    write_report(folder)
    with pytest.raises(OutputError, match=r"report.html' exists already"):
        write_report(folder)
    write_report(folder, overwrite=True)


def test_the_verbs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = product(tmp_path / "out" / "toy")
    for verb in ("vectors", "zones", "styles", "report"):
        with pytest.raises(SystemExit) as end:
            main([verb, str(folder), "--json"])
        assert not end.value.code
        assert json.loads(capsys.readouterr().out)
        with pytest.raises(SystemExit) as end:
            main([verb, str(folder)])
        assert end.value.code == 1
        assert "Pass --overwrite" in capsys.readouterr().err
        with pytest.raises(SystemExit) as end:
            main([verb, str(folder), "--overwrite"])
        assert not end.value.code
        assert capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        main(["catalog", str(tmp_path / "out"), "--title", "May 2024"])
    assert not end.value.code
    assert json.loads((tmp_path / "out" / "catalog.json").read_text())["title"] == "May 2024"


def test_what_other_verbs_derive_is_known_by_name() -> None:
    from flora.products import report, stac, vectors, zones
    from flora.products.folder import DERIVED

    written = {vectors.GEOPACKAGE, zones.CSV_FILE, zones.JSON_FILE, report.REPORT_FILE, stac.ITEM_FILE}
    assert written | {stac.CATALOG_FILE} <= set(DERIVED)
