"""What a training stage minimises: named terms, their weights, and their sum."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from flora.chip import Batch
from flora.errors import ConfigError
from flora.losses.perceptual import Encoder
from flora.losses.terms import TERMS, Comparison, Stage
from flora.model.output import Output

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Weights(BaseModel):
    """What each term counts; 0 means that it is not computed.

    Attributes:
        charbonnier: Smooth absolute error of colour, unit range.
        squared: Squared error of colour, unit range.
        changed: Smooth absolute error of colour where the image shown is wrong: flooded since, cloud, another place.
        ssim: One minus structural similarity.
        edge: Difference of Sobel gradients.
        frequency: Difference of FFT magnitudes, block by block.
        colour: Difference of mean colours of cells.
        spread: Likelihood of the error under the predicted spread; teaches the spread only.
        perceptual: Distance of a frozen network's features.
        adversarial: Hinge loss against a patch discriminator.
        bce: Cross-entropy of water.
        dice: One minus Dice of water, pooled over the batch.
        tversky: Dice in which misses cost more than false alarms.
        lovasz: Convex stand-in for IoU.
        hydrology: Shoreline where water begins and a sensor sees an edge.
        distill_latent: The fusion latent drawn to the teacher's pyramid.
        distill_prior: The predicted prior drawn to the teacher's pyramid.
        distill_water: The water probability drawn to the teacher's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    charbonnier: Weight = 0.0
    squared: Weight = 0.0
    changed: Weight = 0.0
    ssim: Weight = 0.0
    edge: Weight = 0.0
    frequency: Weight = 0.0
    colour: Weight = 0.0
    spread: Weight = 0.0
    perceptual: Weight = 0.0
    adversarial: Weight = 0.0
    bce: Weight = 0.0
    dice: Weight = 0.0
    tversky: Weight = 0.0
    lovasz: Weight = 0.0
    hydrology: Weight = 0.0
    distill_latent: Weight = 0.0
    distill_prior: Weight = 0.0
    distill_water: Weight = 0.0

    def active(self) -> dict[str, float]:
        """Gives the terms with a weight above 0."""
        return {name: weight for name, weight in self.model_dump().items() if weight > 0}


