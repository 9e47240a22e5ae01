"""Scenes by place and date, against catalogues and rasters that a server of our own gives over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from raster_files import GRID, UTM, backscatter, write
from rasterio.warp import transform_bounds
from shapely.geometry import box
from stac_files import footprint, sar_item, serve_api, serve_static, static_catalog
from web_server import Web, serving

from flora import transfer
from flora.cli import main
from flora.errors import FloraError, InputError, OutputError, RemoteError
from flora.raster import open_optical, open_sar
from flora.raster.radiometry import Radiometry, to_db
from flora.scene import group_scenes
from flora.scene.stac import fetch, parse_bbox, read_areas

TIME = "2024-05-06T08:45:11Z"
DAYS = ("2024-05-01", "2024-05-10")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(transfer, "BACKOFF", 0.01)
    with serving() as server:
        yield server


def degrees(left: int, top: int, right: int, bottom: int, inset: float = 2.0) -> Any:
    """A box in longitude and latitude whose bounds on the grid lie `inset` px inside these columns and rows."""
    west, north = GRID * (left + inset, top + inset)
    east, south = GRID * (right - inset, bottom - inset)
    return box(*transform_bounds(UTM, "EPSG:4326", west, south, east, north))


def power(db: np.ndarray) -> np.ndarray:
    return (10 ** (db.astype(np.float64) / 10)).astype(np.float32)


def product(
    web: Web,
    folder: Path,
    name: str,
    db: np.ndarray,
    *,
    column: int = 0,
    row: int = 0,
    crs: str = UTM,
    time: str = TIME,
    orbit: int | None = 63,
    relative: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Serves one product as RTC in linear power, VV and VH apart, and gives its item."""
    place = folder / name
    place.mkdir(parents=True)
    hrefs = {}
    for band, values in zip(("vv", "vh"), power(db), strict=True):
        path = write(
            place / f"iw-{band}.rtc.tiff",
            values,
            nodata=-32768,
            crs=crs,
            transform=GRID * Affine.translation(column, row),
            **options,
        )
        web.files[f"/static/{name}/{path.name}"] = path.read_bytes()
        hrefs[band] = f"./{path.name}" if relative else f"{web.url}/static/{name}/{path.name}?sig=secret"
    return sar_item(name, time, hrefs, footprint(path), orbit)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        return source.read()


