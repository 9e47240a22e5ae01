"""What an optical image beside the radar is worth: the one before the flood, a clouded one, and a misleading one.

Measured on Guaíba's test rows after the flood, where the picture before is there: on all pixels, on those newly
flooded, and on the others. To copy the old picture is the baseline: it is right wherever nothing changed.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from flora.baselines.colour import MeanColour, Persistence
from flora.baselines.quality import Protocol, Replay, Say, Scores, summary
from flora.baselines.testbed import PublicSources
from flora.chip import Bool, Chip
from flora.data import open_dataset
from flora.data.disturbance import cloud
from flora.errors import DataError
from flora.evaluate import NetworkPredictor, Prediction, Predictor, evaluate
from flora.evaluate.harness import answer_chip, answerable
from flora.metrics.bootstrap import interval, resampling_weights
from flora.metrics.meter import PSNR_CAP
from flora.metrics.optical import SCALINGS

Float64 = NDArray[np.float64]

CUES: Final = {
    "none": "radar alone",
    "before": "with the image before the flood",
    "same_day": "with the same day's image, clear (the truth itself; for water only)",
    "half_cloud": "with the same day's image, half under cloud that is masked",
    "wrong_place": "with an image of another place",
    "unmasked_cloud": "with the image before, half under cloud that no mask knows of",
    "whole_cloud": "with an image that is all cloud, which no mask knows of",
}
CLOUD_REFLECTANCE: Final = 0.45
THIN_CLOUD: Final = 0.3  # reflectance; beside the thicker cloud in an image that is all cloud


def study(
    testbed: PublicSources,
    network: NetworkPredictor | None,
    protocol: Protocol,
    threshold: float,
    say: Say,
    *,
    grid: int = 1,
    margin: int = 0,
    limit: int | None = None,
    cues: Sequence[str] = tuple(CUES),
) -> dict[str, Scores]:
    """Scores a network with each kind of image, or the copied old picture where no network is given.

    Args:
        testbed: Where Guaíba lies.
        network: The network; its cue is set here. None scores persistence.
        protocol: How.
        threshold: Stored with its weights.
        say: Told what is being done.
        grid: Of the network, px.
        margin: Invalid pixels around each chip, px.
        limit: At most so many chips.
        cues: Which of `CUES` to score.

    Returns:
        By cue (or `persistence`): the scores of `summary`, with pooled PSNR by part of the picture added.

    Raises:
        DataError: Guaíba is not among the datasets.
    """
    chips, flooded = flooded_chips(testbed, limit)
    found = {}
    if network is None:
        copy = Persistence(MeanColour.fit(testbed.training_pictures()))
        return {"persistence": _score(copy, chips, chips, flooded, protocol, 0.5)}
    network.cue = "prior"
    for name in cues:
        say(f"Guaíba, {CUES[name]}")
        asked = [
            elsewhere(chip, chips, place) if name == "wrong_place" else shown(chip, name)
            for place, chip in enumerate(chips)
        ]
        found[name] = _score(network, asked, chips, flooded, protocol, threshold, grid, margin)
    network.cue = "none"
    return found


def flooded_chips(testbed: PublicSources, limit: int | None = None) -> tuple[list[Chip], dict[str, Bool]]:
    """Gives Guaíba's test chips after the flood, and where each is newly flooded.

    Newly flooded is what the weak label calls water after the flood and land before.

    Raises:
        DataError: Guaíba is not among the datasets.
    """
    if "guaiba" not in testbed.folders:
        raise DataError(
            f"'{testbed.root}' holds no guaiba, which alone has an image before the flood; add it."
        )
    by_name = {chip.meta.chip: chip for chip in open_dataset("guaiba", testbed.folders["guaiba"], "test")}
    after = [chip for name, chip in by_name.items() if "_after_" in name][:limit]
    flooded = {}
    for chip in after:
        before = by_name[chip.meta.chip.replace("_after_", "_before_")]
        flooded[chip.meta.chip] = newly_flooded(chip, before)
    return after, flooded


def newly_flooded(after: Chip, before: Chip) -> Bool:
    """Gives where a chip is labelled water and the same ground, on an earlier date, land; (H, W)."""
    assert after.water is not None and after.water_valid is not None
    assert before.water is not None and before.water_valid is not None
    new: Bool = (after.water == 1) & after.water_valid & (before.water == 0) & before.water_valid
    return new


def elsewhere(chip: Chip, chips: Sequence[Chip], place: int) -> Chip:
    """Gives a chip with the image of the one half a list away as its prior.

    Args:
        chip: Its truths stay.
        chips: The list.
        place: Of the chip in it.
    """
    other = chips[(place + len(chips) // 2) % len(chips)]
    return chip.with_layers(prior=other.prior, prior_valid=other.prior_valid)


def shown(chip: Chip, cue: str) -> Chip:
    """Gives the chip with the image that a cue shows as its prior; its truths stay.

    Args:
        chip: With an image of its own day and one of another.
        cue: One of `CUES` but `wrong_place`, which takes a second chip.
    """
    assert chip.prior is not None and chip.prior_valid is not None
    assert chip.optical is not None and chip.optical_valid is not None
    if cue == "none":
        return chip.with_layers(prior=np.zeros_like(chip.prior), prior_valid=np.zeros_like(chip.prior_valid))
    if cue == "before":
        return chip
    if cue == "same_day":
        return chip.with_layers(prior=chip.optical, prior_valid=chip.optical_valid)
    if cue == "half_cloud":
        clear = chip.optical_valid & ~_clouds(chip)
        return chip.with_layers(prior=np.where(clear, chip.optical, 0), prior_valid=clear)
    if cue == "whole_cloud":
        white = np.where(_clouds(chip), CLOUD_REFLECTANCE, THIN_CLOUD)
        clouded = 0.9 * white + 0.1 * chip.prior
    else:
        clouded = np.where(_clouds(chip), np.float32(CLOUD_REFLECTANCE), chip.prior)
    return chip.with_layers(prior=np.where(chip.prior_valid, clouded, 0).astype(np.float32))


def _clouds(chip: Chip) -> Bool:
    """Draws clouds over half of a chip, the same for the same chip, (H, W)."""
    return cloud(max(chip.shape), 0.5, np.random.default_rng(zlib.crc32(chip.meta.chip.encode())))


def _score(
    predictor: Predictor,
    asked: Sequence[Chip],
    truths: Sequence[Chip],
    flooded: dict[str, Bool],
    protocol: Protocol,
    threshold: float,
    grid: int = 1,
    margin: int = 0,
) -> Scores:
    """Asks once a chip, and judges the answers against the chips as they are."""
    answers = {chip.meta.chip: answer_chip(predictor, chip, grid, margin) for chip in asked}
    report = evaluate(
        Replay(answers),
        truths,
        threshold,
        lpips=protocol.lpips or False,
        resamples=protocol.resamples,
        pictures=0,
    )
    unseen = {chip.meta.chip: ~_colour_valid(chip.prior_valid) for chip in asked}
    parts: dict[str, dict[str, Bool] | None] = {
        "all": None,
        "flooded": flooded,
        "other": {name: ~new for name, new in flooded.items()},
    }
    if any(mask.any() and not mask.all() for mask in unseen.values()):
        parts["unseen"] = unseen
    return summary(report) | {"pooled": pooled_psnr(answers, truths, parts, protocol.resamples)}


def _colour_valid(valid: Bool | None) -> Bool:
    assert valid is not None
    return np.asarray(valid[:3].all(axis=0), np.bool_)


def pooled_psnr(
    answers: dict[str, Prediction],
    truths: Sequence[Chip],
    parts: dict[str, dict[str, Bool] | None],
    resamples: int = 1000,
) -> Scores:
    """Gives PSNR pooled over the clear pixels of each part of the pictures.

    Args:
        answers: Pictures by chip.
        truths: Chips with the true picture.
        parts: By name, each chip's mask, (H, W); None for every pixel.
        resamples: Draws of the bootstrap over chips.

    Returns:
        `PART[SCALING]` to value and interval, dB; parts without a pixel are left out.
    """
    found: Scores = {}
    weights = resampling_weights(range(len(truths)), resamples, 0)
    for scaling, white in SCALINGS.items():
        errors, counts = np.zeros((len(parts), len(truths))), np.zeros((len(parts), len(truths)))
        for column, chip in enumerate(truths):
            truth, picture = answerable(chip), answers[chip.meta.chip].optical
            assert truth.optical is not None and picture is not None
            unit = torch.from_numpy(truth.optical[:3]) / white
            squared = (picture[0] / white).clamp(0, 1).sub(unit.clamp(0, 1)).square().mean(0).numpy()
            clear = _colour_valid(truth.optical_valid)
            for row, masks in enumerate(parts.values()):
                part = clear if masks is None else clear & masks[chip.meta.chip]
                errors[row, column], counts[row, column] = squared[part].sum(dtype=np.float64), part.sum()
        for name, error, count in zip(parts, errors, counts, strict=True):
            if count.sum():
                found[f"{name}[{scaling}]"] = _decibels(error, count, weights)
    return found


def _decibels(error: Float64, count: Float64, weights: Float64) -> Scores:
    """Turns the squared errors and pixels of chips into PSNR with its interval."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = min(float(-10 * np.log10(error.sum() / count.sum())), PSNR_CAP)
        draws = -10 * np.log10((weights @ error) / (weights @ count))
    low, high = interval(np.minimum(draws, PSNR_CAP))
    return {
        "psnr": round(value, 3),
        "interval": [round(low, 3), round(high, 3)],
        "pixels": int(count.sum()),
    }
