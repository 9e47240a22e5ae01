"""`flora predict` and `flora info` on small files: what is written, said and printed for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scene_files import SIZE, write_scene, write_weights

from flora.cli import main

FILES = {"water_probability.tif", "water.tif", "optical.tif", "quicklook.png", "summary.json"}


def run(argv: Sequence[object], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command that has to succeed, and gives what it printed."""
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert caught.value.code == 0, err
    return out


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights"))


def test_predict_writes_a_result(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene, out = write_scene(tmp_path / "place.tif"), tmp_path / "out"
    said = run(["predict", scene, "--out", out, "--weights", weights], capsys)
    assert {path.name for path in (out / "place").iterdir()} == FILES
    assert [path.name for path in out.iterdir()] == ["place"]
    assert "km²" in said
    assert str(out / "place") in said
    with rasterio.open(out / "place" / "water.tif") as water:
        assert water.shape == (SIZE, SIZE)
        assert set(np.unique(water.read(1))) <= {0, 1}
    assert "result of `flora predict`" in run(["info", out / "place"], capsys)


def test_json_is_all_of_stdout_and_agrees_with_the_map(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, out = write_scene(tmp_path / "place.tif"), tmp_path / "out"
    argv = ["predict", scene, "--out", out, "--weights", weights, "--json", "--tile", "64", "--uncertainty"]
    (result,) = json.loads(run(argv, capsys))
    assert {Path(path).name for path in result["files"].values()} == FILES | {"optical_uncertainty.tif"}
    with rasterio.open(result["files"]["water"]) as water:
        assert int((water.read(1) == 1).sum()) == result["water_pixels"]
    assert result["tile"] == 64
    again = run([*argv, "--overwrite"], capsys)
    assert json.loads(again)[0]["water_pixels"] == result["water_pixels"]


def test_two_files_and_no_crs(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pair = [write_scene(tmp_path / f"place_{band}.tif", bands=[band], crs=None) for band in ("VV", "VH")]
    argv = ["predict", *pair, "--out", tmp_path / "out", "--weights", weights, "--no-crs", "--json"]
    (result,) = json.loads(run(argv, capsys))
    assert result["crs"] is None
    assert result["water_km2"] is None
    assert "no CRS" in result["note"]


def test_demo_scores_itself_and_keeps_its_scene(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["demo", "--out", tmp_path, "--size", "96", "--weights", weights]
    said = run(argv, capsys)
    assert said.startswith("The scene is SIMULATED")
    assert all(word in said for word in ("km²", "water IoU", "Mpx/s", "MiB", "water.tif"))
    scene = tmp_path / "calm-flood-96-0" / "simulated_S1.tif"
    made = scene.stat().st_mtime_ns
    result = json.loads(run([*argv, "--json"], capsys))
    assert scene.stat().st_mtime_ns == made
    with (
        rasterio.open(result["files"]["water"]) as water,
        rasterio.open(scene.parent / "simulated_water.tif") as true,
    ):
        found, truth = water.read(1), true.read(1)
    valid = (found != 255) & (truth != 255)
    both, either = ((found == 1) & (truth == 1) & valid).sum(), (((found == 1) | (truth == 1)) & valid).sum()
    assert result["iou"] == (pytest.approx(both / either) if either else None)
    assert "simulated" in result["note"]


@pytest.mark.parametrize(
    ("make", "kind", "fact"),
    [
        (lambda folder: write_scene(folder / "a.tif"), "scene", "EPSG:32721"),
        (lambda folder: write_scene(folder / "a.tif", bands=["VV"]), "raster, no scene", "1 VV, float32"),
        (write_weights, "weights", "small"),
    ],
)
def test_info_tells_what_a_file_is(
    make: Any, kind: str, fact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    assert json.loads(run(["info", path, "--json"], capsys))["kind"] == kind
    assert fact in run(["info", path], capsys)


def test_info_of_results_of_either_verb_and_of_damaged_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = tmp_path / "summary.json"
    for verb, told in (("flood", {"flood_pixels": 3}), ("predict", {"water_pixels": 3, "model": "?"})):
        summary.write_text(json.dumps(told))
        assert f"result of `flora {verb}`" in run(["info", tmp_path], capsys)
    summary.write_text(json.dumps({"remarks": [], "reading": {"bands": None, "scale": "db"}, "tta": False}))
    printed = run(["info", tmp_path], capsys)
    assert "remarks" not in printed and "None" not in printed  # what says nothing has no line
    assert "scale db" in printed and "False" in printed
    for damaged in ("[]", "{"):
        summary.write_text(damaged)
        with pytest.raises(SystemExit) as caught:
            main(["info", str(tmp_path)])
        assert caught.value.code == 1
        said = capsys.readouterr().err
        assert said.startswith("flora: ")
        assert said.endswith("run `flora predict` again.\n")


def test_info_of_a_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["data", "pack", "--root", tmp_path, "--out", tmp_path / "packed", "--simulated", "2"], capsys)
    facts = json.loads(run(["info", tmp_path / "packed" / "simulated", "--json"], capsys))
    assert facts["kind"] == "pack of chips"
    assert facts["chips"] == 3, "two that train and one that validates"


def test_data_list_says_what_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "desert").mkdir()
    found = json.loads(run(["data", "list", "--root", tmp_path, "--json"], capsys))
    assert found["desert"] == str(tmp_path / "desert")
    assert found["guaiba"] is None
    assert "desert" in run(["data", "list", "--root", tmp_path], capsys)


def test_evaluate_writes_a_report(
    real_data: Path, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    argv = ["evaluate", "--data", "stac_overflow", "--root", real_data, "--split", "val", "--no-lpips"]
    said = run([*argv, "--weights", weights, "--out", out], capsys)
    assert {path.name for path in out.iterdir()} == {"report.json", "report.md", "chips.png"}
    assert "IoU micro" in said
    report = json.loads((out / "report.json").read_text())
    assert report["rows"][0]["chips"] == 1
    assert "run None, seed None (" in report["predictor"] and "cue none" in report["predictor"]


def test_evaluate_tells_before_it_scores_that_it_cannot_write(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from test_evaluate import chip

    monkeypatch.setattr("flora.data.open_dataset", lambda *_: [chip()])
    monkeypatch.setattr("flora.evaluate.evaluate", lambda *_, **__: pytest.fail("scored"))
    (tmp_path / "taken").write_text("a file")
    argv = [
        "evaluate",
        "--data",
        "desert",
        "--root",
        tmp_path,
        "--weights",
        weights,
        "--out",
        tmp_path / "taken",
    ]
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in argv])
    assert caught.value.code == 1
    assert "cannot be made a folder" in capsys.readouterr().err


def test_packing_says_how_many_chips_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from data_trees import write_sen1floods11

    root = write_sen1floods11(
        tmp_path / "sen1floods11", {"train": ("Ghana_1", "Ghana_2"), "valid": ("Ghana_3",)}, 64
    )
    next(root.rglob("Ghana_1_*abel*")).unlink()
    argv = ["data", "pack", "sen1floods11", "--root", str(tmp_path), "--out", str(tmp_path / "packed")]
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert not caught.value.code
    said = capsys.readouterr()
    assert "1 chips cannot be used (first Ghana_1: " in said.out + said.err


def test_evaluate_refuses_a_cue_that_is_not_there(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_evaluate import chip

    bare = replace(chip(), optical=None, optical_valid=None)
    monkeypatch.setattr("flora.data.open_dataset", lambda *_: [bare])
    monkeypatch.setenv("FLORA_DATA", str(tmp_path))  # stands for --root
    argv = ["evaluate", "--data", "stac_overflow", "--cue", "optical"]
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in [*argv, "--weights", weights, "--out", tmp_path / "out"]])
    assert caught.value.code == 1
    assert "None of the chips has the image of cue 'optical'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
