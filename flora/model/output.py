"""What the network gives back."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

Pyramid = list[Tensor]


@dataclass(slots=True)
class Output:
    """One forward pass.

    Attributes:
        optical: red, green, blue, (B, 3, H, W), reflectance.
        optical_spread: Laplace scale of each, (B, 3, H, W), reflectance: how far off the picture may be.
        water_logits: (B, H, W).
        latent: Fusion latent *r*, four tensors (B, C, H, W), finest first.
        predicted: Imitation of the teacher's pyramid *p̂* from SAR alone, as `latent`; zeros without a predictor.
        prior: The pyramid that entered fusion: true where an optical image was valid, else predicted.

    The pyramids are empty for networks that have none, and after `FLoRA.save_memory` all but `latent`.
    """

    optical: Tensor
    optical_spread: Tensor
    water_logits: Tensor
    latent: Pyramid
    predicted: Pyramid = field(default_factory=list)
    prior: Pyramid = field(default_factory=list)
