"""Chips of a lake on land, and a short experiment on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from flora.chip import Chip, ChipMeta
from flora.train import Experiment

TINY = {"name": "tiny", "widths": [8, 8, 8, 8], "head_channels": 8}
OPTICAL = {"charbonnier": 1.0, "ssim": 0.1, "edge": 0.1, "frequency": 0.1, "colour": 0.1, "spread": 0.1}
WATER = {"bce": 1.0, "dice": 0.5, "hydrology": 0.1}
DISTIL = {"distill_latent": 0.1, "distill_prior": 0.1, "distill_water": 0.1}


def made_chip(number: int, size: int = 96, split: str = "train") -> Chip:
    """A lake on land: dark in radar, brown in the picture, absent in the older picture."""
    rng = np.random.default_rng(number)
    rows, cols = np.mgrid[:size, :size]
    water = np.hypot(rows - rng.integers(size), cols - rng.integers(size)) < size / 3
    sar = rng.normal([[[-9.0]], [[-15.0]]], 2.0, (2, size, size)) - 11 * water
    land = np.array([0.08, 0.10, 0.06, 0.30])[:, None, None]
    brown = np.array([0.16, 0.13, 0.09, 0.05])[:, None, None]
    everywhere = np.ones((4, size, size), bool)
    return Chip(
        sar=sar.astype(np.float32),
        sar_valid=everywhere[:2],
        meta=ChipMeta("lakes", f"event{number % 2}", f"g{number}", f"c{number}_{split}", split,
                      optical_radiometry="surface", water_label="strong"),
        optical=np.where(water, brown, land).astype(np.float32),
        optical_valid=everywhere,
        prior=np.broadcast_to(land, (4, size, size)).astype(np.float32),
        prior_valid=everywhere,
        water=water.astype(np.uint8),
        water_valid=everywhere[0],
    )  # fmt: skip


def experiment(packed: Path, **changes: object) -> Experiment:
    settings: dict[str, object] = {
        "name": "lakes",
        "model": TINY,
        "data": {"packed": packed, "mixture": {"lakes": 1}, "size": 64, "batch_size": 2, "workers": 0},
        "teacher": {"steps": 4, "ema": 0.5, "objective": {"weights": OPTICAL | {"bce": 1.0}}},
        "joint": {"steps": 8, "ema": 0.5, "objective": {"weights": OPTICAL | WATER | DISTIL}},
        "precision": "32-true",
        "validate_every": 4,
        "checkpoint_every": 3,
    }
    return Experiment.model_validate(settings | changes)
