"""`flora predict` on what people really give it: one sentence, exit code 1, and nothing half-written left behind."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from scene_files import write_scene, write_weights

from flora.cli import main


def notes(folder: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text("Water stood at the church door.\n")
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.tif"
    path.touch()
    return path


def cut_short(folder: Path) -> Path:
    path = write_scene(folder / "short.tif")
    path.write_bytes(path.read_bytes()[:6000])
    return path


def damaged(folder: Path) -> Path:
    """A file whose head is whole and whose pixels are not."""
    path = write_scene(folder / "damaged.tif", compress="deflate")
    content = bytearray(path.read_bytes())
    middle = slice(len(content) // 4, 3 * len(content) // 4)
    content[middle] = b"\xff" * (middle.stop - middle.start)
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained weights: errors do not depend on what the network has learnt."""
    return write_weights(tmp_path_factory.mktemp("weights"))


SCENES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "text": (notes, "notes.txt"),
    "empty": (empty, "empty"),
    "one band": (lambda folder: write_scene(folder / "one.tif", bands=["VV"]), "VH"),
    "no CRS": (lambda folder: write_scene(folder / "nowhere.tif", crs=None), "--no-crs"),
    "all NaN": (lambda folder: write_scene(folder / "nan.tif", value=float("nan")), "no valid pixel"),
    "missing": (lambda folder: folder / "missing.tif", "missing.tif"),
    "folder": (lambda folder: folder, "VV"),
    "cut short": (cut_short, "short.tif"),
    "damaged": (damaged, "damaged.tif"),
    "no unit": (lambda folder: write_scene(folder / "counts.tif", value=1e9), "--scale"),
}


def refused(argv: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command that has to end with exit code 1, and gives its one sentence."""
    with pytest.raises(SystemExit) as caught:
        main(list(argv))
    out, err = capsys.readouterr()
    assert caught.value.code == 1
    assert out == ""
    assert "Traceback" not in err
    faults = [line for line in err.splitlines() if line.startswith("flora: ")]
    assert faults == err.splitlines()[-1:], err
    return faults[0]


@pytest.mark.parametrize("kind", SCENES)
def test_faulty_scene(kind: str, tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make, said = SCENES[kind]
    (tmp_path / "in").mkdir()
    scene, out = make(tmp_path / "in"), tmp_path / "out"
    sentence = refused(["predict", str(scene), "--out", str(out), "--weights", str(weights)], capsys)
    assert said in sentence
    assert sentence.endswith((".", "?"))
    assert not out.exists()


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return write_scene(tmp_path / "scene.tif")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tile", "100"], "64"),
        (["--precision", "fp8"], "fp8"),
        (["--device", "abacus"], "abacus"),
        (["--scale", "furlongs"], "furlongs"),
        (["--bands", "HH,HV"], "HH"),
        (["--weights", "nowhere.safetensors"], "nowhere.safetensors"),
        (["--optical", "nowhere.tif"], "nowhere.tif"),
    ],
)
def test_faulty_option(
    options: list[str],
    said: str,
    scene: Path,
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    argv = ["predict", str(scene), "--out", str(out), "--weights", str(weights), *options]
    assert said in refused(argv, capsys)
    assert not out.exists()


def test_out_is_a_file(
    scene: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "taken"
    out.write_text("mine")
    assert "taken" in refused(["predict", str(scene), "--out", str(out), "--weights", str(weights)], capsys)
    assert out.read_text() == "mine"


def test_out_may_not_be_written(
    scene: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "locked"
    out.mkdir()
    out.chmod(0o500)
    if os.access(out, os.W_OK):
        # The superuser may write anywhere but where there is no place to write to.
        out = Path("/proc/locked")
    assert "locked" in refused(["predict", str(scene), "--out", str(out), "--weights", str(weights)], capsys)
    assert not out.exists() or list(out.iterdir()) == []


def test_nothing_is_overwritten(
    scene: Path, weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = tmp_path / "out" / "scene"
    earlier.mkdir(parents=True)
    (earlier / "water.tif").write_text("mine")
    argv = ["predict", str(scene), "--out", str(tmp_path / "out"), "--weights", str(weights)]
    assert "--overwrite" in refused(argv, capsys)
    assert (earlier / "water.tif").read_text() == "mine"
    # What is not a product of ours is not replaced even when asked to.
    refused([*argv, "--overwrite"], capsys)
    assert (earlier / "water.tif").read_text() == "mine"


def test_wrong_weights(scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = tmp_path / "foreign.safetensors"
    foreign.write_bytes(b"not weights at all")
    out = tmp_path / "out"
    argv = ["predict", str(scene), "--out", str(out), "--weights", str(foreign)]
    assert "foreign.safetensors" in refused(argv, capsys)
    assert not out.exists()
