"""Weights files: a round trip, and clear refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from flora import checkpoint, normalize
from flora.chip import Chip, ChipMeta
from flora.errors import CheckpointError
from flora.model import FLoRA, ModelConfig

TINY = ModelConfig(name="tiny", widths=(8, 8, 8, 8), head_channels=8)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    made = checkpoint.Checkpoint(FLoRA(TINY), threshold=0.42, temperature=1.7, provenance={"data": "none"})
    return checkpoint.save(tmp_path / "w.safetensors", made)


def test_a_round_trip_keeps_everything(saved: Path) -> None:
    loaded = checkpoint.load(saved)
    assert (loaded.threshold, loaded.temperature, loaded.provenance) == (0.42, 1.7, {"data": "none"})
    assert loaded.model.config == TINY
    torch.manual_seed(0)
    for name, tensor in FLoRA(TINY).state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)
    again = checkpoint.load(checkpoint.save(saved.with_name("again.safetensors"), loaded))
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name


def test_temperature_softens_the_probability(saved: Path) -> None:
    made = checkpoint.load(saved)
    assert float(made.probability(torch.tensor(1.7))) == pytest.approx(
        float(torch.sigmoid(torch.tensor(1.0)))
    )


@pytest.mark.parametrize(
    ("radiometry", "bands", "wanted"),
    [("stretched", 1, 0.2), ("stretched", 2, 0.8), ("calibrated", 1, 0.42), ("calibrated", 2, 0.42)],
)
def test_grey_bands_have_thresholds_of_their_own(
    saved: Path, radiometry: str, bands: int, wanted: float
) -> None:
    valid = np.zeros((2, 4, 4), np.bool_)
    valid[:bands] = True
    meta = ChipMeta("d", "e", "g", "c", sar_radiometry=radiometry)  # type: ignore[arg-type]
    chip = Chip(sar=np.zeros((2, 4, 4), np.float32), sar_valid=valid, meta=meta)
    loaded = checkpoint.load(saved)
    unseen = replace(chip, sar_valid=np.zeros((2, 4, 4), np.bool_))
    assert loaded.threshold_for([chip]) == 0.42  # none was chosen
    loaded.threshold_grey, loaded.threshold_grey_pair = 0.2, 0.8
    again = checkpoint.load(checkpoint.save(saved, loaded))
    assert again.threshold_for([unseen, chip]) == wanted
    assert again.threshold_for([unseen]) == 0.42


def test_other_constants_are_refused(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normalize, "SAR_MEAN", (-10.0, -17.0))
    with pytest.raises(CheckpointError, match="sar_mean"):
        checkpoint.load(saved)
    odd = saved.with_name("odd.safetensors")
    save_file(
        load_file(str(saved)),
        str(odd),
        {"flora": json.dumps(checkpoint.read_header(saved) | {"constants": []})},
    )
    with pytest.raises(CheckpointError, match="other constants"):
        checkpoint.load(odd)


def test_foreign_damaged_and_missing_files_are_refused(saved: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, str(foreign))
    with pytest.raises(CheckpointError, match="no FLoRA header"):
        checkpoint.load(foreign)
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        checkpoint.load(text)
    with pytest.raises(CheckpointError, match="not a file"):
        checkpoint.load(tmp_path / "none.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(CheckpointError):
        checkpoint.load(cut)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("{ no json", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ("7", "no JSON object"),
        ('{"format": 1}', "has no model and no constants"),
        ("constants", "has no constants"),
        ("threshold", "has no threshold"),
        ("temperature", "has no temperature"),
        ("provenance", "has no provenance"),
        ("model", "has no model"),
    ],
)
def test_a_damaged_header_is_one_sentence(header: str, told: str, saved: Path, tmp_path: Path) -> None:
    whole = checkpoint.read_header(saved)
    if header in whole:
        header = json.dumps({name: value for name, value in whole.items() if name != header})
    path = tmp_path / "damaged.safetensors"
    save_file({"x": torch.zeros(1)}, str(path), {"flora": header})
    with pytest.raises(CheckpointError, match=told):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"family": 3}},
        {"model": 7},
        {"threshold": "high"},
        {"temperature": None},
        {"threshold_grey": []},
    ],
)
def test_a_header_of_other_kinds_of_values_is_refused(
    change: dict[str, object], saved: Path, tmp_path: Path
) -> None:
    path = tmp_path / "odd.safetensors"
    save_file(load_file(str(saved)), str(path), {"flora": json.dumps(checkpoint.read_header(saved) | change)})
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(path)


def test_a_folded_model_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="folded"):
        checkpoint.save(tmp_path / "w.safetensors", checkpoint.Checkpoint(FLoRA(TINY).folded()))
