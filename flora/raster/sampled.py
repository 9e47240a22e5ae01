"""Judging what SAR values mean from a sample of them, where neither the user nor the file says it.

The rule, in this order, on valid values other than 0 (medians over both bands together where not said otherwise):

1. More than 5 % are negative: dB. Power and amplitude are never negative.
2. The median is above 5: not calibrated backscatter, but digital numbers, grey levels or values with a hidden factor.
   No scene has 7 dB at its median. That is an error, as a wrong guess would give a plausible and worthless map.
3. Read as power, 3 x VH - 2 x VV (medians, dB) is above -22.5: amplitude; else power. Land, forest, towns and water
   all have VH some 5 to 8 dB below VV and below -14 dB, so that power gives -24 or less; amplitude read as power has
   every dB halved and gives -21 or more. (The 26 real scenes and chips this was set on: power -41 to -24.9, amplitude
   -20.5 to -12.4.)

A factor hidden in dB values (dB x 100) shows as many different values below -60, and is the same error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.bands import DB_RANGE
from flora.errors import InputError
from flora.raster.file import RasterFile
from flora.raster.polarisation import Layer
from flora.raster.radiometry import Quantity, Radiometry, to_db

NEGATIVE_SHARE: Final = 0.05
LARGEST_MEDIAN: Final = 5.0
AMPLITUDE_ABOVE: Final = -22.5

# VH above VV by more than this, medians in dB, is no scene: noise alone gives 0, and the real scenes of the rule have
# -11 to -4.
LARGEST_VH_OVER_VV: Final = 2.0

# What a declared scale must leave: a median that a scene may have, dB, and no power that is lost in dB values. Power
# from which noise was taken off may be a little below 0, dB values mostly are below this.
LARGEST_MEDIAN_DB: Final = 7.0
LEAST_POWER: Final = -1.0

# Zeros of dB values are fill, whatever else a file declares, where this share of them stand in both bands at once and
# this share of the scene does so: measured or clipped ones meet by chance (3 % of them in a scene clipped at 0 dB).
ZEROS_IN_PAIRS: Final = 0.9
ZEROS_AT_LEAST: Final = 0.001

# 25 windows of 128 px spread over the scene: at most 25 blocks are decoded, and each ground cover has its chance.
GRID: Final = 5
WINDOW: Final = 128

# What is said where there is nothing to judge by.
NOTHING_TO_JUDGE: Final = "no pixel has a value to judge by"

# A fill value that nobody declared is one value, many times; a factor such as dB x 100 gives many.
FEW_VALUES: Final = 8


def judge(layers: dict[str, Layer]) -> tuple[Radiometry, str]:
    """Tells dB, power and amplitude apart by their values.

    Args:
        layers: VV and VH.

    Returns:
        The radiometry, and a sentence that says by what it was recognised.

    Raises:
        InputError: The values are no calibrated backscatter.
    """
    samples = {name: sample_of(layer) for name, layer in layers.items()}
    values = np.concatenate(list(samples.values()))
    if _has_factor(values):
        raise _implausible(layers, values)
    values = values[values >= DB_RANGE[0]]
    if values.size == 0:
        return Radiometry("db"), f"Read as dB: {NOTHING_TO_JUDGE}"
    negative, median = float(np.mean(values < 0)), float(np.median(values))
    if negative > NEGATIVE_SHARE:
        return Radiometry(
            "db"
        ), f"Read as dB: the file does not say, but {negative * 100:.0f} % of its values are negative"
    if median > LARGEST_MEDIAN:
        raise _implausible(layers, values)
    contrast = _contrast(samples["VV"], samples["VH"])
    quantity: Quantity = "amplitude" if contrast > AMPLITUDE_ABOVE else "power"
    side = "above" if quantity == "amplitude" else "not above"
    return Radiometry(quantity), (
        f"Read as {quantity}: the file does not say, but its values are not negative and 3 VH - 2 VV of their medians "
        f"is {contrast:.1f} dB, {side} {AMPLITUDE_ABOVE} (say otherwise with --scale)"
    )


def contradiction(layers: dict[str, Layer], radiometry: dict[str, Radiometry]) -> str:
    """Says what in the values speaks against a declared scale.

    Args:
        layers: VV and VH.
        radiometry: What each is declared to hold.

    Returns:
        What follows "but", such as `the median of its values would be 31.2 dB`; empty where nothing speaks against it.
    """
    samples = {name: sample_of(layer) for name, layer in layers.items()}
    values = np.concatenate(list(samples.values()))
    # Judged by the numbers themselves only where they are not multiplied.
    is_db = all(each.quantity == "db" for each in radiometry.values())
    if is_db and all(each.factor == 1 for each in radiometry.values()) and _has_factor(values):
        return f"{np.mean(values < DB_RANGE[0]) * 100:.0f} % of its values are below {DB_RANGE[0]:g}"
    values = values[values >= DB_RANGE[0]]  # without the fill that nobody declared
    if values.size == 0:
        return ""
    if is_db and np.mean(values < 0) <= NEGATIVE_SHARE:
        return f"{np.mean(values >= 0) * 100:.0f} % of its values are not negative"
    low = float(np.mean(values < LEAST_POWER))
    if low > 0.5 and not any(each.quantity == "db" for each in radiometry.values()):
        return f"{low * 100:.0f} % of its values are below {LEAST_POWER:g}"
    decibel = np.concatenate([_decibel(sample, radiometry[name]) for name, sample in samples.items()])
    median = float(np.median(decibel)) if decibel.size else 0.0
    return f"the median of its values would be {median:.1f} dB" if median > LARGEST_MEDIAN_DB else ""


def require_order(layers: dict[str, Layer], radiometry: dict[str, Radiometry]) -> None:
    """Checks that bands which only their order tells are not the other way round, as SNAP exports them.

    Swapped power reads as amplitude, which is why it would go unseen; VH stays the brighter one either way.

    Args:
        layers: VV and VH, as their order suggests.
        radiometry: What their values were found to be.

    Raises:
        InputError: VH is clearly brighter than VV.
    """
    medians = {name: _median_db(layer, radiometry[name]) for name, layer in layers.items()}
    if medians["VH"] - medians["VV"] > LARGEST_VH_OVER_VV:
        raise InputError(
            f"{layers['VV'].file.name} does not name its bands, and band {layers['VH'].band.index} is clearly brighter "
            f"than band {layers['VV'].band.index}; VV, VH was expected, of which VH is the darker one, so that they "
            "look swapped. Pass --bands VH,VV (or --bands VV,VH if they are not)."
        )


def _has_factor(values: NDArray[np.float64]) -> bool:
    """Says whether most values are too low for dB and no fill, as dB x 100 is."""
    low = values < DB_RANGE[0]
    return bool(low.sum() > values.size / 2 and np.unique(values[low]).size > FEW_VALUES)


def zeros_are_fill(layers: dict[str, Layer]) -> bool:
    """Says whether exact zeros among dB values come in both bands or not at all, as a border does that nobody declared.

    Args:
        layers: VV and VH, on one grid.
    """
    both = either = seen = 0
    for rows, columns in spread_windows(layers["VV"].file):
        read = [layer.file.read(layer.band.index, rows, columns) for layer in layers.values()]
        vv, vh = ((values == 0) & valid for values, valid in read)
        both, either, seen = both + int((vv & vh).sum()), either + int((vv | vh).sum()), seen + vv.size
    return both >= ZEROS_AT_LEAST * seen and both >= ZEROS_IN_PAIRS * either and both > 0


def _median_db(layer: Layer, radiometry: Radiometry) -> float:
    """Gives the median of a sample of a band, dB; NaN where no value of it can be used."""
    decibel = _decibel(sample_of(layer), radiometry)
    return float(np.median(decibel)) if decibel.size else float("nan")


def _decibel(sample: NDArray[np.float64], radiometry: Radiometry) -> NDArray[np.float32]:
    """Gives the values of a sample that can be used, dB."""
    decibel = to_db(sample, np.ones(sample.shape, bool), radiometry)
    return decibel[np.isfinite(decibel)]


def _contrast(vv: NDArray[np.float64], vh: NDArray[np.float64]) -> float:
    """Gives 3 VH - 2 VV of the medians in dB, as if the values were power; very low where a band has none."""
    medians = [float(np.median(band[band > 0])) if (band > 0).any() else None for band in (vv, vh)]
    if medians[0] is None or medians[1] is None:
        return -np.inf
    return float(30 * np.log10(medians[1]) - 20 * np.log10(medians[0]))


def spread_windows(file: RasterFile) -> Iterator[tuple[slice, slice]]:
    """Gives windows spread evenly over a file."""
    height, width = min(WINDOW, file.height), min(WINDOW, file.width)
    for row in _starts(file.height, height):
        for column in _starts(file.width, width):
            yield slice(row, row + height), slice(column, column + width)


def _starts(length: int, size: int) -> list[int]:
    """Gives where up to `GRID` windows of one size begin along one axis."""
    return sorted({int(start) for start in np.linspace(0, length - size, GRID)})


def sample_of(layer: Layer) -> NDArray[np.float64]:
    """Gives valid values other than 0 of a band, from spread windows, else from the first block that has any."""
    spread = [_values(layer, *window) for window in spread_windows(layer.file)]
    found = np.concatenate(spread)
    return (
        found
        if found.size
        else next((v for w in _blocks(layer.file) if (v := _values(layer, *w)).size), found)
    )


def _values(layer: Layer, rows: slice, columns: slice) -> NDArray[np.float64]:
    """Gives the valid values other than 0 of one window, as a list."""
    values, valid = layer.file.read(layer.band.index, rows, columns)
    kept: NDArray[np.float64] = values[valid & (values != 0)].astype(np.float64)
    return kept


def _blocks(file: RasterFile, size: int = 1024) -> Iterable[tuple[slice, slice]]:
    """Gives windows that cover a file."""
    for row in range(0, file.height, size):
        for column in range(0, file.width, size):
            yield slice(row, min(row + size, file.height)), slice(column, min(column + size, file.width))


def _implausible(layers: dict[str, Layer], values: NDArray[np.float64]) -> InputError:
    """Says that the values are no backscatter that can be recognised."""
    first = next(iter(layers.values()))
    return InputError(
        f"{first.file.name} holds {first.band.dtype} values with median {np.median(values):.4g} and does not say what "
        "they are; FLoRA needs calibrated sigma0 or gamma0 as dB, power or amplitude. Calibrate the product, or state "
        "the scale and factor with --scale, such as 'power x 10000'."
    )