def test_area_of_one_scene_has_the_same_bits_as_open_sar(web: Web, tmp_path: Path) -> None:
    item = product(web, tmp_path / "src", "one", backscatter(80, 90))
    (found,) = fetch([degrees(20, 30, 60, 70)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    whole = open_sar([tmp_path / "src/one/iw-vv.rtc.tiff", tmp_path / "src/one/iw-vh.rtc.tiff"])
    scene = open_sar(found.path)
    part = whole.sel(x=scene.x, y=scene.y)
    assert scene.sizes["x"] in range(36, 43) and scene.sizes["y"] in range(36, 43)
    for band in ("VV", "VH"):
        np.testing.assert_array_equal(
            scene[band].values.view(np.uint32), part[band].values.view(np.uint32), strict=True
        )
    assert found.valid_share == 1 and found.items == ("one",)


def test_power_becomes_decibel_as_worked_out_apart(web: Web, tmp_path: Path) -> None:
    values = np.full((2, 40, 40), -10, np.float32)
    values[1] = -20
    item = product(web, tmp_path / "src", "one", values)
    (found,) = fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    np.testing.assert_allclose(read(found.path)[:, 0, 0], [-10, -20], atol=1e-5)


def test_provenance_without_signature(web: Web, tmp_path: Path) -> None:
    item = product(web, tmp_path / "src", "one", backscatter())
    (found,) = fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    with rasterio.open(found.path) as source:
        tags, names, units = source.tags(), source.descriptions, source.units
    assert (names, units) == (("VV", "VH"), ("dB", "dB"))
    assert tags["STAC_ITEMS"] == "one" and tags["STAC_COLLECTION"] == "sentinel-1-rtc"
    assert tags["DATETIME"] == TIME and tags["RELATIVE_ORBIT"] == "063" and tags["SOURCE_SCALE"] == "power"
    assert tags["STAC_HREFS"].split() == [f"{web.url}/static/one/iw-{band}.rtc.tiff" for band in ("vv", "vh")]
    assert "secret" not in str(tags)
    assert found.path.name == "S1A_20240506T084511_orbit063_descending.tif"
    assert open_sar(found.path).attrs["time"] == TIME


def test_area_beyond_the_scene_is_invalid_there(web: Web, tmp_path: Path) -> None:
    item = product(web, tmp_path / "src", "one", backscatter(40, 40))
    (found,) = fetch([degrees(30, 10, 70, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    values = read(found.path)
    with rasterio.open(found.path) as source:
        left = round((source.transform.c - GRID.c) / GRID.a)
    known = np.isfinite(values).all(axis=(0, 1))
    assert known.tolist() == [column < 40 - left for column in range(values.shape[2])]
    assert 0 < found.valid_share < 0.5


def test_two_scenes_of_one_pass_are_one_mosaic(web: Web, tmp_path: Path) -> None:
    """The second begins 20 px before the first ends and lies 5 rows lower; the earlier counts where both are."""
    first, second = backscatter(60, 60, seed=1), backscatter(60, 60, seed=2)
    items = [
        product(web, tmp_path / "src", "later", second, column=40, row=5, time="2024-05-06T08:45:36Z"),
        product(web, tmp_path / "src", "earlier", first),
    ]
    (found,) = fetch([degrees(10, 10, 90, 50)], *DAYS, tmp_path / "out", catalog=serve_api(web, items))
    values = read(found.path)
    with rasterio.open(found.path) as source:
        left, top = (round(number) for number in ~GRID * (source.transform.c, source.transform.f))
    expected = np.full((2, 200, 200), np.nan, np.float32)
    expected[:, 5:65, 40:100] = to_db(power(second), np.ones(second.shape, bool), Radiometry("power"))
    expected[:, :60, :60] = to_db(power(first), np.ones(first.shape, bool), Radiometry("power"))
    height, width = values.shape[1:]
    np.testing.assert_array_equal(values, expected[:, top : top + height, left : left + width])
    assert found.items == ("earlier", "later")


def test_scene_of_the_next_zone_is_brought_over_by_nearest_neighbour(web: Web, tmp_path: Path) -> None:
    """Half the area is seen only by a product in another UTM zone; its values stay values that were measured."""
    first = product(web, tmp_path / "src", "first", backscatter(60, 60))
    area = degrees(40, 10, 80, 50)
    west, south, east, north = (
        int(round(number, -1)) for number in transform_bounds("EPSG:4326", "EPSG:32721", *area.bounds)
    )
    side = max(east - west, north - south) // 10 + 20
    shift = ~GRID * (west - 100, north + 100)
    second = backscatter(side, side, seed=3)
    other = product(
        web,
        tmp_path / "src",
        "other",
        second,
        column=round(shift[0]),
        row=round(shift[1]),
        crs="EPSG:32721",
        time="2024-05-06T08:45:36Z",
    )
    (found,) = fetch([area], *DAYS, tmp_path / "out", catalog=serve_api(web, [first, other]))
    values = read(found.path)
    assert np.isfinite(values).all()
    measured = to_db(power(second), np.ones(second.shape, bool), Radiometry("power"))
    assert np.isin(values[0, :, -10:], measured[0]).all()


def test_two_polygons_get_files_of_their_own(web: Web, tmp_path: Path) -> None:
    item = product(web, tmp_path / "src", "one", backscatter(100, 100))
    areas = [degrees(5, 5, 25, 25), degrees(70, 70, 95, 95)]
    features = [{"type": "Feature", "properties": {}, "geometry": area.__geo_interface__} for area in areas]
    path = tmp_path / "areas.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = fetch(read_areas(path), *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    assert [each.path.stem[-6:] for each in found] == ["_area1", "_area2"]
    assert all(each.valid_share == 1 and read(each.path).shape[1] < 30 for each in found)


def test_passes_are_told_apart_by_orbit_and_time(web: Web, tmp_path: Path) -> None:
    """A pass over midnight is one; another orbit of the same day is another."""
    times = ["2024-05-06T23:59:50Z", "2024-05-07T00:00:15Z", "2024-05-07T09:00:00Z"]
    items = [
        product(web, tmp_path / "src", f"p{n}", backscatter(), time=time, orbit=[63, 63, 141][n])
        for n, time in enumerate(times)
    ]
    found = fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, items))
    assert [each.items for each in found] == [("p0", "p1"), ("p2",)]


def test_pass_before_the_event_is_of_the_same_orbit(web: Web, tmp_path: Path) -> None:
    facts = [
        ("old", "2024-04-12T08:45:11Z", 63),
        ("last", "2024-04-24T08:45:11Z", 63),
        ("other", "2024-04-25T21:00:00Z", 141),
        ("event", TIME, 63),
    ]
    items = [
        product(web, tmp_path / "src", name, backscatter(), time=time, orbit=orbit)
        for name, time, orbit in facts
    ]
    found = fetch(
        [degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, items), before="2024-04-30"
    )
    assert [(each.items, each.before) for each in found] == [(("last",), True), (("event",), False)]
    assert "before" in found[0].path.name


@pytest.mark.parametrize("where", ["address", "path"])
def test_static_catalogue(web: Web, tmp_path: Path, where: str) -> None:
    items = [
        product(web, tmp_path / "src", "one", backscatter(), relative=True),
        product(web, tmp_path / "src", "early", backscatter(), time="2023-01-01T00:00:00Z", relative=True),
        product(web, tmp_path / "src", "far", backscatter(), column=5000, relative=True),
    ]
    catalog = serve_static(web, items)
    if where == "path":
        for path, content in static_catalog(items).items():
            (tmp_path / "src" / path).write_bytes(content)
        catalog = str(tmp_path / "src/catalog.json")
    (found,) = fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=catalog)
    assert found.items == ("one",) and (len(web.requests_of("/static/one/iw-vv.rtc.tiff")) > 0) == (
        where == "address"
    )


def test_only_the_area_is_read(web: Web, tmp_path: Path) -> None:
    """Of two files of 17 MB, 100 px in a corner take one stored tile of 1 MiB each, and their headers."""
    item = product(
        web,
        tmp_path / "src",
        "one",
        backscatter(2048, 2048),
        tiled=True,
        blockxsize=512,
        blockysize=512,
    )
    fetch([degrees(1600, 1600, 1700, 1700)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    for band in ("vv", "vh"):
        path = f"/static/one/iw-{band}.rtc.tiff"
        assert all(web.requests_of(path)), "every request names a range"
        assert 2**20 <= web.sent[path] < 1.3 * 2**20 < len(web.files[path]) / 10


@pytest.mark.parametrize("status", [429, 500])
def test_busy_servers_are_asked_again(web: Web, tmp_path: Path, status: int) -> None:
    item = product(web, tmp_path / "src", "one", backscatter())
    for path in ("/api", "/api/search", "/static/one/iw-vv.rtc.tiff"):
        web.statuses[path] = [status, status]
    assert len(fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))) == 1


@pytest.mark.parametrize("path", ["/api", "/api/search", "/static/one/iw-vh.rtc.tiff"])
@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (500, r"answered HTTP 500 to each of 5 tries"),
        (403, r"is refused \(HTTP 403\): its signature has expired"),
        (404, r"does not exist on its server \(HTTP 404\)"),
    ],
)
def test_patience_ends(web: Web, tmp_path: Path, path: str, status: int, sentence: str) -> None:
    item = product(web, tmp_path / "src", "one", backscatter())
    web.forever[path] = status
    with pytest.raises(RemoteError, match=sentence) as caught:
        fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    assert len(web.requests_of(path)) == (5 if status == 500 else 1)
    assert "secret" not in str(caught.value)
    assert not any((tmp_path / "out").iterdir() if (tmp_path / "out").exists() else ())


