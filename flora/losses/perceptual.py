"""How alike two pictures are to a frozen network, which minds texture and forgives a shift of a pixel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from flora.losses.masked import keep, masked_mean

Encoder = Callable[[Tensor], Sequence[Tensor]]


def perceptual_loss(
    encode: Encoder, predicted: Tensor, target: Tensor, valid: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Compares unit-length features of two pictures, level by level.

    Invalid pixels are 0 in both pictures; a feature counts if every pixel of its cell is valid. What lies further out
    in its receptive field is the same in both.

    Args:
        encode: A frozen network from a picture, (B, 3, H, W), unit range, to features, each (B, C, h, w). Do not
            give it the network that LPIPS is reported with: a metric that was trained on measures nothing.
        predicted: (B, 3, H, W), unit range.
        target: (B, 3, H, W), unit range.
        valid: All three bands count, (B, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        Mean over levels of the mean squared distance between unit-length features, 0-dim, between 0 and 4.

    Source: Johnson et al., ECCV 2016, arXiv 1603.08155, with unit-length features as in LPIPS, arXiv 1801.03924.
    """
    mask = valid.unsqueeze(1)
    guesses = encode(keep(predicted, mask))
    with torch.no_grad():
        truths = encode(keep(target, mask))
    losses = []
    for guess, truth in zip(guesses, truths, strict=True):
        whole = functional.adaptive_max_pool2d((~mask).to(guess.dtype), guess.shape[-2:]) == 0
        distance = (_unit_length(guess) - _unit_length(truth)).square().sum(1, keepdim=True)
        losses.append(masked_mean(distance, whole, weight))
    return torch.stack(losses).mean()


def _unit_length(features: Tensor) -> Tensor:
    """Scales each pixel's features to length 1; the floor keeps the gradient finite where all are 0."""
    return features * torch.rsqrt(features.square().sum(1, keepdim=True) + 1e-8)
