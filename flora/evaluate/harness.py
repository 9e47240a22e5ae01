"""Runs a predictor over chips and scores it: the same path for the network, a threshold and a constant."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from flora.chip import Chip, ChipMeta, collate, pad
from flora.errors import DataError
from flora.evaluate.picture import Gallery
from flora.evaluate.predictor import Prediction, Predictor
from flora.evaluate.report import Level, Report, Row
from flora.metrics import Lpips, Meter
from flora.metrics.bootstrap import interval, resampling_weights
from flora.metrics.summary import Statistics, summarize, total

Unit = Literal["events", "chips"]
ReferenceWater = Callable[[Chip], NDArray[np.bool_] | None]


def evaluate(
    predictor: Predictor,
    chips: Iterable[Chip],
    threshold: float,
    *,
    name: str = "",
    grid: int = 1,
    margin: int = 0,
    lpips: Lpips | bool | None = True,
    reference_water: ReferenceWater | None = None,
    tolerance: int = 2,
    unit: Unit = "events",
    resamples: int = 1000,
    seed: int = 0,
    pictures: int = 3,
) -> Report:
    """Scores a predictor over chips of any sizes, one by one.

    A pixel is judged where its truth is valid and at least one SAR band is: where the radar saw nothing there is no
    answer to judge, and products hold no-data.

    Args:
        predictor: What to score.
        chips: At least one; read once, in order.
        threshold: Water is where probability >= threshold; chosen beforehand on validation.
        name: What the predictor is called in the report.
        grid: Chips are padded with invalid pixels to a multiple of it, px, and answers cropped back.
        margin: Invalid pixels around each chip, px, a multiple of `grid`: the plane that a scene lies in. Give
            `model.margin` to score exactly what `flora predict` writes.
        lpips: True loads LPIPS over AlexNet, False leaves it out.
        reference_water: Gives a chip's always or seasonally wet pixels, (H, W), or None where not known; for the
            flood-only figures.
        tolerance: Shoreline tolerance, px.
        unit: What the bootstrap draws; a row with a single event draws its chips.
        resamples: Draws of the bootstrap.
        seed: Of the bootstrap and of the choice of pictures.
        pictures: Chips of each event that are kept for the PNG grid.

    Returns:
        Rows for everything, each dataset and each event.

    Raises:
        DataError: There are no chips, or the predictor's answer has another shape, NaN, or no probabilities.
        CheckpointError: LPIPS is wanted and its weights are missing.
    """
    if isinstance(lpips, bool):
        lpips = Lpips.load() if lpips else None
    meter = Meter(threshold, lpips=lpips, tolerance=tolerance)
    gallery = Gallery(pictures, seed)
    metas: list[ChipMeta] = []
    for chip in chips:
        truth = collate([answerable(chip)])
        answer = answer_chip(predictor, chip, grid, margin)
        reference = None if reference_water is None else reference_water(chip)
        wet = None if reference is None else torch.from_numpy(reference).unsqueeze(0)
        meter.update(answer.probability, answer.optical, truth, wet, answer.spread)
        gallery.offer(truth, answer, threshold)
        metas.append(chip.meta)
    statistics = meter.statistics
    rows = [
        _row(
            level, [metas[i] for i in members], _subset(statistics, members), threshold, unit, resamples, seed
        )
        for level, members in _groups(metas)
    ]
    return Report(
        name=name, rows=rows, gallery=gallery, resamples=resamples, seed=seed, totals=total(statistics)
    )


def answerable(chip: Chip) -> Chip:
    """Gives the chip with its truths invalid where no SAR band is valid."""
    seen = chip.sar_valid.any(axis=0)
    masks = {f"{layer}_valid": getattr(chip, f"{layer}_valid") for layer in ("optical", "water")}
    return chip.with_layers(**{name: mask & seen for name, mask in masks.items() if mask is not None})


def answer_chip(predictor: Predictor, chip: Chip, grid: int = 1, margin: int = 0) -> Prediction:
    """Asks for one chip's answer, padded with invalid pixels before and cropped after.

    Args:
        predictor: Whom to ask.
        chip: Of any size.
        grid: The padded size is a multiple of it, px.
        margin: Invalid pixels on each side, px.

    Returns:
        The answer on the chip's own grid, batch of one.

    Raises:
        DataError: The answer is not on the grid that was asked for.
    """
    height, width = (-(-(side + 2 * margin) // grid) * grid for side in chip.shape)
    batch = collate([pad(chip, height, width, margin)])
    answer = predictor(batch)
    size = tuple(batch.sar.shape[-2:])
    for layer in (answer.probability, answer.optical, answer.spread):
        if layer is not None and tuple(layer.shape[-2:]) != size:
            raise DataError(
                f"Chip '{chip.meta.chip}' was asked as {size[0]} x {size[1]} px and answered with shape "
                f"{tuple(layer.shape)}; expected the same height and width."
            )
    height, width = chip.shape
    rows, columns = slice(margin, margin + height), slice(margin, margin + width)
    layers = (answer.probability, answer.optical, answer.spread)
    return Prediction(*(None if layer is None else layer[..., rows, columns].cpu() for layer in layers))


def _groups(metas: Sequence[ChipMeta]) -> list[tuple[Level, list[int]]]:
    """Lists the rows of the report: everything, each dataset, each event, in order of appearance."""
    keys: list[tuple[Level, Callable[[ChipMeta], Hashable]]] = [
        ("overall", lambda meta: ""),
        ("dataset", lambda meta: meta.dataset),
        ("event", lambda meta: (meta.dataset, meta.event)),
    ]
    groups: dict[tuple[Level, Hashable], list[int]] = {}
    for level, key in keys:
        for index, meta in enumerate(metas):
            groups.setdefault((level, key(meta)), []).append(index)
    return [(level, members) for (level, _), members in groups.items()]


def _subset(statistics: Statistics, members: Sequence[int]) -> Statistics:
    return {name: values[list(members)] for name, values in statistics.items()}


def _row(
    level: Level,
    metas: Sequence[ChipMeta],
    statistics: Statistics,
    threshold: float,
    unit: Unit,
    resamples: int,
    seed: int,
) -> Row:
    """Computes one row's figures and their intervals."""
    figures = {name: float(value[0]) for name, value in summarize(total(statistics)).items()}
    events = [(meta.dataset, meta.event) for meta in metas]
    by_event = unit == "events" and len(set(events)) > 1
    units: Sequence[Hashable] = events if by_event else range(len(metas))
    intervals = {}
    if len(set(units)) > 1:
        weights = resampling_weights(units, resamples, seed)
        intervals = {key: interval(draws) for key, draws in summarize(total(statistics, weights)).items()}
    return Row(
        level=level,
        data=_words(meta.dataset for meta in metas),
        event=metas[0].event if level == "event" else "all",
        split=_words(meta.split for meta in metas),
        water_label=_words(meta.water_label for meta in metas),
        radiometry=_words(meta.optical_radiometry for meta in metas),
        simulated=any(meta.simulated for meta in metas),
        chips=len(metas),
        water_chips=int(statistics["water_chips"].sum()),
        optical_chips=int(statistics["optical_chips"].sum()),
        events=len(set(events)),
        threshold=threshold,
        figures=figures,
        # One of no width (or NaN) tells that a single unit had anything to judge, not that the figure is sure.
        intervals={key: ends for key, ends in intervals.items() if ends[0] < ends[1]},
        resampled="events" if by_event else "chips",
    )


def _words(values: Iterable[str]) -> str:
    """Joins distinct words in order of appearance."""
    return ", ".join(dict.fromkeys(value for value in values if value))
