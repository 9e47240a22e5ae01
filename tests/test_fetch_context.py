"""Elevation, reference water and land cover beside a scene: fetched, aligned, kept, and taken by `flora flood`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from raster_files import UTM, backscatter, write
from stac_files import footprint, sar_item, serve_api
from test_fetch import DAYS, degrees, product
from web_server import Web, serving

from flora import transfer
from flora.cli import main
from flora.errors import InputError
from flora.raster import open_sar
from flora.raster.context import open_context
from flora.raster.drainage import height_above_drainage
from flora.scene.stac import fetch, parse_context

AREA = degrees(5, 5, 45, 40)
WEST, SOUTH, EAST, NORTH = AREA.bounds
DEM_STEP = 1 / 3600


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(transfer, "BACKOFF", 0.01)
    with serving() as server:
        yield server


def tile(
    web: Web, folder: Path, name: str, collection: str, asset: str, values: np.ndarray, corner: tuple[float, float],
    step: float, time: str = "2021-04-22T00:00:00Z", **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Serves one tile in degrees and gives its item as the Planetary Computer has it."""
    folder.mkdir(parents=True, exist_ok=True)
    transform = Affine(step, 0, corner[0], 0, -step, corner[1])
    path = write(folder / f"{name}.tif", values, crs="EPSG:4326", transform=transform, **options)
    web.files[f"/context/{name}.tif"] = path.read_bytes()
    item = sar_item(name, time, {asset: f"{web.url}/context/{name}.tif"}, footprint(path), None)
    return item | {"collection": collection}


def elevation(rows: int, columns: int) -> np.ndarray:
    return (100 + np.arange(columns) + 0.5 * np.arange(rows)[:, None]).astype(np.float32)


def catalogue(web: Web, folder: Path) -> list[dict[str, Any]]:
    """A scene, two tiles of elevation that meet inside it, occurrence, and two editions of land cover."""
    left = WEST - 20 * DEM_STEP
    whole = elevation(80, 80)
    split = round(((WEST + EAST) / 2 - left) / DEM_STEP)
    occurrence = np.full((400, 400), 1, np.uint8)
    occurrence[:, :split] = 255
    cover = np.full((400, 400), 50, np.uint8)
    top = (NORTH + 20 * DEM_STEP,)
    middle = (left + split * DEM_STEP, *top)
    place, fine = (left, *top), DEM_STEP / 3
    dem, land = ("cop-dem-glo-30", "data"), ("esa-worldcover", "map")
    years = ["2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"]
    return [
        product(web, folder / "src", "scene", backscatter(70, 80)),
        tile(web, folder, "dem_w", *dem, whole[:, :split], place, DEM_STEP),
        tile(web, folder, "dem_e", *dem, whole[:, split:], middle, DEM_STEP),
        tile(web, folder, "gsw", "jrc-gsw", "occurrence", occurrence, place, DEM_STEP),
        tile(web, folder, "wc20", *land, cover, place, fine, years[0], nodata=0),
        tile(web, folder, "wc21", *land, cover // 5, place, fine, years[1], nodata=0),
    ]


def test_layers_lie_on_the_grid_of_the_scene(web: Web, tmp_path: Path) -> None:
    items = catalogue(web, tmp_path)
    (found,) = fetch(
        [AREA], *DAYS, tmp_path / "out", catalog=serve_api(web, items), context=("dem", "water", "landcover")
    )
    grid = open_sar(found.path)["VV"].odc.geobox
    assert {name: path.name for name, path in found.context.items()} == {
        "dem": "dem.tif", "water": "water.tif", "landcover": "landcover.tif",
    }  # fmt: skip
    layers = {}
    for name, path in found.context.items():
        with rasterio.open(path) as source:
            assert (source.transform, source.shape) == (grid.transform, tuple(grid.shape))
            assert source.crs.to_epsg() == 32722
            layers[name] = source.read(1)
    assert (layers["landcover"] == 10).all(), "the newest edition"
    assert set(np.unique(layers["water"])) == {1, 255}
    # A plane in degrees: worked out from each pixel's centre alone.
    from pyproj import Transformer

    columns, rows = np.meshgrid(np.arange(grid.shape.x) + 0.5, np.arange(grid.shape.y) + 0.5)
    longitude, latitude = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(
        grid.transform.a * columns + grid.transform.c, grid.transform.e * rows + grid.transform.f
    )
    column = (longitude - (WEST - 20 * DEM_STEP)) / DEM_STEP - 0.5
    row = ((NORTH + 20 * DEM_STEP) - latitude) / DEM_STEP - 0.5
    expected = 100 + column + 0.5 * row
    assert np.isfinite(layers["dem"]).all()
    away = np.abs(layers["dem"] - expected) > 0.01
    assert not away[~near_seam(column)].any() and np.abs(layers["dem"] - expected).max() < 0.51
    assert near_seam(column).any()


def near_seam(column: np.ndarray) -> np.ndarray:
    split = round((EAST - WEST) / 2 / DEM_STEP + 20)
    return np.abs(column + 0.5 - split) < 0.6


def test_layers_are_not_fetched_twice(web: Web, tmp_path: Path) -> None:
    """A second date of the same grid takes the same file; a second place gets its own beside it."""
    items = [
        *catalogue(web, tmp_path),
        product(web, tmp_path / "src", "later", backscatter(70, 80), time="2024-05-18T08:45:11Z"),
    ]
    catalog = serve_api(web, items)
    (first,) = fetch([AREA], *DAYS, tmp_path / "out", catalog=catalog, context=("dem",))
    asked = len(web.requests_of("/context/dem_w.tif"))
    (again,) = fetch([AREA], "2024-05-15", "2024-05-20", tmp_path / "out", catalog=catalog, context=("dem",))
    assert again.items == ("later",) and again.context == first.context
    assert len(web.requests_of("/context/dem_w.tif")) == asked
    (other,) = fetch(
        [degrees(8, 8, 40, 38)], *DAYS, tmp_path / "out", catalog=catalog, context=("dem",), keep=True
    )
    assert other.context["dem"].name == "dem_2.tif"
    first_dem = first.context["dem"].read_bytes()
    fetched = fetch(
        [degrees(8, 8, 40, 38)], *DAYS, tmp_path / "out", catalog=catalog, context=("dem",), overwrite=True
    )
    assert fetched[0].context == other.context
    assert first.context["dem"].read_bytes() == first_dem


def test_flood_takes_the_files(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scene_files import write_weights

    items = catalogue(web, tmp_path)
    bounds = ",".join(map(str, AREA.bounds))
    words = [
        "fetch",
        f"--bbox={bounds}",
        "--date",
        "2024-05-06",
        "--catalog",
        serve_api(web, items),
        "--json",
    ]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--context", "dem,water,landcover", "--out", str(tmp_path / "in")])
    assert caught.value.code == 0
    (found,) = json.loads(capsys.readouterr().out)
    layers = found["context"]
    flood = ["flood", found["path"], "--dem", layers["dem"], "--reference-water", layers["water"]]
    flood += ["--land-cover", layers["landcover"], "--weights", str(write_weights(tmp_path)), "--json"]
    with pytest.raises(SystemExit) as caught:
        main([*flood, "--out", str(tmp_path / "out")])
    assert caught.value.code == 0, capsys.readouterr().err
    assert "occurrence of at least 50 %" in json.loads(capsys.readouterr().out)["reference"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("dem", "lists no elevation over the area .*or give a file of your own to flora flood --dem"),
        ("water", "collection jrc-gsw, asset occurrence"),
    ],
)
def test_layer_that_is_not_listed_is_told_before_anything_is_written(
    web: Web, tmp_path: Path, name: str, sentence: str
) -> None:
    catalog = serve_api(web, [product(web, tmp_path / "src", "scene", backscatter(70, 80))])
    with pytest.raises(InputError, match=sentence):
        fetch([AREA], *DAYS, tmp_path / "out", catalog=catalog, context=(name,))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["slope", "dem,slope", "", ","])
