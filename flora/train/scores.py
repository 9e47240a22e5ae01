"""Validation scores by dataset from sufficient statistics, and the threshold and temperature chosen from them."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from flora.chip import Batch
from flora.model import Output
from flora.normalize import reflectance_to_unit

LIMIT = 12.0  # logits beyond are counted as the limit
BINS = 481


@dataclass(slots=True)
class _Counts:
    # Histogram of logits over valid pixels: row 0 land, row 1 water.
    logits: Tensor = field(default_factory=lambda: torch.zeros(2, BINS, dtype=torch.float64))
    squared: float = 0.0
    values: int = 0


def _centres() -> Tensor:
    return torch.linspace(-LIMIT, LIMIT, BINS, dtype=torch.float64)


def _iou_by_bin(counts: Tensor) -> Tensor:
    """IoU of water when everything from a bin on is called water, (BINS,); NaN without any water."""
    hits = counts[1].flip(0).cumsum(0).flip(0)
    alarms = counts[0].flip(0).cumsum(0).flip(0)
    return hits / (counts[1].sum() + alarms) if counts[1].sum() > 0 else torch.full((BINS,), float("nan"))


class ValidationScores:
    """Gathers what validation needs and no more: a histogram of logits and squared error for each dataset.

    Exact for any batch size; pixels that are not valid are not counted.
    """

    def __init__(self) -> None:
        self.counts: dict[str, _Counts] = {}

    def update(
        self,
        logits: Tensor,
        optical: Tensor,
        water: Tensor,
        water_valid: Tensor,
        true: Tensor,
        true_valid: Tensor,
        datasets: list[str],
    ) -> None:
        """Adds a batch.

        Args:
            logits: Of water, (B, H, W).
            optical: Predicted red, green, blue, (B, 3, H, W), reflectance.
            water: 1 water, 0 land, (B, H, W).
            water_valid: (B, H, W), bool.
            true: True red, green, blue, (B, 3, H, W), reflectance.
            true_valid: (B, 3, H, W), bool.
            datasets: Name of each sample's dataset.
        """
        bins = ((logits.float().clamp(-LIMIT, LIMIT) + LIMIT) / (2 * LIMIT) * (BINS - 1)).round().long()
        error = (
            reflectance_to_unit(optical.float()).clamp(0, 1) - reflectance_to_unit(true).clamp(0, 1)
        ) ** 2
        for index, dataset in enumerate(datasets):
            counts = self.counts.setdefault(dataset, _Counts())
            for label in (0, 1):
                chosen = bins[index][water_valid[index] & (water[index] == label)]
                counts.logits[label] += torch.bincount(chosen, minlength=BINS).cpu()
            counts.squared += float(error[index][true_valid[index]].sum())
            counts.values += int(true_valid[index].sum())

    def add(self, output: Output, batch: Batch) -> None:
        """Adds what a network gave for a batch."""
        self.update(
            output.water_logits,
            output.optical,
            batch.water,
            batch.water_valid,
            batch.optical[:, :3],
            batch.optical_valid[:, :3],
            [meta.dataset for meta in batch.meta],
        )

    def compute(self) -> dict[str, float]:
        """Gives `val/iou/DATASET` and `val/psnr/DATASET` and their means.

        IoU is micro at probability 0.5; where a dataset has no water, the share of land called water stands as
        `val/false_water/DATASET`. PSNR is over valid pixels under reflectance / 0.3 clipped to [0, 1], in dB.
        """
        scores: dict[str, float] = {}
        middle = BINS // 2
        for name, counts in sorted(self.counts.items()):
            iou = float(_iou_by_bin(counts.logits)[middle])
            land = float(counts.logits[0].sum())
            if iou == iou:
                scores[f"val/iou/{name}"] = iou
            elif land:
                scores[f"val/false_water/{name}"] = float(counts.logits[0, middle:].sum()) / land
            if counts.values:
                mean = max(counts.squared / counts.values, 1e-10)
                scores[f"val/psnr/{name}"] = float(-10 * torch.log10(torch.tensor(mean)))
        for kind in ("iou", "psnr"):
            values = [value for key, value in scores.items() if key.startswith(f"val/{kind}/")]
            if values:
                scores[f"val/{kind}"] = sum(values) / len(values)
        return scores

    def iou(self, name: str, logit: float) -> float:
        """Gives the IoU of a dataset when pixels from a logit on are called water; NaN without any water."""
        place = round((min(max(logit, -LIMIT), LIMIT) + LIMIT) / (2 * LIMIT) * (BINS - 1))
        return float(_iou_by_bin(self.counts[name].logits)[place])

    def best_iou(self, name: str) -> float:
        """Gives the greatest IoU of a dataset over all thresholds; NaN without any water."""
        return float(_iou_by_bin(self.counts[name].logits).max())

    def choose_temperature(self) -> float:
        """Gives the temperature with the least negative log-likelihood, each dataset counting the same."""
        centres = _centres()
        labelled = [c.logits / c.logits.sum() for c in self.counts.values() if c.logits.sum() > 0]
        if not labelled:
            return 1.0
        share = torch.stack(labelled).mean(0)
        candidates = torch.logspace(-0.7, 1.0, 120, dtype=torch.float64)
        softplus = torch.nn.functional.softplus
        losses = [
            (share[0] * softplus(centres / t) + share[1] * softplus(-centres / t)).sum() for t in candidates
        ]
        return round(float(candidates[int(torch.stack(losses).argmin())]), 3)

    def choose_threshold(self, temperature: float) -> float:
        """Gives the probability from which a pixel is water: half of the F1 that it reaches, mean over datasets.

        That is where F1 and IoU are best if probabilities are calibrated, which `temperature` sees to. Searching for
        the best score instead follows the few places of validation and the width to which their labels were drawn.

        Source: Lipton, Elkan, Naryanaswamy, Optimal thresholding of classifiers to maximize F1, ECML 2014,
        doi 10.1007/978-3-662-44851-9_15.
        """
        curves = self._iou_curves()
        if not curves:
            return 0.5
        f1 = torch.stack([2 * iou / (1 + iou) for iou in curves]).mean(0)
        probability = torch.sigmoid(_centres() / temperature)
        best = int((probability - f1 / 2).abs().argmin())
        return round(float(probability[best]), 3)

    def best_threshold(self, temperature: float) -> float:
        """Gives the probability that reaches the best IoU, mean over datasets.

        For radar whose probabilities are not calibrated, where half of F1 would miss the best.
        """
        curves = self._iou_curves()
        if not curves:
            return 0.5
        best = int(torch.stack(curves).mean(0).argmax())
        return round(float(torch.sigmoid(_centres()[best] / temperature)), 3)

    def _iou_curves(self) -> list[Tensor]:
        """Gives IoU by the bin from which a pixel is water, for each dataset that holds any; (BINS,) each."""
        return [_iou_by_bin(c.logits) for c in self.counts.values() if c.logits[1].sum() > 0]
