"""Training: every inference parameter learns, the paths are mixed as configured, a resumed run goes on as it was."""

from __future__ import annotations

import csv
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lakes import DISTIL, OPTICAL, TINY, WATER, experiment, made_chip
from lightning.pytorch.accelerators import CPUAccelerator
from pydantic import ValidationError
from safetensors.torch import save_file

from flora import checkpoint
from flora.chip import Batch, collate, pad
from flora.data.pack import pack
from flora.errors import CheckpointError, ConfigError, DataError, FloraError, OutputError
from flora.metrics.lpips import CHANNELS, LAYOUT, weights_path
from flora.model import FLoRA, ModelConfig
from flora.model.family import build
from flora.model.published import PublishedFLoRA
from flora.train import Experiment, run
from flora.train.choice import choose, validation_loader
from flora.train.module import JointModule, TeacherModule
from flora.train.paths import PathMixer, cloud
from flora.train.run import PackedData, _trainer
from flora.train.scores import ValidationScores

SHORT = {"steps": 1, "objective": {"weights": OPTICAL}}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "packed"
    pack([made_chip(n) for n in range(6)] + [made_chip(n, split="val") for n in (10, 11)], folder)
    return folder


def batch_of(count: int = 4) -> Batch:
    return collate([pad(made_chip(n), 128, 128) for n in range(count)])


def quiet(module: TeacherModule | JointModule) -> TeacherModule | JointModule:
    module.log_terms = lambda *_: None  # type: ignore[method-assign]
    return module


def test_every_inference_parameter_gets_a_gradient_in_the_joint_stage(packed: Path) -> None:
    torch.manual_seed(0)
    module = quiet(JointModule(FLoRA(experiment(packed).network()), experiment(packed))).train()
    module.training_step(batch_of(), 0).backward()
    parts = dict(module.model.named_parameters())
    silent = [
        n for n, p in parts.items() if not n.startswith("teacher.") and (p.grad is None or not p.grad.any())
    ]
    assert not silent, silent
    assert all(p.grad is None for n, p in parts.items() if n.startswith("teacher.")), "the teacher is frozen"
    assert any(n.startswith("predictor.") for n in parts)


def test_colours_of_a_dataset_count_as_they_are_trusted(packed: Path) -> None:
    lakes = experiment(packed).data.model_dump()
    trusting, doubting = (
        PackedData(experiment(packed, data=lakes | {"picture_trust": trust}))
        for trust in ({}, {"lakes": 0.25})
    )
    batch = batch_of()
    assert trusting.on_before_batch_transfer(batch, 0).weight_optical.tolist() == [1.0] * 4
    doubted = doubting.on_before_batch_transfer(batch, 0)
    assert doubted.weight_optical.tolist() == [0.25] * 4
    assert doubted.weight_water.tolist() == [1.0] * 4
    assert batch.weight_optical.tolist() == [1.0] * 4, "the loader's memory stays as it was"


def test_a_run_learns_no_colour_from_a_dataset_that_is_not_trusted(packed: Path, tmp_path: Path) -> None:
    lakes = experiment(packed).data.model_dump()
    losses = []
    for name, trust in (("seen", 1.0), ("blind", 0.0)):
        data = lakes | {"picture_trust": {"lakes": trust}}
        run(experiment(packed, name=name, data=data, teacher=None, joint=PICTURES), tmp_path, progress=False)
        rows = list(csv.DictReader((tmp_path / name / "joint/csv/metrics.csv").open()))
        losses.append([float(row["train/charbonnier"]) for row in rows if row["train/charbonnier"]])
    assert all(losses)
    assert min(losses[0]) > 0
    assert not any(losses[1])


def test_trust_in_a_dataset_that_is_not_drawn_is_refused(packed: Path) -> None:
    lakes = experiment(packed).data.model_dump()
    with pytest.raises(ValidationError, match="the mixture has no deserts"):
        experiment(packed, data=lakes | {"picture_trust": {"deserts": 0.5}})


def test_modules_come_in_the_mode_that_they_train_in(packed: Path) -> None:
    module = JointModule(FLoRA(experiment(packed).network()).eval(), experiment(packed))
    assert module.model.sar_encoder.training
    assert not any(part.training for part in module.model.teacher.modules())
    assert TeacherModule(FLoRA(TINY_CONFIG).teacher.eval(), experiment(packed)).teacher.training


