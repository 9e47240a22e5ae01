"""The tables of methods that were trained alike: mean and standard deviation over seeds, and who won."""

from __future__ import annotations

import numpy as np

from flora.baselines.archive import CUES
from flora.baselines.contests import WORDS as CONTEST_WORDS
from flora.baselines.contests import contests
from flora.baselines.quality import Scores
from flora.baselines.tables import OPTICAL, WATER, known, mean, spread, table, trained
from flora.baselines.testbed import ENTRIES


def trained_alike(content: Scores) -> list[str]:
    """Gives the section of one comparison.

    Args:
        content: Of a `quality*.json` that `compare_variants` wrote.

    Returns:
        Parts of the page, headings included.
    """
    groups: dict[str, list[Scores]] = {}
    for entry in content["entries"].values():
        groups.setdefault(entry["variant"], []).append(entry)
    budget = content.get("budget", {})
    words = (
        f"Each variant: {budget.get('teacher_steps')} teacher steps where it has a "
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
    apart = f", comparison `{budget['comparison']}`" if budget.get("comparison") else ""
    parts = [f"## Methods trained alike, network `{budget.get('preset')}`{apart}", words]
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
        shown = [s for s in sources if any(known(x, s.name, columns[0]) for g in groups.values() for x in g)]
        if shown:
            rows = [
                [name, *(spread(entries, s.name, columns) for s in shown)]
                for name, entries in groups.items()
                if trained(entries[0], columns[0])
            ]
            parts += [f"### {heading}", table(["variant", *(s.title for s in shown)], rows)]
    return [*parts, *_variant_cues(groups)]


def _variant_cues(groups: dict[str, list[Scores]]) -> list[str]:
    """Gives the table of what an image beside the radar brings to each variant."""
    rows = []
    for name, entries in groups.items():
        for cue in ("none", "before", "wrong_place"):
            cells = []
            for part in ("all", "flooded", "other"):
                values = [
                    e["cues"][cue]["pooled"][f"{part}[DN/3000]"]["psnr"]
                    for e in entries
                    if trained(e, OPTICAL[0][0])
                    and f"{part}[DN/3000]" in e.get("cues", {}).get(cue, {}).get("pooled", {})
                ]
                cells.append(mean(values, 2))
            water = [
                e["cues"][cue]["figures"]["iou_micro"]
                for e in entries
                if trained(e, WATER[0][0])
                and "iou_micro" in e.get("cues", {}).get(cue, {}).get("figures", {})
            ]
            if any(c != "–" for c in (*cells, mean(water, 3))):
                rows.append([name, CUES[cue], *cells, mean(water, 3)])
    if not rows:
        return []
    head = ["variant", "input", "PSNR, all", "newly flooded", "elsewhere", "water IoU micro"]
    return ["### With an image beside the radar: Guaíba test rows after the flood", table(head, rows)]
