"""Scores of one predictor on every public test source, as plain numbers for JSON."""

from __future__ import annotations

import json
import math
import platform
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch

import flora
from flora.baselines.testbed import Source
from flora.chip import Batch
from flora.errors import ConfigError
from flora.evaluate import Prediction, Predictor, Report, evaluate
from flora.evaluate.report import PROTOCOL
from flora.metrics import Lpips

Scores = dict[str, Any]
Say = Callable[[str], None]

# Points of a curve that are kept.
CURVE_POINTS: Final = 25


@dataclass(slots=True)
class Protocol:
    """How everything of one comparison is measured.

    Attributes:
        resamples: Draws of the bootstrap.
        margin: Invalid pixels around each chip, px; None for the network's own, as `flora predict` has it.
        lpips: LPIPS over AlexNet, loaded once; None leaves it out.
        limit: At most so many chips a source, for a quick look; None for all, which a table needs.
    """

    resamples: int = 1000
    margin: int | None = None
    lpips: Lpips | None = field(default_factory=Lpips.load)
    limit: int | None = None

    def words(self) -> Scores:
        """Says how it was measured."""
        limited = {} if self.limit is None else {"limit": f"at most {self.limit} chips a source"}
        around = "the network's own margin" if self.margin is None else f"{self.margin} px"
        return (
            PROTOCOL
            | {
                "chips": f"whole, in a plane of invalid pixels of {around}",
                "interval": f"95 %, {self.resamples} bootstrap draws of events, or of chips where there is one event",
            }
            | limited
        )


def score_source(
    predictor: Predictor, source: Source, protocol: Protocol, threshold: float, grid: int = 1, margin: int = 0
) -> Scores:
    """Scores a predictor on one source.

    Args:
        predictor: What to score, from radar alone.
        source: Its chips.
        protocol: How.
        threshold: Of its water probability, chosen before on validation.
        grid: Chips are padded to a multiple of it, px.
        margin: Invalid pixels around each chip, px.

    Returns:
        What was measured on, `figures`, `intervals` and the `risk_coverage` curve.
    """
    report = evaluate(
        predictor,
        source.chips,
        threshold,
        grid=grid,
        margin=margin,
        lpips=(protocol.lpips or False) if source.has_optical else False,
        resamples=protocol.resamples,
        pictures=0,
    )
    return summary(report)


def summary(report: Report) -> Scores:
    """Gives the overall row of a report for JSON; a figure with nothing to judge is left out."""
    row = report.overall
    return {
        "chips": row.chips,
        "water_chips": row.water_chips,
        "optical_chips": row.optical_chips,
        "protocol": row.protocol,
        "threshold": row.threshold,
        "figures": {name: round(v, 6) for name, v in row.figures.items() if not math.isnan(v)},
        "intervals": {
            name: [round(end, 6) for end in ends]
            for name, ends in row.intervals.items()
            if not any(map(math.isnan, ends))
        },
        "risk_coverage": _thinned(report.risk_coverage()),
        "error_coverage": _thinned(report.error_coverage()),
    }


def _thinned(curve: Sequence[tuple[float, float]]) -> list[list[float]]:
    """Keeps a curve's last point and enough of the others to draw it."""
    step = max(1, math.ceil(len(curve) / CURVE_POINTS))
    return [[round(a, 5), round(b, 6)] for a, b in (*curve[:-1:step], *curve[-1:])]


class Replay:
    """Gives answers that were computed before, by the chip's name.

    Args:
        answers: On each chip's own grid, batch of one.
    """

    def __init__(self, answers: dict[str, Prediction]) -> None:
        self.answers = answers

    def __call__(self, batch: Batch, /) -> Prediction:
        """Answers a batch of one chip."""
        return self.answers[batch.meta[0].chip]


def circumstances(argv: Sequence[str] = ()) -> Scores:
    """Says on what machine, with which versions and at which commit something was measured."""
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "versions": {
            "flora": flora.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "commit": found.stdout.strip() or None,
        "command": " ".join(argv),
    }


def refuse_other_limit(out: Path, protocol: Protocol) -> None:
    """Refuses a folder of results that are of more or fewer chips: a quick look would take the place of a table.

    Args:
        out: Folder of `quality*.json`; it need not exist.
        protocol: How is to be measured.

    Raises:
        ConfigError: It holds such results.
    """
    for path in sorted(out.glob("quality*.json")):
        found = json.loads(path.read_text(encoding="utf-8")).get("protocol", {}).get("limit")
        wanted = protocol.words().get("limit")
        if found != wanted:
            raise ConfigError(
                f"'{path}' holds results of {found or 'all chips'}, not of {wanted or 'all chips'}; give another --out "
                "and --page."
            )


def write_json(path: Path, content: object) -> None:
    """Writes a results file as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(content, indent=1, sort_keys=False, allow_nan=False) + "\n", encoding="utf-8")
    part.replace(path)
