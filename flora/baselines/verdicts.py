"""Holds the shipped weights against what they are meant to reach, claim by claim, losses named with wins."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from flora.baselines.comparison import SHIPPED
from flora.baselines.quality import Scores
from flora.baselines.tables import mean, table

WATER_SOURCES: Final = ("sen1floods11", "guaiba", "etci_nebraska", "ombria_france", "ombria_timor")
DRY_SOURCES: Final = ("desert", "etci_dry")
CALIBRATED_SOURCES: Final = (*WATER_SOURCES, "sen12ms_cr")  # whose probabilities have to be probabilities
PICTURE_SOURCES: Final = ("sen1floods11", "guaiba", "sen12ms_cr")
TUNED: Final = ("threshold", "threshold_own", "threshold_published")
PSNR: Final = "psnr[DN/3000]"
SSIM: Final = "ssim[DN/3000]"
LPIPS: Final = "lpips_alex[DN/3000]"
SHARE: Final = (3, "")  # decimals and unit
DB: Final = (2, " dB")

SEED: Final = "seed_"  # entries so named are of the run that the shipped weights went on from, with that seed
AGAIN: Final = "again_"  # entries so named were made as the shipped weights were, with other seeds
# Entries so named were trained on that run's crops and steps.
NETWORKS: Final = {"unet": "U-Net", "pix2pix": "pix2pix"}
# What is wanted beside them: figure, words, of which, on which sources, how compared.
BESIDE: Final = (
    ("iou_micro", "IoU micro not below", ("unet",), WATER_SOURCES, "≥", operator.ge),
    ("iou_macro", "IoU macro above", ("unet",), WATER_SOURCES, ">", operator.gt),
    (SSIM, "SSIM above", tuple(NETWORKS), PICTURE_SOURCES, ">", operator.gt),
    (LPIPS, "LPIPS-Alex below", tuple(NETWORKS), PICTURE_SOURCES, "<", operator.lt),
)

ALIKE: Final = (
    "Mean and standard deviation are over {count} runs of one recipe: the shipped weights and {names}, made with other "
    "seeds ([how](model_card.md#where-it-fails)). *Wanted* is what is wanted of the shipped weights; *held by* counts "
    "the runs that reach what is wanted of themselves, where that is measured against their own radar alone."
)
FIRST: Final = (
    "The columns of the first run are of `configs/first.yaml`; the shipped weights went on from seed 0."
)
TRAINED_ALIKE: Final = (
    "{names} had the crops and steps of `configs/first.yaml`, one seed each: of equal training are the columns of the "
    "first run, not the shipped weights."
)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is wanted of weights, and what was found.

    Attributes:
        what: The claim in words; the same for all weights.
        wanted: The bound, as it is written.
        values: What was measured: one figure, or two that are wanted together.
        holds: Whether that is what is wanted.
        forms: Decimals and unit of each of the values.
    """

    what: str
    wanted: str
    values: tuple[float, ...]
    holds: bool
    forms: tuple[tuple[int, str], ...] = (SHARE,)

    @property
    def found(self) -> str:
        """The values as they are written."""
        return ", ".join(
            f"{v:.{decimals}f}{unit}" for v, (decimals, unit) in zip(self.values, self.forms, strict=True)
        )