def test_the_frozen_teacher_keeps_its_statistics(packed: Path) -> None:
    module = quiet(JointModule(FLoRA(experiment(packed).network()), experiment(packed)))
    before = {n: b.clone() for n, b in module.model.teacher.named_buffers()}
    module.training_step(batch_of(), 0)
    assert all(torch.equal(b, before[n]) for n, b in module.model.teacher.named_buffers())


def test_water_labels_reach_the_encoder(packed: Path) -> None:
    only_water = {"steps": 1, "objective": {"weights": {"bce": 1.0}}}
    module = quiet(JointModule(FLoRA(TINY_CONFIG), experiment(packed, joint=only_water))).train()
    module.training_step(batch_of(), 0).backward()
    assert module.model.sar_encoder.stem.conv.weight.grad.abs().sum() > 0


PICTURES = {"steps": 10, "objective": {"weights": {"charbonnier": 1.0, "squared": 1.0}}}
TINY_CONFIG = Experiment.model_validate(
    {
        "name": "n",
        "model": TINY,
        "data": {"mixture": {}},
        "teacher": None,
        "joint": {"steps": 1, "objective": {}},
    }
).network()


def test_distilling_without_a_teacher_is_refused(packed: Path) -> None:
    with pytest.raises(ConfigError, match="no teacher"):
        JointModule(FLoRA(TINY_CONFIG), experiment(packed, teacher=None))


def test_an_unknown_preset_is_refused(packed: Path) -> None:
    with pytest.raises(ConfigError, match="no preset"):
        experiment(packed, model="huge").network()


@pytest.mark.parametrize(
    ("sizes", "built"),
    [(TINY, FLoRA), (TINY | {"family": "flora"}, FLoRA), (TINY | {"family": "published"}, PublishedFLoRA)],
)
def test_sizes_are_flora_s_unless_they_name_another_family(
    sizes: dict[str, object], built: type, packed: Path
) -> None:
    settings = experiment(packed, model=sizes)
    assert type(build(settings.network())) is built
    again = Experiment.model_validate(settings.model_dump(mode="json"))
    assert again == settings and type(again.model) is type(settings.model)
    with pytest.raises(ValidationError, match="family 'onet' is unknown; use one of flora, unet"):
        experiment(packed, model=TINY | {"family": "onet"})


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1},
        {"name": "../lakes"},
        {"joint": {"steps": 1, "lr": -1, "objective": {"weights": OPTICAL}}},
        {"data": {"packed": "packed", "mixture": {"lakes": 1}, "size": 0}},
    ],
)
def test_values_that_cannot_be_are_refused(changes: dict[str, object], packed: Path) -> None:
    with pytest.raises(ValidationError):
        experiment(packed, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "smal"}, "model 'smal' is no preset"),
        ({"data": {"mixture": {"lakes": 1}, "size": 100}}, "needs multiples of 64 px"),
        ({"data": {"mixture": {"seas": 1}, "size": 64}}, "No chip of split 'val' of seas"),
        (
            {"joint": {"steps": 1, "objective": {"weights": dict.fromkeys(OPTICAL, 0)}}},
            "No loss has a weight",
        ),
        ({"model": "unet-small"}, "has no teacher to train"),
    ],
)
def test_what_does_not_fit_together_is_told_before_anything_is_trained_or_written(
    changes: dict[str, dict[str, object]], words: str, packed: Path, tmp_path: Path
) -> None:
    if "data" in changes:
        changes = changes | {"data": changes["data"] | {"packed": packed}}
    with pytest.raises(FloraError, match=words):
        run(experiment(packed, **changes), tmp_path / "runs", progress=False)
    assert not (tmp_path / "runs").exists()


