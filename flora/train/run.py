"""Runs an experiment: its stages in turn, then the choice of temperature and threshold, then the weights file."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    Timer,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader

import flora
from flora import checkpoint
from flora.chip import Batch
from flora.data.loader import MixtureConfig, training_loader
from flora.errors import ConfigError
from flora.model import FLoRA
from flora.model.family import Network, build
from flora.train.choice import choose, validation_loader
from flora.train.experiment import Experiment, StageConfig
from flora.train.module import JointModule, Stage, TeacherModule
from flora.train.record import WEIGHTS, prepare


class PackedData(L.LightningDataModule):
    """Feeds a stage from packed shards; sample number n depends on the seed and n alone, so a resumed run goes on."""

    def __init__(self, experiment: Experiment) -> None:
        super().__init__()
        self.experiment = experiment

    def train_dataloader(self) -> Any:
        """Gives an endless loader that starts at the step the trainer is at."""
        e, data = self.experiment, self.experiment.data
        return training_loader(
            data.packed,
            MixtureConfig(weights=data.mixture, water_preference=data.water_preference),
            e.augment,
            batch_size=data.batch_size,
            size=data.size,
            seed=e.seed,
            workers=data.workers,
            start_step=self.trainer.global_step if self.trainer else 0,
        )

    def on_before_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        """Weighs the colours of each chip by the trust that the experiment has in its dataset's."""
        trust = self.experiment.data.picture_trust
        if not trust:
            return batch
        factors = torch.tensor([trust.get(meta.dataset, 1.0) for meta in batch.meta])
        return replace(batch, weight_optical=batch.weight_optical * factors)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Gives whole validation chips, one a batch, padded to the grid with invalid pixels."""
        return validation_loader(self.experiment)


def _trainer(experiment: Experiment, stage: StageConfig, out: Path, progress: bool) -> L.Trainer:
    keep = ModelCheckpoint(
        dirpath=out, save_last=True, save_top_k=0, every_n_train_steps=experiment.checkpoint_every
    )
    callbacks: list[Callback] = [keep, LearningRateMonitor("step"), Timer()]
    if stage.ema:
        callbacks.append(EMAWeightAveraging(decay=stage.ema, update_starting_at_step=stage.steps // 10))
    validates = stage.steps >= experiment.validate_every
    return L.Trainer(
        max_steps=stage.steps,
        devices=1,  # left to itself, Lightning starts a process for each GPU, and all would train on the same samples
        precision=experiment.precision,
        gradient_clip_val=stage.clip,
        benchmark=True,  # crops are of one size, so cuDNN may look for its fastest way once
        callbacks=callbacks,
        logger=[
            CSVLogger(out, name="", version=_unused(out, "csv")),
            TensorBoardLogger(out, name="", version="tensorboard"),
        ],
        val_check_interval=experiment.validate_every if validates else None,
        check_val_every_n_epoch=None if validates else 1,
        limit_val_batches=1.0 if validates else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_progress_bar=progress,
        enable_model_summary=False,
        default_root_dir=out,
    )


def _unused(folder: Path, name: str) -> str:
    """Gives `name`, or `name-2` and so on: a resumed run keeps the log of its first part, and the logger would not."""
    names = [name, *(f"{name}-{part}" for part in range(2, 1000))]
    return next(n for n in names if not (folder / n).exists())


def _fit(module: Stage, experiment: Experiment, stage: StageConfig, out: Path, progress: bool) -> None:
    """Trains one stage, from its last checkpoint if there is one, and leaves the averaged weights in `module`."""
    done, last = out / "done.pt", out / "last.ckpt"
    if done.is_file():
        module.load_state_dict(torch.load(done, weights_only=True))
        return
    trainer = _trainer(experiment, stage, out, progress)
    try:
        trainer.fit(
            module, datamodule=PackedData(experiment), ckpt_path=str(last) if last.is_file() else None
        )
    except SystemExit as ended:  # what Lightning makes of Ctrl-C
        if trainer.interrupted:
            raise KeyboardInterrupt from ended
        raise
    (out / "seconds").write_text(f"{_seconds(trainer):.0f}")
    torch.save(module.state_dict(), done)


def _seconds(trainer: L.Trainer) -> float:
    """Time spent training, over all resumed parts: the timer travels in the checkpoints."""
    timers = [c for c in trainer.callbacks if isinstance(c, Timer)]  # type: ignore[attr-defined]
    return float(sum(timer.time_elapsed("train") for timer in timers))


def run(experiment: Experiment, out: Path, *, resume: bool = False, progress: bool = True) -> Path:
    """Trains and writes weights that `flora predict` takes.

    Args:
        experiment: What to do.
        out: Folder of the run; its name is the experiment's.
        resume: Go on where a run in this folder stopped.
        progress: Show a progress bar.

    Returns:
        The weights file, `OUT/NAME/flora.safetensors`.

    Raises:
        OutputError: The run's folder exists and `resume` is off.
        ConfigError: `resume` is on and the folder holds a run of other settings, or the settings do not fit together.
        DataError: There are no packs, or none of validation of the datasets that are drawn, which threshold and
            temperature are chosen on.
    """
    folder = out / experiment.name
    resolved = experiment.model_dump(mode="json")
    require_trainable(experiment)
    prepare(folder, resolved, resume)
    L.seed_everything(experiment.seed, workers=True, verbose=False)
    model = build(experiment.network())
    if experiment.initial is not None:
        model.load_state_dict(_state_of(experiment.initial), strict=False)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if experiment.teacher is not None:
        assert isinstance(model, FLoRA)  # see require_trainable
        _fit(
            TeacherModule(model.teacher, experiment),
            experiment,
            experiment.teacher,
            folder / "teacher",
            progress,
        )
    if (before := experiment.as_pretraining()) is not None:
        _fit(JointModule(model, before), before, before.joint, folder / "pretraining", progress)
    _fit(JointModule(model, experiment), experiment, experiment.joint, folder / "joint", progress)
    if experiment.averaged_with is not None:
        _average(model, experiment.averaged_with)
    chosen = choose(model, experiment)
    provenance = {
        "experiment": _without_folders(resolved),
        "validation": chosen.scores,
        "seconds": sum(int(part.read_text()) for part in folder.glob("*/seconds")),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, "
        + (torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"),
        "versions": {"flora": flora.__version__, "torch": torch.__version__},
        "attribution": "Trained on modified Copernicus Sentinel data.",
    }
    if experiment.initial is not None:
        provenance["before"] = checkpoint.load(experiment.initial).provenance
    made = checkpoint.Checkpoint(
        model,
        chosen.threshold,
        chosen.temperature,
        provenance,
        threshold_grey=chosen.threshold_grey,
        threshold_grey_pair=chosen.threshold_grey_pair,
    )
    return checkpoint.save(folder / WEIGHTS, made)


def _without_folders(resolved: dict[str, Any]) -> dict[str, Any]:
    """Gives settings as weights carry them: where files lay on the machine is nobody's business."""
    data = resolved["data"] | {"packed": Path(resolved["data"]["packed"]).name}
    files = {key: resolved[key] and Path(resolved[key]).name for key in Experiment.BESIDE}
    return resolved | {"data": data} | files


