"""How far a reconstructed optical picture is from the true one.

All of these work in unit range, reflectance / `UNIT_REFLECTANCE`, and average over valid pixels of the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from flora.losses.masked import keep, masked_mean, nothing, pooled_mean, pooled_ratio, residual
from flora.losses.stencil import eroded, gaussian, interleaved, sobel

# Unit range: a quarter of an 8-bit grey level, below which the loss is quadratic. A power of two, so that the distance
# of equal pixels is exactly 0 in any precision.
CHARBONNIER_EPS = 2.0**-10
SSIM_SIZE, SSIM_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # for a data range of 1, in unit range
SMALLEST_SPREAD = 1e-4  # unit range; keeps 1 / spread finite whatever the network says


def charbonnier(*differences: Tensor) -> Tensor:
    """Gives sqrt(d1^2 + d2^2 + ... + eps^2) - eps element by element: |d| with a round bottom, 0 at 0."""
    length = torch.tensor(CHARBONNIER_EPS, dtype=differences[0].dtype, device=differences[0].device)
    for difference in differences:
        length = torch.hypot(difference, length)
    return length - CHARBONNIER_EPS


def charbonnier_loss(
    predicted: Tensor, target: Tensor, valid: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Averages the Charbonnier distance, a smooth absolute error that outliers do not rule.

    Args:
        predicted: (B, C, H, W), unit range.
        target: (B, C, H, W), unit range.
        valid: Counts, broadcastable to (B, C, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        mean(sqrt(d^2 + eps^2) - eps) with eps = 2^-10, 0-dim, unit range.

    Source: Charbonnier et al., ICIP 1994, doi 10.1109/ICIP.1994.413553; eps subtracted so that equal pictures give 0.
    """
    return pooled_mean(charbonnier(residual(predicted, target, valid)), valid, weight)


def squared_loss(predicted: Tensor, target: Tensor, valid: Tensor, weight: Tensor | None = None) -> Tensor:
    """Averages the squared difference: where the truth may be one of two colours, the best answer lies between them.

    PSNR is a function of it; the Charbonnier distance alone takes the likelier colour and is wholly wrong where it is
    wrong.

    Args:
        predicted: (B, C, H, W), unit range.
        target: (B, C, H, W), unit range.
        valid: Counts, broadcastable to (B, C, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        mean(d^2), 0-dim, unit range squared.
    """
    return pooled_mean(residual(predicted, target, valid).square(), valid, weight)


def ssim_loss(
    predicted: Tensor, target: Tensor, valid: Tensor, weight: Tensor | None = None, stride: int = 2
) -> Tensor:
    """Gives one minus the mean structural similarity, over the windows that hold valid pixels only.

    Windows with any invalid pixel are left out: what remains is SSIM as published, not an imitation of it. Every
    second window in each direction is enough for a loss: a Gaussian of sigma 1.5 px sampled each 2 px still weighs all
    pixels alike (to 1e-4), at a quarter of the cost.

    Args:
        predicted: (B, C, H, W), unit range.
        target: (B, C, H, W), unit range.
        valid: Counts, broadcastable to (B, C, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.
        stride: Distance between windows, px.

    Returns:
        1 - SSIM, 0-dim, between 0 and 2.

    Source: Wang et al., TIP 2004, doi 10.1109/TIP.2003.819861: 11 x 11 Gaussian of sigma 1.5, K1 0.01, K2 0.03.
    """
    if min(predicted.shape[-2:]) < SSIM_SIZE:
        return nothing(predicted)
    x, y = interleaved(keep(predicted, valid)), interleaved(keep(target, valid))
    maps = (x, y, x * x + y * y, x * y)
    mean_x, mean_y, squares, product = (gaussian(image, SSIM_SIZE, SSIM_SIGMA, stride) for image in maps)
    mean_product, mean_squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    likeness = (2 * mean_product + SSIM_C1) * (2 * (product - mean_product) + SSIM_C2)
    likeness = likeness / ((mean_squares + SSIM_C1) * (squares - mean_squares + SSIM_C2))
    whole = interleaved(eroded(valid, SSIM_SIZE)[..., ::stride, ::stride].expand_as(likeness))
    return masked_mean(1 - likeness, whole, weight)


def edge_loss(predicted: Tensor, target: Tensor, valid: Tensor, weight: Tensor | None = None) -> Tensor:
    """Averages the Charbonnier distance between the Sobel gradients of two pictures.

    The gradients are compared as vectors, so that an edge of the wrong direction or sign costs too. Left out are
    places whose 3 x 3 stencil touches an invalid pixel or the chip's border.

    Args:
        predicted: (B, C, H, W), unit range.
        target: (B, C, H, W), unit range.
        valid: Counts, broadcastable to (B, C, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        mean(sqrt(|grad d|^2 + eps^2) - eps) with d = predicted - target, 0-dim, unit range per px.

    Source: edge term of FLoRA (Talreja et al., TGRS 2026); Sobel is linear, so one gradient of d is enough.
    """
    if min(predicted.shape[-2:]) < 3:
        return nothing(predicted)
    across, down = sobel(residual(predicted, target, valid))
    length = charbonnier(across, down)
    return masked_mean(length, interleaved(eroded(valid, 3).expand_as(length)), weight)