@pytest.mark.parametrize("path", ["/api/search", "/static/one/iw-vv.rtc.tiff"])
def test_server_that_does_not_answer(
    web: Web, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = product(web, tmp_path / "src", "one", backscatter())
    monkeypatch.setattr(transfer, "TIMEOUT", (2.0, 0.3))
    monkeypatch.setattr(transfer, "RETRIES", 1)
    web.slow[path] = 1.0
    with pytest.raises(RemoteError, match=r"did not answer within 0\.3 s"):
        fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))


def test_mask_beside_a_file_on_this_machine_is_seen_after_files_elsewhere(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GDAL_DISABLE_READDIR_ON_OPEN", raising=False)
    catalog = serve_api(web, [product(web, tmp_path / "src", "one", backscatter())])
    fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=catalog)
    assert all(path.endswith(".tiff") for path, _ in web.asked if path.startswith("/static")), (
        "nothing beside it"
    )
    picture = write(tmp_path / "s2.tif", np.full((3, 8, 9), 0.1, np.float32))
    mask = np.full((8, 9), 255, np.uint8)
    mask[2, 3] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(picture, "r+") as out:
        out.write_mask(mask)
    assert picture.with_suffix(".tif.msk").exists()
    np.testing.assert_array_equal(np.isnan(open_optical(picture).red.values), mask == 0)