def test_unknown_layers_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected some of dem, water, landcover, hand"):
        parse_context(text)


def test_names_of_layers() -> None:
    assert parse_context(" DEM, water,dem") == ("dem", "water")


# Height above drainage


@pytest.mark.slow
def test_valley_is_as_high_above_its_stream_as_its_slopes_say() -> None:
    """A valley that falls gently to the south, its sides 3 m a cell: 3 m a cell above the stream in its middle."""
    pytest.importorskip("pyflwdir")
    rows, columns = np.mgrid[:80, :61]
    away = np.abs(columns - 30)
    heights = (100 + 3.0 * away + 0.02 * (80 - rows)).astype(np.float32)
    heights[0, 0] = np.nan
    grid = GeoBox((80, 61), Affine(30, 0, 500_000, 0, -30, 6_700_000), UTM)
    found = height_above_drainage(heights, grid, stream_km2=0.2)
    assert np.isnan(found[0, 0])
    # Each step down may be a diagonal one and then falls 0.02 m more, and so may the one into the stream. The stream
    # begins in row 14: further up, the way to it leads along the valley.
    inner = (slice(16, 40), slice(5, 56))
    assert (found[inner] >= 3.0 * away[inner] - 1e-3).all()
    assert (found[inner] <= 3.02 * away[inner] + 0.021).all()


def test_height_above_drainage_needs_metres() -> None:
    grid = GeoBox((8, 8), Affine(1e-4, 0, 10, 0, -1e-4, 50), "EPSG:4326")
    with pytest.raises(InputError, match="need a grid in metres; found EPSG:4326"):
        height_above_drainage(np.ones((8, 8), np.float32), grid)


@pytest.mark.slow
def test_height_above_drainage_is_fetched(web: Web, tmp_path: Path) -> None:
    pytest.importorskip("pyflwdir")
    side, step = 900, DEM_STEP
    rows, columns = np.mgrid[:side, :side]
    valley = (200 + np.abs(columns - 450) + 0.01 * (side - rows)).astype(np.float32)
    corner = ((WEST + EAST) / 2 - 450 * step, (NORTH + SOUTH) / 2 + 450 * step)
    items = [
        product(web, tmp_path / "src", "scene", backscatter(70, 80)),
        tile(web, tmp_path, "dem", "cop-dem-glo-30", "data", valley, corner, step),
    ]
    (found,) = fetch([AREA], *DAYS, tmp_path / "out", catalog=serve_api(web, items), context=("hand",))
    with rasterio.open(found.context["hand"]) as source:
        values, grid = source.read(1), open_sar(found.path)["VV"].odc.geobox
        assert source.shape == tuple(grid.shape)
    dem = open_context(tmp_path / "dem.tif", grid, "quantity").read(
        slice(0, grid.shape.y), slice(0, grid.shape.x)
    )
    assert np.isfinite(values).all()
    # The area lies around the stream: its lowest is near 0, and height grows as the ground does.
    assert values.min() < 2 and abs((values.max() - values.min()) - (dem.max() - dem.min())) < 3
