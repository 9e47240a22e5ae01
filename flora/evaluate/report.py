"""What an evaluation says: rows of figures, each with the protocol that it was measured under."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from flora.evaluate.picture import Gallery
from flora.metrics.calibration import Risk, risk_coverage
from flora.metrics.optical import SCALINGS
from flora.metrics.spread import Spread, error_coverage
from flora.metrics.summary import Statistics
from flora.metrics.water import Count

Level = Literal["overall", "dataset", "event"]

PROTOCOL: Final = {
    "pixels": "valid truth (no cloud, label -1 left out) where at least one SAR band is valid",
    "micro": "TP, FP, FN pooled over all valid pixels, water class",
    "macro": "per chip, then mean; a dry chip with an empty prediction counts 1, with any false alarm 0",
    "flood-only": "micro without pixels of reference water; only chips whose reference water is known",
    "false_water": "share of valid land called water, FP / (FP + TN)",
    "boundary_f1": "shoreline pixels with a partner within the tolerance, pooled",
    "ece": "expected calibration error, 15 equal bins, probability of water, pooled",
    "aurc": "area under the risk-coverage curve, surest pixels first, pooled",
    "optical": "true colour B4, B3, B2, per chip, then mean; clipped under the named scaling; PSNR up to 100 dB",
    "ssim": "11 x 11 Gaussian window, sigma 1.5, wholly valid windows",
    "floor": "a constant picture of the chip's own mean colour",
    "matched": "PSNR after the best gain and offset of each channel",
    "spread": "colour by colour, pooled: share of the truth within the interval that should hold 50 % or 90 % of it; "
    "mean distance between such shares and their levels (miscalibration); mean error of the half of smaller spread "
    "over that of all",
    "lpips": "LPIPS v0.1, net in its name, input in [-1, 1], masked pixels equal and without weight",
}

# Columns of the Markdown tables: figure, heading, factor, decimals.
Column = tuple[str, str, float, int]
WATER: Final[tuple[Column, ...]] = (
    ("iou_micro", "IoU micro", 1, 3),
    ("iou_macro", "IoU macro", 1, 3),
    ("iou_flood_only", "IoU flood-only", 1, 3),
    ("dice_micro", "Dice micro", 1, 3),
    ("dice_macro", "Dice macro", 1, 3),
    ("precision_micro", "precision micro", 1, 3),
    ("recall_micro", "recall micro", 1, 3),
    ("false_water", "false water, % of land", 100, 2),
    ("boundary_f1", "boundary F1", 1, 3),
    ("ece", "ECE", 1, 3),
    ("brier", "Brier", 1, 3),
    ("aurc", "AURC", 1, 3),
)
OPTICAL: Final[tuple[Column, ...]] = (
    ("psnr[{}]", "PSNR, dB", 1, 2),
    ("psnr_floor[{}]", "PSNR of floor, dB", 1, 2),
    ("psnr_matched[{}]", "PSNR matched, dB", 1, 2),
    ("ssim[{}]", "SSIM", 1, 3),
    ("ssim_floor[{}]", "SSIM of floor", 1, 3),
    ("lpips_alex[{}]", "LPIPS-Alex", 1, 3),
    ("lpips_vgg[{}]", "LPIPS-VGG", 1, 3),
)
SPREAD: Final[tuple[Column, ...]] = (
    ("spread_covers_50", "within 50 % interval, %", 100, 1),
    ("spread_covers_90", "within 90 % interval, %", 100, 1),
    ("spread_miscalibration", "miscalibration", 1, 3),
    ("error_of_sure_half", "error of surer half / all", 1, 2),
)


@dataclass(frozen=True, slots=True)
class Row:
    """Figures over a set of chips, and what they were measured on.

    Attributes:
        level: Everything, one dataset, or one event.
        data: Datasets.
        event: Its name, or `all`.
        split: `train`, `val`, `test`; all that occur.
        water_label: How the labels were made: `strong`, `weak`, `index`.
        radiometry: Of the true pictures: `surface`, `toa`, `display`.
        simulated: Some of it is simulated.
        chips: How many.
        water_chips: Of those, with a water pixel to judge, wet or dry.
        optical_chips: Of those, with a clear pixel to judge.
        events: How many.
        threshold: Of water probability.
        figures: By name, NaN where there is nothing to judge.
        intervals: 95 % bootstrap interval of each figure that has one.
        resampled: What the bootstrap drew: `events` or `chips`.
    """

    level: Level
    data: str
    event: str
    split: str
    water_label: str
    radiometry: str
    simulated: bool
    chips: int
    water_chips: int
    optical_chips: int
    events: int
    threshold: float
    figures: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    resampled: str

    @property
    def protocol(self) -> str:
        """The words that name how the figures were measured."""
        return self.protocol_of()

    def protocol_of(self, layer: str = "", figures: Collection[str] | None = None) -> str:
        """Gives the words that name how figures of one layer were measured.

        Args:
            layer: `water` leaves out how pictures, `optical` how labels were made.
            figures: Those that are shown; where none of them has an interval, the words say so. None for all.
        """
        kinds = [f"{self.water_label} water labels"] if self.water_label and layer != "optical" else []
        kinds += [f"{self.radiometry} reflectance"] if self.radiometry and layer != "water" else []
        kinds += ["partly or wholly simulated"] if self.simulated else []
        units = self.events if self.resampled == "events" else self.chips
        sure = self.intervals if figures is None else set(figures) & set(self.intervals)
        kinds += [f"95 % interval over {units} {self.resampled}"] if sure else ["no interval"]
        return "; ".join(kinds)

    def to_dict(self) -> dict[str, Any]:
        """Gives the row for JSON; NaN becomes null, which JSON can hold."""
        figures = {name: None if math.isnan(value) else value for name, value in self.figures.items()}
        return asdict(self) | {"figures": figures, "protocol": self.protocol}


@dataclass(frozen=True, slots=True)
class Report:
    """The answer of an evaluation.

    Attributes:
        name: Of the predictor.
        rows: Overall first, then datasets, then events.
        gallery: Chips kept for people to look at.
        resamples: Draws of the bootstrap.
        seed: Of the bootstrap.
        totals: Sums over all chips, by name, (1, ...), for what is more than a figure, such as a curve.
    """

    name: str
    rows: Sequence[Row]
    gallery: Gallery
    resamples: int
    seed: int
    totals: Statistics = field(default_factory=dict)

    def risk_coverage(self) -> list[tuple[float, float]]:
        """Gives coverage and error rate, surest pixels first, pooled; empty where no water was judged."""
        counts = Risk(*(self.totals[f"risk_{name}"] for name in Risk._fields)) if self.totals else None
        if counts is None or not counts.pixels.sum():
            return []
        return _curve(risk_coverage(counts))

    def error_coverage(self) -> list[tuple[float, float]]:
        """Gives coverage and mean absolute error of the picture, reflectance, smallest spread first, pooled.

        Empty where no picture with a spread was judged.
        """
        counts = Spread(*(self.totals[f"spread_{name}"] for name in Spread._fields)) if self.totals else None
        if counts is None or not counts.values.sum():
            return []
        return _curve(error_coverage(counts))

    @property
    def overall(self) -> Row:
        """The row over all chips."""
        return self.rows[0]

    def to_json(self) -> str:
        """Gives everything but the pictures as JSON text, figures by name, absent ones null."""
        content = {
            "predictor": self.name,
            "protocol": PROTOCOL,
            "bootstrap": {"level": 0.95, "resamples": self.resamples, "seed": self.seed},
            "rows": [row.to_dict() for row in self.rows],
        }
        return json.dumps(content, indent=2, allow_nan=False)

    def to_markdown(self) -> str:
        """Gives a table of water and one of pictures a scaling, where there is anything to show, and the protocol."""
        tables = [("Water", "water_chips", WATER)]
        for scaling in SCALINGS:
            columns = tuple(
                (figure.format(scaling), head, by, digits) for figure, head, by, digits in OPTICAL
            )
            tables.append((f"Optical, {scaling}", "optical_chips", columns))
        tables.append(("Spread of the picture", "optical_chips", SPREAD))
        parts = [f"## {self.name}"] if self.name else []
        for heading, counted, columns in tables:
            rows = [row for row in self.rows if getattr(row, counted) and not self._repeats(row)]
            shown = [column for column in columns if any(_known(row, column[0]) for row in rows)]
            if shown:
                parts += [f"### {heading}", _table(rows, shown, counted)]
        words = "\n".join(f"- **{word}**: {meaning}." for word, meaning in PROTOCOL.items())
        return "\n\n".join([*parts, words]) + "\n"

    def _repeats(self, row: Row) -> bool:
        """Says that a row says what the one above it said: one dataset only, or one event only."""
        above = {"overall": None, "dataset": "overall", "event": "dataset"}[row.level]
        return any(
            other.level == above and other.chips == row.chips and row.data in other.data
            for other in self.rows
        )

    def grid_png(self, path: Path | str) -> None:
        """Writes the kept chips as a labelled PNG grid.

        Args:
            path: Where to write; an existing file is replaced once the new one is whole.

        Raises:
            OutputError: The file cannot be written.
        """
        self.gallery.save(Path(path))


def _curve(lines: tuple[Count, Count]) -> list[tuple[float, float]]:
    points = zip(*(line[0].tolist() for line in lines), strict=True)
    return [(share, error) for share, error in points if not math.isnan(error)]


def _known(row: Row, figure: str) -> bool:
    return not math.isnan(row.figures.get(figure, math.nan))


def _cell(row: Row, column: Column) -> str:
    """Formats a figure with its interval."""
    figure, _, factor, decimals = column
    if not _known(row, figure):
        return "–"
    text = f"{row.figures[figure] * factor:.{decimals}f}"
    if figure in row.intervals:
        low, high = row.intervals[figure]
        text += f" [{low * factor:.{decimals}f}, {high * factor:.{decimals}f}]"
    return text


def _table(rows: Sequence[Row], columns: Sequence[Column], counted: str) -> str:
    """Lays out rows as Markdown, the protocol's words in each."""
    head = ["data", "event", "split", "chips", "threshold", *(column[1] for column in columns), "protocol"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        words = [row.data, row.event, row.split, str(getattr(row, counted)), f"{row.threshold:.3g}"]
        protocol = row.protocol_of(counted.removesuffix("_chips"), [column[0] for column in columns])
        lines.append([*words, *(_cell(row, column) for column in columns), protocol])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
