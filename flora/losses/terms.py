"""The named terms of the objective: which loss each name stands for, and what it reads.

A term reads the network's `Output`, the `Batch`, and where its name says so the teacher's `Output` or a
discriminator's scores. What it needs and cannot find is a `ConfigError`: a weight for a loss that does not run would
be a lie in the experiment's file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

import torch
from torch import Tensor

from flora.chip import Batch
from flora.errors import ConfigError
from flora.losses import adversarial, distillation, hydrology, reconstruction, segmentation
from flora.losses.masked import nothing
from flora.losses.perceptual import Encoder, perceptual_loss
from flora.model.output import Output
from flora.normalize import reflectance_to_unit

if TYPE_CHECKING:
    from flora.losses.objective import ObjectiveConfig

Stage = Literal["teacher", "joint"]

# Reflectance by which some colour of a pixel has to differ from the image shown; chosen to pass over thin haze, not
# by ablation.
CHANGED: Final = 0.04


@dataclass
class Comparison:
    """One forward pass beside its truth, everything brought to the losses' units once.

    Attributes:
        output: What the trained network gave.
        batch: What is true.
        config: The options of the losses.
        stage: `teacher` sees optical, `joint` sees radar: a pixel its input does not show cannot be asked for.
        teacher: What the frozen teacher gave on the true optical image, or None.
        scores: A discriminator's scores of the reconstructed picture, (B, 1, h, w), or None.
        encode: A frozen network whose features are compared, or None.
        cue: The optical image that the network was shown, (B, 4, H, W), reflectance, and its validity; or None.
    """

    output: Output
    batch: Batch
    config: ObjectiveConfig
    stage: Stage
    teacher: Output | None = None
    scores: Tensor | None = None
    encode: Encoder | None = None
    cue: tuple[Tensor, Tensor] | None = None

    @cached_property
    def picture(self) -> Tensor:
        """Reconstructed red, green, blue, (B, 3, H, W), unit range."""
        return reflectance_to_unit(self.output.optical.float())

    @cached_property
    def true_picture(self) -> Tensor:
        """True red, green, blue, (B, 3, H, W), unit range."""
        return reflectance_to_unit(self.batch.optical[:, :3])

    @cached_property
    def logits(self) -> Tensor:
        """Water, (B, H, W), logits."""
        return self.output.water_logits.float()

    @cached_property
    def colour_valid(self) -> Tensor:
        """Red, green and blue are true here, (B, H, W), bool."""
        return self.batch.optical_valid[:, :3].all(1)

    @cached_property
    def shown(self) -> Tensor:
        """The network's input shows something here, (B, H, W), bool."""
        return self.colour_valid if self.stage == "teacher" else self.batch.sar_valid.any(1)

    @cached_property
    def picture_valid(self) -> Tensor:
        """The picture is judged here, (B, 3, H, W), bool."""
        return self.batch.optical_valid[:, :3] & self.shown.unsqueeze(1)

    @cached_property
    def water_valid(self) -> Tensor:
        """Water is judged here, (B, H, W), bool."""
        return self.batch.water_valid & self.shown

    @cached_property
    def taught(self) -> Tensor:
        """The teacher saw what the student sees, (B, H, W), bool."""
        return self.colour_valid & self.shown

    @cached_property
    def evidence(self) -> tuple[Tensor, Tensor]:
        """Edges that a sensor shows, 0 to 1, (B, H, W), and where the network's input could show one, bool."""
        batch = self.batch
        edges, able = hydrology.edge_evidence(batch.optical, batch.optical_valid, hydrology.OPTICAL_EDGE)
        if self.stage == "teacher":
            return edges, able
        sar_edges, able = hydrology.edge_evidence(batch.sar, batch.sar_valid, hydrology.SAR_EDGE)
        return torch.maximum(edges, sar_edges), able


def _picture_arguments(c: Comparison) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return c.picture, c.true_picture, c.picture_valid, c.batch.weight_optical


def _water_arguments(c: Comparison) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return c.logits, c.batch.water, c.water_valid, c.batch.weight_water


def _charbonnier(c: Comparison) -> Tensor:
    return reconstruction.charbonnier_loss(*_picture_arguments(c))


def _squared(c: Comparison) -> Tensor:
    picture, truth, valid, weight = _picture_arguments(c)
    if (brightest := c.config.squared_to) is not None:
        picture, truth = picture.clamp_max(brightest), truth.clamp_max(brightest)
    return reconstruction.squared_loss(picture, truth, valid, weight)


def _changed(c: Comparison) -> Tensor:
    if c.cue is None:
        raise _missing("changed", "the optical image that the network was shown")
    image, valid = c.cue
    difference = (reflectance_to_unit(image[:, :3]) - c.true_picture).abs().amax(1)
    changed = valid[:, :3].all(1) & (difference > reflectance_to_unit(torch.tensor(CHANGED)))
    picture, truth, judged, weight = _picture_arguments(c)
    return reconstruction.charbonnier_loss(picture, truth, judged & changed.unsqueeze(1), weight)


def _ssim(c: Comparison) -> Tensor:
    return reconstruction.ssim_loss(*_picture_arguments(c), stride=c.config.ssim_stride)


