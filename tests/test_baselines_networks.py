"""The networks that FLoRA is compared with: they learn from every switch they have, and what their faults really do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from lakes import made_chip
from torch import Tensor

from flora import checkpoint
from flora.chip import Batch, collate, pad
from flora.config import load_yaml
from flora.errors import ConfigError
from flora.model import FLoRA
from flora.model.family import NETWORKS, build, parse_sizes
from flora.model.pix2pix import Pix2PixConfig
from flora.model.published import PublishedConfig, stretched
from flora.model.unet import UNetConfig
from flora.train import Experiment
from flora.train.faults import FaultConfig, crop_apart, spoil
from flora.train.module import JointModule

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted(CONFIGS.rglob("*.yaml"))
TINY = {
    "unet": UNetConfig(stem=4, widths=(4, 4, 8, 8), depths=(1, 1, 1, 1), sees_optical=True),
    "pix2pix": Pix2PixConfig(widths=(4, 4, 8), sees_optical=True),
    "published": PublishedConfig(name="tiny", widths=(8, 8, 8, 8), head_channels=8),
}


def batch_of(count: int = 2, side: int = 128) -> Batch:
    return collate([pad(made_chip(n), side, side) for n in range(count)])


def module_of(name: str, **changes: object) -> JointModule:
    """The joint stage of an experiment file, its network tiny."""
    tree = load_yaml(CONFIGS / name, Experiment).model_dump()
    family = "unet" if "unet" in name else "pix2pix" if "pix2pix" in name else "published"
    model = TINY[family]
    if family == "published" and "published" not in str(tree["model"]):
        model = type(NETWORKS["small"])(name="tiny", widths=(8, 8, 8, 8), head_channels=8)
    tree["changes"] = {k: v for k, v in tree["changes"].items() if k != "sees_optical"}
    experiment = Experiment.model_validate(tree | {"model": model} | changes)
    module = JointModule(build(experiment.network()), experiment)
    module.log_terms = lambda *_: None  # type: ignore[method-assign]
    return module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(CONFIGS)))
def test_every_experiment_loads(path: Path) -> None:
    experiment = load_yaml(path, Experiment)
    experiment.network()
    assert path.stem == experiment.name
    if path.parent != CONFIGS:
        assert experiment.about, "tables name it"


@pytest.mark.parametrize(
    "name", ["baselines/unet_stacked.yaml", "baselines/pix2pix.yaml", "ablations/sharp.yaml", "small.yaml"]
)
def test_what_is_used_without_an_image_or_with_one_gets_a_gradient(name: str) -> None:
    torch.manual_seed(0)
    module = module_of(name)
    module.training_step(batch_of(), 0).backward()
    parts = {n: p for n, p in module.model.named_parameters() if not n.startswith("teacher.")}
    silent = [n for n, p in parts.items() if p.grad is None or not p.grad.any()]
    assert not silent, silent


@pytest.mark.parametrize("family", TINY)
def test_weights_of_any_network_are_stored_and_read(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = build(TINY[family]).eval()
    path = checkpoint.save(tmp_path / "a.safetensors", checkpoint.Checkpoint(model), dtype=torch.float32)
    again = checkpoint.load(path).model
    batch = batch_of(1)
    with torch.inference_mode():
        first, second = (m(batch.sar, batch.sar_valid) for m in (model, again))
        folded = again.folded()(batch.sar, batch.sar_valid)
    assert type(again) is type(model)
    assert torch.equal(first.water_logits, second.water_logits)
    torch.testing.assert_close(folded.optical, first.optical, atol=1e-4, rtol=1e-3)
    assert parse_sizes(model.config.model_dump()) == model.config


@pytest.mark.parametrize("family", ["unet", "pix2pix"])
def test_the_halo_is_what_a_pixel_depends_on(family: str) -> None:
    """The gradient of one pixel's answer, anywhere in a grid cell, ends inside the halo, and comes near it."""
    torch.manual_seed(0)
    model = build(TINY[family]).eval()
    for part in model.parameters():
        part.data.abs_()  # nothing cancels and every rectifier is open
    side = 2 * model.margin + model.grid
    sar = torch.ones(1, 2, side, side, requires_grad=True)
    water = model(sar.abs(), torch.ones_like(sar, dtype=torch.bool)).water_logits
    start, end = model.margin, model.margin + model.grid
    water[0, start:end, start:end].sum().backward()
    assert sar.grad is not None
    reached = sar.grad[0].abs().sum(0).nonzero()
    first, last = int(reached.min()), int(reached.max())
    assert start - model.halo <= first
    assert last < end + model.halo
    assert start - first > 0.6 * model.halo


def test_a_network_that_sees_no_optical_does_not_look_at_it() -> None:
    model = build(UNetConfig(stem=4, widths=(4, 4, 8, 8), depths=(1, 1, 1, 1))).eval()
    batch = batch_of(1)
    with torch.inference_mode():
        alone = model(batch.sar, batch.sar_valid)
        shown = model(batch.sar, batch.sar_valid, batch.optical, batch.optical_valid)
    assert torch.equal(alone.optical, shown.optical)


