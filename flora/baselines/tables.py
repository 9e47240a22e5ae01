"""Columns and cells of the tables of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from flora.baselines.quality import Scores

# Columns: figure, heading, factor, decimals.
Column = tuple[str, str, float, int]
WATER: Final[tuple[Column, ...]] = (
    ("iou_micro", "IoU micro", 1, 3),
    ("iou_macro", "IoU macro", 1, 3),
    ("precision_micro", "precision", 1, 3),
    ("recall_micro", "recall", 1, 3),
    ("false_water", "false water, % of land", 100, 2),
    ("ece", "ECE", 1, 3),
    ("brier", "Brier", 1, 3),
    ("aurc", "AURC", 1, 3),
)
OPTICAL: Final[tuple[Column, ...]] = (
    ("psnr[DN/3000]", "PSNR DN/3000, dB", 1, 2),
    ("psnr_floor[DN/3000]", "own mean colour (floor)", 1, 2),
    ("psnr_matched[DN/3000]", "after gain and offset", 1, 2),
    ("psnr[DN/10000]", "PSNR DN/10000, dB", 1, 2),
    ("psnr_floor[DN/10000]", "its floor", 1, 2),
    ("ssim[DN/3000]", "SSIM DN/3000", 1, 3),
    ("lpips_alex[DN/3000]", "LPIPS-Alex", 1, 3),
)
SPREAD: Final[tuple[Column, ...]] = (
    ("spread_covers_50", "within the 50 % interval, %", 100, 1),
    ("spread_covers_90", "within the 90 % interval, %", 100, 1),
    ("spread_miscalibration", "miscalibration", 1, 3),
    ("error_of_sure_half", "error of the surer half / all", 1, 2),
)
# Variants with one task, and the figures of the other, whose head was never trained.
UNTRAINED: Final[dict[str, tuple[Column, ...]]] = {"water_only": OPTICAL, "picture_only": WATER}
# A threshold gives 0 or 1: its "probability" is not one.
PROBABILISTIC: Final = ("ece", "brier", "aurc")


def cell(scores: Scores, column: Column) -> str:
    """Formats a figure with its interval, a dash where it was not measured."""
    figure, _, factor, decimals = column
    if figure not in scores["figures"]:
        return "–"
    text = f"{scores['figures'][figure] * factor:.{decimals}f}"
    if figure in scores.get("intervals", {}):
        low, high = (end * factor for end in scores["intervals"][figure])
        text += f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    return text


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lays out a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def known(entry: Scores, source: str, figure: str) -> bool:
    """Tells whether a figure was measured on a source, by a head that was trained."""
    return trained(entry, figure) and figure in entry["sources"].get(source, {}).get("figures", {})


def trained(entry: Scores, figure: str) -> bool:
    """Tells whether the head that a figure judges was trained."""
    return all(figure != column[0] for column in UNTRAINED.get(entry.get("variant", ""), ()))


def spread(entries: Sequence[Scores], source: str, column: Column) -> str:
    """Formats the mean over seeds and its standard deviation."""
    figure, _, factor, decimals = column
    values = [e["sources"][source]["figures"][figure] * factor for e in entries if known(e, source, figure)]
    return mean(values, decimals)


def mean(values: Sequence[float], decimals: int) -> str:
    """Formats a mean and, of several values, their standard deviation; a dash for none."""
    if not values:
        return "–"
    text = f"{np.mean(values):.{decimals}f}"
    return f"{text} ± {np.std(values, ddof=1):.{decimals}f}" if len(values) > 1 else text
