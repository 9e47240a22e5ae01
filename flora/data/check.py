"""Checks a dataset on disk against its data sheet: files, bands, units, codes, and that its splits are apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np

from flora.bands import SAR_BANDS
from flora.chip import Chip
from flora.data.dataset import SPLITS, ChipDataset, Record
from flora.data.faults import chip_faults
from flora.data.read import footprint_of
from flora.data.registry import dataset_class
from flora.data.splits import shared_chips, shared_groups, touching_across
from flora.errors import DataError, FloraError

# Under this share of valid pixels two chips may hold the same values without being the same.
SAME_FROM: Final = 0.01
NAMED: Final = 3


@dataclass(slots=True)
class SplitStatistics:
    """What was found in one split; shares are of pixels, medians of the chips' medians.

    Attributes:
        chips: Chips served.
        skipped: Chips left out, with the reason in the notes.
        groups: Places.
        sizes: Height and width found, px.
        invalid: Share of invalid pixels by SAR band; the NaN share.
        decibel: Median by SAR band, dB.
        optical: Share of valid optical pixels; None without optical.
        reflectance: Median of red, green and blue; None without optical.
        labelled: Share of labelled pixels; None without label.
        water: Share of water among labelled pixels; None without label.
    """

    chips: int = 0
    skipped: int = 0
    groups: int = 0
    sizes: list[str] = field(default_factory=list)
    invalid: dict[str, float] = field(default_factory=dict)
    decibel: dict[str, float] = field(default_factory=dict)
    optical: float | None = None
    reflectance: float | None = None
    labelled: float | None = None
    water: float | None = None


@dataclass(slots=True)
class CheckReport:
    """The result of a check.

    Attributes:
        dataset: Name.
        root: Folder.
        splits: Statistics of each split.
        faults: What must be mended, one sentence each.
        notes: What is worth knowing and needs no mending.
    """

    dataset: str
    root: str
    splits: dict[str, SplitStatistics] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True without a fault."""
        return not self.faults

    def rows(self) -> list[tuple[str, ...]]:
        """Gives the table: a row a measure, a column a split."""
        columns = list(self.splits.values())
        measures = {
            "chips": [str(s.chips) for s in columns],
            "skipped": [str(s.skipped) for s in columns],
            "places": [str(s.groups) for s in columns],
            "size, px": [", ".join(s.sizes) or "-" for s in columns],
            **{f"{band} invalid": [_percent(s.invalid.get(band)) for s in columns] for band in SAR_BANDS},
            **{
                f"{band} median, dB": [_number(s.decibel.get(band), 1) for s in columns] for band in SAR_BANDS
            },
            "optical valid": [_percent(s.optical) for s in columns],
            "reflectance median": [_number(s.reflectance, 3) for s in columns],
            "labelled": [_percent(s.labelled) for s in columns],
            "water": [_percent(s.water) for s in columns],
        }
        return [("", *self.splits), *((name, *cells) for name, cells in measures.items())]

    def as_dict(self) -> dict[str, object]:
        """Gives the report as plain values for JSON."""
        return {**asdict(self), "ok": self.ok}

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        lines += [f"note: {note}" for note in self.notes] + [f"FAULT: {fault}" for fault in self.faults]
        verdict = "ok" if self.ok else f"{len(self.faults)} fault(s)"
        return "\n".join([f"{self.dataset} in {self.root}: {verdict}", *(line.rstrip() for line in lines)])


def check(name: str, root: Path | str, limit: int | None = None) -> CheckReport:
    """Reads a dataset and says whether it is what its data sheet says.

    Args:
        name: Dataset.
        root: The dataset's folder.
        limit: Largest number of chips of each split to read, spread evenly; None reads all. Records and splits are
            checked whole in either case.

    Returns:
        The report; a folder that cannot be opened at all is a report with one fault.

    Raises:
        DataError: The name is unknown.
    """
    cls = dataset_class(name)
    report = CheckReport(name, str(root))
    try:
        everything = cls(root, "all")
    except FloraError as error:
        report.faults.append(str(error))
        return report
    report.notes += everything.remarks()
    seen: dict[bytes, tuple[str, str]] = {}
    for split in SPLITS:
        report.splits[split] = _check_split(cls(root, split), limit, report, seen)
    report.faults += skipped_faults(everything)
    if not len(everything):
        report.faults.append(f"has no usable chip; expected some in '{root}'. Complete the download.")
    _check_apart(everything, report)
    return report


def skipped_faults(dataset: ChipDataset) -> list[str]:
    """Names chips that lack a file; chips skipped for what they hold are notes, not faults."""
    missing = [record for record in dataset.skipped if record.skip.startswith("missing")]
    return [f"chip '{record.chip}' is not served: {record.skip}. Fetch it." for record in missing]