def require_trainable(experiment: Experiment, coming: Mapping[Path, Experiment] | None = None) -> None:
    """Refuses, before anything is trained or written, what a run would stop at.

    Args:
        experiment: What is to be trained.
        coming: Experiments that are to be trained before it, by the weights files that they will leave.

    Raises:
        ConfigError: Network, data, losses and weights to go on from do not fit together.
        DataError: There are no packs, or none of validation of the datasets that are drawn.
    """
    data = experiment.data
    model = build(experiment.network())
    validation_loader(experiment)
    side = data.size // 2 if experiment.faults.independent_crops else data.size
    if side % model.grid:
        raise ConfigError(
            f"data.size is {data.size} px, which gives crops of {side} px; the network '{model.config.name}' needs "
            f"multiples of {model.grid} px."
        )
    for setting in Experiment.BESIDE:
        path = getattr(experiment, setting)
        if path is not None:
            before = (coming or {}).get(path)
            state = build(before.network()).state_dict() if before else _state_of(path)
            _require_fit(model, state, path, setting)
    if experiment.teacher is not None:
        if not isinstance(model, FLoRA):
            raise ConfigError(
                f"The network '{model.config.name}' has no teacher to train; set 'teacher: null' in the experiment."
            )
        TeacherModule(model.teacher, experiment)
    for stage in (experiment.as_pretraining(), experiment):
        if stage is not None:
            JointModule(model, stage)
            PackedData(stage).train_dataloader()


def _average(model: Network, path: Path) -> None:
    """Draws a network halfway to the weights of another run, its statistics with them."""
    other, own = _state_of(path), model.state_dict()
    mean = {name: torch.lerp(t, other[name].to(t), 0.5) for name, t in own.items() if t.is_floating_point()}
    model.load_state_dict(mean, strict=False)


def _state_of(path: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = checkpoint.load(path).model.state_dict()
    return state


def _require_fit(model: Network, state: dict[str, torch.Tensor], path: Path, setting: str) -> None:
    """Checks that the weights of another run have a place in a network; to be averaged, the network has no others.

    Raises:
        ConfigError: They are of another network: of other sizes, or with parts that this one lacks.
    """
    own = model.state_dict()
    misfits = [name for name, t in state.items() if name not in own or own[name].shape != t.shape]
    if setting == "averaged_with":
        misfits += [name for name in own if name not in state]
    if misfits:
        raise ConfigError(
            f"{setting} '{path}' does not fit the network '{model.config.name}' (first: {misfits[0]}); "
            "set model and changes to those that the weights were trained with."
        )
