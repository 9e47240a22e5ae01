"""Writes `docs/results.md` and its charts from the JSON of measurements; no number is typed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from flora.baselines.alike import trained_alike
from flora.baselines.archive import CUES
from flora.baselines.chart import line_chart
from flora.baselines.comparison import SHIPPED, WEIGHTS
from flora.baselines.quality import Scores
from flora.baselines.rivals import RIVALS
from flora.baselines.tables import OPTICAL, PROBABILISTIC, SPREAD, WATER, Column, cell, table
from flora.baselines.testbed import ENTRIES
from flora.baselines.verdicts import NETWORKS, verdicts
from flora.errors import DataError


def write_page(results: Path, page: Path) -> list[Path]:
    """Writes the page and its charts.

    Args:
        results: Folder of `quality*.json`.
        page: The Markdown file; charts go into `charts/` beside it.

    Returns:
        The files written.

    Raises:
        DataError: There is nothing measured in the folder.
    """
    files = [results / name for name in (RIVALS, WEIGHTS)]
    compared = [path for path in sorted(results.glob("quality*.json"), reverse=True) if path not in files]
    found = {path.name: json.loads(path.read_text()) for path in (*files, *compared) if path.is_file()}
    if not found:
        raise DataError(f"'{results}' holds no quality*.json; measure with `flora bench quality` first.")
    rivals, weights = found.get(RIVALS, {}), found.get(WEIGHTS, {"entries": {}})
    parts = [HEAD, _circumstances(found)]
    parts += [verdicts(rivals, weights), *_weights(rivals, weights)]
    charts = {"risk_coverage.svg": _risk_chart(weights)} if weights["entries"] else {}
    if charts:
        parts += ["## How sure is sure", RISK, "![Error against coverage](charts/risk_coverage.svg)"]
    if spreads := _spreads(weights):
        charts["error_coverage.svg"] = _error_chart(weights)
        parts += ["### The spread of the picture", SPREADS, spreads]
        parts += ["![Error of the picture against coverage](charts/error_coverage.svg)"]
    for path in compared:
        parts += trained_alike(found[path.name])
    parts += [_protocol(next(iter(found.values()))["protocol"])]
    written = {page: "\n\n".join(part for part in parts if part) + "\n"}
    written |= {page.parent / "charts" / name: text for name, text in charts.items()}
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(written)


HEAD: Final = """# Results

