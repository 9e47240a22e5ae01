"""What a student takes over from a teacher: its features, level by level, and its opinion about water.

The teacher never learns here: all that comes from it is detached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from flora.losses.masked import keep, masked_mean, pooled_mean, residual, shrunk

# Of the channels' mean standard deviation: a teacher's channel that is nearly constant may not rule.
SMALLEST_SCALE = 0.1


def feature_loss(
    student: Sequence[Tensor],
    teacher: Sequence[Tensor],
    valid: Tensor,
    weight: Tensor | None = None,
    kind: Literal["smooth_l1", "cosine"] = "smooth_l1",
    scales: Sequence[Tensor] | Literal["batch", "unit"] = "batch",
) -> Tensor:
    """Draws the student's pyramid to the teacher's, each level and channel on equal terms.

    Each channel is measured in a standard deviation of the teacher's, so that no level outweighs another by the size
    of its numbers.

    Args:
        student: Pyramid, finest first, each (B, C, h, w).
        teacher: Pyramid of the same shapes.
        valid: The teacher saw this pixel, (B, H, W), bool; a feature counts if all pixels under it are valid.
        weight: Trust in each chip, (B,), or None for 1.
        kind: `smooth_l1` of the standardised difference, or one minus the `cosine` over standardised channels.
        scales: Standard deviations: measured over the `batch`'s valid pixels, `unit` where the teacher's features come
            standardised, or fixed ones, (C,) a level. Only a measured scale goes with a measured mean (for the cosine).

    Returns:
        Mean over levels of the mean over valid features, 0-dim.

    Raises:
        ValueError: The pyramids differ in their number of levels or in a level's shape.

    Source: distillation term of FLoRA (Talreja et al., TGRS 2026); standardised as in Heo et al., ICCV 2019, arXiv
    1904.01866.
    """
    if [s.shape for s in student] != [t.shape for t in teacher]:
        found, expected = [tuple(s.shape) for s in student], [tuple(t.shape) for t in teacher]
        raise ValueError(
            f"The student's pyramid is {found}; expected the teacher's {expected}. Give both one width."
        )
    losses = []
    for level, (s, t) in enumerate(zip(student, teacher, strict=True)):
        valid = shrunk(valid, *s.shape[-2:])  # from the finer level: the grids nest
        mask = valid.unsqueeze(1)
        s, t = _standardised(s, t.detach(), mask, scales if isinstance(scales, str) else scales[level])
        losses.append(_level_loss(keep(s, mask), keep(t, mask), mask, weight, kind))
    return torch.stack(losses).mean()


def _standardised(
    student: Tensor, teacher: Tensor, valid: Tensor, scale: Tensor | str
) -> tuple[Tensor, Tensor]:
    """Brings both to the teacher's scale, and to its mean where that is measured."""
    if isinstance(scale, Tensor):
        spread = scale.to(teacher).view(1, -1, 1, 1)
        return student / spread, teacher / spread
    if scale == "unit":
        return student, teacher
    mean, spread = channel_statistics(teacher, valid)
    return (student - mean) / spread, (teacher - mean) / spread


def _level_loss(student: Tensor, teacher: Tensor, valid: Tensor, weight: Tensor | None, kind: str) -> Tensor:
    """Compares one level, (B, C, h, w) twice, both 0 under a mask (B, 1, h, w) of False."""
    if kind == "cosine":
        unlike = 1 - functional.cosine_similarity(student, teacher, dim=1, eps=1e-6).unsqueeze(1)
        return masked_mean(unlike, valid, weight)
    unlike = functional.smooth_l1_loss(student, teacher, reduction="none")
    return pooled_mean(unlike, valid, weight)


@torch.no_grad()
def channel_statistics(features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Gives each channel's mean and standard deviation over valid pixels of the batch.

    Args:
        features: (B, C, h, w).
        valid: (B, 1, h, w), bool.

    Returns:
        Mean and standard deviation, each (1, C, 1, 1); the deviation is at least a tenth of the channels' mean one,
        and 1 where nothing is valid.
    """
    count = valid.sum(dtype=features.dtype).clamp_min(1)
    mean = keep(features, valid).sum((0, 2, 3), keepdim=True) / count
    variance = residual(features, mean, valid).square().sum((0, 2, 3), keepdim=True) / count
    deviation = variance.sqrt()
    floor = SMALLEST_SCALE * deviation.mean()
    deviation = torch.maximum(deviation, floor)
    return mean, torch.where(deviation > 0, deviation, torch.ones_like(deviation))


def soft_label_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    valid: Tensor,
    weight: Tensor | None = None,
    temperature: float = 2.0,
) -> Tensor:
    """Draws the student's water probability to the teacher's, also where nobody drew a label.

    Args:
        student_logits: (B, H, W).
        teacher_logits: (B, H, W).
        valid: The teacher saw this pixel and so did the student, (B, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.
        temperature: Divides both logits; above 1 it lets doubtful pixels speak.

    Returns:
        temperature^2 * mean KL(teacher || student) of the two-way distributions, nats, 0-dim, 0 where they agree.

    Source: Hinton et al., 2015, arXiv 1503.02531.
    """
    student = keep(student_logits, valid) / temperature
    teacher = keep(teacher_logits.detach(), valid) / temperature
    target = torch.sigmoid(teacher)
    cross = functional.binary_cross_entropy_with_logits(student, target, reduction="none")
    own = functional.binary_cross_entropy_with_logits(teacher, target, reduction="none")
    return temperature**2 * masked_mean(cross - own, valid, weight)
