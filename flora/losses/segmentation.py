"""How far predicted water is from labelled water, always from logits and over valid pixels only.

Masks are (B, H, W). Pixels without a label (-1 in several sources) have `valid = False` and count nowhere; chips
without water do count: their false alarms are pixels of the pooled sums like all others.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from flora.losses.masked import chip_sum, keep, masked_mean, pooled_ratio
from flora.losses.stencil import dilated


def bce_loss(
    logits: Tensor,
    water: Tensor,
    valid: Tensor,
    weight: Tensor | None = None,
    boundary_px: int = 0,
    boundary_weight: float = 1.0,
) -> Tensor:
    """Averages binary cross-entropy, trusting labels less next to their own edges.

    Labels of several sources lie 1 to 3 px off, so a pixel near a labelled shoreline says little.

    Args:
        logits: (B, H, W).
        water: 1 water, 0 land; soft labels between are allowed, (B, H, W).
        valid: Has a label, (B, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.
        boundary_px: Pixels within this many px of the other class are near an edge; 0 for none.
        boundary_weight: What a pixel near an edge counts, 0 to 1.

    Returns:
        Weighted mean cross-entropy, nats, 0-dim.
    """
    seen, truth = keep(logits, valid), keep(water.to(logits.dtype), valid)
    loss = functional.binary_cross_entropy_with_logits(seen, truth, reduction="none")
    if boundary_px < 1 or boundary_weight == 1.0:
        return masked_mean(loss, valid, weight)
    near = near_boundary(water, valid, boundary_px).to(loss.dtype)
    trust = keep(1 - (1 - boundary_weight) * near, valid)
    return pooled_ratio(chip_sum(loss * trust, weight), chip_sum(trust, weight))


def near_boundary(water: Tensor, valid: Tensor, radius: int) -> Tensor:
    """Tells which pixels have valid water and valid land within `radius` px (in a square), (B, H, W), bool."""
    wet = (water > 0.5) & valid
    return dilated(wet, radius) & dilated(valid & ~wet, radius)


def dice_loss(
    logits: Tensor, water: Tensor, valid: Tensor, weight: Tensor | None = None, smooth: float = 1e-3
) -> Tensor:
    """Gives one minus the Dice coefficient of the whole batch's pixels taken together.

    Pooled over the batch and not averaged over chips: a dry chip has no Dice of its own, but its false alarms stand
    in the pooled denominator.

    Args:
        logits: (B, H, W).
        water: 1 water, 0 land, (B, H, W).
        valid: Has a label, (B, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.
        smooth: Pixels added to intersection and sum, as a share of the valid pixels. It gives a batch that is dry
            throughout a loss that falls to 0 with its false alarms, whatever the batch's size.

    Returns:
        1 - (2 sum(p y) + s) / (sum(p) + sum(y) + s), 0-dim, between 0 and 1.

    Source: Milletari et al., 3DV 2016, arXiv 1606.04797, with p and y not squared.
    """
    return tversky_loss(logits, water, valid, weight, false_alarm=0.5, miss=0.5, smooth=smooth / 2)


def tversky_loss(
    logits: Tensor,
    water: Tensor,
    valid: Tensor,
    weight: Tensor | None = None,
    false_alarm: float = 0.3,
    miss: float = 0.7,
    smooth: float = 5e-4,
) -> Tensor:
    """Gives one minus the Tversky index of the whole batch, in which misses and false alarms cost differently.

    Args:
        logits: (B, H, W).
        water: 1 water, 0 land, (B, H, W).
        valid: Has a label, (B, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.
        false_alarm: What a false alarm counts against a hit; 0.5 and 0.5 is Dice.
        miss: What a missed pixel counts.
        smooth: Hits added, as a share of the valid pixels.

    Returns:
        1 - (TP + s) / (TP + false_alarm * FP + miss * FN + s) on soft counts, 0-dim, between 0 and 1.

    Source: Salehi et al., MLMI 2017, arXiv 1706.05721.
    """
    probability = keep(torch.sigmoid(keep(logits, valid)), valid)
    truth = keep(water.to(logits.dtype), valid)
    hits = chip_sum(probability * truth, weight)
    false_alarms = chip_sum(probability, weight) - hits
    misses = chip_sum(truth, weight) - hits
    errors = false_alarm * false_alarms + miss * misses
    return pooled_ratio(errors, hits + errors + smooth * chip_sum(valid, weight))


def lovasz_loss(logits: Tensor, water: Tensor, valid: Tensor, weight: Tensor | None = None) -> Tensor:
    """Gives the Lovász hinge, a convex stand-in for one minus the IoU of the whole batch's valid pixels.

    As IoU is 0 from the first false alarm in a batch without water, such a batch teaches by its worst pixel only: use
    it beside cross-entropy.

    Args:
        logits: (B, H, W).
        water: 1 water, 0 land, (B, H, W).
        valid: Has a label, (B, H, W), bool.
        weight: Chips of weight 0 are left out; other weights count as 1, for IoU has no weighted order.

    Returns:
        0-dim, at least 0.

    Source: Berman et al., CVPR 2018, arXiv 1705.08790, algorithm 1.
    """
    if weight is not None:
        valid = valid & (weight > 0)[:, None, None]
    seen, truth = logits[valid], (water[valid] > 0.5).to(logits.dtype)
    if truth.numel() == 0:
        return seen.sum()
    errors, order = torch.sort(1 - seen * (2 * truth - 1), descending=True)
    truth = truth[order]
    intersection = truth.sum() - truth.cumsum(0)
    union = truth.sum() + (1 - truth).cumsum(0)
    jaccard = 1 - intersection / union
    steps = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
    return torch.dot(functional.relu(errors), steps)
