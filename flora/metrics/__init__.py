"""Measures of pictures and water maps: pure functions over valid pixels, and one meter.

`Meter` is what training and evaluation use; the functions behind it live in `optical`, `spread`, `lpips`, `water` and
`calibration`.
"""

from __future__ import annotations

from flora.metrics.lpips import Lpips
from flora.metrics.meter import Meter, Truth

__all__ = ["Lpips", "Meter", "Truth"]
