"""Exported networks: they agree with torch at sizes that were not traced, and say what they are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from raster_files import write

import flora
from flora.bands import OPTICAL_BANDS
from flora.checkpoint import Checkpoint, save
from flora.cli import main
from flora.errors import CheckpointError, ConfigError, OutputError
from flora.export import Exported, export, read_facts
from flora.export.portable import Portable, example
from flora.export.write import run_file
from flora.model import FLoRA, ModelConfig
from flora.model.published import PUBLISHED_PRESETS, PublishedFLoRA

onnxruntime = pytest.importorskip("onnxruntime")

DOCS = Path(__file__).resolve().parents[1] / "docs" / "export.md"


def lively() -> Checkpoint:
    """A thin network with statistics as after training, so that folding and constants matter."""
    torch.manual_seed(3)
    model = FLoRA(ModelConfig(name="thin", widths=(4, 4, 8, 8), head_channels=4, window=2))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return Checkpoint(model.eval(), threshold=0.37, temperature=1.7)


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return lively()


@pytest.fixture(scope="module", params=["onnx-radar", "onnx-optical", "program-radar"])
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, checkpoint
) -> Exported:
    kind, inputs = request.param.split("-")
    path = tmp_path_factory.mktemp("export") / ("thin.onnx" if kind == "onnx" else "thin.pt2")
    return export(checkpoint, path, format=kind, with_optical=inputs == "optical")


def test_it_agrees_with_torch_at_two_sizes(exported: Exported, checkpoint: Checkpoint) -> None:
    with_optical = "optical" in exported.facts["inputs"]
    for cells in ((2, 4), (5, 3)):
        inputs = example(checkpoint.model.grid, with_optical, cells)
        with torch.no_grad():
            out = checkpoint.model(*inputs)
        expected = (
            torch.sigmoid(out.water_logits / 1.7)[:, None],
            out.optical.clamp_min(0),
            out.optical_spread,
        )
        found = run_file(exported.path, inputs)
        assert [tuple(t.shape) for t in found] == [tuple(t.shape) for t in expected]
        for one, other in zip(found, expected, strict=True):
            assert float((one - other).abs().max()) <= 1e-4
            assert float(other.std()) > 1e-3, "a flat answer would agree with anything flat"
    assert exported.difference <= 1e-4


def test_it_says_what_it_is(exported: Exported, checkpoint: Checkpoint) -> None:
    facts = read_facts(exported.path)
    assert facts == exported.facts
    assert facts["inputs"]["sar"] == {"bands": ["VV", "VH"], "unit": "dB", "type": "float32"}
    numbers = {"threshold": 0.37, "temperature": 1.7, "grid": 32, "halo": checkpoint.model.halo}
    assert {name: facts[name] for name in numbers} == numbers
    assert facts["margin"] % facts["grid"] == 0 and facts["margin"] >= facts["halo"]
    assert "Copernicus Sentinel" in facts["attribution"]
    if len(facts["inputs"]) == 4:
        assert facts["inputs"]["optical"]["bands"] == list(OPTICAL_BANDS)


def test_a_wrong_temperature_would_be_noticed(checkpoint: Checkpoint) -> None:
    """The comparison above can fail."""
    inputs = example(checkpoint.model.grid, False)
    other = Checkpoint(checkpoint.model, temperature=1.0)
    with torch.no_grad():
        one, two = (Portable(c).eval()(*inputs)[0] for c in (checkpoint, other))
    assert float((one - two).abs().max()) > 1e-3


def test_the_example_in_the_docs_runs_with_onnx_runtime_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint
) -> None:
    code = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    assert len(code[1].splitlines()) <= 20
    assert set(re.findall(r"^(?:import|from) (\w+)", code[1], re.MULTILINE)) == {
        "json",
        "numpy",
        "onnxruntime",
    }
    export(checkpoint, tmp_path / "flora.onnx")
    rng = np.random.default_rng(0)
    scene = rng.normal(-14, 4, (2, 100, 70)).astype(np.float32)
    scene[:, :20] = np.nan
    np.save(tmp_path / "scene.npy", scene)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code[1], str(DOCS), "exec"), names)
    water = names["water"]
    assert isinstance(water, np.ndarray)
    # What a user would have got from `flora predict`, to the last pixel at the border.
    opened = flora.open_sar(
        write(tmp_path / "scene.tif", scene, names=("VV", "VH"), nodata=np.nan), scale="db"
    )
    predicted = flora.predict(opened, checkpoint, tile=64, precision="fp32")
    expected = (predicted["water_probability"] >= 0.37).to_numpy()
    assert water.shape == expected.shape and (water == expected).mean() > 0.9999
    assert 0 < expected.mean() < 1


def test_faults_are_told(tmp_path: Path, checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"Format 'tflite' is unknown; expected onnx or program"):
        export(checkpoint, tmp_path / "a.onnx", format="tflite")
    (tmp_path / "there.onnx").write_text("mine")
    with pytest.raises(OutputError, match=r"exists already; nothing is overwritten unasked"):
        export(checkpoint, tmp_path / "there.onnx")
    assert (tmp_path / "there.onnx").read_text() == "mine"
    with pytest.raises(CheckpointError, match=r"is not a file; expected a network that `flora export` wrote"):
        read_facts(tmp_path / "none.onnx")
    weights = save(tmp_path / "thin.safetensors", checkpoint)
    with pytest.raises(SystemExit) as caught:
        main(["export", str(weights), "--out", str(tmp_path / "there.onnx")])
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("flora: '")


def test_a_stretch_by_an_images_own_percentiles_is_refused(tmp_path: Path) -> None:
    published = PublishedFLoRA(PUBLISHED_PRESETS["published-small"])
    with pytest.raises(ConfigError, match="'published-small' stretches each image by its own percentiles"):
        export(Checkpoint(published), tmp_path / "a.onnx")


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save(tmp_path / "thin.safetensors", lively())
    with pytest.raises(SystemExit) as caught:
        main(["export", str(weights), "--format", "program", "--out", str(tmp_path / "thin.pt2")])
    assert caught.value.code == 0
    said = capsys.readouterr().out
    assert "multiples of 32 px" in said and "VV, VH dB" in said
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thin.pt2", "thin.safetensors"]
