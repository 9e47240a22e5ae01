"""One meter for training, evaluation and baselines: `update` gathers, `compute` divides.

It keeps sums of each chip, never a mean of means: the figures do not depend on how chips were batched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flora.errors import DataError
from flora.metrics import calibration, optical, water
from flora.metrics.calibration import Reliability, Risk
from flora.metrics.lpips import Lpips
from flora.metrics.spread import Spread, spread_sums
from flora.metrics.summary import LPIPS_SCALING, summarize, total
from flora.metrics.water import BoundaryCounts, Confusion

Float = NDArray[np.float64]

# Equal pictures have infinite PSNR; a mean over chips needs a number.
PSNR_CAP: Final = 100.0


class Truth(Protocol):
    """What a meter needs to know of a batch; `flora.chip.Batch` is one.

    Attributes:
        water: 0 or 1, (B, H, W).
        water_valid: (B, H, W), bool.
        optical: red, green, blue first, (B, C, H, W), reflectance.
        optical_valid: (B, C, H, W), bool.
    """

    @property
    def water(self) -> Tensor: ...  # noqa: D102
    @property
    def water_valid(self) -> Tensor: ...  # noqa: D102
    @property
    def optical(self) -> Tensor: ...  # noqa: D102
    @property
    def optical_valid(self) -> Tensor: ...  # noqa: D102


class Meter:
    """Gathers what every figure of a set of chips needs.

    Args:
        threshold: Water is where probability >= threshold.
        lpips: The perceptual distance, or None to leave it out.
        scalings: Named optical scalings to score under.
        tolerance: Shoreline tolerance in px.
        bins: Probability bins of the calibration error.
    """

    def __init__(
        self,
        threshold: float = 0.5,
        *,
        lpips: Lpips | None = None,
        scalings: Sequence[str] = tuple(optical.SCALINGS),
        tolerance: int = 2,
        bins: int = calibration.BINS,
    ) -> None:
        self.threshold = threshold
        self.lpips = lpips
        self.scalings = tuple(scalings)
        self.tolerance = tolerance
        self.bins = bins
        self._updates: list[dict[str, Float]] = []

    @torch.no_grad()
    def update(
        self,
        probability: Tensor | None,
        predicted: Tensor | None,
        truth: Truth,
        reference_water: Tensor | None = None,
        predicted_spread: Tensor | None = None,
    ) -> None:
        """Adds the chips of a batch.

        Args:
            probability: Of water, (B, H, W); None where the predictor makes no water map.
            predicted: Red, green, blue, (B, 3, H, W), reflectance; None where the predictor makes no picture.
            truth: Truths and their masks, on the same device.
            reference_water: Always or seasonally water, (B, H, W), bool; None where not known, and then these chips
                do not enter the flood-only figures.
            predicted_spread: Laplace scale of the picture, (B, 3, H, W), reflectance; None where the predictor tells
                none.

        Raises:
            DataError: The shapes do not fit, a valid pixel got NaN or infinity, a probability is outside [0, 1] or a
                spread not above 0.
        """
        valid = truth.water_valid if probability is not None else torch.zeros_like(truth.water_valid)
        probability = torch.zeros_like(truth.water) if probability is None else probability.float()
        if predicted is not None and predicted.shape[1] != 3:
            raise DataError(f"The picture has {predicted.shape[1]} bands; expected red, green and blue.")
        water.check_maps(probability, truth.water, valid)
        check_probability(probability, valid)
        found = self._count_water(probability, truth.water, valid, reference_water)
        clear = truth.optical_valid[:, :3].all(1)
        picture = truth.optical[:, :3]
        if predicted is None:
            clear, predicted = torch.zeros_like(clear), torch.zeros_like(picture)
        found |= self._score_optical(predicted.float(), picture.float(), clear)
        told = clear if predicted_spread is not None else torch.zeros_like(clear)
        scale = torch.ones_like(picture) if predicted_spread is None else predicted_spread
        found |= _named("spread", spread_sums(predicted, scale, picture, told))
        self._updates.append(found)

    def _count_water(
        self, probability: Tensor, truth: Tensor, valid: Tensor, reference: Tensor | None
    ) -> dict[str, Float]:
        """Counts whatever the figures of water and of calibration are made of, an entry a chip."""
        said = (probability >= self.threshold) & valid
        micro = water.confusion(said, truth, valid)
        flood_valid = torch.zeros_like(valid) if reference is None else valid & ~reference
        flood = water.confusion(said, truth, flood_valid)
        shore = water.boundary(said, truth, valid, self.tolerance)
        bins = calibration.reliability(probability, truth, valid, self.bins)
        risk = calibration.risk(probability, truth, valid, self.threshold)
        judged = water.count_pixels(valid) > 0
        counts = _named("water", micro) | _named("flood", flood) | _named("boundary", shore)
        return {
            **counts,
            **_named("reliability", bins),
            **_named("risk", risk),
            "water_chips": judged.astype(np.float64),
            "iou_macro": water.iou(micro, empty=1.0) * judged,
            "dice_macro": water.dice(micro, empty=1.0) * judged,
            "squared_error": calibration.squared_error(probability, truth, valid),
        }

    def _score_optical(self, predicted: Tensor, truth: Tensor, clear: Tensor) -> dict[str, Float]:
        """Scores pictures, an entry a chip; `sum:` is 0 where `chips:` is, nothing being judged."""
        if (~predicted.isfinite().all(1) & clear).any():
            raise DataError(
                "The picture has NaN or infinity at valid pixels; expected reflectance. Mend the predictor."
            )
        chips = clear.any(-1).any(-1)  # the others would cost as much and give NaN
        scores = self._compare(predicted[chips], truth[chips], clear[chips])
        found = {"optical_chips": chips.double().cpu().numpy()}
        for name, score in scores.items():
            values = np.full(len(chips), np.nan)
            values[chips.cpu().numpy()] = score.double().cpu().numpy()
            known = ~np.isnan(values)
            found[f"sum:{name}"] = np.where(known, np.minimum(values, PSNR_CAP), 0.0)
            found[f"chips:{name}"] = known.astype(np.float64)
        return found

    def _compare(self, predicted: Tensor, truth: Tensor, clear: Tensor) -> dict[str, Tensor]:
        """Gives each figure of pictures under each scaling, (chips,)."""
        scores: dict[str, Tensor] = {}
        for name in self.scalings:
            x, y = optical.rescale(predicted, name), optical.rescale(truth, name)
            floor = optical.mean_colour(y, clear)
            scores[f"psnr[{name}]"] = optical.psnr(x, y, clear)
            scores[f"psnr_floor[{name}]"] = optical.psnr(floor, y, clear)
            scores[f"psnr_matched[{name}]"] = optical.psnr(
                optical.match_colour(x, y, clear), y.double(), clear
            )
            scores[f"ssim[{name}]"] = optical.ssim(x, y, clear)
            scores[f"ssim_floor[{name}]"] = optical.ssim(floor, y, clear)
        if self.lpips is not None:
            x, y = (optical.rescale(picture, LPIPS_SCALING) * 2 - 1 for picture in (predicted, truth))
            distance = self.lpips(x, y, clear) if len(x) else x.new_zeros(0)
            scores[f"lpips_{self.lpips.net}[{LPIPS_SCALING}]"] = distance
        return scores

    @property
    def statistics(self) -> dict[str, Float]:
        """What was gathered, by name, (chips, ...), in the order of the updates.

        Raises:
            DataError: No chip was added.
        """
        if not self._updates:
            raise DataError(
                "No chip was measured; expected one at least. Check the split and the data folder."
            )
        return {name: np.concatenate([update[name] for update in self._updates]) for name in self._updates[0]}

    def compute(self) -> dict[str, float]:
        """Gives the figures over all chips so far.

        Returns:
            By name, as in `flora.metrics.summary.summarize`; NaN where there is nothing to judge.

        Raises:
            DataError: No chip was added.
        """
        return {name: float(value[0]) for name, value in summarize(total(self.statistics)).items()}


def _named(prefix: str, counts: Confusion | BoundaryCounts | Reliability | Risk | Spread) -> dict[str, Float]:
    """Gives each field its name under a prefix."""
    return {f"{prefix}_{name}": values for name, values in zip(counts._fields, counts, strict=True)}


def check_probability(probability: Tensor, valid: Tensor) -> None:
    """Checks that valid pixels hold probabilities: NaN would silently become land.

    Raises:
        DataError: One is NaN, infinite or outside [0, 1].
    """
    known = probability[valid]
    if known.numel() and not bool(((known >= 0) & (known <= 1)).all()):
        raise DataError(
            f"Probability of water runs from {known.min():g} to {known.max():g} over valid pixels; "
            "expected 0 to 1 without NaN. Pass sigmoid(logits / temperature)."
        )