def test_signature_that_expires_while_reading(web: Web, tmp_path: Path) -> None:
    """The first byte is given, and then no more: the server's own answer is told, and nothing is left."""
    item = product(web, tmp_path / "src", "one", backscatter())
    web.statuses["/static/one/iw-vv.rtc.tiff"] = [0, *[403] * 40]
    with pytest.raises(RemoteError, match=r"HTTP 403\): its signature has expired"):
        fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    assert list((tmp_path / "out").iterdir()) == []


def optical_item(
    web: Web, folder: Path, name: str, time: str, numbers: dict[str, int], cloud: float = 5, **properties: Any
) -> dict[str, Any]:
    """Serves one Sentinel-2 tile of constant numbers, its left 10 columns under cloud."""
    (folder / name).mkdir(parents=True)
    hrefs = {}
    for band, number in (numbers | {"SCL": 4}).items():
        values = np.full((60, 60), number, np.uint16 if band != "SCL" else np.uint8)
        if band == "SCL":
            values[:, :10] = 9
        path = write(folder / name / f"{band}.tif", values, nodata=0)
        web.files[f"/s2/{name}/{band}.tif"] = path.read_bytes()
        hrefs[band] = f"{web.url}/s2/{name}/{band}.tif"
    item = sar_item(name, time, hrefs, footprint(path), None, **{"eo:cloud_cover": cloud}, **properties)
    return item | {"collection": "sentinel-2-l2a"}


def test_nearest_clear_picture_lies_on_the_grid_of_the_pass(web: Web, tmp_path: Path) -> None:
    from flora.raster import open_optical

    numbers = {"B04": 2000, "B03": 1800, "B02": 1500, "B08": 4000}
    dark = dict.fromkeys(numbers, 1100)
    items = [
        product(web, tmp_path / "src", "sar", backscatter(60, 60)),
        optical_item(web, tmp_path, "cloudy", "2024-05-06T13:00:00Z", dark, cloud=95),
        optical_item(
            web, tmp_path, "near", "2024-05-08T13:00:00Z", numbers, **{"s2:processing_baseline": "05.10"}
        ),
        optical_item(web, tmp_path, "later", "2024-05-12T13:00:00Z", dark),
    ]
    area = degrees(0, 5, 40, 45)
    (found,) = fetch([area], *DAYS, tmp_path / "out", catalog=serve_api(web, items), optical=True)
    assert found.optical is not None
    grid = open_sar(found.path)["VV"].odc.geobox
    with rasterio.open(found.optical) as source:
        assert (source.transform, source.shape) == (grid.transform, tuple(grid.shape))
        assert source.tags()["STAC_ITEMS"] == "near" and source.descriptions == (
            "red",
            "green",
            "blue",
            "nir",
        )
        values, left = source.read(), round((source.transform.c - GRID.c) / GRID.a)
    clear = values[:, :, 10 - left :]
    assert [np.unique(band).tolist() for band in clear] == [[1000], [800], [500], [3000]]
    assert (values[:, :, : 10 - left] == 0).all()
    picture = open_optical(found.optical, grid)
    reflectance = picture["optical"].values if "optical" in picture else picture.to_dataarray().values
    assert np.isclose(np.nanmax(reflectance), 0.3)


def test_pass_without_a_clear_picture_is_written_all_the_same(web: Web, tmp_path: Path) -> None:
    item = product(web, tmp_path / "src", "sar", backscatter(60, 60))
    (found,) = fetch(
        [degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]), optical=True
    )
    assert found.path.is_file() and found.optical is None


@pytest.mark.parametrize(
    ("properties", "offset"),
    [
        ({"s2:processing_baseline": "05.09"}, 1000),
        ({"s2:processing_baseline": "03.01"}, 0),
        ({"processing:version": "05.11"}, 1000),
        ({"s2:processing_baseline": "05.09", "earthsearch:boa_offset_applied": True}, 0),
        ({}, 0),
    ],
)
def test_offset_of_newer_baselines(properties: dict[str, Any], offset: int) -> None:
    from flora.scene.stac.optical import offset_of

    assert offset_of(properties) == offset


