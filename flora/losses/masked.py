"""Averages that see valid pixels only.

Every loss of this package goes through these few functions, so that one rule holds everywhere: what stands under
`valid = False`, NaN included, changes neither a loss nor its gradient, and a mask without any True gives exactly 0.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor

BITS: Final = {2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes of an element


class _Keep(torch.autograd.Function):
    """Ands the bits of a float with all ones or all zeros, forwards and backwards."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, ones: Tensor) -> Tensor:
        ctx.save_for_backward(ones)
        return torch.bitwise_and(image.view(ones.dtype), ones).view(image.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (ones,) = ctx.saved_tensors
        kept: Tensor = _Keep.apply(gradients[0], ones)  # type: ignore[no-untyped-call]
        return kept, None


def keep(image: Tensor, valid: Tensor) -> Tensor:
    """Gives the image where it is valid and 0 elsewhere, NaN and infinity included.

    The same as `torch.where(valid, image, 0)` with the same gradient, at a third of its time on a CPU.

    Args:
        image: Any float, (B, C, H, W) or (B, H, W).
        valid: May be used, broadcastable to the image, bool.

    Returns:
        As the image; its gradient under False is exactly 0.
    """
    ones = valid.to(BITS[image.element_size()]).neg()
    kept: Tensor = _Keep.apply(image, ones)  # type: ignore[no-untyped-call]
    return kept


def residual(predicted: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Gives predicted minus target, and 0 where either may not be used.

    Args:
        predicted: (B, C, H, W).
        target: (B, C, H, W), same unit.
        valid: May be used, broadcastable to (B, C, H, W), bool.

    Returns:
        The difference, (B, C, H, W); its gradient under False is exactly 0.
    """
    return keep(predicted - target, valid)


def pooled_ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divides two sums over the batch, and gives the numerator (0 times its graph) where nothing was summed."""
    return numerator / torch.where(denominator > 0, denominator, torch.ones_like(denominator))


def chip_sum(values: Tensor, weight: Tensor | None) -> Tensor:
    """Sums over the batch, each chip times its weight.

    Args:
        values: (B, ...), 0 where not valid; bool counts.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        The weighted sum, a 0-dim float tensor.
    """
    if values.dtype == torch.bool:
        values = values.to(torch.int32).to(torch.float32 if weight is None else weight.dtype)
    if weight is None:
        return values.sum()
    return (values.sum(tuple(range(1, values.ndim))) * weight.to(values.dtype)).sum()


def pooled_mean(values: Tensor, valid: Tensor, weight: Tensor | None = None) -> Tensor:
    """Averages values that are already 0 wherever they do not count.

    Args:
        values: 0 under False, (B, C, H, W).
        valid: Counts, broadcastable to (B, C, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        sum(weight * values) / sum(weight * valid), 0-dim; 0 where nothing counts.
    """
    repeats = values.numel() / max(valid.numel(), 1)
    count = chip_sum(valid, weight).to(values.dtype) * repeats
    return pooled_ratio(chip_sum(values, weight), count)


def masked_mean(values: Tensor, valid: Tensor, weight: Tensor | None = None) -> Tensor:
    """Averages over the valid pixels of the whole batch, so that a chip counts by what it shows.

    Args:
        values: (B, C, H, W); may be anything under False.
        valid: Counts, broadcastable to (B, C, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        sum(weight * valid * values) / sum(weight * valid), 0-dim; 0 where nothing counts.
    """
    return pooled_mean(keep(values, valid), valid, weight)


def nothing(predicted: Tensor) -> Tensor:
    """Gives a 0 that still hangs on the prediction's graph, whatever the prediction holds."""
    return predicted.flatten()[:0].sum()


def shrunk(valid: Tensor, height: int, width: int) -> Tensor:
    """Brings a mask to a coarser grid; a coarse pixel is valid if all the pixels under it are.

    Args:
        valid: (B, H, W), bool; H and W are multiples of the coarse size.
        height: Rows of the coarse grid.
        width: Columns of the coarse grid.

    Returns:
        (B, height, width), bool.

    Raises:
        ValueError: The grids do not nest.
    """
    rows, columns = valid.shape[-2:]
    if rows % height or columns % width:
        raise ValueError(
            f"A mask of {rows} x {columns} px does not nest in {height} x {width}; use whole multiples."
        )
    cells = valid.reshape(-1, height, rows // height, width, columns // width)
    return cells.all(-1).all(-2)
