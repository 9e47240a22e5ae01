"""Draws, source by source, where the shipped weights are wrong: `python docs/failures.py --root data --out docs/img`.

The chips of each figure are picked by their figures, not by hand: the three with the most wrong pixels, then the one in
the middle by IoU, and the best.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from flora import checkpoint
from flora.baselines.rivals import PUBLISHED_RULE
from flora.baselines.testbed import PublicSources, Source
from flora.baselines.thresholds import FixedThreshold
from flora.chip import Chip, collate
from flora.evaluate import NetworkPredictor, Prediction, Predictor
from flora.evaluate.harness import answer_chip, answerable
from flora.evaluate.picture import COLUMNS, colour_optical, draw_chip, draw_grid, thumbnail

SOURCES: Final = ("sen1floods11", "guaiba", "etci_nebraska", "ombria_france", "ombria_timor", "sen12ms_cr")
RIVALS: Final = Path(__file__).parents[1] / "benchmarks" / "results" / "quality_rivals.json"
WORST: Final = 3
SAR, TRUE_PICTURE, PICTURE, LABEL, _, ERRORS = range(len(COLUMNS))


class Judged:
    """A chip, the network's answer and how wrong it is."""

    def __init__(self, chip: Chip, answer: Prediction, threshold: float) -> None:
        self.chip, self.answer, self.truth = chip, answer, collate([answerable(chip)])
        valid = self.truth.water_valid[0].numpy()
        true = (self.truth.water[0].numpy() > 0) & valid
        assert answer.probability is not None
        said = (answer.probability[0].numpy() >= threshold) & valid
        self.wrong = int((said ^ true).sum())
        self.iou = float((said & true).sum() / max(1, (said | true).sum()))
        self.has_water = bool(true.any())


def chosen(judged: Sequence[Judged]) -> list[Judged]:
    """Gives the chips to show."""
    wet = sorted((one for one in judged if one.has_water), key=lambda one: one.iou)
    picked = [*sorted(judged, key=lambda one: -one.wrong)[:WORST], *wet[len(wet) // 2 :][:1], *wet[-1:]]
    return list(dict.fromkeys(picked))


def best_rule(source: Source, rivals: Mapping[str, Any]) -> FixedThreshold:
    """Gives the fixed threshold of the highest pooled IoU on a source, as measured."""
    rules = {"threshold_published": PUBLISHED_RULE} if "VH" in source.bands else {}
    tuned = {"threshold": "calibrated val", "threshold_own": f"{source.entry.dataset} {source.entry.tune}"}
    for name, key in tuned.items():
        if key in rivals["rules"]:
            rule = rivals["rules"][key]
            rules[name] = FixedThreshold(rule["band"], rule["threshold_db"], rule["median"])

    def score(name: str) -> float:
        return float(rivals["entries"][name]["sources"][source.entry.name]["figures"]["iou_micro"])

    return rules[max(rules, key=score)]


def draw(source: Source, loaded: checkpoint.Checkpoint, rivals: Mapping[str, Any], out: Path) -> Path:
    """Draws a source."""
    network: Predictor = NetworkPredictor(loaded.model.folded(), loaded.temperature)
    threshold, margin = loaded.threshold_for(source.chips), loaded.model.margin
    grid = loaded.model.grid
    judged = [Judged(chip, answer_chip(network, chip, grid, margin), threshold) for chip in source.chips]
    rule = best_rule(source, rivals)
    headings = [COLUMNS[SAR], COLUMNS[TRUE_PICTURE], "image of before", "FLoRA, from radar alone"]
    headings += [COLUMNS[LABEL], "FLoRA, errors", f"{rule.band} < {rule.threshold_db} dB, errors"]
    rows = []
    for one in chosen(judged):
        pictures = draw_chip(one.truth, one.answer, threshold)
        by_rule = draw_chip(one.truth, answer_chip(rule, one.chip), 0.5)
        before = colour_optical(
            one.truth.prior[0, :3].numpy(), one.truth.prior_valid[0, :3].numpy().all(axis=0)
        )
        shown = [pictures[SAR], pictures[TRUE_PICTURE], before, pictures[PICTURE], pictures[LABEL]]
        shown += [pictures[ERRORS], by_rule[ERRORS]]
        meta = one.chip.meta
        title = f"{meta.event} · {meta.chip} · IoU {one.iou:.2f} · {one.wrong} wrong pixels"
        rows.append((title, [thumbnail(picture) for picture in shown]))
    kept = [i for i in range(len(headings)) if any(np.ptp(images[i]) for _, images in rows)]
    path = out / f"fails_{source.entry.name}.jpg"
    page = draw_grid(
        [(title, [images[i] for i in kept]) for title, images in rows], [headings[i] for i in kept]
    )
    page.save(path, quality=82, optimize=True)
    return path


def main() -> None:
    """Draws all sources that are there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with the datasets")
    parser.add_argument("--out", type=Path, default=Path("docs/img"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    loaded, rivals = checkpoint.load(), json.loads(RIVALS.read_text(encoding="utf-8"))
    for source in PublicSources(given.root, SOURCES).sources:
        print(draw(source, loaded, rivals, given.out))  # noqa: T201


if __name__ == "__main__":
    main()
