"""How near a reconstructed optical picture is to the true one, over valid pixels only.

Every function takes unit-range pictures (see `rescale`) and gives one number a chip, NaN where the chip has no
pixel to judge. A value under `valid` False, NaN included, changes nothing.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from flora.errors import ConfigError, DataError

# Reflectance that becomes 1, by the name under which a score is printed. Sentinel-2 stores DN = 10000 * reflectance.
SCALINGS: Final = {"DN/10000": 1.0, "DN/3000": 0.3}

SSIM_WINDOW: Final = 11
SSIM_SIGMA: Final = 1.5


def rescale(reflectance: Tensor, scaling: str) -> Tensor:
    """Brings reflectance to the unit range of a named scaling, clipped.

    Args:
        reflectance: Any shape, reflectance.
        scaling: A key of `SCALINGS`: `DN/10000` is reflectance itself, `DN/3000` is reflectance / 0.3.

    Returns:
        Values in [0, 1], same shape.

    Raises:
        ConfigError: The scaling has no such name.
    """
    if scaling not in SCALINGS:
        raise ConfigError(f"Optical scaling '{scaling}' is unknown; expected one of {', '.join(SCALINGS)}.")
    return (reflectance / SCALINGS[scaling]).clamp(0, 1)


def check_pictures(predicted: Tensor, truth: Tensor, valid: Tensor) -> None:
    """Checks that two pictures and their mask lie on one grid.

    Raises:
        DataError: The shapes do not fit, or the mask is not boolean.
    """
    grid = (truth.shape[0], *truth.shape[-2:])
    if predicted.shape != truth.shape or tuple(valid.shape) != grid or valid.dtype != torch.bool:
        raise DataError(
            f"Pictures have shapes {tuple(predicted.shape)} and {tuple(truth.shape)}, their mask {tuple(valid.shape)} "
            f"of {valid.dtype}; expected (B, C, H, W) twice and a boolean (B, H, W). Bring them to one grid first."
        )


def _blank(picture: Tensor, valid: Tensor) -> Tensor:
    """Puts 0 under the mask: a product with 0 would let NaN through."""
    return picture.masked_fill(~valid.unsqueeze(1), 0)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Gives the mean a chip and channel over valid pixels in float64, (B, C, 1, 1); NaN without any."""
    total = _blank(values, valid).sum((-2, -1), keepdim=True, dtype=torch.float64)
    return total / valid.sum((-2, -1)).view(-1, 1, 1, 1)


def psnr(predicted: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Gives the peak signal-to-noise ratio of each chip, 10 log10(1 / mean squared error).

    Args:
        predicted: Unit-range picture, (B, C, H, W).
        truth: Unit-range picture, (B, C, H, W).
        valid: May be judged, (B, H, W), bool.

    Returns:
        dB, (B,), float64; infinite for equal pictures, NaN without a valid pixel.

    Raises:
        DataError: The shapes do not fit.
    """
    check_pictures(predicted, truth, valid)
    error = _mean((predicted.double() - truth.double()).square(), valid).mean((1, 2, 3))
    return -10 * error.log10()


def _gaussian(values: Tensor) -> Tensor:
    """Filters each plane with the SSIM window, separably; the border of half a window is dropped.

    Adding shifted planes is several times faster on a CPU than a convolution of one channel.
    """
    offsets = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    kernel = torch.exp(-0.5 * (offsets / SSIM_SIGMA).square())
    weights = (kernel / kernel.sum()).tolist()
    for axis in (-2, -1):
        length = values.shape[axis] - SSIM_WINDOW + 1
        filtered = torch.zeros_like(values.narrow(axis, 0, length))
        for start, weight in enumerate(weights):
            filtered.add_(values.narrow(axis, start, length), alpha=weight)
        values = filtered
    return values


def ssim(predicted: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Gives the structural similarity of each chip, 11 x 11 Gaussian window of sigma 1.5.

    Only windows that are wholly valid count, so that neither the chip's border nor cloud enters a mean.

    Args:
        predicted: Unit-range picture, (B, C, H, W).
        truth: Unit-range picture, (B, C, H, W).
        valid: May be judged, (B, H, W), bool.

    Returns:
        Mean over windows and channels, (B,), float64; NaN where no window is wholly valid.

    Raises:
        DataError: The shapes do not fit.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004, K1 = 0.01, K2 = 0.03; population covariance.
    """
    check_pictures(predicted, truth, valid)
    if min(valid.shape[-2:]) < SSIM_WINDOW:
        return torch.full((len(valid),), torch.nan, dtype=torch.float64, device=valid.device)
    # Variances do not depend on an offset; taking the mean colour away first keeps float32 exact enough.
    offset = _mean(truth, valid).nan_to_num().float()
    x, y = _blank(predicted.float() - offset, valid), _blank(truth.float() - offset, valid)
    mean_x, mean_y = _gaussian(x), _gaussian(y)
    var_x = (_gaussian(x * x) - mean_x * mean_x).clamp_min(0)
    var_y = (_gaussian(y * y) - mean_y * mean_y).clamp_min(0)
    covariance = _gaussian(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + offset, mean_y + offset
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    similarity = similarity * (2 * covariance + c2) / (var_x + var_y + c2)
    whole = -F.max_pool2d(-valid.unsqueeze(1).float(), SSIM_WINDOW, stride=1) > 0.5
    return _mean(similarity, whole.squeeze(1)).mean((1, 2, 3))


def mean_colour(truth: Tensor, valid: Tensor) -> Tensor:
    """Gives each chip's own mean colour as a picture: the floor that a reconstruction has to beat.

    Args:
        truth: Unit-range picture, (B, C, H, W).
        valid: May be judged, (B, H, W), bool.

    Returns:
        A constant picture a chip, (B, C, H, W); 0 without a valid pixel.
    """
    return _mean(truth, valid).nan_to_num().to(truth.dtype).expand_as(truth)


def match_colour(predicted: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Gives the prediction after the best gain and offset of each channel.

    Its score judges structure apart from radiometry.

    Args:
        predicted: Unit-range picture, (B, C, H, W).
        truth: Unit-range picture, (B, C, H, W).
        valid: May be judged, (B, H, W), bool.

    Returns:
        gain * predicted + offset, least squares over valid pixels, not clipped, (B, C, H, W), float64. A channel
        without contrast becomes the true mean.
    """
    x, y = _blank(predicted, valid).double(), _blank(truth, valid).double()
    mean_x, mean_y = _mean(x, valid).nan_to_num(), _mean(y, valid).nan_to_num()
    spread = _mean((x - mean_x).square(), valid).nan_to_num()
    slope = _mean((x - mean_x) * (y - mean_y), valid).nan_to_num()
    flat = spread < 1e-12
    gain = torch.where(flat, 0, slope / torch.where(flat, 1, spread))
    return gain * (x - mean_x) + mean_y
