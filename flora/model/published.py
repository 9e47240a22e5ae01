"""FLoRA with the input handling of the published code, for comparison: faults that act wherever it is used."""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import Tensor

from flora.model.config import PRESETS, ModelConfig
from flora.model.flora import FLoRA
from flora.model.output import Output
from flora.normalize import unit_to_db

STRETCH: Final = (0.02, 0.98)


class PublishedConfig(ModelConfig):
    """Sizes of the network, and which faults of the published code its input has.

    Attributes:
        family: Tells it from other networks.
        chip_stretch: Each band of each image is stretched from its own 2nd to its own 98th percentile.
        absent_is_zero_db: A missing measurement is 0 dB, and nothing says that it is missing.
    """

    family: Literal["published"] = "published"
    chip_stretch: bool = True
    absent_is_zero_db: bool = True


class PublishedFLoRA(FLoRA):
    """The same network behind the published code's input handling: a pixel's answer depends on its whole image.

    So a tiled scene is not the whole one, and `flora predict` shows seams with these weights: that is the point.
    """

    def __init__(self, config: PublishedConfig) -> None:
        super().__init__(config)
        self.faults = config

    def forward(
        self,
        sar: Tensor,
        sar_valid: Tensor,
        optical: Tensor | None = None,
        optical_valid: Tensor | None = None,
        cut: int = 0,
    ) -> Output:
        """Maps an image as `FLoRA.forward` does, its radar spoilt first."""
        if self.faults.absent_is_zero_db:
            sar, sar_valid = torch.where(sar_valid, sar, 0.0), torch.ones_like(sar_valid)
        if self.faults.chip_stretch:
            sar = stretched(sar, sar_valid)
        return super().forward(sar, sar_valid, optical, optical_valid, cut)


def stretched(sar: Tensor, valid: Tensor) -> Tensor:
    """Stretches each band of each image from its 2nd to its 98th percentile.

    Args:
        sar: (B, 2, H, W), dB.
        valid: (B, 2, H, W), bool.

    Returns:
        (B, 2, H, W), dB such that network units run from -1 to 1; the band's centre where nothing is valid.
    """
    unit = torch.zeros_like(sar)
    for image, mask, result in zip(sar.flatten(0, 1), valid.flatten(0, 1), unit.flatten(0, 1), strict=True):
        if mask.any():
            low, high = torch.quantile(
                image[mask][:: max(1, int(mask.sum()) >> 20)], torch.tensor(STRETCH).to(image)
            )
            result.copy_(2 * ((image - low) / (high - low).clamp_min(1e-6)).clamp(0, 1) - 1)
    return unit_to_db(unit)


PUBLISHED_PRESETS: Final[dict[str, PublishedConfig]] = {
    f"published-{name}": PublishedConfig(**(preset.model_dump() | {"name": f"published-{name}"}))
    for name, preset in PRESETS.items()
}
