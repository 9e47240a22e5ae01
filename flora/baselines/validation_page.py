"""Lays validation scores out as a page, a column for each of the weights."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np

from flora.baselines.quality import Scores
from flora.baselines.tables import table

HEAD: Final = """# Validation

This page is written by `flora bench validation` from `benchmarks/results/validation.json`; edit nothing here. What is
chosen is chosen by such figures: they are of {number} packed validation chips, which are not trained on but decide
thresholds, and say nothing of places far from these. Water labels are strong, weak and of an optical index; simulated
places are simulated. Commit {commit}, {machine}."""
WATER: Final = (
    "IoU of water, pooled over a dataset, at its own best threshold and in brackets at the stored one. Guaíba's chips "
    "are of both dates."
)
WRONG: Final = (
    "The same for every third chip at the stored threshold, beside the image of another place, in brackets from radar "
    "alone."
)
PICTURES: Final = (
    "PSNR in dB under DN/3000, pooled over clear pixels; of Guaíba the date after the flood. *The old image itself* is "
    "what copying it has, where it is clear; newly flooded is what the weak labels call water after and land before."
)


def write_page(content: Scores, path: Path) -> None:
    """Writes the scores as Markdown, a column for each of the weights."""
    entries: dict[str, Any] = content["entries"]
    head = HEAD.format(
        number=content["chips"]["number"], commit=content.get("commit"), machine=content.get("machine")
    )
    parts = [head, "## Water from radar alone", WATER, _water(entries)]
    if any(entry["wrong_place"] for entry in entries.values()):
        parts += ["## Water beside an image of another place", WRONG, _wrong_place(entries)]
    parts += ["## Pictures", PICTURES, _pictures(entries)]
    if any(entry["lpips"] for entry in entries.values()):
        parts += ["LPIPS-Alex from radar alone, mean over chips:", _lpips(entries)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _water(entries: dict[str, Any]) -> str:
    rows = [
        [dataset, *(_pair(entry["water"].get(dataset), "best", "stored") for entry in entries.values())]
        for dataset in _keys(entry["water"] for entry in entries.values())
    ]
    means = [np.mean([v["best"] for v in entry["water"].values()]) for entry in entries.values()]
    return _table("dataset", entries, [*rows, ["mean of the best", *(f"{mean:.3f}" for mean in means)]])


def _wrong_place(entries: dict[str, Any]) -> str:
    rows = [
        [
            dataset,
            *(_pair(entry["wrong_place"].get(dataset), "beside", "alone") for entry in entries.values()),
        ]
        for dataset in _keys(entry["wrong_place"] for entry in entries.values())
    ]
    return _table("dataset", entries, rows)


def _pictures(entries: dict[str, Any]) -> str:
    rows = []
    for dataset in _keys(entry["psnr"] for entry in entries.values()):
        for kind in _keys(entry["psnr"].get(dataset, {}) for entry in entries.values()):
            found = (entry["psnr"].get(dataset, {}).get(kind) for entry in entries.values())
            rows.append(
                [f"{dataset}, {kind}", *("–" if value is None else f"{value:.2f}" for value in found)]
            )
    return _table("", entries, rows)


def _lpips(entries: dict[str, Any]) -> str:
    rows = []
    for dataset in _keys(entry["lpips"] for entry in entries.values()):
        found = (entry["lpips"].get(dataset) for entry in entries.values())
        rows.append([dataset, *("–" if value is None else f"{value:.3f}" for value in found)])
    return _table("dataset", entries, rows)


def _keys(found: Iterable[dict[str, Any]]) -> list[str]:
    """Gives the keys of all, in the order in which they first stand."""
    return list(dict.fromkeys(key for one in found for key in one))


def _pair(found: dict[str, float] | None, first: str, second: str) -> str:
    return "–" if found is None else f"{found[first]:.3f} ({found[second]:.3f})"


def _table(corner: str, entries: dict[str, Any], rows: list[list[str]]) -> str:
    return table([corner, *entries], rows)