def test_ctrl_c_reaches_the_command_line(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> torch.Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(JointModule, "training_step", interrupted)
    kept = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(experiment(packed, teacher=None, joint=SHORT), tmp_path, progress=False)
    finally:
        signal.signal(signal.SIGINT, kept)  # Lightning ignores it from then on


def test_path_shares_are_those_configured(packed: Path) -> None:
    paths = experiment(
        packed,
        paths={
            "true_start": 1,
            "true_end": 0,
            "archive": 0,
            "wrong_place": 0,
            "clouded": 0,
            "without_nir": 0,
        },
    ).paths
    mixer, batch = PathMixer(paths, seed=0), batch_of()
    optical, valid = mixer(batch, 0, 100)
    assert torch.equal(optical[valid], batch.optical[batch.optical_valid])
    assert not mixer(batch, 100, 100)[1].any(), "at the end of the run radar stands alone"


def test_an_archive_image_is_the_older_one(packed: Path) -> None:
    paths = experiment(
        packed,
        paths={
            "true_start": 0,
            "true_end": 0,
            "archive": 1,
            "wrong_place": 0,
            "clouded": 0,
            "without_nir": 1,
        },
    ).paths
    batch = batch_of()
    optical, valid = PathMixer(paths, seed=0)(batch, 3, 100)
    assert torch.equal(valid[:, :3], batch.prior_valid[:, :3])
    assert not valid[:, 3].any()
    assert torch.equal(optical[valid], batch.prior[valid])


def test_the_same_step_draws_the_same_paths(packed: Path) -> None:
    mixer, batch = PathMixer(experiment(packed).paths, seed=5), batch_of()
    a, b, c = mixer(batch, 7, 100), mixer(batch, 7, 100), mixer(batch, 8, 100)
    assert torch.equal(a[1], b[1])
    assert not torch.equal(a[1], c[1])


def test_cloud_that_no_mask_names_is_white_and_valid(packed: Path) -> None:
    shares = {"true_start": 0, "true_end": 0, "archive": 1, "wrong_place": 0, "without_nir": 0, "clouded": 1}
    batch = batch_of()
    clear, masked = (
        PathMixer(experiment(packed, paths=shares | extra).paths, seed=0)(batch, 3, 100)
        for extra in ({"clouded": 0}, {})
    )
    white = PathMixer(experiment(packed, paths=shares | {"unmasked": 1}).paths, seed=0)(batch, 3, 100)
    hidden = clear[1] & ~masked[1]
    assert hidden.any()
    assert torch.equal(white[1], clear[1]), "such a cloud is taken for ground"
    assert (white[0][hidden] > clear[0][hidden]).all()
    assert torch.equal(white[0][masked[1]], clear[0][masked[1]])


def test_water_of_the_same_days_image_gets_another_colour_in_the_truth_as_well(packed: Path) -> None:
    shares = {"true_start": 1, "true_end": 0, "archive": 0, "wrong_place": 0, "without_nir": 0, "clouded": 0}
    batch = batch_of()
    water = (batch.water == 1) & batch.water_valid
    none = PathMixer(experiment(packed, paths=shares).paths, seed=0)
    assert none.recolour(batch, 0, 100) is batch
    mixer = PathMixer(experiment(packed, paths=shares | {"recoloured": 1}).paths, seed=0)
    other = mixer.recolour(batch, 0, 100)
    assert torch.equal(other.optical, mixer.recolour(batch, 0, 100).optical)
    shown, valid = mixer(other, 0, 100)
    assert torch.equal(shown[valid], other.optical[batch.optical_valid]), "what is shown is what is asked for"
    core = -F.max_pool2d(-water.float().unsqueeze(1), 3, 1, 1)[:, 0] == 1
    dry = F.max_pool2d(water.float().unsqueeze(1), 3, 1, 1)[:, 0] == 0
    apart = (other.optical - batch.optical).abs()
    assert core.any() and apart.amax(1)[core].min() > 0.001
    assert apart.amax(1)[dry].max() == 0
    colours = [other.optical[i, :, core[i]].mean(1) for i in range(len(batch)) if core[i].any()]
    assert (torch.stack(colours).std(0) > 0.003).all(), "each image has its own"
    old = PathMixer(
        experiment(packed, paths=shares | {"true_start": 0, "archive": 1, "recoloured": 1}).paths, 0
    )
    assert torch.equal(old.recolour(batch, 0, 100).optical, batch.optical), (
        "an older image says nothing of today's"
    )


def test_a_run_learns_from_the_recoloured_truth(packed: Path) -> None:
    shares = {"true_start": 1, "true_end": 1, "archive": 0, "wrong_place": 0, "recoloured": 1}
    module = quiet(JointModule(FLoRA(experiment(packed).network()), experiment(packed, paths=shares)))
    asked: list[Batch] = []
    taught = module.taught
    module.taught = lambda batch, output: asked.append(batch) or taught(batch, output)  # type: ignore[method-assign, func-returns-value]
    batch = batch_of()
    module.training_step(batch, 0)
    assert not torch.equal(asked[0].optical, batch.optical)


def test_clouds_hide_from_little_to_all() -> None:
    shares = cloud(64, (128, 128), torch.Generator().manual_seed(0)).float().mean(dim=(1, 2, 3))
    assert shares.min() < 0.25
    assert shares.max() > 0.9


def test_scores_by_hand() -> None:
    scores = ValidationScores()
    logits = torch.tensor([[[4.0, 4.0], [-4.0, -4.0]]])
    water, valid = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), torch.ones(1, 2, 2, dtype=torch.bool)
    optical, true = torch.full((1, 3, 2, 2), 0.15), torch.full((1, 3, 2, 2), 0.12)
    scores.update(logits, optical, water, valid, true, torch.ones(1, 3, 2, 2, dtype=torch.bool), ["a"])
    result = scores.compute()
    assert result["val/iou/a"] == pytest.approx(1 / 3)
    assert result["val/psnr/a"] == pytest.approx(20.0, abs=1e-3)  # 0.03 / 0.3 = 0.1, so an MSE of 0.01