def verdicts(rivals: Scores, weights: Scores) -> str:
    """Gives a table of claims about the weights called `default`; empty where these were not scored.

    Beside them stand the mean and the spread over these and those called `again_…`, and weights called `seed_…`: what
    they reached, and **no** where that is not what is wanted of them.
    Those called as one of `NETWORKS` are rivals: their figures are what is wanted.

    Args:
        rivals: What `score_rivals` gave.
        weights: The results file of weights.

    Returns:
        Markdown.
    """
    entries = weights.get("entries", {})
    if SHIPPED not in entries:
        return ""
    networks = {name: entries[name] for name in NETWORKS if name in entries}
    told = {
        name: {claim.what: claim for claim in _claims(rivals, networks, entry)}
        for name, entry in entries.items()
        if name == SHIPPED or name.startswith((AGAIN, SEED))
    }
    shipped = told[SHIPPED]
    alike = [shipped, *(claims for name, claims in told.items() if name.startswith(AGAIN))]
    seeds = {name: claims for name, claims in told.items() if name.startswith(SEED)}
    rows = [
        [
            *(what, claim.wanted, claim.found, "yes" if claim.holds else "**no**"),
            *([_over_seeds([claims[what] for claims in alike if what in claims])] if len(alike) > 1 else []),
            *(_told(claims.get(what)) for claims in seeds.values()),
        ]
        for what, claim in shipped.items()
    ]
    head = ["claim", "wanted", "found", "holds"]
    head += [f"{len(alike)} runs, mean ± std"] if len(alike) > 1 else []
    head += [f"first run, {name.replace('_', ' ')}" for name in seeds]
    parts = ["## What the shipped weights reach, and what not", table(head, rows)]
    if len(alike) > 1:
        names = " and ".join(f"`{name}`" for name in told if name.startswith(AGAIN))
        parts += [ALIKE.format(count=len(alike), names=names)]
    if seeds:
        parts += [FIRST]
    if networks:
        parts += [TRAINED_ALIKE.format(names=" and ".join(NETWORKS[name] for name in networks))]
    return "\n\n".join(parts)


def _told(claim: Claim | None) -> str:
    """Says what another seed reached, and where that is not what is wanted of it."""
    if claim is None:
        return "–"
    return claim.found if claim.holds else f"{claim.found}, **no**"


def _over_seeds(claims: Sequence[Claim]) -> str:
    """Says what several seeds reached, and how many of them reached what was wanted of each."""
    columns = zip(*(claim.values for claim in claims), strict=True)
    parts = [
        mean(values, decimals) + unit
        for values, (decimals, unit) in zip(columns, claims[0].forms, strict=True)
    ]
    return f"{', '.join(parts)} (held by {sum(claim.holds for claim in claims)})"


def _claims(rivals: Scores, networks: Scores, entry: Scores) -> list[Claim]:
    return [
        *_water(rivals, entry),
        *_pictures(rivals, entry),
        *_beside(networks, entry),
        *_cues(rivals, entry),
    ]


def _figure(entry: Scores, source: str, name: str) -> float | None:
    value = entry.get("sources", {}).get(source, {}).get("figures", {}).get(name)
    return None if value is None else float(value)


def _best(rivals: Scores, source: str, name: str, entries: tuple[str, ...]) -> float | None:
    found = [_figure(rivals.get("entries", {}).get(entry, {}), source, name) for entry in entries]
    return max((value for value in found if value is not None), default=None)


def _water(rivals: Scores, shipped: Scores) -> Iterator[Claim]:
    for source in WATER_SOURCES:
        for name, least, margin in (("iou_micro", 0.05, "0.05 above"), ("iou_macro", 0.0, "not below")):
            ours = _figure(shipped, source, name)
            rival = _best(rivals, source, name, TUNED)
            if ours is not None and rival is not None:
                what = f"{source}: {name.replace('iou_', 'IoU ')} {margin} the best tuned threshold"
                yield Claim(what, f"≥ {rival + least:.3f}", (ours,), ours >= rival + least)
    for source in DRY_SOURCES:
        wet = _figure(shipped, source, "false_water")
        if wet is not None:
            yield Claim(
                f"{source}: false water on dry ground", "< 1 %", (100 * wet,), wet < 0.01, ((2, " %"),)
            )
    for source in CALIBRATED_SOURCES:
        error = _figure(shipped, source, "ece")
        if error is not None:
            yield Claim(f"{source}: ECE", "≤ 0.05", (error,), error <= 0.05)


