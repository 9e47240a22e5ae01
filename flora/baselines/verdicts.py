"""Holds the shipped weights against what they are meant to reach, claim by claim, losses named with wins."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from itertools import product
from typing import Final

from flora.baselines.quality import Scores
from flora.baselines.tables import table

WATER_SOURCES: Final = ("sen1floods11", "guaiba", "etci_nebraska", "ombria_france", "ombria_timor")
DRY_SOURCES: Final = ("desert", "etci_dry")
PICTURE_SOURCES: Final = ("sen1floods11", "guaiba", "sen12ms_cr")
TUNED: Final = ("threshold", "threshold_own", "threshold_published")
PSNR: Final = "psnr[DN/3000]"
SSIM: Final = "ssim[DN/3000]"
LPIPS: Final = "lpips_alex[DN/3000]"

SEED: Final = "seed_"  # entries so named are of the run that the shipped weights went on from, with that seed
# Entries so named were trained on that run's crops and steps.
NETWORKS: Final = {"unet": "U-Net", "pix2pix": "pix2pix"}
# What is wanted beside them: figure, words, of which, on which sources, how compared.
BESIDE: Final = (
    ("iou_micro", "IoU micro not below", ("unet",), WATER_SOURCES, "≥", operator.ge),
    ("iou_macro", "IoU macro above", ("unet",), WATER_SOURCES, ">", operator.gt),
    (SSIM, "SSIM above", tuple(NETWORKS), PICTURE_SOURCES, ">", operator.gt),
    (LPIPS, "LPIPS-Alex below", tuple(NETWORKS), PICTURE_SOURCES, "<", operator.lt),
)

Claim = tuple[str, str, str, bool]  # what, wanted, found, holds


def verdicts(rivals: Scores, weights: Scores) -> str:
    """Gives a table of claims about the weights called `default`; empty where these were not scored.

    Weights called `seed_…` stand beside them: what they reached, and **no** where that is not what is wanted of them.
    Those called as one of `NETWORKS` are rivals: their figures are what is wanted.

    Args:
        rivals: What `score_rivals` gave.
        weights: The results file of weights.

    Returns:
        Markdown.
    """
    entries = weights.get("entries", {})
    if "default" not in entries:
        return ""
    seeds = [name for name in entries if name.startswith(SEED)]
    networks = {name: entries[name] for name in NETWORKS if name in entries}
    claims = _claims(rivals, networks, entries["default"])
    others = [
        {what: (found, holds) for what, _, found, holds in _claims(rivals, networks, entries[name])}
        for name in seeds
    ]
    rows = [
        [what, wanted, found, "yes" if holds else "**no**", *(_told(other.get(what)) for other in others)]
        for what, wanted, found, holds in claims
    ]
    head = ["claim", "wanted", "found", "holds", *(name.replace("_", " ") for name in seeds)]
    parts = ["## What the shipped weights reach, and what not", table(head, rows)]
    if seeds:
        parts += [
            "The columns of seeds are of `configs/first.yaml` with that seed, the run that the shipped weights went on "
            "from."
        ]
    if networks:
        names = " and ".join(NETWORKS[name] for name in networks)
        parts += [
            f"{names} had the crops and steps of `configs/first.yaml`, one seed each: of equal training are the "
            "columns of seeds, not the shipped weights."
        ]
    return "\n\n".join(parts)


def _told(other: tuple[str, bool] | None) -> str:
    """Says what another seed reached, and where that is not what is wanted of it."""
    if other is None:
        return "–"
    found, holds = other
    return found if holds else f"{found}, **no**"


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
        for name, least in (("iou_micro", 0.05), ("iou_macro", 0.0)):
            ours = _figure(shipped, source, name)
            rival = _best(rivals, source, name, TUNED)
            if ours is not None and rival is not None:
                what = f"{source}: {name.replace('iou_', 'IoU ')} above the best tuned threshold"
                yield what, f"≥ {rival + least:.3f}", f"{ours:.3f}", ours >= rival + least
    for source in DRY_SOURCES:
        wet = _figure(shipped, source, "false_water")
        if wet is not None:
            yield f"{source}: false water on dry ground", "< 1 %", f"{100 * wet:.2f} %", wet < 0.01
    for source in WATER_SOURCES:
        error = _figure(shipped, source, "ece")
        if error is not None:
            yield f"{source}: ECE", "≤ 0.05", f"{error:.3f}", error <= 0.05


def _pictures(rivals: Scores, shipped: Scores) -> Iterator[Claim]:
    for source in PICTURE_SOURCES:
        ours = _figure(shipped, source, PSNR)
        rival = _best(rivals, source, PSNR, ("mean_colour",))
        if ours is not None and rival is not None:
            what = f"{source}: PSNR above the training's mean colour"
            yield what, f"≥ {rival + 2:.2f} dB", f"{ours:.2f} dB", ours >= rival + 2
    ours, floor = (_figure(shipped, "guaiba", name) for name in (PSNR, "psnr_floor[DN/3000]"))
    if ours is not None and floor is not None:
        yield (
            "guaiba: PSNR above each chip's own mean colour",
            f"≥ {floor + 2:.2f} dB",
            f"{ours:.2f} dB",
            ours >= floor + 2,
        )
    distance = _figure(shipped, "guaiba", LPIPS)
    if distance is not None:
        yield "guaiba: LPIPS-Alex", "≤ 0.45", f"{distance:.3f}", distance <= 0.45


def _beside(networks: Scores, entry: Scores) -> Iterator[Claim]:
    """Compares with networks of the same training, figure by figure."""
    for figure, words, rivals, sources, sign, better in BESIDE:
        for name, source in product(rivals, sources):
            ours, theirs = (_figure(scores, source, figure) for scores in (entry, networks.get(name, {})))
            if ours is not None and theirs is not None:
                what = f"{source}: {words} {NETWORKS[name]}"
                yield what, f"{sign} {theirs:.3f}", f"{ours:.3f}", better(ours, theirs)


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
        yield (
            f"image before: PSNR above persistence, {words}",
            f"≥ {wanted:.2f} dB",
            f"{found:.2f} dB",
            found >= wanted,
        )
    lpips, water = figure(LPIPS), figure("iou_micro")
    yield (
        "image before: LPIPS below radar alone",
        f"< {lpips('none'):.3f}",
        f"{lpips('before'):.3f}",
        lpips("before") < lpips("none"),
    )
    yield (
        "image before: water no worse",
        f"≥ {water('none'):.3f}",
        f"{water('before'):.3f}",
        water("before") >= water("none"),
    )
    better = psnr(cues["half_cloud"], "all") > psnr(cues["none"], "all") and water("half_cloud") > water(
        "none"
    )
    yield (
        "same day's image half under cloud: both tasks better than radar alone",
        f"> {psnr(cues['none'], 'all'):.2f} dB, > {water('none'):.3f}",
        f"{psnr(cues['half_cloud'], 'all'):.2f} dB, {water('half_cloud'):.3f}",
        better,
    )
    for cue, words in (
        ("wrong_place", "image of another place"),
        ("unmasked_cloud", "cloud that no mask knows of"),
    ):
        found = water(cue)
        yield (
            f"{words}: water IoU",
            f"≥ {water('none') - 0.01:.3f}",
            f"{found:.3f}",
            found >= water("none") - 0.01,
        )
