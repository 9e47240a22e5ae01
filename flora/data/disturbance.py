"""What disturbs a training sample: speckle, incidence trend, frost, wind on water, cloud."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from scipy.special import gammaincinv
from torch.nn import functional

from flora.chip import Bool, Chip, Float

Span = tuple[float, float]

SPECKLE_LEVELS: Final = 1 << 14
SPECKLE_STOPS: Final = 12
# Cells along the side of each noise field that clouds are summed from, and its weight: large masses, ragged rims.
CLOUD_SCALES: Final = ((3, 1.0), (6, 0.6), (12, 0.35), (24, 0.2))
CLOUD_GRID: Final = 64


def trend(shape: tuple[int, ...], height_db: float, angle: float) -> Float:
    """Gives a plane through 0 at the centre that reaches at most `height_db` at the rim, (H, W), dB.

    Args:
        shape: Height and width, px.
        height_db: Value at the rim in the direction of the slope, dB; backscatter falls with incidence angle.
        angle: Direction of the slope, rad.
    """
    row, col = (_from_rim_to_rim(length) for length in shape)
    scale = height_db / (abs(np.sin(angle)) + abs(np.cos(angle)))
    plane: Float = np.float32(scale * np.sin(angle)) * row[:, None] + np.float32(scale * np.cos(angle)) * col
    return plane


@lru_cache(maxsize=8)
def _from_rim_to_rim(length: int) -> Float:
    return np.linspace(-1, 1, length, dtype=np.float32)


def speckle_db(looks: Span, shape: tuple[int, ...], rng: np.random.Generator) -> Float:
    """Draws multiplicative speckle of a random number of looks, as dB to add.

    Power is gamma-distributed with mean 1 and variance 1 / looks. Samples come from a table of quantiles, which is
    ten times faster than drawing gamma numbers and as good for 2^14 levels.

    Args:
        looks: Least and greatest number of looks; one of 12 stops between them is drawn.
        shape: Shape of the result, an even number of elements at least.
        rng: Source of chance.

    Returns:
        Speckle, dB.

    Source: Oliver and Quegan, Understanding SAR Images, 2004, section 4.3.
    """
    stops = np.geomspace(*looks, SPECKLE_STOPS)
    table = _speckle_table(float(stops[rng.integers(SPECKLE_STOPS)]))
    count = int(np.prod(shape))
    words = rng.integers(0, 1 << 64, -(-count // 4), dtype=np.uint64)
    levels = words.view(np.uint16)[:count] >> np.uint16(2)
    drawn: Float = table.take(levels).reshape(shape)
    return drawn


@lru_cache(maxsize=4 * SPECKLE_STOPS)
def _speckle_table(looks: float) -> Float:
    """Gives the quantiles of unit-mean gamma speckle at the middles of equal probability steps, dB."""
    middle = (np.arange(SPECKLE_LEVELS) + 0.5) / SPECKLE_LEVELS
    table: Float = (10 * np.log10(gammaincinv(looks, middle) / looks)).astype(np.float32)
    return table


def sunk(band: Float, loss_db: float, floor_db: float) -> Float:
    """Lets a band lose power, down to the noise that the sensor adds.

    Frozen or parched ground loses VH far more than VV, and is then as dark in VH as water: VV has to tell.

    Args:
        band: (H, W), dB.
        loss_db: How much the ground loses, dB.
        floor_db: Noise-equivalent sigma0, dB.

    Returns:
        (H, W), dB; never above what it was, where that was above the floor.
    """
    power = np.power(10.0, (np.float32(-loss_db) + band) / 10) + 10 ** (floor_db / 10)
    sunken: Float = np.minimum(band, 10 * np.log10(power)).astype(np.float32)
    return sunken


def roughened(chip: Chip, vv_db: float) -> Float:
    """Gives what another wind adds to a chip's radar over its labelled water.

    How rough water is says nothing of its colour. A single flood, rougher to the radar than the lake was before,
    would teach that it does.

    Args:
        chip: Any size.
        vv_db: Rise of VV, dB; VH rises by half of it.

    Returns:
        (2, H, W), dB; fades over the shore, 0 without labels.
    """
    if chip.water is None or chip.water_valid is None:
        return np.zeros_like(chip.sar)
    water = ((chip.water == 1) & chip.water_valid).astype(np.float32)
    share: Float = uniform_filter(water, 3, mode="nearest")
    return share * np.array([vv_db, 0.5 * vv_db], np.float32)[:, None, None]


def cloud(size: int, cover: float, rng: np.random.Generator) -> Bool:
    """Draws clouds as blobs of several sizes.

    Args:
        size: Height and width, px.
        cover: Part of the square that is under cloud, 0 to 1 (kept to about 0.02).
        rng: Source of chance.

    Returns:
        True under cloud, (size, size).
    """
    coarse = (CLOUD_GRID, CLOUD_GRID)
    field = torch.zeros(1, 1, *coarse)
    for cells, weight in CLOUD_SCALES:
        noise = torch.from_numpy(rng.standard_normal((1, 1, cells, cells), np.float32))
        field += weight * functional.interpolate(noise, size=coarse, mode="bilinear", align_corners=True)
    threshold = float(np.quantile(field.numpy(), 1 - cover))
    fine = functional.interpolate(field, size=(size, size), mode="bilinear", align_corners=True)
    covered: Bool = (fine[0, 0] >= threshold).numpy()
    return covered