def _check_split(
    dataset: ChipDataset, limit: int | None, report: CheckReport, seen: dict[bytes, tuple[str, str]]
) -> SplitStatistics:
    statistics = SplitStatistics(len(dataset), len(dataset.skipped), len({r.group for r in dataset.records}))
    reasons = Counter(record.skip for record in dataset.skipped if not record.skip.startswith("missing"))
    report.notes += [
        f"{count} chip(s) of {dataset.split} skipped: {reason}" for reason, count in reasons.items()
    ]
    count = len(dataset) if limit is None else min(limit, len(dataset))
    chips = []
    for position in np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int)) if count else []:
        record = dataset.records[int(position)]
        try:
            chip = dataset[int(position)]
            report.faults += [
                f"chip '{record.chip}' {fault}." for fault in chip_faults(dataset, record, chip)
            ]
        except FloraError as error:
            report.faults.append(f"chip '{record.chip}' cannot be read: {error}")
            continue
        chips.append(_digest(chip, record, report, seen))
    return _summed(statistics, chips)


def _digest(
    chip: Chip, record: Record, report: CheckReport, seen: dict[bytes, tuple[str, str]]
) -> dict[str, float | str]:
    """Keeps a chip's numbers, and notices the same radar image in two splits."""
    if chip.sar_valid.mean() > SAME_FROM:
        key = blake2b(chip.sar.tobytes(), digest_size=16).digest()
        other, split = seen.setdefault(key, (record.chip, record.split))
        if split != record.split:
            report.faults.append(
                f"chips '{other}' ({split}) and '{record.chip}' ({record.split}) hold the same radar image; expected "
                "no chip in two splits. Remove one."
            )
    numbers: dict[str, float | str] = {"size": f"{chip.shape[0]} x {chip.shape[1]}"}
    for plane, band in enumerate(SAR_BANDS):
        valid = chip.sar_valid[plane]
        numbers[f"invalid {band}"] = 1 - float(valid.mean())
        if valid.any():
            numbers[f"decibel {band}"] = float(np.median(chip.sar[plane][valid]))
    if chip.optical is not None and chip.optical_valid is not None:
        valid = chip.optical_valid[:3]
        numbers["optical"] = float(valid.mean())
        if valid.any():
            numbers["reflectance"] = float(np.median(chip.optical[:3][valid]))
    if chip.water is not None and chip.water_valid is not None:
        numbers |= {"labelled": float(chip.water_valid.mean()), "water": float(chip.water.mean())}
        if not chip.water_valid.any():
            report.notes.append(f"chip '{record.chip}' has no labelled pixel")
    return numbers


def _summed(statistics: SplitStatistics, chips: Sequence[dict[str, float | str]]) -> SplitStatistics:
    columns: dict[str, list[float]] = defaultdict(list)
    for numbers in chips:
        for key, value in numbers.items():
            if not isinstance(value, str):
                columns[key].append(value)
    mean = {key: float(np.mean(values)) for key, values in columns.items()}
    median = {key: float(np.median(values)) for key, values in columns.items()}
    labelled = mean.get("labelled")
    return replace(
        statistics,
        sizes=sorted({str(numbers["size"]) for numbers in chips}),
        invalid={band: mean[f"invalid {band}"] for band in SAR_BANDS if f"invalid {band}" in mean},
        decibel={band: median[f"decibel {band}"] for band in SAR_BANDS if f"decibel {band}" in median},
        optical=mean.get("optical"),
        reflectance=median.get("reflectance"),
        labelled=labelled,
        water=mean["water"] / labelled if labelled else None,
    )


def _check_apart(dataset: ChipDataset, report: CheckReport) -> None:
    """Checks that the splits share no chip, no group and no touching ground."""
    records = [_placed(record) for record in dataset.records]
    if chips := shared_chips(records):
        report.faults.append(
            f"lists {_some(chips)} more than once; expected each chip once. Remove the repeats."
        )
    if groups := shared_groups(records):
        report.faults.append(f"has {_some(groups)} in two splits; expected each place in one. Move it whole.")
    if pairs := touching_across(records):
        named = _some([f"'{first}' and '{second}'" for first, second in pairs], quoted=True)
        if dataset.official_split:
            report.notes.append(f"the published split parts {len(pairs)} pair(s) of touching chips: {named}")
        else:
            report.faults.append(f"has touching chips in two splits: {named}; expected neighbours together.")
    placed = sum(record.footprint is not None for record in records)
    if placed < len(records):
        report.notes.append(
            f"{len(records) - placed} of {len(records)} chips have no place: touching is not checked"
        )


def _placed(record: Record) -> Record:
    """Adds the footprint of a georeferenced chip that has none."""
    path = record.files.get("sar", record.files.get("vv"))
    if record.footprint is not None or path is None or path.suffix != ".tif" or not path.exists():
        return record
    try:
        return replace(record, footprint=footprint_of(path))
    except DataError:
        return record


def _some(names: Sequence[str], quoted: bool = False) -> str:
    shown = [name if quoted else f"'{name}'" for name in names[:NAMED]]
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(shown) + rest


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