def test_temperature_undoes_overconfidence() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 200, 200, generator=generator) * 2
    water = (torch.rand(1, 200, 200, generator=generator) < torch.sigmoid(logits)).float()
    scores, ones = ValidationScores(), torch.ones(1, 200, 200, dtype=torch.bool)
    none = torch.zeros(1, 3, 200, 200)
    scores.update(logits * 3, none, water, ones, none, none.bool(), ["a"])
    assert scores.choose_temperature() == pytest.approx(3.0, rel=0.1)


@pytest.mark.parametrize("wet", [-3.0, 0.0, 2.0])
def test_the_threshold_is_the_best_where_probabilities_are_calibrated(wet: float) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(1, 300, 300, generator=generator) * 2 + wet
    water = (torch.rand(1, 300, 300, generator=generator) < torch.sigmoid(logits)).float()
    scores, ones = ValidationScores(), torch.ones(1, 300, 300, dtype=torch.bool)
    none = torch.zeros(1, 3, 300, 300)
    scores.update(logits * 1.5, none, water, ones, none, none.bool(), ["a"])

    def iou(threshold: float) -> float:
        found = torch.sigmoid(logits) >= threshold
        return float((found & (water > 0)).sum() / (found | (water > 0)).sum())

    chosen = scores.choose_threshold(temperature=1.5)
    best = max((iou(step / 50), step / 50) for step in range(1, 50))
    assert iou(chosen) > best[0] - 0.003
    assert chosen == pytest.approx(best[1], abs=0.06)
    cautious = ValidationScores()
    cautious.update(logits * 1.5 - 2.0, none, water, ones, none, none.bool(), ["a"])
    searched = cautious.best_threshold(temperature=1.0)
    undone = torch.sigmoid((torch.logit(torch.tensor(searched)) + 2.0) / 1.5)
    assert iou(float(undone)) > best[0] - 0.001


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return checkpoint.load(path).model.state_dict()


class Stop(Exception):
    """A run is killed."""


def dies_at(last: int) -> Callable[[JointModule, Batch, int], torch.Tensor]:
    """Gives a training step of which the last call kills the run."""
    steps = 0
    real = JointModule.training_step

    def step(self: JointModule, batch: Batch, batch_idx: int) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == last:
            raise Stop
        return real(self, batch, batch_idx)

    return step


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> dict[int, dict[str, float]]:
    """The loss terms of each step of a joint stage as it logs them, by step."""
    found: dict[int, dict[str, float]] = {}

    def log_terms(self: JointModule, total: torch.Tensor, terms: dict[str, torch.Tensor], _: int) -> None:
        found[self.global_step] = {"total": total.item()} | {name: t.item() for name, t in terms.items()}

    monkeypatch.setattr(JointModule, "log_terms", log_terms)
    return found


