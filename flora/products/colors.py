"""From physical values to colours, by fixed rules: the same value looks the same in every picture."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.bands import DISPLAY_GAIN
from flora.products.layers import WATER, WATER_COLORS

Picture = NDArray[np.uint8]  # (H, W, 3)

# dB that become black and full colour. Land and open water of calibrated Sentinel-1 scenes lie inside.
VV_RANGE: Final = (-22.0, -2.0)
VH_RANGE: Final = (-28.0, -8.0)
RATIO_RANGE: Final = (2.0, 14.0)

NO_DATA_COLOR: Final = (214, 214, 211)
WATER_COLOR: Final = WATER_COLORS[WATER][:3]
WATER_OPACITY: Final = 0.78


def radar_colors(radar: NDArray[np.float32]) -> Picture:
    """Shows VV as red, VH as green and their ratio as blue; a pixel with one band only is grey.

    Args:
        radar: VV, VH, (2, H, W), dB, NaN where invalid.

    Returns:
        (H, W, 3).
    """
    vv, vh = radar
    red, green = _stretch(vv, VV_RANGE), _stretch(vh, VH_RANGE)
    colors = np.stack([red, green, _stretch(vv - vh, RATIO_RANGE)], axis=-1)
    alone = np.where(np.isnan(vv), green, red)
    colors = np.where(np.isnan(colors).any(axis=-1, keepdims=True), alone[..., None], colors)
    return _finish(colors)


def optical_colors(reflectance: NDArray[np.float32]) -> Picture:
    """Shows reflectance in true colour.

    Args:
        reflectance: red, green, blue, (3, H, W), NaN where invalid.

    Returns:
        (H, W, 3).
    """
    return _finish(np.moveaxis(np.clip(reflectance * DISPLAY_GAIN, 0, 1), 0, -1))


def water_over(picture: Picture, share: NDArray[np.float32]) -> Picture:
    """Lays water over a paler picture.

    Args:
        picture: (H, W, 3).
        share: Share of each pixel that is water, (H, W), 0 to 1; NaN where no data.

    Returns:
        (H, W, 3).
    """
    grey = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    pale = 0.55 * grey[..., None] + 0.25 * picture + 0.2 * 255
    alpha = WATER_OPACITY * np.nan_to_num(share)[..., None]
    mixed = (1 - alpha) * pale + alpha * np.array(WATER_COLOR, np.float32)
    mixed = np.where(np.isnan(share)[..., None], np.array(NO_DATA_COLOR, np.float32), mixed)
    return np.rint(mixed).astype(np.uint8)


def _stretch(values: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.float32]:
    low, high = limits
    stretched: NDArray[np.float32] = np.clip((values - low) / (high - low), 0, 1)
    return stretched


def _finish(colors: NDArray[np.float32]) -> Picture:
    """Turns 0 to 1 into bytes, and NaN into the colour of no data."""
    absent = np.isnan(colors).any(axis=-1, keepdims=True)
    filled = np.where(absent, np.array(NO_DATA_COLOR, np.float32), np.nan_to_num(colors) * 255)
    return np.rint(filled).astype(np.uint8)