@pytest.mark.parametrize(
    ("area", "days", "options", "sentence"),
    [
        ((5, 5, 30, 30), ("2021-01-01", "2021-01-09"), {}, "Sentinel-1 passes every 6 to 12 days"),
        ((9000, 5, 9030, 30), DAYS, {}, "has no Sentinel-1 scene"),
        ((5, 5, 30, 30), DAYS, {"collection": "sentinel-9"}, r"with VV and VH \(sentinel-9\)"),
        ((5, 5, 30, 30), ("2024-05-10", "2024-05-01"), {}, "is after the end"),
        ((5, 5, 30, 30), ("yesterday", "2024-05-01"), {}, "'yesterday' is not a date"),
    ],
)
def test_nothing_found_is_told(
    web: Web, tmp_path: Path, area: Any, days: tuple[str, str], options: dict[str, str], sentence: str
) -> None:
    item = product(web, tmp_path / "src", "one", backscatter())
    with pytest.raises(InputError, match=sentence):
        fetch([degrees(*area)], *days, tmp_path / "out", catalog=serve_api(web, [item]), **options)  # type: ignore[arg-type]


def test_too_many_passes_are_told(web: Web, tmp_path: Path) -> None:
    times = [f"2024-05-0{day}T08:00:00Z" for day in (2, 3, 4)]
    items = [product(web, tmp_path / "src", t[:10], backscatter(), time=t) for t in times]
    with pytest.raises(InputError, match="3 passes lie over the area in that time; --limit allows 2"):
        fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, items), limit=2)


def test_nothing_is_overwritten_unasked(web: Web, tmp_path: Path) -> None:
    catalog = serve_api(web, [product(web, tmp_path / "src", "one", backscatter())])
    fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=catalog)
    before = len(web.requests_of("/static/one/iw-vv.rtc.tiff"))
    with pytest.raises(OutputError, match="--overwrite"):
        fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=catalog)
    assert len(web.requests_of("/static/one/iw-vv.rtc.tiff")) == before
    fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=catalog, overwrite=True)


def test_item_without_both_polarisations_is_no_scene(web: Web, tmp_path: Path) -> None:
    item = product(web, tmp_path / "src", "one", backscatter())
    del item["assets"]["vh"]
    with pytest.raises(InputError, match="has no Sentinel-1 scene with VV and VH"):
        fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))


def test_store_that_asks_for_keys(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_NO_SIGN_REQUEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    hrefs = {band: f"s3://eodata/Sentinel-1/{band}.tiff" for band in ("vv", "vh")}
    item = sar_item("one", TIME, hrefs, degrees(0, 0, 60, 60).bounds)
    with pytest.raises(RemoteError, match="asks for keys, and none are set"):
        fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))


