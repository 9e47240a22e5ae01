"""From sums of chip statistics to the figures that are printed.

Each statistic of a chip adds up, so one function serves a whole split, an event, and a thousand resamples of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.metrics import calibration, spread, water
from flora.metrics.calibration import Reliability, Risk
from flora.metrics.spread import Spread
from flora.metrics.water import BoundaryCounts, Confusion, ratio

Statistics = Mapping[str, NDArray[np.float64]]

# The scaling whose pictures look as a person would show them; LPIPS compares what is seen.
LPIPS_SCALING: Final = "DN/3000"


def total(
    statistics: Statistics, weights: NDArray[np.float64] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Adds up chips, each as often as its weight says.

    Args:
        statistics: Of chips, each (chips, ...).
        weights: (resamples, chips); by default each chip once.

    Returns:
        Sums, each (resamples, ...); one resample by default.
    """
    chips = len(next(iter(statistics.values())))
    weights = np.ones((1, chips)) if weights is None else weights
    return {name: np.tensordot(weights, values, axes=1) for name, values in statistics.items()}


def summarize(sums: Statistics) -> dict[str, NDArray[np.float64]]:
    """Turns sums into figures.

    Args:
        sums: What `total` gives.

    Returns:
        Figures by name, each (resamples,), NaN where there is nothing to judge: `iou_micro`, `dice_micro`,
        `precision_micro`, `recall_micro`, `false_water`, `iou_macro`, `dice_macro`, `iou_flood_only`,
        `dice_flood_only`, `boundary_f1`, `ece`, `brier`, `aurc`; and for each scaling `psnr[...]`, `psnr_floor[...]`,
        `psnr_matched[...]`, `ssim[...]`, `ssim_floor[...]`; `lpips_alex[DN/3000]` where it was measured;
        `spread_covers_50`, `spread_covers_90`, `spread_miscalibration` and `error_of_sure_half`. Where a protocol names
        chips, each counts alike.
    """
    parts = (_summarize_water, _summarize_calibration, _summarize_optical, _summarize_spread)
    return {name: figure for part in parts for name, figure in part(sums).items()}


def _confusion(sums: Statistics, prefix: str) -> Confusion:
    return Confusion(*(sums[f"{prefix}_{cell}"] for cell in Confusion._fields))


def _summarize_water(sums: Statistics) -> dict[str, NDArray[np.float64]]:
    micro, flood = _confusion(sums, "water"), _confusion(sums, "flood")
    shore = BoundaryCounts(*(sums[f"boundary_{field}"] for field in BoundaryCounts._fields))
    return {
        "iou_micro": water.iou(micro),
        "dice_micro": water.dice(micro),
        "precision_micro": water.precision(micro),
        "recall_micro": water.recall(micro),
        "false_water": water.false_water(micro),
        "iou_macro": ratio(sums["iou_macro"], sums["water_chips"]),
        "dice_macro": ratio(sums["dice_macro"], sums["water_chips"]),
        "iou_flood_only": water.iou(flood),
        "dice_flood_only": water.dice(flood),
        "boundary_f1": water.boundary_f1(shore),
    }


def _summarize_calibration(sums: Statistics) -> dict[str, NDArray[np.float64]]:
    bins = Reliability(*(sums[f"reliability_{field}"] for field in Reliability._fields))
    risk = Risk(*(sums[f"risk_{field}"] for field in Risk._fields))
    return {
        "ece": calibration.ece(bins),
        "brier": ratio(sums["squared_error"], bins.pixels.sum(-1)),
        "aurc": calibration.aurc(risk),
    }


def _summarize_optical(sums: Statistics) -> dict[str, NDArray[np.float64]]:
    """Divides each sum over chips by the number of chips that had something to judge."""
    means = {name.removeprefix("sum:"): values for name, values in sums.items() if name.startswith("sum:")}
    return {name: ratio(values, sums[f"chips:{name}"]) for name, values in means.items()}


def _summarize_spread(sums: Statistics) -> dict[str, NDArray[np.float64]]:
    counts = Spread(*(sums[f"spread_{field}"] for field in Spread._fields))
    return {
        "spread_covers_50": spread.coverage(counts, 0.5),
        "spread_covers_90": spread.coverage(counts, 0.9),
        "spread_miscalibration": spread.miscalibration(counts),
        "error_of_sure_half": spread.sure_half(counts),
    }