class ObjectiveConfig(BaseModel):
    """Weights of the terms, and their options.

    Attributes:
        weights: What each term counts.
        balance: `fixed`, or `uncertainty`: a learned factor for each task beside the weights.
        squared_to: Brightest value that the squared error tells apart, unit range: pictures are clipped there, as PSNR
            clips them: snow is three times as bright as white, and the error is squared. None for no bound.
        ssim_stride: Distance between SSIM windows, px.
        frequency_block: Width of an FFT block, px.
        colour_cell: Width of a mean-colour cell, px.
        perceptual_by: Whose features are compared: the frozen optical teacher's, or VGG16's, whose weights
            `flora.metrics.lpips_import` brings.
        perceptual_px: Side of the middle of each crop that is compared, px; None for all of it.
        boundary_px: Cross-entropy counts less within this many px of a labelled edge; 0 for none.
        boundary_weight: What a pixel there counts.
        tversky_false_alarm: What a false alarm counts against a hit.
        tversky_miss: What a missed pixel counts against a hit.
        hydrology_support: What unsupported shoreline counts against misaligned shoreline; 0 leaves it out.
        distill_kind: How features are compared.
        distill_scales: `unit` for a teacher whose features come standardised (ours), `batch` to measure them.
        distill_temperature: Softens the water probabilities that are compared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: Weights = Weights()
    balance: Literal["fixed", "uncertainty"] = "fixed"
    squared_to: float | None = Field(default=None, gt=0)
    ssim_stride: int = Field(default=2, ge=1, le=8)
    frequency_block: int = Field(default=64, ge=8)
    colour_cell: int = Field(default=16, ge=2)
    perceptual_by: Literal["teacher", "vgg"] = "teacher"
    perceptual_px: int | None = Field(default=None, ge=32)
    boundary_px: int = Field(default=2, ge=0, le=16)
    boundary_weight: float = Field(default=0.3, ge=0, le=1)
    tversky_false_alarm: float = Field(default=0.3, gt=0, le=1)
    tversky_miss: float = Field(default=0.7, gt=0, le=1)
    hydrology_support: float = Field(default=0.5, ge=0)
    distill_kind: Literal["smooth_l1", "cosine"] = "smooth_l1"
    distill_scales: Literal["unit", "batch"] = "unit"
    distill_temperature: float = Field(default=2.0, gt=0)


@dataclass(slots=True)
class Loss:
    """A total and what it is made of.

    Attributes:
        total: What is minimised, 0-dim.
        terms: Each configured term before its weight, 0-dim, graph attached.
    """

    total: Tensor
    terms: dict[str, Tensor]


class Objective(nn.Module):
    """Computes exactly the configured terms and their weighted sum.

    With `balance: fixed` the total is sum(weight * term). With `uncertainty` each task k (optical, water,
    distillation) has a learned log variance s_k, and the total is sum_k(exp(-s_k) L_k + s_k), L_k the weighted sum of
    the task's terms; at the start, s = 0, both are the same. The s_k are parameters of this module: give them to the
    optimiser, without weight decay.

    Source: Kendall et al., CVPR 2018, arXiv 1705.07115, with the factor 1/2 left out.
    """

    def __init__(self, config: ObjectiveConfig, stage: Stage, encode: Encoder | None = None) -> None:
        """Checks that every configured term can be computed in the stage.

        Args:
            config: Weights and options.
            stage: `teacher` or `joint`.
            encode: A frozen network from a unit-range picture to features, for the perceptual term.

        Raises:
            ConfigError: The stage is unknown, nothing has a weight, or a term with a weight is not of this stage or
                has no network to compare with.
        """
        super().__init__()
        if stage not in get_args(Stage):
            raise ConfigError(f"Training stage is '{stage}'; expected one of {', '.join(get_args(Stage))}.")
        self.config, self.stage, self.weights = config, stage, config.weights.active()
        if not self.weights:
            raise ConfigError("No loss has a weight above 0; give at least one under objective.weights.")
        foreign = [name for name in self.weights if stage not in TERMS[name].stages]
        if foreign:
            names = ", ".join(f"'{name}'" for name in foreign)
            raise ConfigError(
                f"Loss {names} has a weight but cannot run in stage '{stage}'; set it to 0 there."
            )
        if "perceptual" in self.weights and encode is None:
            raise ConfigError(
                "Loss 'perceptual' has a weight but no frozen network; give one, or set the weight to 0."
            )
        self.encode = encode
        tasks = sorted({TERMS[name].task for name in self.weights}) if config.balance == "uncertainty" else []
        self.log_variance = nn.ParameterDict({task: nn.Parameter(torch.zeros(())) for task in tasks})

    def forward(
        self,
        output: Output,
        batch: Batch,
        teacher_output: Output | None = None,
        scores: Tensor | None = None,
        left_out: Collection[str] = (),
        cue: tuple[Tensor, Tensor] | None = None,
    ) -> Loss:
        """Compares an output with its batch, in float32 whatever the network ran in.

        Args:
            output: What the network of this stage gave.
            batch: What is true; rows without optical or labels add nothing to the terms that need them.
            teacher_output: What the frozen teacher gave on the batch's optical, for distillation.
            scores: A discriminator's scores of `output.optical`, (B, 1, h, w), for the adversarial term.
            left_out: Configured terms that do not count at this step, such as those that wait for a warm-up.
            cue: The optical image that the network was shown and its validity, for the term `changed`.

        Returns:
            The total and each configured term that counts.

        Raises:
            ConfigError: A configured term lacks what it needs, or does not depend on anything that learns.
        """
        with torch.autocast(output.optical.device.type, enabled=False):
            comparison = Comparison(
                output, batch, self.config, self.stage, teacher_output, scores, self.encode, cue
            )
            terms = {name: TERMS[name].compute(comparison) for name in self.weights if name not in left_out}
            self._refuse_constants(terms)
            return Loss(self._total(terms), terms)

    @staticmethod
    def _refuse_constants(terms: dict[str, Tensor]) -> None:
        """Refuses a term without a gradient where gradients are asked for: it would be reported and teach nothing."""
        dead = [name for name, term in terms.items() if not term.requires_grad]
        if torch.is_grad_enabled() and dead:
            names = ", ".join(f"'{name}'" for name in dead)
            raise ConfigError(
                f"Loss {names} depends on nothing that learns; train what it compares, or set it to 0."
            )

    def _total(self, terms: dict[str, Tensor]) -> Tensor:
        weighted = {name: self.weights[name] * term for name, term in terms.items()}
        if self.config.balance == "fixed":
            return torch.stack(list(weighted.values())).sum()
        total = []
        for task, variance in self.log_variance.items():
            loss = torch.stack([term for name, term in weighted.items() if TERMS[name].task == task]).sum()
            total.append(torch.exp(-variance) * loss + variance)
        return torch.stack(total).sum()
