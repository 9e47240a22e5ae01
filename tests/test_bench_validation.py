"""Weights on the validation chips: each kind of image where there is one, and nothing measured twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lakes import TINY, made_chip

from flora import checkpoint
from flora.baselines import validation
from flora.baselines.validation import CUES, FLOODED, OLD, validate
from flora.baselines.validation_page import write_page
from flora.checkpoint import Checkpoint
from flora.chip import Chip
from flora.data.pack import pack
from flora.errors import ConfigError, DataError
from flora.model import FLoRA, ModelConfig
from flora.model.family import build
from flora.model.unet import UNetConfig


def chips() -> list[Chip]:
    """Lakes of three events, one of them flooded between two dates, and radar in grey without any optics."""
    found = [made_chip(number, split="val") for number in (10, 11)]
    after = made_chip(12, split="val")
    before = after.with_layers(water=np.zeros_like(after.water), optical=after.prior, prior=after.optical)
    dated = [
        replace(chip, meta=replace(chip.meta, chip=f"plain_{date}_1", event="plain", group="plain"))
        for chip, date in ((after, "after"), (before, "before"))
    ]
    blind = made_chip(13, split="val").with_layers(
        optical=None, optical_valid=None, prior=None, prior_valid=None
    )
    meta = replace(blind.meta, dataset="grey", sar_radiometry="stretched", optical_radiometry="")
    return [*found, *dated, replace(blind, meta=meta)]


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    pack([*chips(), made_chip(0)], tmp_path / "packed")
    return tmp_path / "packed"


def weights(path: Path, model: torch.nn.Module | None = None, grey_pair: float = 0.7) -> str:
    torch.manual_seed(0)
    model = model or FLoRA(ModelConfig.model_validate(TINY))
    checkpoint.save(path, Checkpoint(model, 0.4, 1.5, {}, threshold_grey_pair=grey_pair))
    return str(path)


def test_every_image_is_scored_where_there_is_one(packed: Path, tmp_path: Path) -> None:
    flora = weights(tmp_path / "ours.safetensors")
    unet = weights(
        tmp_path / "unet.safetensors", build(UNetConfig(stem=8, widths=(8, 8, 8, 8), depths=(1, 1, 1, 1)))
    )
    content = validate([flora, unet], packed, tmp_path, ["flora"], lambda _: None)
    ours, rival = (content["entries"][name] for name in ("ours", "unet"))
    assert ours["thresholds"] == {"lakes": 0.4, "grey": 0.7}, "grey values have a threshold of their own"
    assert set(ours["water"]) == {"lakes", "grey"}
    assert set(ours["psnr"]) == {"lakes"} and set(ours["psnr"]["lakes"]) == {*CUES.values(), FLOODED, OLD}
    assert all(pair["best"] >= pair["stored"] for pair in ours["water"].values())
    assert set(rival["psnr"]["lakes"]) == {CUES["none"]} and rival["wrong_place"] == {}
    write_page(content, tmp_path / "validation.md")
    page = (tmp_path / "validation.md").read_text()
    assert "| dataset | ours | unet |" in page
    value = ours["psnr"]["lakes"][CUES["before"]]
    assert f"| lakes, {CUES['before']} | {value:.2f} | – |" in page
    assert "LPIPS" not in page.split("## Pictures")[1], "it was not measured"


def test_figures_by_hand(packed: Path, tmp_path: Path) -> None:
    """Copying the old image errs where the lake is; the picture from radar alone is one pass of the network."""
    loaded = checkpoint.load(weights(tmp_path / "ours.safetensors"))
    scores = validation.score(loaded, validation.validation_chips(packed))
    judged = [chip for chip in chips() if chip.optical is not None and "_before_" not in chip.meta.chip]
    squared = np.stack([((chip.optical - chip.prior)[:3] / 0.3) ** 2 for chip in judged])
    assert scores["psnr"]["lakes"][OLD] == pytest.approx(-10 * np.log10(squared.mean()), abs=2e-3)
    errors = []
    for chip in judged:
        sar = torch.zeros(1, 2, 128, 128)
        valid = torch.zeros(1, 2, 128, 128, dtype=torch.bool)
        sar[..., :96, :96], valid[..., :96, :96] = torch.from_numpy(chip.sar), True
        with torch.inference_mode():
            picture = loaded.model.folded().eval()(sar, valid).optical[0, :, :96, :96].numpy()
        errors.append(((np.clip(picture / 0.3, 0, 1) - np.clip(chip.optical[:3] / 0.3, 0, 1)) ** 2).mean())
    assert scores["psnr"]["lakes"][CUES["none"]] == pytest.approx(-10 * np.log10(np.mean(errors)), abs=2e-3)


def test_what_was_measured_of_these_weights_and_chips_stands(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    empty = {"thresholds": {}, "water": {}, "wrong_place": {}, "psnr": {}, "lpips": {}}
    monkeypatch.setattr(validation, "score", lambda loaded, *_: asked.append(loaded.path.name) or empty)
    ours = weights(tmp_path / "ours.safetensors")
    for _ in range(2):
        validate([ours], packed, tmp_path, [], lambda _: None)
    assert asked == ["ours.safetensors"]
    weights(tmp_path / "ours.safetensors", grey_pair=0.6)
    validate([ours], packed, tmp_path, [], lambda _: None)
    assert len(asked) == 2, "other weights of that name"
    other = tmp_path / "other"
    pack([chips()[0]], other)
    content = validate([ours], other, tmp_path, [], lambda _: None)
    assert len(asked) == 3 and content["chips"]["number"] == 1, "other chips are not compared with these"
    assert json.loads((tmp_path / "validation.json").read_text()) == content
    with pytest.raises(ConfigError, match="both be called 'ours'"):
        validate([ours, ours], packed, tmp_path, [], lambda _: None)
    pack([made_chip(0)], tmp_path / "none")
    with pytest.raises(DataError, match="No chip of split 'val'"):
        validate([ours], tmp_path / "none", tmp_path, [], lambda _: None)
