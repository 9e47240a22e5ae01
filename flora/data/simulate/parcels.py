"""The patchwork of the land: parishes, each with its own field directions, and the fields and blocks within."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flora.data.simulate.network import STEP
from flora.data.simulate.noise import (
    Field,
    Grid,
    Hashes,
    enlarge,
    hash_grid,
    hash_keys,
    normal,
    smooth,
    stir,
    uniform,
)
from flora.data.simulate.place import Place

PARISH_PX = 240.0
FAR = np.float32(99.0)


@dataclass(frozen=True, slots=True)
class Parishes:
    """Which parish each pixel belongs to, and what the parishes are like.

    Attributes:
        index: Position of the pixel's parish in the arrays below, (H, W).
        gap: Distance to the nearest other parish, px, (H, W); 99 where that is far.
        down: Rows from the parish's centre, px, (H, W).
        right: Columns from the parish's centre, px, (H, W).
        key: Random number of each parish, (n,), uint32.
        angle: Direction of its fields, radians, (n,).
    """

    index: NDArray[np.intp]
    gap: Field
    down: Field
    right: Field
    key: Hashes
    angle: Field

    def turned(self) -> tuple[Field, Field]:
        """Coordinates along and across the fields of each pixel's parish, px, (H, W) each."""
        sin: Field = np.sin(self.angle)[self.index]
        cos: Field = np.cos(self.angle)[self.index]
        return cos * self.right + sin * self.down, cos * self.down - sin * self.right


def nearest_two(rows: Field, cols: Field, sites: Field) -> tuple[NDArray[np.intp], Field]:
    """Finds the nearest site of each point, and how far the border to the second nearest is.

    Args:
        rows: (n,).
        cols: (n,).
        sites: Row and column of each site, (m, 2), m at least 2.

    Returns:
        Index of the nearest site, (n,), and distance to the border, (n,).
    """
    squares = (rows[:, None] - sites[:, 0]) ** 2 + (cols[:, None] - sites[:, 1]) ** 2
    order = np.argpartition(squares, 1, axis=1)[:, :2]
    first, second = order[:, 0], order[:, 1]
    every = np.arange(len(rows))
    near, next_ = squares[every, first], squares[every, second]
    apart = np.hypot(*(sites[first] - sites[second]).T)
    return first, np.abs(next_ - near) / (2 * np.maximum(apart, 1)).astype(np.float32)


def lay_parishes(grid: Grid, place: Place) -> Parishes:
    """Divides the land into parishes with gently bent borders.

    Args:
        grid: Full resolution; height and width are multiples of `STEP`.
        place: Seed and direction.

    Returns:
        Parishes of every pixel.
    """
    seed, coarse = place.seed, grid.coarse(STEP)
    bend = [18 * smooth(stir(seed, 61 + i), coarse, 75) for i in range(2)]
    step = (
        np.arange(coarse.height, dtype=np.float32)[:, None] * STEP,
        np.arange(coarse.width, dtype=np.float32) * STEP,
    )
    rows, cols = bend[0] + step[0], bend[1] + step[1]
    cells = [
        np.arange(int((start + low) // PARISH_PX) - 1, int((start + high) // PARISH_PX) + 2)
        for start, low, high in ((grid.row, rows.min(), rows.max()), (grid.col, cols.min(), cols.max()))
    ]
    keys = hash_grid(stir(seed, 63), cells[0], cells[1])
    site_rows = (cells[0][:, None] + 0.1 + 0.8 * uniform(keys)) * PARISH_PX - grid.row
    site_cols = (cells[1][None, :] + 0.1 + 0.8 * uniform(keys, 13)) * PARISH_PX - grid.col
    sites = np.stack([site_rows.ravel(), site_cols.ravel()], axis=1).astype(np.float32)
    squares = (rows[..., None] - sites[:, 0]) ** 2
    squares += (cols[..., None] - sites[:, 1]) ** 2
    used, corner = np.unique(squares.argmin(axis=-1), return_inverse=True)
    inner = corner[:-1, :-1]
    mixed = (inner != corner[1:, :-1]) | (inner != corner[:-1, 1:]) | (inner != corner[1:, 1:])
    index = np.repeat(np.repeat(inner, STEP, 0), STEP, 1)
    gap = np.full(index.shape, FAR)
    fine_rows, fine_cols = enlarge(rows, STEP), enlarge(cols, STEP)
    sites, keys = sites[used], keys.ravel()[used]
    if len(used) > 1:
        border = np.repeat(np.repeat(mixed, STEP, 0), STEP, 1)
        index[border], gap[border] = nearest_two(fine_rows[border], fine_cols[border], sites)
    regional = place.heading + 0.35 * normal(keys)
    angle = np.where(uniform(keys, 7) < 0.7, regional, np.pi * uniform(keys, 19)).astype(np.float32)
    # Borders wind, fields hardly do.
    down = enlarge(step[0] + 0.15 * bend[0], STEP) - sites[index, 0]
    right = enlarge(step[1] + 0.15 * bend[1], STEP) - sites[index, 1]
    return Parishes(index, gap, down, right, keys, angle)


def cut(position: Field, size: Field | float, key: Hashes) -> tuple[NDArray[np.int32], Field]:
    """Cuts a line into pieces: every whole number of `size`, and once more somewhere between for most.

    Args:
        position: px, any shape.
        size: Length of two pieces, px.
        key: Random numbers of the lines, broadcast to `position`.

    Returns:
        Whole number of the piece and the distance to its nearer end, px.
    """
    scaled = position / size
    whole = np.floor(scaled)
    part = scaled - whole
    number = whole.astype(np.int32)
    at = uniform(hash_keys(0xC07, number, np.broadcast_to(key, number.shape)))
    at *= np.float32(0.6)
    at += np.float32(0.3)
    at[at > 0.75] = 1
    beyond = part > at
    low = at * beyond
    high = at + beyond  # 1 beyond the cut, where `low` is taken off again
    high -= low
    number *= 2
    number += beyond
    return number, np.minimum(part - low, high - part) * size


@dataclass(frozen=True, slots=True)
class Parcels:
    """Fields, or city blocks: a random number of each pixel's piece, and the distance to its edge.

    Attributes:
        key: (...), uint32.
        edge: px, (...).
    """

    key: Hashes
    edge: Field


def divide(along: Field, across: Field, key: Hashes, long: Field | float, wide: Field | float) -> Parcels:
    """Divides parishes into strips and strips into parcels, as fields are.

    Args:
        along: Coordinate along the strips' short side, px, any shape.
        across: The other coordinate, px.
        key: Random number of each pixel's parish.
        long: Width of two strips, px.
        wide: Length of two parcels, px.

    Returns:
        Parcels of every pixel.
    """
    strip, strip_edge = cut(along, long, key)
    line = hash_keys(0xF1E, strip, key)
    piece, piece_edge = cut(across + wide * uniform(line), wide, line)
    return Parcels(hash_keys(0xF1D, piece, line), np.minimum(strip_edge, piece_edge))
