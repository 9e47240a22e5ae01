"""`flora predict` and `flora fetch` on a place and a date, and on STAC items, against a server of our own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from raster_files import backscatter
from scene_files import write_weights
from stac_files import serve_api, serve_static
from test_fetch import DAYS, degrees, optical_item, product
from web_server import Web, serving

from flora import transfer
from flora.cli import main
from flora.errors import InputError
from flora.scene.stac import fetch


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(transfer, "BACKOFF", 0.01)
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


def run(argv: Sequence[object], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert caught.value.code == code, err
    return out if code == 0 else err


def box_words(area: Any) -> str:
    return "--bbox=" + ",".join(str(number) for number in area.bounds)


AREA = degrees(5, 5, 45, 40)


def test_place_and_dates_give_what_fetching_and_predicting_give(
    web: Web, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = serve_api(web, [product(web, tmp_path / "src", "one", backscatter(70, 80))])
    place = [box_words(AREA), "--start", DAYS[0], "--end", DAYS[1], "--catalog", catalog]
    out = tmp_path / "out"
    (result,) = json.loads(run(["predict", *place, "--out", out, "--weights", weights, "--json"], capsys))
    (fetched,) = fetch([AREA], *DAYS, tmp_path / "apart", catalog=catalog)
    run(["predict", fetched.path, "--out", tmp_path / "two", "--weights", weights], capsys)
    name = fetched.path.stem
    assert sorted(path.name for path in out.iterdir()) == [name, "scenes"]
    assert result["scene"] == name
    for file in ("water_probability.tif", "optical.tif"):
        with rasterio.open(out / name / file) as one, rasterio.open(tmp_path / "two" / name / file) as two:
            np.testing.assert_array_equal(one.read(), two.read())


def test_what_was_fetched_is_kept_and_products_are_not_overwritten_unasked(
    web: Web, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = serve_api(web, [product(web, tmp_path / "src", "one", backscatter(70, 80))])
    words = ["predict", box_words(AREA), "--date", "2024-05-08", "--catalog", catalog]
    words += ["--out", tmp_path / "out", "--weights", weights]
    run(words, capsys)
    asked = len(web.requests_of("/static/one/iw-vv.rtc.tiff"))
    assert "--overwrite" in run(words, capsys, code=1)
    run([*words, "--overwrite"], capsys)
    assert len(web.requests_of("/static/one/iw-vv.rtc.tiff")) == asked
    # Another place takes its own pixels, although the pass has the same name.
    words[1] = box_words(degrees(20, 5, 60, 40))
    run([*words, "--overwrite"], capsys)
    assert len(web.requests_of("/static/one/iw-vv.rtc.tiff")) > asked


def test_date_takes_the_nearest_pass_that_shows_the_area(web: Web, tmp_path: Path) -> None:
    """Of three passes the nearest in time touches the area's corner only."""
    facts = [
        ("far", "2024-05-01T08:45:11Z", 0),
        ("near", "2024-05-05T08:45:11Z", 0),
        ("edge", "2024-05-08T08:45:11Z", 38),
    ]
    items = [
        product(web, tmp_path / "src", name, backscatter(70, 80), time=time, column=column)
        for name, time, column in facts
    ]
    catalog = serve_api(web, items)
    (found,) = fetch([AREA], None, None, tmp_path / "a", catalog=catalog, date="2024-05-08")
    assert found.items == ("near",)
    (found,) = fetch([AREA], None, None, tmp_path / "b", catalog=catalog, date="2024-05-02")
    assert found.items == ("far",)
    with pytest.raises(InputError, match=r"from 2024-06-18 to 2024-07-12; Sentinel-1 passes every"):
        fetch([AREA], None, None, tmp_path / "c", catalog=catalog, date="2024-06-30")


def test_each_area_has_its_own_nearest_pass(web: Web, tmp_path: Path) -> None:
    items = [
        product(web, tmp_path / "src", "west", backscatter(60, 60), time="2024-05-07T08:45:11Z"),
        product(web, tmp_path / "src", "east", backscatter(60, 60), column=300, time="2024-05-03T08:45:11Z"),
    ]
    areas = [degrees(5, 5, 40, 40), degrees(305, 5, 340, 40)]
    found = fetch(areas, None, None, tmp_path / "out", catalog=serve_api(web, items), date="2024-05-05")
    parts = [(each.items, each.path.stem[-6:]) for each in found]
    assert parts == [(("east",), "_area2"), (("west",), "_area1")]


@pytest.mark.parametrize("optical", [True, False])
def test_nearest_picture_helps(
    web: Web, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str], optical: bool
) -> None:
    items = [product(web, tmp_path / "src", "one", backscatter(60, 60))]
    if optical:
        numbers = {"B04": 2000, "B03": 1800, "B02": 1500, "B08": 4000}
        items.append(optical_item(web, tmp_path, "near", "2024-05-08T13:00:00Z", numbers))
    words = [
        "predict",
        box_words(AREA),
        "--date",
        "2024-05-06",
        "--nearest-optical",
        "--out",
        tmp_path / "out",
    ]
    words += ["--catalog", serve_api(web, items), "--weights", weights, "--json"]
    (result,) = json.loads(run(words, capsys))
    pictures = list((tmp_path / "out/scenes").glob("*_optical.tif"))
    assert len(pictures) == optical
    assert result["optical_prior"] == optical


def test_address_of_an_item_is_a_scene(
    web: Web, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    item = product(web, tmp_path / "src", "one", backscatter(64, 64), relative=True)
    serve_static(web, [item])
    words = [
        "predict",
        f"{web.url}/static/one/one.json",
        "--out",
        tmp_path / "out",
        "--weights",
        weights,
        "--json",
    ]
    (result,) = json.loads(run(words, capsys))
    assert result["scene"] == "one" and result["sar_scale"]["read_as"] == "power"
    with rasterio.open(tmp_path / "out/one/water.tif") as water:
        assert water.shape == (64, 64)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "Give scenes, or a place by --bbox or --geojson"),
        (["--date", "2024-05-06"], 2, "Give scenes, or a place by --bbox or --geojson"),
        (["scene.tif", "--bbox=1,1,2,2"], 2, "Give either scenes, or a place and a date"),
        (["--bbox=1,1,2,2", "--geojson", "a.geojson"], 2, "Give one of --bbox and --geojson"),
        (["--bbox=1,1,2,2", "--date", "2024-05-06", "--no-crs"], 2, "--bands and --no-crs are for files"),
        (["--bbox=1,1,2,2"], 1, "Found no date; expected either --date"),
        (["--bbox=1,1,2,2", "--start", "2024-05-06"], 1, "Found --start; expected either --date"),
        (["--bbox=1,1,2,2", "--date", "2024-05-06", "--end", "2024-05-07"], 1, "Found --date and --end"),
        (["--bbox=1,1,2,2", "--date", "May"], 1, "'May' is not a date"),
    ],
)
def test_half_said_places_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, sentence: str
) -> None:
    said = run(["predict", *words, "--out", tmp_path / "out"], capsys, code=code)
    assert sentence in " ".join(said.replace("│", " ").split())
    assert not (tmp_path / "out").exists()