def frequency_loss(
    predicted: Tensor, target: Tensor, valid: Tensor, weight: Tensor | None = None, block: int = 64
) -> Tensor:
    """Compares how much of each spatial frequency two pictures hold, block by block.

    A blurred picture lacks high frequencies wherever they would stand: the magnitude spectrum asks for texture without
    asking for its phase. The mean of the target's valid pixels in a block is first taken off both pictures there, and
    their invalid pixels are 0 then: they add no edge of their own. A block counts by its number of valid pixels.

    Args:
        predicted: (B, C, H, W), unit range.
        target: (B, C, H, W), unit range.
        valid: Counts, broadcastable to (B, C, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.
        block: Width of a block, px; the last blocks are filled up as if with invalid pixels.

    Returns:
        mean over blocks and frequencies of | |F(predicted)| - |F(target)| |, F orthonormal, 0-dim, unit range.

    Source: FFT magnitude term of FLoRA (Talreja et al., TGRS 2026); departs from it: in blocks, masked.
    """
    cells = _blocks(valid.expand_as(predicted), block)  # (B, C, rows, columns, block, block)
    count = _cell_sum(cells)
    truth = _blocks(target, block)
    mean = (_cell_sum(keep(truth, cells)) / count.clamp_min(1))[..., None, None]
    guess = residual(_blocks(predicted, block), mean, cells)
    difference = (_magnitude(guess) - _magnitude(residual(truth, mean, cells))).abs()
    return _weigh_cells(difference.mean((-2, -1)), count, weight)


def _blocks(image: Tensor, block: int) -> Tensor:
    """Cuts (B, C, H, W) into (B, C, rows, columns, block, block), filled up with 0 (False)."""
    height, width = image.shape[-2:]
    if height % block or width % block:
        image = functional.pad(image, (0, -width % block, 0, -height % block))
    rows, columns = image.shape[-2] // block, image.shape[-1] // block
    return image.reshape(*image.shape[:2], rows, block, columns, block).transpose(-3, -2)


def _cell_sum(cells: Tensor) -> Tensor:
    """Sums or counts each block, (B, C, rows, columns)."""
    return cells.sum((-2, -1)) if cells.is_floating_point() else cells.float().sum((-2, -1))


def _weigh_cells(values: Tensor, count: Tensor, weight: Tensor | None) -> Tensor:
    """Averages (B, C, rows, columns), each block by its number of valid pixels and its chip's weight."""
    share = count.to(values.dtype)
    if weight is not None:
        share = share * weight.to(share.dtype)[:, None, None, None]
    return pooled_ratio((values * share).sum(), share.sum())


def _magnitude(cells: Tensor) -> Tensor:
    """Gives |F| of each block, orthonormal."""
    magnitude: Tensor = torch.fft.rfft2(cells, norm="ortho").abs()
    return magnitude


def spread_loss(
    predicted: Tensor, spread: Tensor, target: Tensor, valid: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Teaches the network how far off it expects its picture to be.

    The residual is detached: only the spread learns here, so that a large spread can never excuse a bad picture.

    Args:
        predicted: (B, C, H, W), unit range.
        spread: Scale b of a Laplace distribution, (B, C, H, W), unit range, positive.
        target: (B, C, H, W), unit range.
        valid: Counts, broadcastable to (B, C, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.

    Returns:
        mean(log(2 b) + |d| / b), the negative log likelihood, 0-dim; lowest where b is the mean of |d|.

    Source: Kendall and Gal, NeurIPS 2017, arXiv 1703.04977, equation 5 with a Laplace distribution.
    """
    error = residual(predicted.detach(), target, valid).abs()
    scale = keep(spread, valid).clamp_min(SMALLEST_SPREAD)
    return masked_mean(torch.log(2 * scale) + error / scale, valid, weight)


def colour_loss(
    predicted: Tensor, target: Tensor, valid: Tensor, weight: Tensor | None = None, cell: int = 16
) -> Tensor:
    """Compares mean colours of square cells: the part of a picture that survives blurring and misregistration.

    Args:
        predicted: (B, C, H, W), unit range.
        target: (B, C, H, W), unit range.
        valid: Counts, broadcastable to (B, C, H, W), bool.
        weight: Trust in each chip, (B,), or None for 1.
        cell: Width of a cell, px; the last cells are narrower where the chip is not a multiple of it.

    Returns:
        Charbonnier distance of the cells' means over valid pixels, each cell counted by its valid pixels, 0-dim.
    """
    count = _cell_sum(_blocks(valid.expand_as(predicted), cell))
    shift = _cell_sum(_blocks(residual(predicted, target, valid), cell)) / count.clamp_min(1)
    return _weigh_cells(charbonnier(shift), count, weight)
