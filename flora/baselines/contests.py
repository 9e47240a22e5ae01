"""Holds FLoRA against what was trained beside it, source by source, over seeds: won, lost, or too close to tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from flora.baselines.quality import Scores
from flora.baselines.tables import known
from flora.baselines.testbed import ENTRIES
from flora.baselines.verdicts import PICTURE_SOURCES, PSNR, WATER_SOURCES

OURS: Final = "flora"
# In this order; all others that were trained follow.
RIVALS: Final = (
    "unet",
    "unet_stacked",
    "pix2pix",
    "published",
    "predictor_untrained",
    "predictor_removed",
    "distillation_off",
)
# Figure, its name in the table, its sources, and whether more of it is better.
CONTESTS: Final = (
    ("iou_micro", "IoU micro", WATER_SOURCES, True),
    ("iou_macro", "IoU macro", WATER_SOURCES, True),
    (PSNR, "PSNR", PICTURE_SOURCES, True),
    ("ssim[DN/3000]", "SSIM", PICTURE_SOURCES, True),
    ("lpips_alex[DN/3000]", "LPIPS-Alex", PICTURE_SOURCES, False),
)

WORDS: Final = (
    "Each cell is FLoRA's mean over seeds less the rival's, better being positive, and in brackets what tells them "
    "apart: twice the standard error of that difference. **Bold** where the difference is greater."
)


@dataclass(frozen=True, slots=True)
class Gap:
    """How far two methods are apart.

    Attributes:
        mean: Ours less theirs, better being positive.
        margin: Twice the standard error of that difference; NaN with a single seed.
    """

    mean: float
    margin: float

    def __str__(self) -> str:
        """Writes it as a cell of the table."""
        if np.isnan(self.margin):
            return f"{self.mean:+.3f}"
        text = f"{self.mean:+.3f} [{self.margin:.3f}]"
        return f"**{text}**" if abs(self.mean) > self.margin else text


def gap(ours: Sequence[float], theirs: Sequence[float], more_is_better: bool = True) -> Gap:
    """Compares the figures of two methods over seeds.

    Args:
        ours: One figure a seed.
        theirs: Likewise; not necessarily as many.
        more_is_better: Whether a greater figure is the better one.

    Returns:
        The difference of the means and what tells them apart.
    """
    difference = float(np.mean(ours) - np.mean(theirs))
    if min(len(ours), len(theirs)) < 2:
        margin = float("nan")
    else:
        margin = 2 * float(np.sqrt(sum(np.var(values, ddof=1) / len(values) for values in (ours, theirs))))
    return Gap(difference if more_is_better else -difference, margin)


def contests(groups: Mapping[str, Sequence[Scores]]) -> Iterator[tuple[str, list[list[str]]]]:
    """Gives the heading and the rows of a table for each figure.

    Args:
        groups: The scored runs of each variant by its name.

    Yields:
        Heading with sources as columns' names in the first row, then one row a rival that was trained.
    """
    titles = {entry.name: entry.title for entry in ENTRIES}
    others = sorted(name for name in groups if name not in (OURS, *RIVALS))
    rivals = [name for name in (*RIVALS, *others) if name in groups]
    if OURS not in groups or not rivals:
        return
    for figure, heading, sources, more in CONTESTS:
        shown = [source for source in sources if _values(groups[OURS], source, figure)]
        rows = [["rival", *(titles[source] for source in shown)]]
        for name in rivals:
            cells = []
            for source in shown:
                theirs = _values(groups[name], source, figure)
                cells.append(str(gap(_values(groups[OURS], source, figure), theirs, more)) if theirs else "–")
            if any(text != "–" for text in cells):
                rows.append([name, *cells])
        if shown:
            yield heading, rows


def _values(entries: Sequence[Scores], source: str, figure: str) -> list[float]:
    return [
        float(entry["sources"][source]["figures"][figure])
        for entry in entries
        if known(entry, source, figure)
    ]