def test_a_stretch_per_chip_forgets_how_dark_a_scene_is() -> None:
    sar = torch.randn(1, 2, 64, 64) * 3 - 12
    valid = torch.ones_like(sar, dtype=torch.bool)
    torch.testing.assert_close(stretched(sar, valid), stretched(0.5 * sar - 9, valid), atol=1e-3, rtol=1e-3)
    vv = stretched(sar, valid)[0, 0]
    assert float((vv == vv.min()).float().mean()) == pytest.approx(0.02, abs=0.002)


def test_crops_apart_show_different_ground_and_whole_pixels() -> None:
    batch = batch_of(3)
    marks = torch.arange(128.0).expand(3, 1, 128, 128).clone()
    batch.sar[:, :1] = marks
    batch.optical[:, :1] = marks
    apart = crop_apart(batch, torch.Generator().manual_seed(0))
    assert apart.sar.shape[-2:] == apart.optical.shape[-2:] == apart.water.shape[-2:] == (64, 64)
    assert not torch.equal(apart.sar[:, 0, 0, 0], apart.optical[:, 0, 0, 0])
    assert torch.equal(apart.sar[:, 0, :, 1:] - apart.sar[:, 0, :, :-1], torch.ones(3, 64, 63))


def test_dry_batches_and_unlabelled_pixels_as_published() -> None:
    batch, chance = batch_of(), torch.Generator()
    batch.water_valid[0, :5] = False
    land = spoil(batch, FaultConfig(unlabelled_is_land=True), chance)
    assert land.water_valid.all()
    assert not land.water[0, :5].any()
    batch.water_valid[1] = False
    assert not spoil(batch, FaultConfig(unlabelled_is_land=True), chance).water_valid[1].any(), (
        "no label at all"
    )
    batch.water.zero_()
    assert not spoil(batch, FaultConfig(skip_dry_batches=True), chance).water_valid.any()
    assert spoil(batch, FaultConfig(), chance) is batch


def encoder_gradient(module: JointModule) -> Tensor:
    module.training_step(batch_of(), 0).backward()
    assert isinstance(module.model, FLoRA)
    gradient = module.model.sar_encoder.stem.conv.weight.grad
    return torch.zeros(1) if gradient is None else gradient


def test_detached_water_does_not_reach_the_encoder() -> None:
    torch.manual_seed(0)
    stage = {"steps": 1, "objective": {"weights": {"bce": 1.0}}}
    assert encoder_gradient(module_of("small.yaml", joint=stage)).any()
    cut = module_of("small.yaml", joint=stage, faults={"detached_water": True})
    assert not encoder_gradient(cut).any()


def test_the_published_predictor_stays_at_random() -> None:
    torch.manual_seed(0)
    module = module_of("baselines/published.yaml")
    module.training_step(batch_of(2, 256), 0).backward()
    assert isinstance(module.model, FLoRA)
    assert module.model.predictor is not None
    assert all(p.grad is None for p in module.model.predictor.parameters())
    assert any(p.grad is not None and p.grad.any() for p in module.model.teacher.parameters())


def test_the_discriminator_waits_and_then_learns() -> None:
    torch.manual_seed(0)
    module = module_of("ablations/sharp.yaml")
    assert module.critic is not None
    before = [p.detach().clone() for p in module.critic.parameters()]
    module.training_step(batch_of(), 0)  # step 0 lies in the warm-up
    assert all(torch.equal(a, b) for a, b in zip(before, module.critic.parameters(), strict=True))
    module.stage_config = module.stage_config.model_copy(update={"sharp_from": 0.0})
    module.training_step(batch_of(), 0).backward()
    assert not all(torch.equal(a, b) for a, b in zip(before, module.critic.parameters(), strict=True))
    trained = module.configure_optimizers()["optimizer"].param_groups
    critics = {id(p) for p in module.critic.parameters()}
    assert not critics & {id(p) for group in trained for p in group["params"]}


def test_the_state_of_the_discriminators_optimiser_travels() -> None:
    module = module_of("baselines/pix2pix.yaml")
    module.training_step(batch_of(), 0)
    kept: dict[str, object] = {}
    module.on_save_checkpoint(kept)
    other = module_of("baselines/pix2pix.yaml")
    other.on_load_checkpoint(kept)
    assert other.critic is not None
    assert other.critic.optimizer.state_dict()["state"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"width": 3}, "changes.width"), ({"film": 7}, "changes.film")],
)
def test_a_change_that_does_not_fit_is_named(changes: dict[str, int], message: str) -> None:
    tree = load_yaml(CONFIGS / "small.yaml", Experiment).model_dump() | {"changes": changes}
    with pytest.raises(ConfigError, match=message):
        Experiment.model_validate(tree).network()


def test_comparing_by_a_teacher_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="no teacher"):
        module_of("ablations/sharp.yaml", teacher=None)


def test_a_base_is_built_on_and_a_circle_is_refused(tmp_path: Path) -> None:
    tree = load_yaml(CONFIGS / "ablations" / "no_ssim.yaml", Experiment)
    weights, small = tree.joint.objective.weights, load_yaml(CONFIGS / "small.yaml", Experiment)
    assert weights.ssim == 0
    assert weights.charbonnier == small.joint.objective.weights.charbonnier > 0
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / f"{one}.yaml").write_text(f"base: {other}.yaml\n")
    with pytest.raises(ConfigError, match="builds on it"):
        load_yaml(tmp_path / "a.yaml", Experiment)
