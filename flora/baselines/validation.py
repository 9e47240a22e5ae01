"""What decides between weights: their scores on the packed validation chips, whatever image stands beside the radar.

The test chips tell how good weights are; they must not choose them. Everything here is of chips marked `val`, as they
are packed for training, so that a machine that trains can choose.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from flora import checkpoint
from flora.baselines.archive import newly_flooded, shown
from flora.baselines.comparison import SHIPPED, entry_names
from flora.baselines.quality import Scores, circumstances, write_json
from flora.checkpoint import Checkpoint
from flora.chip import Batch, Bool, Chip, collate, pad
from flora.data.loader import validation_chips
from flora.data.pack import PackedDataset
from flora.metrics import Lpips
from flora.metrics.optical import rescale
from flora.metrics.summary import LPIPS_SCALING
from flora.model.family import Network
from flora.model.output import Output
from flora.train.scores import ValidationScores

Say = Callable[[str], None]

RESULTS: Final = "validation.json"
CUES: Final = {
    "none": "radar alone",
    "before": "an image of another date",
    "half_cloud": "the same day's image, half under cloud",
    "same_day": "the same day's image, clear",
}
FLOODED: Final = "an image of another date, newly flooded ground"
OLD: Final = "the old image itself"
# Water is scored beside the image of another place too, for every so many chips.
WRONG_EVERY: Final = 3


def validate(
    words: Sequence[str],
    packed: Path,
    out: Path,
    argv: Sequence[str],
    say: Say,
    *,
    lpips: Lpips | None = None,
) -> Scores:
    """Scores weights on the validation chips; what stands in `out` of the same weights and chips is not measured again.

    Args:
        words: Weights files; `default` are those shipped.
        packed: Folder of packs.
        out: Folder of `validation.json`.
        argv: The command, for the record.
        say: Told what is being done.
        lpips: Scores the pictures from radar alone; None leaves that out.

    Returns:
        What the file holds.

    Raises:
        ConfigError: Two weights files have one name.
        DataError: No validation chip is packed.
        CheckpointError: A weights file is missing or damaged.
    """
    chips = validation_chips(packed)
    names = [meta.meta.chip for meta in chips.chips]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
    path = out / RESULTS
    content: Scores = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"entries": {}}
    if content.get("chips") != {"number": len(names), "names_sha256": digest}:
        if content["entries"]:
            say(f"'{path}' holds scores of other chips, which do not compare with these; they are left out.")
        content = {"entries": {}}
    content |= circumstances(argv) | {"chips": {"number": len(names), "names_sha256": digest}}
    for word, name in zip(words, entry_names(words), strict=True):
        loaded = checkpoint.load(None if word == SHIPPED else word)
        assert loaded.path is not None
        made = hashlib.sha256(loaded.path.read_bytes()).hexdigest()[:16]
        if content["entries"].get(name, {}).get("sha256") == made:
            continue
        say(f"{name}: {len(chips)} validation chips")
        content["entries"][name] = {"sha256": made} | score(loaded, chips, lpips)
        write_json(path, content)
    return content


@torch.inference_mode()
def score(loaded: Checkpoint, chips: PackedDataset, lpips: Lpips | None = None) -> Scores:
    """Scores one network.

    Args:
        loaded: Its weights.
        chips: Validation chips; Guaíba's before the flood enter the water from radar alone and nothing else.
        lpips: As `validate`.

    Returns:
        `water` (by dataset: IoU at the `best` threshold and at the `stored` one), `wrong_place` (by dataset: IoU at the
        stored threshold `alone` and `beside` the image of another place, over every third chip), `psnr` (by dataset
        and kind of image, dB under DN/3000, pooled over clear pixels) and `lpips` (by dataset, mean over chips).
    """
    network, sees = loaded.model.folded().eval(), loaded.model.config.sees_optical
    water, pictures = ValidationScores(), ValidationScores()
    distances: dict[str, list[float]] = {}
    thresholds: dict[str, float] = {}
    for place, chip in enumerate(_each(chips)):
        dataset = chip.meta.dataset
        if dataset not in thresholds and chip.sar_valid.any():
            thresholds[dataset] = loaded.threshold_for([chip])
        batch, alone = _answer(network, chip, loaded.model.grid, False)
        water.add(alone, _as(batch, dataset))
        if sees and place % WRONG_EVERY == 0 and chip.water is not None:
            _, beside = _answer(network, _elsewhere(chip, chips, place), loaded.model.grid, True)
            water.add(alone, _as(batch, f"{dataset}|alone"))
            water.add(beside, _as(batch, f"{dataset}|beside"))
        if not batch.optical_valid[:, :3].all(1).any() or "_before_" in chip.meta.chip:
            continue
        pictures.add(alone, _as(batch, f"{dataset}|{CUES['none']}"))
        if lpips is not None:
            distances.setdefault(dataset, []).append(_distance(lpips, alone, batch))
        if sees and chip.prior is not None:
            _score_images(network, chip, chips, batch, pictures, loaded.model.grid)

    def wet(name: str) -> float:
        dataset, _, _ = name.partition("|")
        logit = loaded.temperature * float(np.log(thresholds[dataset] / (1 - thresholds[dataset])))
        return round(water.iou(name, logit), 4) if name in water.counts else math.nan

    return {
        "thresholds": thresholds,
        "water": {
            dataset: {"best": round(water.best_iou(dataset), 4), "stored": wet(dataset)}
            for dataset in thresholds
            if not math.isnan(wet(dataset))
        },
        "wrong_place": {
            dataset: {way: wet(f"{dataset}|{way}") for way in ("alone", "beside")}
            for dataset in thresholds
            if not math.isnan(wet(f"{dataset}|beside"))
        },
        "psnr": _by_dataset(pictures),
        "lpips": {dataset: round(float(np.mean(values)), 4) for dataset, values in distances.items()},
    }


def _each(chips: PackedDataset) -> Iterator[Chip]:
    return (chips[place] for place in range(len(chips)))


def _answer(network: Network, chip: Chip, grid: int, sees: bool) -> tuple[Batch, Output]:
    """Gives a chip's batch on the grid, and what the network makes of its radar, with its prior where it sees that."""
    height, width = (-(-side // grid) * grid for side in chip.shape)
    batch = collate([pad(chip, height, width)])
    image = (batch.prior, batch.prior_valid) if sees else ()
    return batch, network(batch.sar, batch.sar_valid, *image)


def _score_images(
    network: Network,
    chip: Chip,
    chips: PackedDataset,
    batch: Batch,
    pictures: ValidationScores,
    grid: int,
) -> None:
    """Scores the pictures of a chip that has an image of another date, with each kind of image."""
    dataset = chip.meta.dataset
    for cue in ("before", "half_cloud", "same_day"):
        _, output = _answer(network, shown(chip, cue), grid, True)
        pictures.add(output, _as(batch, f"{dataset}|{CUES[cue]}"))
        if cue == "before" and (flooded := _flooded(chip, chips)) is not None:
            there = _judged(batch, flooded)
            pictures.add(output, _as(there, f"{dataset}|{FLOODED}"))
    old = replace(output, optical=batch.prior[:, :3])
    there = _judged(batch, batch.prior_valid[0, :3].all(0).numpy())
    pictures.add(old, _as(there, f"{dataset}|{OLD}"))


def _judged(batch: Batch, where: Bool) -> Batch:
    """Gives a batch of one whose picture is judged on a part of it, (H, W) or smaller."""
    mask = torch.zeros(batch.optical_valid.shape[-2:], dtype=torch.bool)
    mask[: where.shape[0], : where.shape[1]] = torch.from_numpy(where)
    return replace(batch, optical_valid=batch.optical_valid & mask)


def _as(batch: Batch, name: str) -> Batch:
    """Gives a batch of one whose scores go under a name."""
    return replace(batch, meta=[replace(batch.meta[0], dataset=name)])


def _flooded(chip: Chip, chips: PackedDataset) -> Bool | None:
    """Gives where a chip is newly flooded; None where the same ground before the flood is not packed."""
    before = chip.meta.chip.replace("_after_", "_before_")
    if before == chip.meta.chip:
        return None
    place = next((i for i, other in enumerate(chips.chips) if other.meta.chip == before), None)
    return None if place is None else newly_flooded(chip, chips[place])


def _elsewhere(chip: Chip, chips: PackedDataset, place: int) -> Chip:
    """Gives a chip with the true picture of the next chip of another event that has one, cut or filled to its size."""
    count = len(chips)
    for step in range(1, count):
        at = (place + 37 * step) % count
        meta = chips.chips[at].meta
        if meta.optical_radiometry and meta.event != chip.meta.event:
            other = chips[at]
            if other.optical_valid is not None and other.optical_valid[:3].any():
                break
    else:
        return chip.with_layers(prior=None, prior_valid=None)
    rows, cols = (min(a, b) for a, b in zip(chip.shape, other.shape, strict=True))
    prior, valid = np.zeros((4, *chip.shape), np.float32), np.zeros((4, *chip.shape), np.bool_)
    assert other.optical is not None
    prior[:, :rows, :cols] = other.optical[:, :rows, :cols]
    valid[:, :rows, :cols] = other.optical_valid[:, :rows, :cols]
    return chip.with_layers(prior=prior, prior_valid=valid)


def _distance(lpips: Lpips, output: Output, batch: Batch) -> float:
    pair = (rescale(layer[:, :3].float(), LPIPS_SCALING) * 2 - 1 for layer in (output.optical, batch.optical))
    return float(lpips(*pair, batch.optical_valid[:, :3].all(1)))


def _by_dataset(pictures: ValidationScores) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for key, value in pictures.compute().items():
        if key.startswith("val/psnr/"):
            dataset, _, kind = key.removeprefix("val/psnr/").partition("|")
            found.setdefault(dataset, {})[kind] = round(value, 3)
    return found
