"""Everything that one training run is made of; a YAML file under `configs/` holds one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from flora.data.augment import AugmentConfig
from flora.losses.objective import ObjectiveConfig
from flora.model import PRESETS, ModelConfig


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Section):
    """What is learnt from.

    Attributes:
        packed: Folder that `flora data pack` wrote.
        mixture: How often each dataset is drawn, relative to the others; one that is not named is not used.
        size: Side of a training crop, px; a multiple of the network's grid.
        batch_size: Crops a step.
        workers: Processes that prepare crops; 0 prepares them in the training process.
        water_preference: Probability that a crop is chosen to hold water where its chip has any.
    """

    packed: Path = Path("packed")
    mixture: dict[str, float]
    size: int = 256
    batch_size: int = Field(8, ge=1)
    workers: int = Field(1, ge=0)
    water_preference: float = Field(0.5, ge=0, le=1)


class PathConfig(_Section):
    """Which optical image, if any, the network is shown in the joint stage (shares of the samples that have one).

    Attributes:
        true_start: Share shown the same day's image at the first step.
        true_end: The same at the last step, annealed linearly.
        archive: Share shown an image of another date.
        wrong_place: Share of those shown an image of another place instead: radar has to overrule it.
        clouded: Share of shown images that are partly hidden by simulated cloud.
        without_nir: Share of shown images without near infrared.
    """

    true_start: float = Field(0.4, ge=0, le=1)
    true_end: float = Field(0.1, ge=0, le=1)
    archive: float = Field(0.35, ge=0, le=1)
    wrong_place: float = Field(0.05, ge=0, le=1)
    clouded: float = Field(0.5, ge=0, le=1)
    without_nir: float = Field(0.5, ge=0, le=1)


class StageConfig(_Section):
    """One stage of training.

    Attributes:
        steps: Optimiser steps.
        lr: Highest learning rate; warmed up over 5 % of the steps, then annealed by a cosine.
        weight_decay: Of AdamW.
        clip: Largest gradient norm.
        ema: Decay of the averaged weights that are validated and kept.
        objective: Weight of each loss term.
    """

    steps: int = Field(ge=1)
    lr: float = 2e-3
    weight_decay: float = 1e-2
    clip: float = 1.0
    ema: float = Field(0.99, ge=0, lt=1)
    objective: ObjectiveConfig


class Experiment(_Section):
    """One training run.

    Attributes:
        name: Names the run's folder.
        model: A preset's name, or every size of the network.
        data: What is learnt from.
        augment: How crops are varied.
        paths: Which optical image the joint stage is shown.
        teacher: The first stage; None trains without a teacher.
        joint: The second stage.
        initial: Weights to start from, for fine-tuning; None starts at random.
        seed: Of everything random.
        precision: Of Lightning: `bf16-mixed` or `32-true`.
        validate_every: Steps between validations.
        checkpoint_every: Steps between resumable checkpoints.
    """

    name: str
    model: str | ModelConfig = "default"
    data: DataConfig
    augment: AugmentConfig = AugmentConfig()
    paths: PathConfig = PathConfig()
    teacher: StageConfig | None
    joint: StageConfig
    initial: Path | None = None
    seed: int = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "bf16-mixed"
    validate_every: int = Field(200, ge=1)
    checkpoint_every: int = Field(100, ge=1)

    def network(self) -> ModelConfig:
        """The sizes of the network, with a preset's name resolved.

        Raises:
            ConfigError: The preset is unknown.
        """
        if isinstance(self.model, ModelConfig):
            return self.model
        if self.model not in PRESETS:
            from flora.errors import ConfigError

            raise ConfigError(f"model '{self.model}' is no preset; use one of {', '.join(PRESETS)}.")
        return PRESETS[self.model]
