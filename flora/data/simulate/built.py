"""What people built: towns of blocks and houses, highways and lanes, airports."""

from __future__ import annotations

import numpy as np

from flora.data.simulate.kinds import Kind, Kinds, Mask
from flora.data.simulate.network import STEP, gradient, warp
from flora.data.simulate.noise import (
    Field,
    Grid,
    Hashes,
    enlarge,
    fractal,
    hash_grid,
    normal,
    ramp,
    stir,
    uniform,
)
from flora.data.simulate.parcels import Parishes, divide
from flora.data.simulate.place import Place
from flora.data.simulate.terrain import Ground

# Distances of towns, highways and airports from their like, px.
TOWN_PX = 760.0
HIGHWAY_PX = 1500.0
AIRPORT_PX = 1600.0


def roads(grid: Grid, place: Place, parishes: Parishes) -> tuple[Mask, Field]:
    """Lays highways across the land and lanes between parishes.

    Returns:
        Highways, and the height of any road above the ground, m; 0 off the roads.
    """
    seed, coarse = place.seed, grid.coarse(STEP)
    rows, cols = coarse.rows[:, None], coarse.cols[None, :]
    highway = np.zeros(parishes.gap.shape, bool)
    wide = np.zeros_like(highway)
    for turn in range(2):
        angle = place.heading + 0.5 + 1.4 * turn
        line = np.cos(angle) * rows - np.sin(angle) * cols
        line = line / HIGHWAY_PX + warp(stir(seed, 91 + turn), coarse, ((520.0, 0.11), (170.0, 0.018)))
        line = (line + stir(seed, 95, turn) / 2**32).astype(np.float32)
        length = enlarge(np.reciprocal(np.maximum(np.hypot(*gradient(line, STEP)), np.float32(1e-4))), STEP)
        fine = enlarge(line, STEP)
        away = np.abs(fine - np.rint(fine)) * length
        highway |= away < 1.1
        wide |= away < 2.6
    paved = (uniform(parishes.key, 15) < 0.6)[parishes.index]
    lane = (parishes.gap < 0.75) & paved
    dike = np.maximum(3.0 * wide, 0.5 * lane).astype(np.float32)
    return highway, dike


