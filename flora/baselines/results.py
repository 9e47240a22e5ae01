"""Writes `docs/results.md` and its charts from the JSON of measurements; no number is typed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from flora.baselines.archive import CUES
from flora.baselines.chart import line_chart
from flora.baselines.comparison import WEIGHTS
from flora.baselines.contests import WORDS as CONTEST_WORDS
from flora.baselines.contests import contests
from flora.baselines.quality import Scores
from flora.baselines.rivals import RIVALS
from flora.baselines.testbed import ENTRIES
from flora.baselines.verdicts import verdicts
from flora.errors import DataError

VARIANTS: Final = "quality.json"
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
# A threshold gives 0 or 1: its "probability" is not one.
PROBABILISTIC: Final = ("ece", "brier", "aurc")


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
    found = {
        name: json.loads((results / name).read_text())
        for name in (RIVALS, WEIGHTS, VARIANTS)
        if (results / name).is_file()
    }
    if not found:
        raise DataError(f"'{results}' holds no quality*.json; measure with `flora bench quality` first.")
    rivals, weights = found.get(RIVALS, {}), found.get(WEIGHTS, {"entries": {}})
    parts = [HEAD, _circumstances(found)]
    parts += [verdicts(rivals, weights), *_weights(rivals, weights)]
    files = {"risk_coverage.svg": _risk_chart(weights)} if weights["entries"] else {}
    if files:
        parts += ["## How sure is sure", RISK, "![Error against coverage](charts/risk_coverage.svg)"]
    if VARIANTS in found:
        parts += _variants(found[VARIANTS])
    parts += [_protocol(next(iter(found.values()))["protocol"])]
    written = {page: "\n\n".join(part for part in parts if part) + "\n"}
    written |= {page.parent / "charts" / name: text for name, text in files.items()}
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(written)


HEAD: Final = """# Results

