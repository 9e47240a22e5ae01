"""Draws where the shipped weights are wrong, and writes the page: `python docs/failures.py --root data --out docs`.

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
from scipy import ndimage

from flora import checkpoint
from flora.bands import SAR_BANDS
from flora.baselines.rivals import PUBLISHED_RULE
from flora.baselines.testbed import PublicSources, Source
from flora.baselines.thresholds import FixedThreshold
from flora.chip import Chip, collate
from flora.evaluate import NetworkPredictor, Prediction, Predictor
from flora.evaluate.harness import answer_chip, answerable
from flora.evaluate.picture import COLUMNS, colour_optical, draw_chip, draw_grid, thumbnail

RIVALS: Final = Path(__file__).parents[1] / "benchmarks" / "results" / "quality_rivals.json"
WORST: Final = 3
SHORE: Final = 2  # px
SAR, TRUE_PICTURE, PICTURE, LABEL, _, ERRORS = range(len(COLUMNS))

HEAD: Final = f"""# Where it fails

Written by `python docs/failures.py --root data --out docs`; how well each source does is in [results](results.md). The
chips shown are picked by their figures: the three with the most wrong pixels, the one in the middle by IoU, and the
best. The tables tell all chips of a source: of the water found and missed, the false alarms and the land left alone,
how many pixels there are, how bright they are, and how many lie within {SHORE} px of a shore of the labels."""

# What the pictures and the tables below them show, source by source.
REASONS: Final = {
    "sen1floods11": """Nearly all that is missed lies at a shore: half-flooded parcels a few pixels wide, which the
radar's speckle blurs, the thin river in Spain's south, and parcels whose plants stand out of the water and send
back as much as land does. The threshold misses the same places. The picture is wrong where the map is right: Spain's
flood is dark and clear, and FLoRA paints it brown, as every true-coloured flood that it learnt from is Guaíba's or
simulated. Some smooth land of both chips is painted grey, as towns are. Hue cannot be seen by radar;
an image of another day brings it.""",
    "guaiba": """What is missed is as bright as land: streets, houses and trees that stand in the water, which the
labels call water or cut out in circles. Radar sees walls and crowns there, and the
threshold fails alike. Roofs of a town are one grey in the picture from radar alone: its houses are about as small as
what the radar resolves.""",
    "etci_nebraska": """The labels are wider than the water that the radar shows: nine of ten misses lie within two
pixels of a shore, and rivers three pixels wide are lost whole, by the threshold too. The false alarms are few and
large: smooth fields that are as dark as water in both bands.""",
    "ombria_france": """One polarisation, stretched to 8 bits image by image. The level of such an image is restored,
its contrast is not: after the flood water stands 8 dB under land (median of the chips), before it 13. One threshold of
probability for all contrasts errs on both sides: shores and strips between the waters are called water where the
contrast is that of the middle training chip (`france2021_31_after`, 10 dB), and water is missed where it is least
(`france2021_85_after`, 6 dB). These chips showed first that contrast matters, and training and thresholds answer it
since: the score of this source is not blind. The published masks are coarse and hold new flood only; their flood counts
as water where the radar or the false colours of the day show water too, and is left out elsewhere: 53 % of it. With all
of it as water the pooled IoU of the images after the flood is 0.75, as labelled here 0.77. The picture is two-toned and
paints dark ground as water: with VV alone
the two differ by texture and place only.""",
    "ombria_timor": """Ten places, each before and after, in one polarisation: dark river beds and slopes, land in
the labels before the cyclone and called water by FLoRA and by the threshold, in larger patches by FLoRA; and after it
ground that the labels call water and that is only 5 dB darker than land in the radar, most of which both miss. The
labels are weak, from pictures of other days. Of the published flood 64 % is left out as in France;
with all of it as water the pooled IoU of the images after the cyclone is 0.13, as labelled here 0.34.""",
    "sen12ms_cr": """A single patch. Its narrow channels are missed at their shores. The picture is the failure: bare
