"""A product is written whole or not at all, from one pass over the tiles."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import xarray as xr
from PIL import Image
from rio_cogeo.cogeo import cog_validate
from standin import StandIn, StandInCheckpoint, make_scene

from flora.errors import OutputError
from flora.products import write as writing
from flora.products import write_prediction
from flora.products.finished import FinishedTiles
from flora.scene import predict

TILE = 64
FILES = {"water_probability.tif", "water.tif", "optical.tif", "quicklook.png", "summary.json"}


class Fails(StandIn):
    """Breaks down at its fourth call."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        if self.calls == 3:
            raise KeyboardInterrupt
        return super().forward(*args, **kwargs)


def mapped(
    model: StandIn | None = None, crs: str | None = "EPSG:4326", **settings: Any
) -> tuple[xr.Dataset, xr.Dataset]:
    scene = make_scene(150, 211, crs=crs).assign_attrs(
        name="toy", sar_scale="dB", time="2024-05-06T08:59:12Z"
    )
    checkpoint = StandInCheckpoint(model or StandIn(), threshold=0.51, **settings)
    return predict(scene, checkpoint, tile=TILE, precision="fp32"), scene


@pytest.fixture(scope="module")
def product(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, xr.Dataset, list[tuple[int, int]]]:
    prediction, scene = mapped()
    seen: list[tuple[int, int]] = []
    summary = write_prediction(
        prediction,
        scene,
        tmp_path_factory.mktemp("out"),
        uncertainty=True,
        progress=lambda done, total: seen.append((done, total)),
    )
    return summary.folder, prediction.compute(), seen


def read(folder: Path, name: str) -> np.ndarray:
    with rasterio.open(folder / f"{name}.tif") as source:
        return source.read()


def test_the_folder_holds_these_files_and_nothing_else(product: Any) -> None:
    folder, *_ = product
    assert {file.name for file in folder.iterdir()} == FILES | {"optical_uncertainty.tif"}
    assert [file.name for file in folder.parent.iterdir()] == ["toy"]


def test_the_files_hold_the_prediction(product: Any) -> None:
    folder, predicted, _ = product
    probability = predicted["water_probability"].values
    stored = read(folder, "water_probability")[0]
    valid = stored != 65535
    np.testing.assert_array_equal(valid, np.isfinite(probability))
    np.testing.assert_allclose(stored[valid] * 1e-4, probability[valid], atol=0.51e-4)
    water = read(folder, "water")[0]
    assert 0.01 < (water == 1).sum() / valid.sum() < 0.99, "both classes occur, or this shows nothing"
    np.testing.assert_array_equal(water, np.where(valid, stored >= 5100, 255))
    for name, layer in (("optical", "optical"), ("optical_uncertainty", "optical_spread")):
        steps, expected = read(folder, name), predicted[layer].values
        np.testing.assert_array_equal(steps > 0, np.isfinite(expected))
        np.testing.assert_allclose(steps[:, valid] * 1e-4, expected[:, valid], atol=1.01e-4)


def test_the_files_say_what_they_are(product: Any) -> None:
    folder, predicted, _ = product
    expected = {
        "water_probability": ("uint16", 65535, ("probability of water",), 1e-4),
        "water": ("uint8", 255, ("water",), 1.0),
        "optical": ("uint16", 0, ("red", "green", "blue"), 1e-4),
        "optical_uncertainty": ("uint16", 0, ("red spread", "green spread", "blue spread"), 1e-4),
    }
    for name, (dtype, nodata, bands, scale) in expected.items():
        with rasterio.open(folder / f"{name}.tif") as source:
            assert (source.dtypes[0], source.nodata, source.descriptions, source.scales[0]) == (
                dtype,
                nodata,
                bands,
                scale,
            )
            assert source.crs.to_epsg() == 4326
            assert source.transform.almost_equals(predicted["optical"].odc.geobox.transform)
            assert source.tags()["SCENE"] == "toy"
            assert "no CRS" not in str(source.tags())
        assert cog_validate(folder / f"{name}.tif", strict=True)[0]
    with rasterio.open(folder / "water.tif") as source:
        assert source.colormap(1)[1] == (24, 92, 196, 255)


