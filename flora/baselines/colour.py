"""Pictures that cost nothing: one colour for everything, and the old image once more.

A reconstruction that does not beat them has learnt nothing, whatever its PSNR.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from flora.bands import RGB_BANDS
from flora.chip import Batch, Chip
from flora.errors import DataError
from flora.evaluate import Prediction


@dataclass(frozen=True, slots=True)
class MeanColour:
    """Paints every chip in the mean colour of the training chips.

    It knows no chip's truth, unlike the mean-colour floor beside every score, which is each chip's own mean.

    Attributes:
        colour: Red, green, blue, reflectance.
    """

    colour: tuple[float, float, float]

    @classmethod
    def fit(cls, chips: Iterable[Chip]) -> MeanColour:
        """Takes the mean over all pixels whose red, green and blue are valid.

        Args:
            chips: Of the training split; those without a picture add nothing.

        Returns:
            The predictor.

        Raises:
            DataError: A chip is of the test split, or no pixel is valid.
        """
        total, count = np.zeros(len(RGB_BANDS)), 0
        for chip in chips:
            if chip.meta.split == "test":
                raise DataError(
                    f"Chip '{chip.meta.chip}' is of the test split; take the mean over training chips."
                )
            if chip.optical is None or chip.optical_valid is None:
                continue
            clear = chip.optical_valid[: len(RGB_BANDS)].all(axis=0)
            total += chip.optical[: len(RGB_BANDS), clear].sum(axis=1, dtype=np.float64)
            count += int(clear.sum())
        if not count:
            raise DataError(
                "No chip has a valid true-colour pixel; give training chips with an optical picture."
            )
        red, green, blue = (total / count).tolist()
        return cls((red, green, blue))

    def __call__(self, batch: Batch, /) -> Prediction:
        """Answers with the colour alone; there is no water map."""
        return Prediction(None, self.paint(batch))

    def paint(self, batch: Batch) -> Tensor:
        """Gives the colour as a picture for each chip, (B, 3, H, W), reflectance."""
        return torch.tensor(self.colour).view(1, -1, 1, 1).expand(len(batch), -1, *batch.sar.shape[-2:])


@dataclass(frozen=True, slots=True)
class Persistence:
    """Answers with the image of before the event, and with a colour where that is invalid.

    Attributes:
        fallback: What stands in for it, usually the mean colour of training.
    """

    fallback: MeanColour

    def __call__(self, batch: Batch, /) -> Prediction:
        """Answers with the prior's true colour; there is no water map."""
        clear = batch.prior_valid[:, : len(RGB_BANDS)].all(1, keepdim=True)
        return Prediction(
            None, torch.where(clear, batch.prior[:, : len(RGB_BANDS)], self.fallback.paint(batch))
        )