brown fields of an autumn are painted green. Radar alone does not tell their colour, and the mean colour of all
training, which is browner, comes closer. The image of another day is its cloudy one.""",
}
KINDS: Final = ("water, found", "water, missed", "false alarm", "land")


class Judged:
    """A chip, the network's answer and how wrong it is.

    Attributes:
        sums: Of each of `KINDS`: pixels, pixels near a shore, and pixels and dB of each band; (4, 6).
    """

    def __init__(self, chip: Chip, answer: Prediction, threshold: float) -> None:
        self.chip, self.answer, self.truth = chip, answer, collate([answerable(chip)])
        valid = self.truth.water_valid[0].numpy()
        true = (self.truth.water[0].numpy() > 0) & valid
        assert answer.probability is not None
        said = (answer.probability[0].numpy() >= threshold) & valid
        self.wrong = int((said ^ true).sum())
        self.iou = float((said & true).sum() / max(1, (said | true).sum()))
        self.has_water = bool(true.any())
        near = np.ones((2 * SHORE + 1, 2 * SHORE + 1), np.bool_)
        shore = ndimage.binary_dilation(true, near) & ndimage.binary_dilation(valid & ~true, near)
        kinds = (said & true, ~said & true, said & ~true, ~said & ~true & valid)
        self.sums = np.array([[mask.sum(), (mask & shore).sum(), *self._bands(mask)] for mask in kinds])

    def _bands(self, mask: np.ndarray) -> list[float]:
        seen = [mask & valid for valid in self.chip.sar_valid]
        return [
            value
            for band, inside in zip(self.chip.sar, seen, strict=True)
            for value in (inside.sum(), band[inside].sum(dtype=np.float64))
        ]


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


def judge(source: Source, loaded: checkpoint.Checkpoint) -> list[Judged]:
    """Lets the network answer every chip of a source from radar alone."""
    network: Predictor = NetworkPredictor(loaded.model.folded(), loaded.temperature)
    threshold, grid, margin = loaded.threshold_for(source.chips), loaded.model.grid, loaded.model.margin
    return [Judged(chip, answer_chip(network, chip, grid, margin), threshold) for chip in source.chips]


def draw(judged: Sequence[Judged], rule: FixedThreshold, threshold: float, path: Path) -> None:
    """Draws the chips of a source, columns that are empty throughout left out."""
    headings = [COLUMNS[SAR], COLUMNS[TRUE_PICTURE], "image of another day", "FLoRA, from radar alone"]
    headings += [COLUMNS[LABEL], "FLoRA, errors", f"{rule.band} < {rule.threshold_db} dB, errors"]
    rows = []
    for one in chosen(judged):
        truth = one.truth
        pictures = draw_chip(truth, one.answer, threshold)
        by_rule = draw_chip(truth, answer_chip(rule, one.chip), 0.5)
        before = colour_optical(truth.prior[0, :3].numpy(), truth.prior_valid[0, :3].all(0).numpy())
        shown = [pictures[SAR], pictures[TRUE_PICTURE], before, pictures[PICTURE], pictures[LABEL]]
        shown += [pictures[ERRORS], by_rule[ERRORS]]
        meta = one.chip.meta
        title = f"{meta.event} · {meta.chip} · IoU {one.iou:.2f} · {one.wrong} wrong pixels"
        rows.append((title, [thumbnail(picture) for picture in shown]))
    kept = [i for i in range(len(headings)) if any(np.asarray(images[i]).std() > 0 for _, images in rows)]
    page = draw_grid(
        [(title, [images[i] for i in kept]) for title, images in rows], [headings[i] for i in kept]
    )
    page.save(path, quality=82, optimize=True)


def table(judged: Sequence[Judged]) -> str:
    """Tells what found, missed and wrongly called pixels are like."""
    sums = np.sum([one.sums for one in judged], axis=0)
    lines = ["| | pixels | near a shore | " + " | ".join(f"{band}, dB" for band in SAR_BANDS) + " |"]
    lines.append("|---|" + "---|" * (2 + len(SAR_BANDS)))
    for kind, (count, near, *bands) in zip(KINDS, sums, strict=True):
        means = [
            f"{total / seen:.1f}" if seen else "–"
            for seen, total in zip(bands[::2], bands[1::2], strict=True)
        ]
        cells = [kind, f"{int(count):,}", f"{near / max(1, count):.0%}", *means]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Draws all sources that are there and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with the datasets")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    given = parser.parse_args()
    (given.out / "img").mkdir(parents=True, exist_ok=True)
    loaded, rivals = checkpoint.load(), json.loads(RIVALS.read_text(encoding="utf-8"))
    parts = [HEAD]
    for source in PublicSources(given.root, list(REASONS)).sources:
        name, title = source.entry.name, source.entry.title
        judged = judge(source, loaded)
        picture = Path("img") / f"fails_{name}.jpg"
        draw(judged, best_rule(source, rivals), loaded.threshold_for(source.chips), given.out / picture)
        parts += [
            f"## {title}",
            REASONS[name],
            f"![{title}: radar, pictures, labels and errors]({picture.as_posix()})",
        ]
        parts += [table(judged)]
        print(given.out / picture)  # noqa: T201
    page = given.out / "where-it-fails.md"
    page.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    print(page)  # noqa: T201


if __name__ == "__main__":
    main()
