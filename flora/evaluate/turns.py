"""Test-time augmentation: the mean answer over the eight flips and quarter turns of a chip."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from flora.chip import Batch
from flora.evaluate.predictor import Prediction, Predictor

TURNS = 8


def turn(image: Tensor, number: int) -> Tensor:
    """Turns an image.

    Args:
        image: (..., H, W).
        number: 0 to 7: bit 2 transposes, then the two low bits are quarter turns.

    Returns:
        A view, (..., H, W) or (..., W, H).
    """
    turned = image.transpose(-1, -2) if number & 4 else image
    return torch.rot90(turned, number & 3, (-2, -1))


def turn_back(image: Tensor, number: int) -> Tensor:
    """Undoes `turn` of the same number."""
    turned = torch.rot90(image, -(number & 3), (-2, -1))
    return turned.transpose(-1, -2) if number & 4 else turned


class TurnedPredictor:
    """Asks a predictor eight times, each time for the chip turned another way, and averages the answers turned back.

    Radar looks from one side, so a turned chip is not one that a sensor would give; what the mean gains is measured,
    and reported apart from the plain answer.

    Args:
        predictor: Whom to ask.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def __call__(self, batch: Batch, /) -> Prediction:
        """Averages eight answers: probabilities, not logits, reflectance and its spread."""
        answers = [self._ask(batch, number) for number in range(TURNS)]
        return Prediction(
            *(_mean([getattr(answer, f.name) for answer in answers]) for f in fields(Prediction))
        )

    def _ask(self, batch: Batch, number: int) -> Prediction:
        layers = {f.name: getattr(batch, f.name) for f in fields(batch)}
        images: dict[str, Any] = {
            name: turn(layer, number)
            for name, layer in layers.items()
            if isinstance(layer, Tensor) and layer.ndim > 1
        }
        answer = self.predictor(replace(batch, **images))
        given = (getattr(answer, f.name) for f in fields(Prediction))
        return Prediction(*(None if layer is None else turn_back(layer, number) for layer in given))


def _mean(answers: list[Tensor | None]) -> Tensor | None:
    given = [answer for answer in answers if answer is not None]
    return torch.stack(given).mean(0) if given else None