def _edge(c: Comparison) -> Tensor:
    return reconstruction.edge_loss(*_picture_arguments(c))


def _frequency(c: Comparison) -> Tensor:
    return reconstruction.frequency_loss(*_picture_arguments(c), block=c.config.frequency_block)


def _colour(c: Comparison) -> Tensor:
    return reconstruction.colour_loss(*_picture_arguments(c), cell=c.config.colour_cell)


def _spread(c: Comparison) -> Tensor:
    spread = reflectance_to_unit(c.output.optical_spread.float())
    return reconstruction.spread_loss(c.picture, spread, *_picture_arguments(c)[1:])


def _bce(c: Comparison) -> Tensor:
    option = c.config
    return segmentation.bce_loss(*_water_arguments(c), option.boundary_px, option.boundary_weight)


def _dice(c: Comparison) -> Tensor:
    return segmentation.dice_loss(*_water_arguments(c))


def _tversky(c: Comparison) -> Tensor:
    return segmentation.tversky_loss(
        *_water_arguments(c), c.config.tversky_false_alarm, c.config.tversky_miss
    )


def _lovasz(c: Comparison) -> Tensor:
    return segmentation.lovasz_loss(*_water_arguments(c))


def _hydrology(c: Comparison) -> Tensor:
    logits, water, valid, weight = _water_arguments(c)
    evidence, able = c.evidence if c.config.hydrology_support > 0 else (None, None)
    return hydrology.hydrology_loss(logits, water, valid, evidence, able, weight, c.config.hydrology_support)


def _distill_latent(c: Comparison) -> Tensor:
    return _distill(c, "distill_latent", c.output.latent)


def _distill_prior(c: Comparison) -> Tensor:
    if not c.output.predicted:
        raise _missing("distill_prior", "the prior predictor's pyramid")
    return _distill(c, "distill_prior", c.output.predicted)


def _distill(c: Comparison, term: str, student: list[Tensor]) -> Tensor:
    levels = [level.float() for level in student]
    truth = [level.detach().float() for level in _teacher(c, term).latent]
    kind, scales = c.config.distill_kind, c.config.distill_scales
    return distillation.feature_loss(levels, truth, c.taught, c.batch.weight_optical, kind, scales)


def _distill_water(c: Comparison) -> Tensor:
    truth = _teacher(c, "distill_water").water_logits.float()
    weight, temperature = c.batch.weight_optical, c.config.distill_temperature
    return distillation.soft_label_loss(c.logits, truth, c.taught, weight, temperature)


def _perceptual(c: Comparison) -> Tensor:
    if c.encode is None:
        raise _missing("perceptual", "the frozen network it compares with")
    rows, columns = (_middle(side, c.config.perceptual_px) for side in c.picture.shape[-2:])
    valid = (c.colour_valid & c.shown)[:, rows, columns]
    some = valid.flatten(1).any(1)  # pictures without a pixel to compare would cost as much as others
    if not some.any():
        return nothing(c.picture)
    guess, truth = (picture[some][..., rows, columns] for picture in (c.picture, c.true_picture))
    return perceptual_loss(c.encode, guess, truth, valid[some], c.batch.weight_optical[some])


def _middle(side: int, px: int | None) -> slice:
    start = 0 if px is None else max(0, (side - px) // 2)
    return slice(start, side - start)


def _adversarial(c: Comparison) -> Tensor:
    if c.scores is None:
        raise _missing("adversarial", "the discriminator's score of the picture")
    return adversarial.generator_loss(c.scores.float(), c.taught, c.batch.weight_optical)


def _teacher(c: Comparison, term: str) -> Output:
    if c.teacher is None:
        raise _missing(term, "the teacher's output")
    return c.teacher


def _missing(term: str, need: str) -> ConfigError:
    return ConfigError(f"Loss '{term}' has a weight but {need} is missing; give it, or set the weight to 0.")


@dataclass(frozen=True)
class Term:
    """A loss by name.

    Attributes:
        task: What it teaches; balancing weighs tasks, not terms.
        compute: From a comparison to a 0-dim tensor.
        stages: Where it can be computed.
    """

    task: Literal["optical", "water", "distillation"]
    compute: Callable[[Comparison], Tensor]
    stages: tuple[Stage, ...] = ("teacher", "joint")


TERMS: Final[dict[str, Term]] = {
    "charbonnier": Term("optical", _charbonnier),
    "squared": Term("optical", _squared),
    "changed": Term("optical", _changed, ("joint",)),
    "ssim": Term("optical", _ssim),
    "edge": Term("optical", _edge),
    "frequency": Term("optical", _frequency),
    "colour": Term("optical", _colour),
    "spread": Term("optical", _spread),
    "perceptual": Term("optical", _perceptual),
    "adversarial": Term("optical", _adversarial),
    "bce": Term("water", _bce),
    "dice": Term("water", _dice),
    "tversky": Term("water", _tversky),
    "lovasz": Term("water", _lovasz),
    "hydrology": Term("water", _hydrology),
    "distill_latent": Term("distillation", _distill_latent, ("joint",)),
    "distill_prior": Term("distillation", _distill_prior, ("joint",)),
    "distill_water": Term("distillation", _distill_water, ("joint",)),
}
