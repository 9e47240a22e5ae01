"""What can be evaluated: anything that takes a batch and gives a water probability, a picture, or both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from flora.chip import Batch, Chip
from flora.errors import ConfigError, DataError
from flora.model.family import Network

Cue = Literal["none", "prior", "optical"]
CUES: tuple[Cue, ...] = ("none", "prior", "optical")


@dataclass(frozen=True, slots=True)
class Prediction:
    """An answer to a batch.

    Attributes:
        probability: Of water, (B, H, W); None from a predictor of pictures only.
        optical: Red, green, blue, (B, 3, H, W), reflectance; None from a predictor of water only.
        spread: Laplace scale of each, (B, 3, H, W), reflectance; None from a predictor that tells none.
    """

    probability: Tensor | None
    optical: Tensor | None = None
    spread: Tensor | None = None


class Predictor(Protocol):
    """Gives an answer from what a user would have: the radar, and an older optical image where that is the task."""

    def __call__(self, batch: Batch, /) -> Prediction:
        """Answers a batch whose height and width are multiples of the harness's `grid`."""


class NetworkPredictor:
    """Lets the network answer, from SAR alone unless a cue is named.

    Args:
        model: The network; it is set to evaluation.
        temperature: What logits are divided by, from the checkpoint.
        cue: Optical image that the teacher's path sees: `none`, `prior` (of another date), or `optical`: the truth
            itself, an upper bound for water and no fair score for pictures.
        device: Where to compute; the answer comes back to the CPU.
        precision: `bf16` computes under autocast.

    Raises:
        ConfigError: The cue has no such name, or the network looks at no image.
    """

    def __init__(
        self,
        model: Network,
        temperature: float = 1.0,
        cue: Cue = "none",
        device: torch.device | str = "cpu",
        precision: Literal["fp32", "bf16"] = "fp32",
    ) -> None:
        if cue not in CUES:
            raise ConfigError(f"Cue '{cue}' is unknown; expected one of {', '.join(CUES)}.")
        if cue != "none" and not model.config.sees_optical:
            raise ConfigError(
                f"The network '{model.config.name}' looks at no optical image; score it with cue 'none'."
            )
        self.model = model.to(device).eval()
        self.temperature = temperature
        self.cue = cue
        self.device = torch.device(device)
        self.precision = precision

    @torch.inference_mode()
    def __call__(self, batch: Batch, /) -> Prediction:
        """Gives probability, reflectance and its spread, on the CPU in float32."""
        batch = batch.to(self.device)
        optical = optical_valid = None
        if self.cue == "prior":
            optical, optical_valid = batch.prior, batch.prior_valid
        elif self.cue == "optical":
            optical, optical_valid = batch.optical, batch.optical_valid
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            output = self.model(batch.sar, batch.sar_valid, optical, optical_valid)
        probability = torch.sigmoid(output.water_logits.float() / self.temperature)
        return Prediction(
            probability.cpu(), output.optical.float().cpu(), output.optical_spread.float().cpu()
        )


def require_cue(chips: Iterable[Chip], cue: Cue) -> None:
    """Checks that some chip has the image that the network is to see; reads chips until one has.

    Without it radar alone would be scored under the cue's name.

    Args:
        chips: What is to be scored.
        cue: `none`, `prior` or `optical`.

    Raises:
        DataError: No chip has a valid pixel of it.
    """
    if cue == "none":
        return
    if not any((valid := getattr(chip, f"{cue}_valid")) is not None and valid.any() for chip in chips):
        raise DataError(
            f"None of the chips has the image of cue '{cue}'; expected some with it. Leave out --cue to score radar "
            "alone, or choose another dataset."
        )