def test_the_summary_agrees_with_the_files(product: Any) -> None:
    folder, *_ = product
    told = json.loads((folder / "summary.json").read_text())
    water = read(folder, "water")[0]
    assert told["water_pixels"] == (water == 1).sum()
    assert told["land_pixels"] == (water == 0).sum()
    assert told["valid_share"] == pytest.approx((water != 255).mean())
    assert told["water_share"] == pytest.approx((water == 1).sum() / (water != 255).sum())
    # A pixel of 8.98315e-5 degrees at 29.83 degrees south is about 8.68 m wide and 9.96 m high.
    assert told["water_km2"] == pytest.approx((water == 1).sum() * 8.683 * 9.958 / 1e6, rel=2e-3)
    assert (told["crs"], told["note"], told["threshold"], told["tile"]) == ("EPSG:4326", "", 0.51, TILE)
    assert told["files"]["optical"] == "optical.tif", "relative, so that the folder may be moved"
    assert told["peak_mib"] > 50
    assert told["seconds"] > 0


def test_progress_counts_each_tile(product: Any) -> None:
    _, _, seen = product
    assert seen == [(done, 12) for done in range(13)]


def test_the_network_runs_once_a_tile_and_any_tile_gives_the_same_files(tmp_path: Path, product: Any) -> None:
    folder, predicted, _ = product
    model = StandIn()
    _, scene = mapped()
    prediction = predict(scene, StandInCheckpoint(model, threshold=0.51), tile=32, precision="fp32")
    summary = write_prediction(prediction, scene, tmp_path, name="other")
    # 5 x 7 cores, but for those without a valid pixel.
    blind = np.isnan(predicted["water_probability"].values)
    empty = sum(blind[r : r + 32, c : c + 32].all() for r in range(0, 150, 32) for c in range(0, 211, 32))
    assert model.calls == 35 - empty
    for name in ("water_probability", "water", "optical"):
        np.testing.assert_array_equal(read(summary.folder, name), read(folder, name))


def test_probability_may_be_float(tmp_path: Path) -> None:
    prediction, scene = mapped()
    summary = write_prediction(prediction, scene, tmp_path, float_probability=True)
    stored = read(summary.folder, "water_probability")
    np.testing.assert_array_equal(stored[0], prediction["water_probability"].values)


def test_a_scene_without_crs_says_so_everywhere(tmp_path: Path) -> None:
    prediction, scene = mapped(crs=None)
    summary = write_prediction(prediction, scene, tmp_path)
    told = json.loads((summary.folder / "summary.json").read_text())
    assert (told["crs"], told["water_km2"], told["valid_km2"]) == (None, None, None)
    assert "no CRS" in told["note"]
    with rasterio.open(summary.folder / "water.tif") as source:
        assert source.crs is None
        assert "no CRS" in source.tags()["REMARK"]
    assert Image.open(summary.folder / "quicklook.png").size[0] > 1000


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), OutputError("the disk is full"), ValueError("a bug")])
def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    prediction, scene = mapped()

    def broken(*args: Any) -> None:
        raise fault

    monkeypatch.setattr(writing, "write_quicklook", broken)
    with pytest.raises(type(fault)):
        write_prediction(prediction, scene, tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_breaks_down_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_prediction(*mapped(Fails()), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_unasked_and_only_products_are(tmp_path: Path) -> None:
    prediction, scene = mapped()
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "thesis.docx").write_text("years of work")
    with pytest.raises(
        OutputError, match=r"toy' exists already; .* Pass --overwrite, or choose another --out"
    ):
        write_prediction(prediction, scene, tmp_path)
    with pytest.raises(OutputError, match=r"toy' is no product of FLoRA .* so it is not replaced"):
        write_prediction(prediction, scene, tmp_path, overwrite=True)
    assert (tmp_path / "toy" / "thesis.docx").exists()


def test_an_older_product_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    first = write_prediction(*mapped(), tmp_path)
    before = (first.folder / "summary.json").read_text()
    with pytest.raises(KeyboardInterrupt):
        write_prediction(*mapped(Fails()), tmp_path, overwrite=True)
    assert (first.folder / "summary.json").read_text() == before
    prediction, scene = mapped(StandIn(seed=5))
    write_prediction(prediction, scene, tmp_path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]
    assert (first.folder / "summary.json").read_text() != before


def test_a_new_map_keeps_what_is_not_of_flora_and_drops_what_told_of_the_old_one(tmp_path: Path) -> None:
    first = write_prediction(*mapped(), tmp_path, uncertainty=True)
    (first.folder / "photos").mkdir()
    for name in (
        "notes.txt",
        "photos/dike.jpg",
        "flora.qgs",
        "zones.csv",
        "report.html",
        "water.tif.aux.xml",
    ):
        (first.folder / name).write_text(f"earlier {name}")
    (first.folder / "link").symlink_to("../elsewhere")
    with pytest.raises(KeyboardInterrupt):
        write_prediction(*mapped(Fails()), tmp_path, overwrite=True)
    assert (first.folder / "zones.csv").is_file(), "nothing is dropped before the new map is whole"
    second = write_prediction(*mapped(), tmp_path, overwrite=True)
    assert {file.name for file in second.folder.iterdir()} == FILES | {
        "notes.txt",
        "photos",
        "flora.qgs",
        "link",
    }
    assert (second.folder / "photos" / "dike.jpg").read_text() == "earlier photos/dike.jpg"
    assert (second.folder / "link").readlink() == Path("../elsewhere")
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]
    (told,) = second.remarks
    assert "optical_uncertainty.tif, report.html, zones.csv; run their verbs again" in told
    assert json.loads((second.folder / "summary.json").read_text())["remarks"] == [told]


