"""What can be wrong with one chip, each found by its own small test and said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.bands import SAR_BANDS
from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.read import opened

# Real chips of every dataset lie well inside these.
POSITIVE_SHARE: Final = 0.5
DARKEST_MEDIAN: Final = -50.0
FAINTEST_REFLECTANCE: Final = 0.002
BRIGHTEST_REFLECTANCE: Final = 1.6


def chip_faults(dataset: ChipDataset, record: Record, chip: Chip) -> Iterator[str]:
    """Names what is wrong with a chip that could be read.

    Args:
        dataset: Where it comes from; says which bands, codes and size to expect.
        record: Its files.
        chip: The chip as read.

    Yields:
        One sentence a fault.
    """
    if dataset.size is not None and chip.shape != dataset.size:
        yield f"is {chip.shape[0]} x {chip.shape[1]} px; expected {dataset.size[0]} x {dataset.size[1]}"
    yield from _sar_faults(dataset, chip)
    yield from _optical_faults(chip)
    yield from _label_faults(dataset, record)
    if dataset.aligned:
        yield from _grid_faults(record)


def _sar_faults(dataset: ChipDataset, chip: Chip) -> Iterator[str]:
    expected = [SAR_BANDS.index(band) for band in dataset.sar_bands]
    if not chip.sar_valid[expected].any():
        yield "has no valid SAR pixel; expected some, or a record that says why it is skipped"
        return
    medians = {}
    for plane in expected:
        values = chip.sar[plane][chip.sar_valid[plane]]
        band = SAR_BANDS[plane]
        if not values.size:
            yield f"has no valid pixel in {band}; expected {' and '.join(dataset.sar_bands)}"
            continue
        medians[band] = float(np.median(values))
        if values.size > 1 and values.min() == values.max():
            yield f"has the same value {values[0]:g} dB everywhere in {band}; expected backscatter"
        elif chip.meta.sar_radiometry == "calibrated" and np.mean(values > 0) > POSITIVE_SHARE:
            yield f"has a median of {medians[band]:.3g} in {band}: linear power or amplitude; expected dB"
        elif medians[band] < DARKEST_MEDIAN:
            yield f"has a median of {medians[band]:.3g} dB in {band}; expected more than {DARKEST_MEDIAN:g}"
    both = chip.sar_valid.all(axis=0)
    if len(medians) == 2 and chip.meta.sar_radiometry == "calibrated" and both.any():
        ratio = float(np.median(chip.sar[0][both] - chip.sar[1][both]))
        if ratio < 0:
            yield f"has VH brighter than VV by {-ratio:.1f} dB (median); expected the reverse: the bands are swapped"


def _optical_faults(chip: Chip) -> Iterator[str]:
    for name, layer, valid in (
        ("optical", chip.optical, chip.optical_valid),
        ("prior", chip.prior, chip.prior_valid),
    ):
        if layer is None or valid is None or not valid[:3].any():
            continue
        median = float(np.median(layer[:3][valid[:3]]))
        if median < FAINTEST_REFLECTANCE or median > BRIGHTEST_REFLECTANCE:
            yield f"has a median {name} reflectance of {median:.3g}; expected 0.01 to 1: the scale is another"


def _label_faults(dataset: ChipDataset, record: Record) -> Iterator[str]:
    label = dataset.read_label(record)
    if label is None:
        return
    unknown = sorted({int(code) for code in np.unique(label)} - set(dataset.label_codes))
    if unknown:
        codes = ", ".join(map(str, unknown[:5]))
        yield f"has label values {codes}; expected only {', '.join(map(str, dataset.label_codes))}"


def _grid_faults(record: Record) -> Iterator[str]:
    """Compares shape, place and coordinate system of a chip's rasters with those of its SAR."""
    rasters = {layer: path for layer, path in record.files.items() if path.suffix == ".tif"}
    grids = {}
    for layer, path in rasters.items():
        with opened(path) as source:
            grids[layer] = (source.shape, source.crs, np.array(source.transform[:6]), path.name)
    if not grids:
        return
    first, (shape, crs, transform, name) = next(iter(grids.items()))
    for layer, (other_shape, other_crs, other_transform, other_name) in grids.items():
        if other_shape != shape:
            yield f"has '{other_name}' of {_by(other_shape)} px; expected {_by(shape)} as '{name}'"
        elif other_crs != crs or not _close(transform, other_transform):
            yield f"has {layer} on another grid than {first} ('{other_name}', '{name}'); expected one place and CRS"


def _close(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Says whether two transforms agree within a hundredth of a pixel."""
    return bool(np.all(np.abs(first - second) <= 0.01 * np.abs(first[0])))


def _by(shape: tuple[int, int]) -> str:
    return f"{shape[0]} x {shape[1]}"