def _pictures(rivals: Scores, shipped: Scores) -> Iterator[Claim]:
    for source in PICTURE_SOURCES:
        ours = _figure(shipped, source, PSNR)
        rival = _best(rivals, source, PSNR, ("mean_colour",))
        if ours is not None and rival is not None:
            what = f"{source}: PSNR 2 dB above the training's mean colour"
            yield Claim(what, f"≥ {rival + 2:.2f} dB", (ours,), ours >= rival + 2, (DB,))
    ours, floor = (_figure(shipped, "guaiba", name) for name in (PSNR, "psnr_floor[DN/3000]"))
    if ours is not None and floor is not None:
        what = "guaiba: PSNR 2 dB above each chip's own mean colour"
        yield Claim(what, f"≥ {floor + 2:.2f} dB", (ours,), ours >= floor + 2, (DB,))
    distance = _figure(shipped, "guaiba", LPIPS)
    if distance is not None:
        yield Claim("guaiba: LPIPS-Alex", "≤ 0.45", (distance,), distance <= 0.45)


def _beside(networks: Scores, entry: Scores) -> Iterator[Claim]:
    """Compares with networks of the same training, figure by figure."""
    for figure, words, rivals, sources, sign, better in BESIDE:
        for name, source in product(rivals, sources):
            ours, theirs = (_figure(scores, source, figure) for scores in (entry, networks.get(name, {})))
            if ours is not None and theirs is not None:
                what = f"{source}: {words} {NETWORKS[name]}"
                yield Claim(what, f"{sign} {theirs:.3f}", (ours,), better(ours, theirs))


def _cues(rivals: Scores, shipped: Scores) -> Iterator[Claim]:
    cues = shipped.get("cues") or {}
    copied = rivals.get("persistence", {}).get("persistence")
    if not cues or not copied:
        return

    def psnr(scores: Scores, part: str) -> float:
        return float(scores["pooled"].get(f"{part}[DN/3000]", {}).get("psnr", float("nan")))

    def figure(name: str) -> Callable[[str], float]:
        return lambda cue: float(cues[cue]["figures"].get(name, float("nan")))

    for part, words, least in (("all", "overall", 3.0), ("flooded", "newly flooded", 5.0)):
        wanted, found = psnr(copied, part) + least, psnr(cues["before"], part)
        what = f"image before: PSNR {least:.0f} dB above persistence, {words}"
        yield Claim(what, f"≥ {wanted:.2f} dB", (found,), found >= wanted, (DB,))
    lpips, water = figure(LPIPS), figure("iou_micro")
    sharp, alone = lpips("before"), water("none")
    yield Claim(
        "image before: LPIPS below radar alone", f"< {lpips('none'):.3f}", (sharp,), sharp < lpips("none")
    )
    kept = water("before")
    yield Claim("image before: water no worse", f"≥ {alone:.3f}", (kept,), kept >= alone)
    blind, half = psnr(cues["none"], "all"), (psnr(cues["half_cloud"], "all"), water("half_cloud"))
    yield Claim(
        "same day's image half under cloud: both tasks better than radar alone",
        f"> {blind:.2f} dB, > {alone:.3f}",
        half,
        half[0] > blind and half[1] > alone,
        (DB, SHARE),
    )
    # Half of the pixels above show the truth itself; these do not.
    hidden = psnr(cues["half_cloud"], "unseen")
    yield Claim(
        "the same, PSNR under the cloud only (radar alone: everywhere)",
        f"> {blind:.2f} dB",
        (hidden,),
        hidden > blind,
        (DB,),
    )
    for cue, words in (
        ("wrong_place", "image of another place"),
        ("unmasked_cloud", "cloud over half, which no mask knows of"),
        ("whole_cloud", "cloud over all, which no mask knows of"),
    ):
        if cue not in cues:  # scored before that image was asked for
            continue
        found = water(cue)
        yield Claim(f"{words}: water IoU", f"≥ {alone - 0.01:.3f}", (found,), found >= alone - 0.01)