This page is written by `flora bench quality` from `benchmarks/results/quality*.json`; edit nothing here. Every figure
is of public test chips that were neither trained nor tuned on (but the desert's, which says so), from one Sentinel-1
image alone unless a row names another input. Brackets are 95 % bootstrap intervals, too narrow where they are over
chips: those of one place on two dates, and neighbours, count as independent. The words are defined below.
[Where it fails](where-it-fails.md) shows pictures of what does not hold."""

# A curve starts at this share: of fewer pixels it is noise.
SURE_LEAST: Final = 0.01

RISK: Final = (
    "Pixels are answered in the order of their confidence; the curve gives the share of wrong answers among those "
    "answered. A useful confidence lets it rise to the right."
)


SPREADS: Final = (
    "Beside each colour stands a spread, the scale of a Laplace distribution. Half of the truth should lie within its "
    "50 % interval, nine tenths within its 90 % interval: more there means a spread too wide, less one too narrow. "
    "Where it tells where the picture is wrong, the half of smaller spread has less error than the whole. Weights that "
    "were scored before this was measured have no row."
)


def _circumstances(found: Mapping[str, Scores]) -> str:
    lines = [
        f"- `{name}`: commit {content.get('commit')}, {content.get('machine')}, "
        + ", ".join(f"{package} {version}" for package, version in content.get("versions", {}).items())
        for name, content in found.items()
    ]
    return "\n".join(lines)


def _weights(rivals: Scores, weights: Scores) -> list[str]:
    """Gives the tables of water, pictures and images beside the radar, for weights and the rivals without training."""
    named = {entry["title"]: entry for entry in rivals.get("entries", {}).values()}
    named |= {NETWORKS.get(name, f"**FLoRA, {name}**"): entry for name, entry in weights["entries"].items()}
    parts = ["## Water from radar alone"]
    for entry in ENTRIES:
        # A dry source without a false alarm has no IoU, but land that was left dry.
        parts += _section(entry.title, _having(named, entry.name, "false_water"), WATER, entry.note)
    parts += ["## The optical picture from radar alone"]
    for entry in ENTRIES:
        parts += _section(entry.title, _having(named, entry.name, OPTICAL[0][0]), OPTICAL)
    return [*parts, *_cues(rivals, weights)]


def _having(named: Scores, source: str, figure: str) -> dict[str, Scores]:
    """Gives the scores on a source, by title, of those that have a figure there."""
    found = {title: entry["sources"].get(source) for title, entry in named.items()}
    return {title: scores for title, scores in found.items() if scores and figure in scores["figures"]}


def _section(title: str, found: dict[str, Scores], columns: Sequence[Column], note: str = "") -> list[str]:
    if not found:
        return []
    rows = _rows(found, columns)
    words = f"{_about(next(iter(found.values())), columns, rows)}. {note}".rstrip()
    return [f"### {title}", words, table(["", *(column[1] for column in columns)], rows)]


def _about(scores: Scores, columns: Sequence[Column], rows: list[list[str]]) -> str:
    """Says on how many chips the figures of a table are, by which truth, and over what their intervals."""
    layer, other = ("optical", " water labels") if columns is OPTICAL else ("water", " reflectance")
    words = [word for word in scores["protocol"].split("; ") if not word.endswith(other)]
    if not any("[" in cell for row in rows for cell in row):  # one event alone may have that truth
        words = [
            *(word for word in words if not word.startswith("95 %") and word != "no interval"),
            "no interval",
        ]
    count = scores[f"{layer}_chips"]
    return "; ".join([f"{count} chip{'' if count == 1 else 's'}", *words])


def _rows(found: dict[str, Scores], columns: Sequence[Column]) -> list[list[str]]:
    rows = []
    for title, scores in found.items():
        rule = f": {scores['rule']}" if "rule" in scores else ""
        certain = title.startswith(("threshold", "Otsu"))
        cells = ["–" if certain and c[0] in PROBABILISTIC else cell(scores, c) for c in columns]
        rows.append([title + rule, *cells])
    return rows


def _cues(rivals: Scores, weights: Scores) -> list[str]:
    """Gives the table of Guaíba after the flood: which image stood beside the radar, and what came of it."""
    rows = [
        [title, *_cue_cells(scores)]
        for title, scores in (
            ("the old image copied (persistence)", rivals.get("persistence", {}).get("persistence")),
            *(
                (f"{NETWORKS.get(name, f'**{name}**')}, {words}", entry.get("cues", {}).get(cue))
                for name, entry in weights["entries"].items()
                for cue, words in CUES.items()
            ),
        )
        if scores
    ]
    if not rows:
        return []
    head = [
        "Guaíba test rows, after the flood",
        "PSNR, all",
        "newly flooded",
        "elsewhere",
        "where no image was shown",
    ]
    head += ["LPIPS-Alex", "SSIM", "water IoU micro"]
    words = (
        "PSNR in dB under DN/3000, pooled over clear pixels; newly flooded is what the weak labels call water after "
        "and land before. The labels come from the same radar, so that water is a check of harm, not of skill."
    )
    return ["## With an optical image beside the radar", words, table(head, rows)]


def _cue_cells(scores: Scores) -> list[str]:
    def pooled(part: str) -> str:
        found = scores["pooled"].get(f"{part}[DN/3000]")
        if not found:
            return "–"
        low, high = found["interval"]
        return f"{found['psnr']:.2f} [{low:.2f}, {high:.2f}]"

    columns = (OPTICAL[6], OPTICAL[5], WATER[0])
    return [
        *(pooled(part) for part in ("all", "flooded", "other", "unseen")),
        *(cell(scores, c) for c in columns),
    ]


def _spreads(weights: Scores) -> str:
    """Gives the table of the picture's spread, for weights that it was measured of; empty without any."""
    rows = []
    for name, entry in weights["entries"].items():
        found = {e.title: entry["sources"].get(e.name) for e in ENTRIES}
        found |= {
            f"Guaíba after the flood, {words}": entry.get("cues", {}).get(cue) for cue, words in CUES.items()
        }
        rows += [
            [NETWORKS.get(name, f"**{name}**"), title, *(cell(scores, c) for c in SPREAD)]
            for title, scores in found.items()
            if scores and SPREAD[0][0] in scores["figures"]
        ]
    return table(["", "source", *(column[1] for column in SPREAD)], rows) if rows else ""


def _curves(weights: Scores, curve: str, needed: str) -> dict[str, list[tuple[float, float]]]:
    """Gives a curve of the shipped weights for each source that has a figure."""
    entry = weights["entries"].get(SHIPPED) or next(iter(weights["entries"].values()))
    titles = {e.name: e.title.split(" (")[0] for e in ENTRIES}
    return {
        titles[name]: [(x, y) for x, y in scores[curve] if x >= SURE_LEAST]
        for name, scores in entry["sources"].items()
        if scores.get(curve) and needed in scores["figures"]
    }


def _risk_chart(weights: Scores) -> str:
    curves = _curves(weights, "risk_coverage", "iou_micro")
    return line_chart("Error rate among the surest pixels", "share of pixels answered", "error rate", curves)


def _error_chart(weights: Scores) -> str:
    curves = _curves(weights, "error_coverage", SPREAD[0][0])
    return line_chart(
        "Error of the picture among the surest colours", "share of colours", "mean error, reflectance", curves
    )


def _protocol(words: Mapping[str, Any]) -> str:
    return "## Words\n\n" + "\n".join(f"- **{word}**: {meaning}." for word, meaning in words.items())
