"""Everything that one training run is made of; a YAML file under `configs/` holds one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from flora.data.augment import AugmentConfig
from flora.errors import ConfigError
from flora.losses.objective import ObjectiveConfig
from flora.model.family import NETWORKS, NetworkConfig, parse_sizes
from flora.train.faults import FaultConfig


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataConfig(_Section):
    """What is learnt from.

    Attributes:
        packed: Folder that `flora data pack` wrote.
        mixture: How often each dataset is drawn, relative to the others; one that is not named, or has 0, is not used,
            for the choice of temperature and thresholds neither, but where `validated_on` names it.
        size: Side of a training crop, px; a multiple of the network's grid.
        batch_size: Crops a step.
        workers: Processes that prepare crops; 0 prepares them in the training process.
        water_preference: Probability that a crop is chosen to hold water where its chip has any.
        picture_trust: What the colours of a dataset count, beside the trust in its radiometry; 1 where it is not named.
        validated_on: Datasets whose validation chips are scored and decide temperature and thresholds; None for those
            of the mixture.
    """

    packed: Path = Path("packed")
    mixture: dict[str, float]
    size: int = Field(256, ge=1)
    batch_size: int = Field(8, ge=1)
    workers: int = Field(1, ge=0)
    water_preference: float = Field(0.5, ge=0, le=1)
    picture_trust: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    validated_on: tuple[str, ...] | None = Field(None, min_length=1)

    @field_validator("picture_trust")
    @classmethod
    def _trusts_what_is_drawn(cls, trust: dict[str, float], others: ValidationInfo) -> dict[str, float]:
        unknown = sorted(set(trust) - set(others.data.get("mixture", trust)))
        if unknown:
            raise ValueError(f"the mixture has no {', '.join(unknown)}; name its datasets")
        return trust

    def validation(self) -> tuple[str, ...]:
        """Names the datasets that decide temperature and thresholds."""
        return self.validated_on or tuple(name for name, weight in self.mixture.items() if weight > 0)


class PathConfig(_Section):
    """Which optical image, if any, the network is shown in the joint stage (shares of the samples that have one).

    Attributes:
        true_start: Share shown the same day's image at the first step.
        true_end: The same at the last step, annealed linearly.
        archive: Share shown an image of another date.
        wrong_place: Share of those shown an image of another place instead: radar has to overrule it.
        clouded: Share of shown images that are partly hidden by simulated cloud.
        unmasked: Share of those whose cloud no mask names: it stands in the image, white, as if it were ground.
        without_nir: Share of shown images without near infrared.
        recoloured: Share of the same day's images whose water gets another colour, in the picture asked for as well:
            water has the colour that a clear image shows.
    """

    true_start: float = Field(0.4, ge=0, le=1)
    true_end: float = Field(0.1, ge=0, le=1)
    archive: float = Field(0.35, ge=0, le=1)
    wrong_place: float = Field(0.05, ge=0, le=1)
    clouded: float = Field(0.5, ge=0, le=1)
    unmasked: float = Field(0.0, ge=0, le=1)
    without_nir: float = Field(0.5, ge=0, le=1)
    recoloured: float = Field(0.0, ge=0, le=1)


class StageConfig(_Section):
    """One stage of training.

    Attributes:
        steps: Optimiser steps.
        lr: Highest learning rate; warmed up over 5 % of the steps, then annealed by a cosine.
        weight_decay: Of AdamW.
        clip: Largest gradient norm; 0 sets no limit.
        ema: Decay of the averaged weights that are validated and kept.
        objective: Weight of each loss term.
        sharp_from: Share of the steps after which the adversarial and the perceptual term begin to count.
    """

    steps: int = Field(ge=1)
    lr: float = Field(2e-3, ge=0, allow_inf_nan=False)
    weight_decay: float = Field(1e-2, ge=0, allow_inf_nan=False)
    clip: float = Field(1.0, ge=0, allow_inf_nan=False)
    ema: float = Field(0.99, ge=0, lt=1)
    objective: ObjectiveConfig
    sharp_from: float = Field(0.4, ge=0, le=1)


class PretrainingConfig(StageConfig):
    """A stage before the joint one, on data of its own.

    Attributes:
        mixture: How often each dataset is drawn there.
    """

    mixture: dict[str, float]


class Experiment(_Section):
    """One training run.

    Attributes:
        name: Names the run's folder; no path.
        about: What it is, in a few words, for tables.
        model: A preset's name, or the sizes of a network: FLoRA's, or with `family: unet`, `pix2pix` or `published` one
            that it is compared with.
        changes: Sizes and switches that differ from the preset's, such as `film: false`.
        data: What is learnt from.
        augment: How crops are varied.
        paths: Which optical image the joint stage is shown.
        teacher: The first stage; None trains without a teacher.
        pretraining: A stage between the two, like the joint one but on data of its own, such as simulated and weakly
            labelled chips; None leaves it out.
        joint: The last stage.
        initial: Weights to start from, for fine-tuning, or the file of the experiment that leaves them
            (`first.yaml`, beside this one); parts of the network that they lack, and None, start at random.
        averaged_with: Weights of an earlier run of the same network, or its file likewise: what is written is the mean
            of these and this run's. It keeps most of what the run taught and most of what it unlearnt. Source:
            Wortsman et al., CVPR 2022, arXiv 2109.01903.
        train_predictor: Train the prior predictor; off leaves it as it was at random, for comparison.
        faults: Faults of the published recipe, for comparison.
        seed: Of everything random.
        precision: Of Lightning: `bf16-mixed` or `32-true`.
        validate_every: Steps between validations.
        checkpoint_every: Steps between resumable checkpoints.
    """

    # Settings that name weights, or beside this file the experiment which leaves them.
    BESIDE: ClassVar = ("initial", "averaged_with")

    name: Annotated[str, Field(pattern=r"^[^./\\][^/\\]*$")]
    about: str = ""
    model: str | NetworkConfig = "default"
    changes: dict[str, bool | int] = Field(default_factory=dict)
    data: DataConfig
    augment: AugmentConfig = AugmentConfig()
    paths: PathConfig = PathConfig()
    teacher: StageConfig | None
    pretraining: PretrainingConfig | None = None
    joint: StageConfig
    initial: Path | None = None
    averaged_with: Path | None = None
    train_predictor: bool = True
    faults: FaultConfig = FaultConfig()
    seed: int = Field(0, ge=0)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "bf16-mixed"
    validate_every: int = Field(200, ge=1)
    checkpoint_every: int = Field(100, ge=1)

    @field_validator("model", mode="before")
    @classmethod
    def _sizes_of_their_family(cls, model: Any) -> Any:
        """Reads sizes as weights files hold them: of networks whose sizes look alike, the family tells which it is."""
        return parse_sizes(model) if isinstance(model, Mapping) else model

    def network(self) -> NetworkConfig:
        """The sizes of the network, with a preset's name resolved and the changes to it made.

        Raises:
            ConfigError: The preset is unknown, or a change does not fit it.
        """
        if isinstance(self.model, str) and self.model not in NETWORKS:
            raise ConfigError(f"model '{self.model}' is no preset; use one of {', '.join(NETWORKS)}.")
        sizes = NETWORKS[self.model] if isinstance(self.model, str) else self.model
        if not self.changes:
            return sizes
        try:
            return type(sizes).model_validate(sizes.model_dump() | self.changes)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(step) for step in first["loc"])
            raise ConfigError(
                f"changes.{key} does not fit the network '{sizes.name}': {first['msg']}; correct it there."
            ) from error

    def as_pretraining(self) -> Experiment | None:
        """Gives the experiment whose joint stage is this one's pre-training; None where there is none."""
        if self.pretraining is None:
            return None
        named = {"mixture": self.pretraining.mixture, "validated_on": self.data.validation()}
        data = self.data.model_copy(update=named)
        return self.model_copy(update={"data": data, "joint": self.pretraining, "pretraining": None})
