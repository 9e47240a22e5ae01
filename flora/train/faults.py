"""Faults of the published recipe, each a switch: what training does to a batch or to the network, for comparison.

Those that act where the network is used as well (a stretch for each chip, absent as 0 dB) belong to the network:
`flora.model.published`. What cannot be switched here is told in `docs/baselines.md`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from flora.chip import Batch


class FaultConfig(BaseModel):
    """Which faults are switched on; none unless an experiment asks.

    Attributes:
        independent_crops: Radar, picture, older picture and water of a sample are cut at places of their own, each
            half the side of the crop that was drawn.
        detached_water: Water labels teach the water decoder alone: what it reads is detached.
        skip_dry_batches: A batch without water has no water loss, so that false alarms on dry land cost nothing.
        unlabelled_is_land: Where a chip has any label, a pixel without one is land.
        open_teacher: The teacher is not trained for itself and learns in the joint stage.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    independent_crops: bool = False
    detached_water: bool = False
    skip_dry_batches: bool = False
    unlabelled_is_land: bool = False
    open_teacher: bool = False


def spoil(batch: Batch, config: FaultConfig, chance: torch.Generator) -> Batch:
    """Applies the faults that act on a batch.

    Args:
        batch: Samples as they should be.
        config: Which faults.
        chance: Source of chance.

    Returns:
        The same batch where no fault is switched on, else another one.
    """
    if config.unlabelled_is_land:
        labelled = batch.water_valid.flatten(1).any(1).view(-1, 1, 1)
        water = torch.where(batch.water_valid, batch.water, 0.0)
        batch = replace(batch, water=water, water_valid=labelled.expand_as(batch.water_valid).clone())
    if config.independent_crops:
        batch = crop_apart(batch, chance)
    if config.skip_dry_batches and not bool((batch.water_valid & (batch.water > 0)).any()):
        batch = replace(batch, water_valid=torch.zeros_like(batch.water_valid))
    return batch


def crop_apart(batch: Batch, chance: torch.Generator) -> Batch:
    """Cuts each layer of each sample at a place of its own, to half its side.

    Args:
        batch: Samples, (B, C, H, W).
        chance: Source of chance.

    Returns:
        Layers of (B, C, H / 2, W / 2) that show different ground.
    """
    side = batch.sar.shape[-1] // 2
    layers: dict[str, Any] = {}
    for name in ("sar", "optical", "prior", "water"):
        places = torch.randint(batch.sar.shape[-1] - side + 1, (len(batch), 2), generator=chance).tolist()
        for layer in (name, f"{name}_valid"):
            layers[layer] = torch.stack(
                [
                    image[..., row : row + side, col : col + side]
                    for image, (row, col) in zip(getattr(batch, layer), places, strict=True)
                ]
            )
    return replace(batch, **layers)


def detach_water(decoder: nn.Module) -> None:
    """Lets nothing that a water decoder learns reach what it reads."""

    def cut(module: nn.Module, arguments: tuple[list[Tensor]]) -> tuple[list[Tensor]]:
        return ([level.detach() for level in arguments[0]],)

    decoder.register_forward_pre_hook(cut)