This page is written by `flora bench quality` from `benchmarks/results/quality*.json`; edit nothing here. Every figure
is of public test chips that were neither trained nor tuned on (but the desert's, which says so), from one Sentinel-1
image alone unless a row names another input. Brackets are 95 % bootstrap intervals. The words are defined below."""

RISK: Final = (
    "Pixels are answered in the order of their confidence; the curve gives the share of wrong answers among those "
    "answered. A useful confidence lets it rise to the right."
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
    named |= {f"**FLoRA, {name}**": entry for name, entry in weights["entries"].items()}
    parts = ["## Water from radar alone"]
    for entry in ENTRIES:
        # A dry source without a false alarm has no IoU, but land that was left dry.
        rows = _rows(named, entry.name, WATER, "false_water")
        parts += _titled(entry.title, rows, named, entry.name, WATER)
    parts += ["## The optical picture from radar alone"]
    for entry in ENTRIES:
        parts += _titled(
            entry.title, _rows(named, entry.name, OPTICAL, OPTICAL[0][0]), named, entry.name, OPTICAL
        )
    return [*parts, *_cues(rivals, weights)]


def _titled(
    title: str, rows: list[list[str]], named: Scores, source: str, columns: Sequence[Column]
) -> list[str]:
    if not rows:
        return []
    about = next(entry["sources"][source] for entry in named.values() if source in entry["sources"])
    words = f"{about['chips']} chips; {about['protocol']}."
    return [f"### {title}", words, table(["", *(column[1] for column in columns)], rows)]


def _rows(named: Scores, source: str, columns: Sequence[Column], needed: str) -> list[list[str]]:
    rows = []
    for title, entry in named.items():
        scores = entry["sources"].get(source)
        if scores and needed in scores["figures"]:
            rule = f": {scores['rule']}" if "rule" in scores else ""
            certain = title.startswith(("threshold", "Otsu"))
            cells = ["–" if certain and c[0] in PROBABILISTIC else cell(scores, c) for c in columns]
            rows.append([title + rule, *cells])
    return rows


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


def _cues(rivals: Scores, weights: Scores) -> list[str]:
    """Gives the table of Guaíba after the flood: which image stood beside the radar, and what came of it."""
    rows = [
        [title, *_cue_cells(scores)]
        for title, scores in (
            ("the old image copied (persistence)", rivals.get("persistence", {}).get("persistence")),
            *(
                (f"**{name}**, {words}", entry.get("cues", {}).get(cue))
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


def _risk_chart(weights: Scores) -> str:
    entry = weights["entries"].get("default") or next(iter(weights["entries"].values()))
    titles = {e.name: e.title.split(",")[0] for e in ENTRIES}
    curves = {
        titles[name]: [(x, y) for x, y in scores["risk_coverage"]]
        for name, scores in entry["sources"].items()
        if scores["risk_coverage"] and "iou_micro" in scores["figures"]
    }
    return line_chart("Error rate among the surest pixels", "share of pixels answered", "error rate", curves)


def _variants(content: Scores) -> list[str]:
    """Gives tables of variants trained alike: mean and standard deviation over seeds."""
    groups: dict[str, list[Scores]] = {}
    for entry in content["entries"].values():
        groups.setdefault(entry["variant"], []).append(entry)
    budget = content.get("budget", {})
    words = (
        f"Each variant: network `{budget.get('preset')}`, {budget.get('teacher_steps')} teacher steps where it has a "
        f"teacher, then {budget.get('steps')} steps of {budget.get('batch')} crops of {budget.get('crop')} px, "
        "the same data, augmentation and choice of threshold. Mean ± standard deviation over seeds; a row with one "
        "seed has none. These short runs rank methods; they are not the shipped weights."
    )
    about = [
        [
            name,
            str(len(entries)),
            f"{entries[0]['parameters'] / 1e6:.2f}",
            f"{np.mean([e['seconds'] or 0 for e in entries]):.0f}",
            entries[0].get("title", ""),
        ]
        for name, entries in groups.items()
    ]
    parts = ["## Methods trained alike", words]
    parts += [table(["variant", "seeds", "parameters, M", "training, s", "what it is"], about)]
    against = list(contests(groups))
    if against:
        parts += ["### FLoRA against each", CONTEST_WORDS]
        parts += [f"**{heading}**\n\n{table(head, rows)}" for heading, (head, *rows) in against]
    sources = [e for e in ENTRIES if any(e.name in x["sources"] for g in groups.values() for x in g)]
    for heading, columns in (
        ("IoU micro", WATER[0]),
        ("IoU macro", WATER[1]),
        ("False water, % of land", WATER[4]),
        ("PSNR DN/3000, dB", OPTICAL[0]),
        ("PSNR DN/3000 after gain and offset, dB", OPTICAL[2]),
        ("SSIM DN/3000", OPTICAL[5]),
        ("LPIPS-Alex", OPTICAL[6]),
    ):
        shown = [s for s in sources if any(_known(x, s.name, columns[0]) for g in groups.values() for x in g)]
        if shown:
            rows = [
                [name, *(spread(entries, s.name, columns) for s in shown)] for name, entries in groups.items()
            ]
            parts += [f"### {heading}", table(["variant", *(s.title for s in shown)], rows)]
    return [*parts, *_variant_cues(groups)]


def _variant_cues(groups: dict[str, list[Scores]]) -> list[str]:
    rows = []
    for name, entries in groups.items():
        for cue in ("none", "before", "wrong_place"):
            cells = []
            for part in ("all", "flooded", "other"):
                values = [
                    e["cues"][cue]["pooled"][f"{part}[DN/3000]"]["psnr"]
                    for e in entries
                    if f"{part}[DN/3000]" in e.get("cues", {}).get(cue, {}).get("pooled", {})
                ]
                cells.append(_mean(values, 2))
            water = [
                e["cues"][cue]["figures"]["iou_micro"]
                for e in entries
                if "iou_micro" in e.get("cues", {}).get(cue, {}).get("figures", {})
            ]
            if any(c != "–" for c in cells):
                rows.append([name, CUES[cue], *cells, _mean(water, 3)])
    if not rows:
        return []
    head = ["variant", "input", "PSNR, all", "newly flooded", "elsewhere", "water IoU micro"]
    return ["### With an image beside the radar: Guaíba test rows after the flood", table(head, rows)]


def _known(entry: Scores, source: str, figure: str) -> bool:
    return figure in entry["sources"].get(source, {}).get("figures", {})


def spread(entries: Sequence[Scores], source: str, column: Column) -> str:
    """Formats the mean over seeds and its standard deviation."""
    figure, _, factor, decimals = column
    values = [e["sources"][source]["figures"][figure] * factor for e in entries if _known(e, source, figure)]
    return _mean(values, decimals)


def _mean(values: Sequence[float], decimals: int) -> str:
    if not values:
        return "–"
    text = f"{np.mean(values):.{decimals}f}"
    return f"{text} ± {np.std(values, ddof=1):.{decimals}f}" if len(values) > 1 else text


def _protocol(words: Mapping[str, Any]) -> str:
    return "## Words\n\n" + "\n".join(f"- **{word}**: {meaning}." for word, meaning in words.items())