def test_addresses_of_the_planetary_computer_are_signed_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The service itself is not asked here: its package is known to append its signature to the address."""
    import planetary_computer
    import requests

    from flora.scene.stac.remote import sign

    there = "https://sentinel1euwestrtc.blob.core.windows.net/sentinel1-grd-rtc/iw-vv.rtc.tiff"
    monkeypatch.setattr(planetary_computer, "sign", lambda href: f"{href}?sig=fresh")
    assert sign(there) == f"{there}?sig=fresh"
    assert sign(f"{there}?sig=old") == f"{there}?sig=old"
    assert sign("https://example.org/iw-vv.rtc.tiff") == "https://example.org/iw-vv.rtc.tiff"

    def refuse(href: str) -> str:
        raise requests.ConnectionError("no")

    monkeypatch.setattr(planetary_computer, "sign", refuse)
    with pytest.raises(RemoteError, match="gave no signature for"):
        sign(there)


@pytest.mark.parametrize("name", ["planetary", "none.json"])
def test_unknown_catalogue(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected planetary-computer, earth-search, cdse"):
        fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path, catalog=name)


def test_what_is_no_catalogue_is_told(web: Web, tmp_path: Path) -> None:
    web.files["/page.json"] = b'{"type": "page"}'
    with pytest.raises(FloraError, match="is not a STAC catalogue"):
        fetch([degrees(5, 5, 30, 30)], *DAYS, tmp_path, catalog=f"{web.url}/page.json")


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "10,20,5", "5,20,10,10", "5,5,5,9", "190,0,195,1"])
def test_boxes_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match="--bbox"):
        parse_bbox(text)


def test_box_over_the_antimeridian_is_two() -> None:
    assert [part.bounds for part in parse_bbox("179,-18,-178,-16")] == [
        (179, -18, 180, -16),
        (-180, -18, -178, -16),
    ]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("not json", "cannot be read as GeoJSON"),
        ('{"type": "Point", "coordinates": [1, 2]}', "holds no polygon"),
        ('{"type": "Nonsense"}', "damaged geometry"),
        (json.dumps(box(5e5, 6e6, 5.1e5, 6.1e6).__geo_interface__), "Reproject it"),
    ],
)
def test_files_that_hold_no_area(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_text(content)
    with pytest.raises(InputError, match=sentence):
        read_areas(path)


def test_overlapping_polygons_become_one(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    shapes = [box(0, 0, 2, 2), box(1, 1, 3, 3), box(8, 8, 9, 9)]
    geometries = [each.__geo_interface__ for each in shapes]
    features = [{"type": "Feature", "properties": {}, "geometry": g} for g in (*geometries, None)]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    assert [area.area for area in read_areas(path)] == [7, 1]


@pytest.mark.parametrize("where", ["address", "path"])
def test_item_stands_for_its_files_where_scenes_are_named(web: Web, tmp_path: Path, where: str) -> None:
    item = product(web, tmp_path / "src", "one", backscatter(), relative=True)
    serve_static(web, [item])
    (tmp_path / "src/one/one.json").write_text(json.dumps(item))
    name = f"{web.url}/static/one/one.json" if where == "address" else tmp_path / "src/one/one.json"
    (group,) = group_scenes(name)
    scene = open_sar(group)
    direct = open_sar([tmp_path / f"src/one/iw-{band}.rtc.tiff" for band in ("vv", "vh")])
    np.testing.assert_array_equal(scene["VV"].values, direct["VV"].values)
    assert scene.attrs["name"] == "one"


def test_from_the_command_line(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = serve_api(web, [product(web, tmp_path / "src", "one", backscatter())])
    bounds = ",".join(str(number) for number in degrees(5, 5, 30, 30).bounds)
    words = ["fetch", f"--bbox={bounds}", "--start", DAYS[0], "--end", DAYS[1], "--json"]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--out", str(tmp_path / "out"), "--catalog", catalog])
    assert caught.value.code == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert Path(found["path"]).is_file() and found["items"] == ["one"]


@pytest.mark.real
@pytest.mark.parametrize("stored", ["db", "power"])
def test_pixel_of_a_real_chip_is_the_same_by_every_door(
    web: Web, tmp_path: Path, real_data: Path, stored: str
) -> None:
    """By the dataset, by `open_sar` on its file, and by a search: the same dB to the last bit.

    As power the chip is written once; then all doors but the dataset's, whose files are dB, see that.
    """
    from flora.data import open_dataset
    from flora.data.layers import decibel

    root = real_data / "sen1floods11"
    chips = open_dataset("sen1floods11", root, "all")
    at = next(i for i, record in enumerate(chips.records) if record.chip.startswith("Ghana_7496"))
    chip, source = chips[at], chips.records[at].files["sar"]
    expected = np.where(chip.sar_valid, chip.sar, np.float32(np.nan))
    tags = {}
    if stored == "power":
        with rasterio.open(source) as raster:
            values, transform, crs = power(raster.read()), raster.transform, raster.crs.to_string()
        source = write(
            tmp_path / "chip.tif",
            values,
            names=("VV", "VH"),
            nodata=float("nan"),
            crs=crs,
            transform=transform,
            unit="power",
        )
        expected = decibel(values)
        tags = {"unit": "power"}
    web.files["/static/chip/chip.tif"] = source.read_bytes()
    bounds = footprint(source)
    item = sar_item("chip", TIME, {"data": f"{web.url}/static/chip/chip.tif"}, bounds)
    item["assets"]["data"]["raster:bands"] = [tags] if tags else []
    west, south, east, north = bounds
    inner = box(
        west + (east - west) * 0.4,
        south + (north - south) * 0.4,
        west + (east - west) * 0.6,
        north - (north - south) * 0.4,
    )
    (found,) = fetch([inner], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    by_file, by_search = open_sar(source), open_sar(found.path)
    with rasterio.open(source) as whole, rasterio.open(found.path) as part:
        left, top = (round(number) for number in ~whole.transform * (part.transform.c, part.transform.f))
    height, width = by_search["VV"].shape
    for place, band in enumerate(("VV", "VH")):
        window = (slice(top, top + height), slice(left, left + width))
        one, two, three = expected[place][window], by_file[band].values[window], by_search[band].values
        assert np.isfinite(one).mean() > 0.5
        for other in (two, three):
            np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
            known = np.isfinite(one)
            np.testing.assert_array_equal(one[known].view(np.uint32), other[known].view(np.uint32))
