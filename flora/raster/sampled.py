"""Judging what SAR values mean from a sample of them, where neither the user nor the file says it.

The rule, in this order:

1. More than 5 % of the values are negative: dB. Power and amplitude have no negative values.
2. Integers, or a median above 10: amplitude. Power of 10 is 10 dB, which no scene has at its median.
3. Otherwise: power.

A scene of calibrated backscatter has its median between -50 and 15 dB. Where the rule gives another one, the values
are something else (digital numbers that were never calibrated, a picture in grey levels, a hidden factor), and a
wrong guess would give a plausible and worthless map: that is an error which asks the user.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.errors import InputError
from flora.raster.file import RasterFile
from flora.raster.polarisation import Layer
from flora.raster.radiometry import DB_RANGE, Radiometry, to_db

NEGATIVE_SHARE: Final = 0.05
LARGEST_POWER_MEDIAN: Final = 10.0
PLAUSIBLE_MEDIAN_DB: Final = (-50.0, 15.0)

# 25 windows of 128 px spread over the scene: at most 25 blocks are decoded, and each ground cover has its chance.
GRID: Final = 5
WINDOW: Final = 128

# A fill value that nobody declared is one value, many times; a factor such as dB x 100 gives many.
FEW_VALUES: Final = 8


def judge(layers: Sequence[Layer]) -> tuple[Radiometry, str]:
    """Tells dB, amplitude and power apart by their values.

    Args:
        layers: The bands that nothing is declared of; they are judged together.

    Returns:
        The radiometry, and a sentence that says by what it was recognised.

    Raises:
        InputError: The values are no calibrated backscatter.
    """
    sample = np.concatenate([sample_of(layer) for layer in layers])
    if sample.size == 0:
        return Radiometry("db"), "Read as dB: no pixel has a value to judge by"
    usable = sample[sample >= DB_RANGE[0]]
    beyond = sample[sample < DB_RANGE[0]]
    if beyond.size > sample.size / 2 and np.unique(beyond).size > FEW_VALUES:
        raise _implausible(layers, sample)
    if usable.size == 0:
        return Radiometry("db"), "Read as dB: no pixel has a value to judge by"
    negative, median = float(np.mean(usable < 0)), float(np.median(usable))
    integers = all(np.issubdtype(np.dtype(layer.band.dtype), np.integer) for layer in layers)
    if negative > NEGATIVE_SHARE:
        found, why = Radiometry("db"), f"{negative * 100:.0f} % of its values are negative"
    elif integers or median > LARGEST_POWER_MEDIAN:
        found, why = Radiometry("amplitude"), f"its values are not negative and large (median {median:.3g})"
    else:
        found, why = Radiometry("power"), f"its values are not negative and small (median {median:.3g})"
    low, high = PLAUSIBLE_MEDIAN_DB
    decibel = to_db(np.array([median]), np.array([True]), found)[0]
    if not low <= decibel <= high:
        raise _implausible(layers, usable)
    return found, f"Read as {found}: the file does not say, but {why}"


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


def _implausible(layers: Sequence[Layer], sample: NDArray[np.float64]) -> InputError:
    """Says that the values are no backscatter that can be recognised."""
    return InputError(
        f"{layers[0].file.name} holds {layers[0].band.dtype} values with median {np.median(sample):.4g} and does not "
        "say what they are; FLoRA needs calibrated sigma0 or gamma0 as dB, power or amplitude. Calibrate the product, "
        "or state the scale and factor with --scale, such as 'power x 10000'."
    )
