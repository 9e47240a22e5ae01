"""The hinge game between a picture and a patch discriminator, over patches that are wholly valid.

Source: hinge loss of Lim and Ye, 2017, arXiv 1705.02894; patches of Isola et al., CVPR 2017, arXiv 1611.07004.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from flora.losses.masked import keep, masked_mean, shrunk


def discriminator_loss(
    real_scores: Tensor, fake_scores: Tensor, valid: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Asks for scores above 1 on true pictures and below -1 on reconstructed ones.

    Args:
        real_scores: Scores of true patches, (B, 1, h, w).
        fake_scores: Scores of reconstructed patches, (B, 1, h, w); the picture behind them must be detached.
        valid: Counts, (B, H, W), bool, H and W multiples of h and w.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        mean max(0, 1 - real) + mean max(0, 1 + fake), 0-dim; 2 for scores of 0.
    """
    patches = _patches(valid, real_scores)
    real = functional.relu(1 - keep(real_scores, patches))
    fake = functional.relu(1 + keep(fake_scores, patches))
    return masked_mean(real, patches, weight) + masked_mean(fake, patches, weight)


def generator_loss(fake_scores: Tensor, valid: Tensor, weight: Tensor | None = None) -> Tensor:
    """Asks for reconstructed patches that the discriminator takes for true.

    Args:
        fake_scores: Scores of reconstructed patches, graph attached, (B, 1, h, w).
        valid: Counts, (B, H, W), bool, H and W multiples of h and w.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        -mean(fake), 0-dim.
    """
    return -masked_mean(fake_scores, _patches(valid, fake_scores), weight)


def _patches(valid: Tensor, scores: Tensor) -> Tensor:
    """Brings the mask to the grid of the scores, (B, 1, h, w)."""
    return shrunk(valid, *scores.shape[-2:]).unsqueeze(1)
