"""Random fields that are pure functions of a seed and of absolute pixel coordinates.

A scene of any size is never drawn as a whole: each part asks for the random numbers of its own coordinates, and two
parts that overlap get the same ones. Numbers come from an integer hash; smooth fields are cubic B-splines over hashed
lattices, whose variance hardly depends on the position inside a lattice cell, so that no grid shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Field = NDArray[np.float32]
Hashes = NDArray[np.uint32]
Integers = NDArray[np.int64] | NDArray[np.int32]

# Mean over a cell of the sum of squared cubic B-spline weights: the standard deviation of a two-dimensional field of
# independent unit normal lattice values.
SPLINE_STD: Final = 0.4794

# Quantiles of the normal distribution at the middles of 4096 equal steps: 12 bits of a hash become a normal number.
NORMAL_BITS: Final = 12
NORMAL: Final[Field] = ndtri((np.arange(1 << NORMAL_BITS) + 0.5) / (1 << NORMAL_BITS)).astype(np.float32)
NORMAL.setflags(write=False)


@dataclass(frozen=True, slots=True)
class Grid:
    """Sample points on the infinite plane of pixels: every `step` pixels from (row, col).

    Attributes:
        row: Absolute row of the first sample, px.
        col: Absolute column of the first sample, px.
        height: Number of samples down.
        width: Number of samples across.
        step: Distance of samples, px.
    """

    row: int
    col: int
    height: int
    width: int
    step: int = 1

    @property
    def rows(self) -> NDArray[np.float64]:
        """Absolute rows of the samples, px, (height,)."""
        return self.row + self.step * np.arange(self.height, dtype=np.float64)

    @property
    def cols(self) -> NDArray[np.float64]:
        """Absolute columns of the samples, px, (width,)."""
        return self.col + self.step * np.arange(self.width, dtype=np.float64)

    def shrunk(self, px: int) -> Grid:
        """The grid without its outer `px` samples on each side."""
        move = px * self.step
        return Grid(self.row + move, self.col + move, self.height - 2 * px, self.width - 2 * px, self.step)

    def coarse(self, step: int) -> Grid:
        """The grid of every `step`-th pixel, with one sample more on each axis so that it encloses this grid."""
        return Grid(self.row, self.col, self.height // step + 1, self.width // step + 1, self.step * step)


def scramble(values: Hashes) -> Hashes:
    """Turns each number into another that looks unrelated, in place.

    Source: the 32-bit finaliser `lowbias32` (Wellons, "Prospecting for Hash Functions", 2018).
    """
    values ^= values >> np.uint32(16)
    values *= np.uint32(0x7FEB352D)
    values ^= values >> np.uint32(15)
    values *= np.uint32(0x846CA68B)
    values ^= values >> np.uint32(16)
    return values


def stir(seed: int, *keys: int) -> int:
    """Derives a seed of 32 bits from a seed and further whole numbers."""
    state = seed & 0xFFFFFFFF
    for key in (*keys, 0):
        state = (state * 0x9E3779B9 + key) & 0xFFFFFFFF
        state ^= state >> 16
        state = state * 0x7FEB352D & 0xFFFFFFFF
        state ^= state >> 15
        state = state * 0x846CA68B & 0xFFFFFFFF
        state ^= state >> 16
    return state


def hash_grid(seed: int, rows: Integers, cols: Integers) -> Hashes:
    """Gives a random 32-bit number for each (row, column).

    Args:
        seed: Any whole number.
        rows: Whole row numbers, (height,), negative allowed.
        cols: Whole column numbers, (width,).

    Returns:
        (height, width), uint32.
    """
    down = scramble(rows.astype(np.uint32) + np.uint32(stir(seed, 1)))
    across = scramble(cols.astype(np.uint32) ^ np.uint32(stir(seed, 2)))
    return scramble(down[:, None] + across[None, :])


def hash_keys(seed: int, *keys: Integers | Hashes) -> Hashes:
    """Gives a random 32-bit number for each element of equally shaped arrays of whole numbers."""
    state = keys[0].astype(np.uint32) + np.uint32(stir(seed, 3))
    for key in keys[1:]:
        scramble(state)
        state += key.astype(np.uint32)
    return scramble(state)


def uniform(hashes: Hashes, shift: int = 0) -> Field:
    """Turns hashes into numbers in [0, 1); another `shift` gives numbers that hardly depend on the first."""
    turned = hashes if shift == 0 else (hashes << np.uint32(shift)) | (hashes >> np.uint32(32 - shift))
    return (turned >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def normal(hashes: Hashes, part: int = 0) -> Field:
    """Turns hashes into standard normal numbers; parts 0 and 1 of one hash are independent."""
    bits = hashes >> np.uint32(32 - NORMAL_BITS) if part == 0 else hashes & np.uint32((1 << NORMAL_BITS) - 1)
    drawn: Field = NORMAL[bits]
    return drawn


def spline_weights(positions: NDArray[np.float64]) -> tuple[Field, Integers]:
    """Gives cubic B-spline weights of lattice points for positions between them.

    Args:
        positions: In lattice cells, ascending, (n,).

    Returns:
        Weights (n, m) and the m whole lattice coordinates that they belong to.
    """
    cell = np.floor(positions).astype(np.int64)
    t = (positions - cell).astype(np.float32)
    lattice = np.arange(cell[0] - 1, cell[-1] + 3)
    weights = np.zeros((len(positions), len(lattice)), np.float32)
    every, first = np.arange(len(positions)), cell - cell[0]
    weights[every, first] = (1 - t) ** 3 / 6
    weights[every, first + 1] = 2 / 3 - t * t * (1 - t / 2)
    weights[every, first + 2] = 2 / 3 - (1 - t) * (1 - t) * (1 + t) / 2
    weights[every, first + 3] = t * t * t / 6
    return weights, lattice


def smooth(seed: int, grid: Grid, wavelength: float) -> Field:
    """Gives a smooth random field of mean 0 and standard deviation 1.

    Args:
        seed: Names the field.
        grid: Where it is asked for.
        wavelength: Spacing of its lattice, px; features are about 2.5 times as long.

    Returns:
        (height, width).
    """
    offset = stir(seed, 4) / 2**32  # fields of one wavelength do not share lattice points
    down, rows = spline_weights(grid.rows / wavelength + offset)
    across, cols = spline_weights(grid.cols / wavelength + offset)
    lattice = normal(hash_grid(seed, rows, cols))
    field: Field = down @ (lattice / np.float32(SPLINE_STD)) @ across.T
    return field


def fractal(seed: int, grid: Grid, wavelength: float, octaves: int, gain: float = 0.5) -> Field:
    """Sums smooth fields of shrinking wavelength to mean 0 and standard deviation 1.

    Args:
        seed: Names the field.
        grid: Where it is asked for.
        wavelength: Lattice spacing of the first octave, px; each next one is shorter by 1.93.
        octaves: How many.
        gain: Amplitude of an octave over the one before.

    Returns:
        (height, width).
    """
    total = smooth(stir(seed, 0), grid, wavelength)
    for octave in range(1, octaves):  # 1.93: no common multiples, so no common grid lines
        total += np.float32(gain**octave) * smooth(stir(seed, octave), grid, wavelength / 1.93**octave)
    return total / np.float32(np.sqrt(sum(gain ** (2 * octave) for octave in range(octaves))))


def enlarge(field: Field, step: int) -> Field:
    """Interpolates a coarse field linearly to full resolution.

    Args:
        field: Samples every `step` pixels that enclose the result, (h + 1, w + 1).
        step: Pixels between samples.

    Returns:
        (h * step, w * step).
    """
    part = (np.arange(step) / step).astype(np.float32)
    wide = field[:, :-1, None] + (field[:, 1:] - field[:, :-1])[:, :, None] * part
    wide = wide.reshape(field.shape[0], -1)
    tall = (wide[1:] - wide[:-1])[:, None, :] * part[:, None]
    tall += wide[:-1, None, :]
    return tall.reshape(-1, wide.shape[1])


def white(seed: int, grid: Grid) -> tuple[Field, Field]:
    """Gives two independent fields of independent standard normal numbers, each (height, width)."""
    hashes = hash_grid(seed, grid.rows.astype(np.int64), grid.cols.astype(np.int64))
    return normal(hashes), normal(hashes, part=1)


def blur(field: Field, side: float) -> Field:
    """Convolves with [side, 1, side] on both axes, normalised to sum 1.

    Args:
        field: (H, W).
        side: Weight of a neighbour over that of the middle.

    Returns:
        What the filter covers whole, (H - 2, W - 2).
    """
    tall = field[2:] + field[:-2]
    tall *= np.float32(side)
    tall += field[1:-1]
    wide = tall[:, 2:] + tall[:, :-2]
    wide *= np.float32(side)
    wide += tall[:, 1:-1]
    wide *= np.float32(1 / (1 + 2 * side) ** 2)
    return wide


def ramp(field: Field, low: float, high: float) -> Field:
    """Rises smoothly from 0 at `low` to 1 at `high` (3 t² − 2 t³)."""
    t: Field = field - np.float32(low)
    t *= np.float32(1 / (high - low))
    np.clip(t, 0, 1, out=t)
    t *= t * (3 - 2 * t)
    return t


def weighted(fields: Sequence[tuple[float, Field]]) -> Field:
    """Sums fields, each times its weight."""
    total = np.float32(fields[0][0]) * fields[0][1]
    for weight, field in fields[1:]:
        total = total + np.float32(weight) * field
    return total