def run_in_two_parts(settings: Experiment, out: Path, last: int) -> Path:
    """Runs until the joint stage is killed in its call `last`, then resumes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(JointModule, "training_step", dies_at(last))
        with pytest.raises(Stop):
            run(settings, out, progress=False)
    return run(settings, out, resume=True, progress=False)


def assert_equal_losses(found: dict[int, dict[str, float]], wanted: dict[int, dict[str, float]]) -> None:
    assert found.keys() == wanted.keys()
    for step, terms in found.items():
        assert terms == pytest.approx(wanted[step], rel=1e-4, abs=1e-6), step


SHARP = {
    "steps": 5,
    "ema": 0.5,
    "sharp_from": 0,
    "objective": {"weights": {"charbonnier": 1.0, "bce": 1.0, "adversarial": 0.1}},
}
PIX2PIX = {"family": "pix2pix", "widths": [4, 4, 8]}


@pytest.mark.parametrize(
    ("changes", "last"),
    [({}, 1), ({"model": PIX2PIX, "teacher": None}, 5)],
    ids=["a discriminator that starts after the teacher", "dropout"],
)
def test_a_resumed_run_draws_the_chance_of_its_step(
    changes: dict[str, object], last: int, packed: Path, tmp_path: Path, logged: dict[int, dict[str, float]]
) -> None:
    settings = experiment(packed, joint=SHARP, **changes)
    run(settings, tmp_path / "whole", progress=False)
    whole = dict(logged)
    assert list(whole) == list(range(5))
    logged.clear()
    run_in_two_parts(settings, tmp_path / "cut", last)
    assert_equal_losses(logged, whole)


def test_a_run_ends_in_weights_and_a_resumed_one_in_the_same(
    packed: Path, tmp_path: Path, logged: dict[int, dict[str, float]]
) -> None:
    whole = run(experiment(packed), tmp_path / "whole", progress=False)
    made = checkpoint.load(whole)
    assert 0 < made.threshold < 1
    assert made.provenance["validation"]["val/iou/lakes"] >= 0
    with pytest.raises(OutputError, match="--resume"):
        run(experiment(packed), tmp_path / "whole", progress=False)
    unbroken = dict(logged)
    logged.clear()
    resumed = run_in_two_parts(experiment(packed), tmp_path / "cut", 6)  # after the checkpoint at step 3
    assert_equal_losses(logged, unbroken)
    for name, tensor in weights_of(whole).items():
        torch.testing.assert_close(weights_of(resumed)[name], tensor, atol=2e-3, rtol=2e-3, msg=name)
    joint = tmp_path / "cut" / "lakes" / "joint"
    assert (joint / "csv").is_dir(), "the log of the first part stays"
    assert (joint / "csv-2" / "metrics.csv").is_file()


@pytest.mark.parametrize("pair", [False, True])
def test_grey_bands_get_their_threshold_from_their_own_chips_in_all_contrasts(
    packed: Path, tmp_path: Path, pair: bool
) -> None:
    made = made_chip(12, split="val")
    bands = np.stack([made.sar_valid[0], made.sar_valid[0] & pair])
    meta = replace(made.meta, dataset="greys", sar_radiometry="stretched")
    grey = replace(made, sar_valid=bands, meta=meta)
    mixed = tmp_path / "packed"
    pack([made_chip(0), made_chip(10, split="val"), grey], mixed)
    data = {"packed": mixed, "mixture": {"lakes": 1, "greys": 1}}
    settings = experiment(mixed, data=data)
    torch.manual_seed(0)
    model = FLoRA(settings.network()).eval()
    chosen = choose(model, settings)
    alone = ValidationScores()
    none = torch.zeros(1, 3, 128, 128)
    for contrast in (1, 0.85, 0.7):
        flat = (
            grey.sar * contrast + np.float32(1 - contrast) * np.array([-11, -18], np.float32)[:, None, None]
        )
        batch = collate([pad(replace(grey, sar=np.where(bands, flat, 0)), 128, 128)])
        with torch.no_grad():
            output = model.folded()(batch.sar, batch.sar_valid)
        alone.update(output.water_logits, none, batch.water, batch.water_valid, none, none.bool(), ["greys"])
    one, both = chosen.threshold_grey, chosen.threshold_grey_pair
    own, other = (both, one) if pair else (one, both)
    assert own == alone.best_threshold(chosen.temperature) and other is None
    assert choose(model, experiment(packed))[2:4] == (None, None)


def test_a_run_is_one_process_on_one_device(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CPUAccelerator, "auto_device_count", staticmethod(lambda: 2))  # as on two GPUs
    settings = experiment(packed)
    trainer = _trainer(settings, settings.joint, tmp_path, progress=False)
    assert (trainer.num_devices, trainer.world_size) == (1, 1)


def test_resuming_with_other_settings_is_refused(packed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "lakes"
    folder.mkdir()
    (folder / "experiment.yaml").write_text("name: other\n")
    with pytest.raises(ConfigError, match="other settings"):
        run(experiment(packed), tmp_path, resume=True, progress=False)


def two_packs(lakes: Path, tmp_path: Path) -> Path:
    """A folder with the lakes and, once, a pack of two chips that are called seas."""
    folder = tmp_path / "all"
    if not folder.exists():
        shutil.copytree(lakes, folder / "lakes")
        chips = (made_chip(3), made_chip(20, split="val"))
        pack([replace(chip, meta=replace(chip.meta, dataset="seas")) for chip in chips], folder / "seas")
    return folder


def test_validation_is_of_the_datasets_that_are_drawn(packed: Path, tmp_path: Path) -> None:
    folder = two_packs(packed, tmp_path)
    for mixture, names in (
        ({"lakes": 1}, {"lakes"}),
        ({"lakes": 1, "seas": 0}, {"lakes"}),
        ({"seas": 1}, {"seas"}),
    ):
        data = {"packed": folder, "mixture": mixture, "size": 64, "workers": 0}
        found = [batch.meta[0].dataset for batch in validation_loader(experiment(packed, data=data))]
        assert set(found) == names


def test_other_datasets_may_decide(packed: Path, tmp_path: Path) -> None:
    data = experiment(two_packs(packed, tmp_path)).data.model_dump()
    deciding = experiment(packed, data=data | {"validated_on": ["seas"]})
    assert {batch.meta[0].dataset for batch in validation_loader(deciding)} == {"seas"}
    with pytest.raises(DataError, match=r"validated_on names ponds, of which no chip of split 'val'"):
        run(
            experiment(packed, data=data | {"validated_on": ["lakes", "ponds"]}),
            tmp_path / "runs",
            progress=False,
        )
    assert not (tmp_path / "runs").exists()


PRETRAINING = {
    "steps": 3,
    "ema": 0.5,
    "mixture": {"seas": 1},
    "objective": {"weights": OPTICAL | WATER | DISTIL},
}


def test_pretraining_has_data_of_its_own_and_comes_before_the_joint_stage(
    packed: Path, tmp_path: Path
) -> None:
    settings = experiment(two_packs(packed, tmp_path), pretraining=PRETRAINING)
    before = settings.as_pretraining()
    assert before is not None and before.joint.steps == 3
    batch = next(iter(PackedData(before).train_dataloader()))
    assert {meta.dataset for meta in batch.meta} == {"seas"}
    assert {b.meta[0].dataset for b in PackedData(before).val_dataloader()} == {"lakes"}, (
        "one choice for both"
    )
    whole = run(settings, tmp_path / "runs", progress=False)
    stages = ("teacher", "pretraining", "joint")
    written = [(tmp_path / "runs/lakes" / stage / "done.pt").stat().st_mtime_ns for stage in stages]
    assert written == sorted(written)
    plain = run(experiment(two_packs(packed, tmp_path)), tmp_path / "plain", progress=False)
    kept, other = weights_of(whole), weights_of(plain)
    assert any(not torch.equal(kept[name], other[name]) for name in kept)
    # Taken away and resumed, the joint stage starts from what the pre-training left.
    shutil.rmtree(tmp_path / "runs/lakes/joint")
    whole.unlink()
    again = weights_of(run(settings, tmp_path / "runs", resume=True, progress=False))
    for name, tensor in kept.items():
        torch.testing.assert_close(again[name], tensor, atol=2e-3, rtol=2e-3, msg=name)


def test_pretraining_on_what_is_not_there_is_told_before_anything_is_trained(
    packed: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="mixture names seas, of which no training chip is packed"):
        run(experiment(packed, pretraining=PRETRAINING), tmp_path / "runs", progress=False)
    assert not (tmp_path / "runs").exists()


def test_packs_without_validation_are_told_before_the_training(tmp_path: Path) -> None:
    pack([made_chip(0)], tmp_path / "packed")
    with pytest.raises(DataError, match="No chip of split 'val'"):
        run(experiment(tmp_path / "packed"), tmp_path / "runs", progress=False)
    assert not (tmp_path / "runs").exists(), "nothing half-written"


def test_a_run_starts_from_the_weights_of_a_smaller_network(packed: Path, tmp_path: Path) -> None:
    before = FLoRA(ModelConfig.model_validate(TINY)).eval()
    path = checkpoint.save(
        tmp_path / "before.safetensors", checkpoint.Checkpoint(before, provenance={"seed": 3}), torch.float32
    )
    more = experiment(
        packed,
        initial=path,
        changes={"copy_shown": True},
        teacher=None,
        joint={"steps": 1, "lr": 0, "objective": {"weights": OPTICAL}},
    )
    found = checkpoint.load(run(more, tmp_path / "runs", progress=False))
    told, after = found.provenance, found.model
    assert told["before"] == {"seed": 3}
    assert told["experiment"]["initial"] == "before.safetensors"
    assert told["experiment"]["data"]["packed"] == "packed", "no folder of this machine"
    assert after.config.copy_shown
    assert isinstance(after, FLoRA)
    assert torch.allclose(after.optical_decoder.last.weight, before.optical_decoder.last.weight, atol=1e-3)


def test_a_run_is_averaged_with_an_earlier_one(packed: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first, second = (FLoRA(ModelConfig.model_validate(TINY)).eval() for _ in range(2))
    paths = [
        checkpoint.save(tmp_path / f"{name}.safetensors", checkpoint.Checkpoint(model), torch.float32)
        for name, model in (("first", first), ("second", second))
    ]
    settings = experiment(
        packed,
        initial=paths[0],
        averaged_with=paths[1],
        teacher=None,
        joint={"steps": 1, "lr": 0, "objective": {"weights": OPTICAL}},
    )
    found = checkpoint.load(run(settings, tmp_path / "runs", progress=False))
    assert isinstance(found.model, FLoRA)
    middle = (first.optical_decoder.last.weight + second.optical_decoder.last.weight) / 2
    assert torch.allclose(found.model.optical_decoder.last.weight, middle, atol=1e-3)
    assert found.provenance["experiment"]["averaged_with"] == "second.safetensors"


@pytest.mark.parametrize("setting", ["initial", "averaged_with"])
def test_weights_of_another_network_are_refused(setting: str, packed: Path, tmp_path: Path) -> None:
    other = FLoRA(ModelConfig(name="wide", widths=(16, 16, 16, 16), head_channels=16))
    path = checkpoint.save(tmp_path / "other.safetensors", checkpoint.Checkpoint(other))
    short = {"steps": 1, "objective": {"weights": OPTICAL}}
    settings = experiment(packed, teacher=None, joint=short, **{setting: path})
    with pytest.raises(ConfigError, match=f"{setting} '.*' does not fit the network 'tiny'"):
        run(settings, tmp_path / "runs", progress=False)


def test_perceptual_by_vgg_needs_no_teacher_but_its_weights(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = {
        "weights": OPTICAL | WATER | {"perceptual": 0.1},
        "perceptual_by": "vgg",
        "perceptual_px": 32,
    }
    settings = experiment(packed, teacher=None, joint={"steps": 2, "sharp_from": 0, "objective": objective})
    monkeypatch.setenv("FLORA_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"lpips_vgg.*missing.*lpips_import"):
        JointModule(FLoRA(settings.network()), settings)
    inputs, weights = 3, {}
    for channels, (_, convolutions) in zip(CHANNELS["vgg"], LAYOUT["vgg"], strict=True):
        for index, _, _ in convolutions:
            weights[f"features.{index}.weight"] = 0.1 * torch.randn(channels, inputs, 3, 3).half()
            weights[f"features.{index}.bias"] = torch.zeros(channels).half()
            inputs = channels
    weights |= {f"lin{i}.weight": torch.ones(1, c, 1, 1).half() for i, c in enumerate(CHANNELS["vgg"])}
    save_file(weights, weights_path("vgg"))
    module = quiet(JointModule(FLoRA(settings.network()), settings))
    logged = {}
    module.log_terms = lambda total, terms, size: logged.update(terms)  # type: ignore[method-assign]
    module.training_step(batch_of(), 0).backward()
    assert logged["perceptual"].item() > 0
    assert not any("vgg" in name or "features" in name for name in module.state_dict())