def test_an_out_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    prediction, scene = mapped()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        OutputError, match=r"file' cannot be written .*; expected a folder where files can be created"
    ):
        write_prediction(prediction, scene, tmp_path / "file")
    if os.geteuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(OutputError, match="cannot be written"):
            write_prediction(prediction, scene, tmp_path / "locked")


def test_an_interrupted_scene_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = write_prediction(*mapped(), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        write_prediction(*mapped(Fails()), tmp_path / "resumed", resume=True)
    kept = tmp_path / "resumed" / ".toy.partial" / "tiles"
    finished = list(kept.glob("*.npz"))
    assert 1 <= len(finished) <= 4
    finished[0].write_bytes(finished[0].read_bytes()[:-9])  # one of them is damaged

    model = StandIn()
    resumed = write_prediction(*mapped(model), tmp_path / "resumed", resume=True)
    assert model.calls == 12 - (len(finished) - 1)
    assert [file.name for file in (tmp_path / "resumed").iterdir()] == ["toy"]
    assert {file.name for file in resumed.folder.iterdir()} == FILES
    for name in FILES - {"summary.json"}:
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert resumed.water_km2 == pytest.approx(whole.water_km2, rel=1e-12)


def test_finished_tiles_of_other_settings_are_not_taken(tmp_path: Path) -> None:
    blocks = {"water": np.ones((2, 2), np.uint8)}
    FinishedTiles(tmp_path / "tiles", "one").add((0, 1), blocks)
    assert FinishedTiles(tmp_path / "tiles", "one").indices() == {(0, 1)}
    np.testing.assert_array_equal(
        FinishedTiles(tmp_path / "tiles", "one").read((0, 1))["water"], blocks["water"]
    )
    assert FinishedTiles(tmp_path / "tiles", "two").indices() == frozenset()
    assert FinishedTiles(tmp_path / "tiles", "one").indices() == frozenset(), "they are gone"


def test_a_manifest_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    tiles = FinishedTiles(tmp_path, "one")
    for col in range(3):
        tiles.add((0, col), {"water": np.full((2, 2), col, np.uint8)})
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(manifest.read_text()[:-6])
    again = FinishedTiles(tmp_path, "one")
    assert again.indices() == {(0, 0), (0, 1)}
    for col in (2, 3):
        again.add((0, col), {"water": np.full((2, 2), col, np.uint8)})
    assert FinishedTiles(tmp_path, "one").indices() == {(0, 0), (0, 1), (0, 2), (0, 3)}
