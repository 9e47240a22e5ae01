"""Fixed scalings between physical units and the network's unit range, each beside its inverse.

The constants are properties of the sensors, not of a scene: a pixel with the same dB gives the same network input
in every chip, tile and scene. They travel inside the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

# Centre and spread of Sentinel-1 IW sigma0/gamma0 over land and water, between the published statistics of
# Sen1Floods11 (-10.2/-16.9, 4.3/5.3), GRD (-12.6/-20.3, 5.2/5.9) and RTC (-10.9/-17.3, 4.4/4.5) products.
SAR_MEAN: Final = (-11.5, -18.5)  # dB, VV and VH
SAR_STD: Final = (5.0, 5.5)  # dB
SAR_CLIP: Final = (-35.0, 5.0)  # dB; below is the noise floor, above are corner reflectors

# Reflectance that becomes 1: bright soil and roofs. The same as the DN/3000 display scaling of Sentinel-2.
UNIT_REFLECTANCE: Final = 0.3


def _per_band(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, 1, 1)


def db_to_unit(db: Tensor, mean: Sequence[float] = SAR_MEAN, std: Sequence[float] = SAR_STD) -> Tensor:
    """Turns SAR backscatter into network units.

    Args:
        db: (..., 2, H, W), dB, clipped to `SAR_CLIP`.
        mean: One a band, dB.
        std: One a band, dB.

    Returns:
        (db - mean) / std, same shape, no unit.
    """
    return (db.clamp(*SAR_CLIP) - _per_band(mean, db)) / _per_band(std, db)


def unit_to_db(unit: Tensor, mean: Sequence[float] = SAR_MEAN, std: Sequence[float] = SAR_STD) -> Tensor:
    """Undoes `db_to_unit` (but for the clip): (..., 2, H, W) to dB."""
    return unit * _per_band(std, unit) + _per_band(mean, unit)


def reflectance_to_unit(reflectance: Tensor) -> Tensor:
    """Turns reflectance (0 to 1) into network units, in which 1 is `UNIT_REFLECTANCE`; same shape."""
    return reflectance / UNIT_REFLECTANCE


def unit_to_reflectance(unit: Tensor) -> Tensor:
    """Undoes `reflectance_to_unit`; same shape."""
    return unit * UNIT_REFLECTANCE