def airports(grid: Grid, place: Place, ground: Ground) -> tuple[Mask, Mask]:
    """Lays out airports on flat land: mown grass with a runway, a taxiway and an apron.

    Returns:
        The grounds, and what is paved, (H, W).
    """
    grounds = np.zeros((grid.height, grid.width), bool)
    paved = np.zeros_like(grounds)
    cells = [
        np.arange(int((axis[0] - 200) // AIRPORT_PX), int((axis[-1] + 200) // AIRPORT_PX) + 1)
        for axis in (grid.rows, grid.cols)
    ]
    keys = hash_grid(stir(place.seed, 97), cells[0], cells[1])
    for (i, j), key in np.ndenumerate(keys):
        rng = np.random.default_rng(int(key))
        row = float(cells[0][i] + rng.random()) * AIRPORT_PX
        col = float(cells[1][j] + rng.random()) * AIRPORT_PX
        angle, long = rng.uniform(0, np.pi), rng.uniform(70, 160)
        if rng.random() > place.urban:
            continue
        rows, cols = around(row - grid.row, grid.height), around(col - grid.col, grid.width)
        down, right = grid.rows[rows, None] - row, grid.cols[None, cols] - col
        along = np.abs(np.cos(angle) * right + np.sin(angle) * down)
        across = np.cos(angle) * down - np.sin(angle) * right
        flat = ground.steep[rows, cols] < 0.05
        grounds[rows, cols] |= (along < long + 14) & (np.abs(across - 10) < 34) & flat
        runway = (along < long) & (np.abs(across) < 2.4)
        taxiway = (along < 0.9 * long) & (np.abs(across - 17) < 1.2)
        apron = (along < 0.25 * long) & (np.abs(across - 25) < 7)
        link = (np.abs(along - 0.88 * long) < 1.2) & (across > 0) & (across < 17)
        paved[rows, cols] |= (runway | taxiway | apron | link) & flat
    return grounds, paved


def around(place: float, size: int, reach: int = 190) -> slice:
    """The pixels within `reach` of a place that lie inside an axis of `size` px."""
    low, high = np.clip([place - reach, place + reach], 0, size).astype(int)
    return slice(int(low), int(high))


def build(grid: Grid, place: Place, turned: tuple[Field, Field], owner: Hashes, ground: Ground) -> Kinds:
    """Builds towns: blocks between streets along the parish's directions, parks, yards and industry.

    Args:
        grid: Full resolution.
        place: Seed and size of towns.
        turned: Coordinates along the parish's directions, px.
        owner: Random number of each pixel's parish.
        ground: People build where it is flat and mostly dry.

    Returns:
        `Kind` of built land, 0 elsewhere.
    """
    density = enlarge(town_density(place, grid.coarse(STEP), coarse_of(ground.depth)), STEP)
    kind = np.zeros(density.shape, np.uint8)
    near = density > -0.25
    if not near.any():
        return kind
    level, key = density[near], owner[near]
    lots = hash_grid(stir(place.seed, 101), grid.rows.astype(np.int64), grid.cols.astype(np.int64))[near]
    size = 15 + 9 * uniform(key, 17)
    blocks = divide(turned[0][near], turned[1][near], key, size, size * 1.5)
    steep = ground.steep[near] > 0.2
    town = (level + 0.55 * (uniform(blocks.key) - 0.5) > 0) & ~steep
    park = uniform(blocks.key, 9) < 0.09
    industry = (uniform(blocks.key, 19) < 0.12) & (level < 0.5)
    house = uniform(lots) < np.where(industry, 0.85, 0.35 + 0.35 * np.clip(level, 0, 1))
    green = uniform(lots, 11) < np.where(industry, 0.1, 0.65 - 0.5 * np.clip(level, 0, 1))
    what = np.where(house, Kind.BUILDING, np.where(green, Kind.GARDEN, Kind.PAVED))
    what = np.where(park, np.where(uniform(blocks.key, 25) < 0.5, Kind.GRASS, Kind.FOREST), what)
    what = np.where(blocks.edge < 0.75, Kind.PAVED, what)
    kind[near] = np.where(town, what, 0).astype(np.uint8)
    return kind


def town_density(place: Place, grid: Grid, depth: Field) -> Field:
    """Gives how built-up the land is: above 0 in a town, towards 1 in its centre.

    Args:
        place: Seed and size of towns.
        grid: The coarse grid.
        depth: Flood depth on the same grid, m; people built where it stays dry.

    Returns:
        (h, w).
    """
    cells = [
        np.arange(int(axis[0] // TOWN_PX) - 1, int(axis[-1] // TOWN_PX) + 2)
        for axis in (grid.rows, grid.cols)
    ]
    keys = hash_grid(stir(place.seed, 71), cells[0], cells[1])
    density = np.full((grid.height, grid.width), -1, np.float32)
    for (i, j), key in np.ndenumerate(keys):
        lucky = np.array([key], np.uint32)
        if uniform(lucky, 5)[0] > 0.75:
            continue
        row = (cells[0][i] + uniform(lucky)[0]) * TOWN_PX
        col = (cells[1][j] + uniform(lucky, 11)[0]) * TOWN_PX
        radius = 12 + 260 * place.urban * np.exp(0.7 * normal(lucky)[0] - 0.6)
        away = np.hypot((grid.rows - row)[:, None], (grid.cols - col)[None, :])
        np.maximum(density, (1 - away / radius).astype(np.float32), out=density)
    ragged = 0.35 * fractal(stir(place.seed, 72), grid, 60, 3)
    built: Field = density + ragged * (density > -0.6) - 0.4 * ramp(depth, -0.8, 0.6)
    return built


def coarse_of(field: Field) -> Field:
    """Samples a full-resolution field on its coarse grid; the last row and column are repeated."""
    return np.pad(field[::STEP, ::STEP], ((0, 1), (0, 1)), mode="edge")
