"""Land cover of a simulated place, on the date of the flood and on an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from flora.data.simulate.noise import (
    Field,
    Grid,
    Hashes,
    enlarge,
    fractal,
    hash_grid,
    normal,
    ramp,
    smooth,
    stir,
    uniform,
)
from flora.data.simulate.parcels import Parishes, divide, lay_parishes
from flora.data.simulate.place import Place
from flora.data.simulate.terrain import STEP, Ground, warp

Kinds = NDArray[np.uint8]
Mask = NDArray[np.bool_]

TOWN_PX = 760.0
HIGHWAY_PX = 1500.0
AIRPORT_PX = 1600.0


class Kind(IntEnum):
    """What covers a pixel."""

    WATER = 0
    FOREST = 1
    GRASS = 2
    YOUNG = 3  # low green crops
    MATURE = 4  # tall, dense crops
    STUBBLE = 5
    BARE = 6
    MUD = 7  # bare, smooth and wet: dark to radar, not water
    SAND = 8
    MARSH = 9
    BUILDING = 10
    PAVED = 11
    GARDEN = 12
    ROAD = 13  # highways and runways: dark to radar, not water
    DROWNED_FOREST = 14  # trees in water
    DROWNED_PLANTS = 15  # marsh, tall crops or grass in water


@dataclass(frozen=True, slots=True)
class Cover:
    """Land cover on both dates; arrays are (H, W).

    Attributes:
        kind: `Kind` on the date of the flood, as if dry.
        kind_before: `Kind` on the earlier date.
        luck: Standard normal number of each field or patch on the date of the flood.
        luck_before: The same on the earlier date; fields that were not worked keep theirs.
        district: Standard normal number of each parish; in towns, how streets lie to the radar's look.
        bridge: Highways, which pass over water.
        dike: Height of roads and fields above the ground, m.
    """

    kind: Kinds
    kind_before: Kinds
    luck: Field
    luck_before: Field
    district: Field
    bridge: Mask
    dike: Field


def season(greenness: float) -> NDArray[np.uint8]:
    """Gives the states of crop fields as 256 equally likely entries, so that one byte of a hash picks one."""
    shares = {
        Kind.YOUNG: 0.16 + 0.1 * greenness,
        Kind.MATURE: 0.1 + 0.4 * greenness,
        Kind.STUBBLE: 0.26 - 0.2 * greenness,
        Kind.BARE: 0.3 - 0.2 * greenness,
        Kind.MUD: 0.06,
        Kind.FOREST: 0.04,
        Kind.GRASS: 0.14,
    }
    ends = np.cumsum(list(shares.values())) / sum(shares.values())
    return np.array(list(shares), np.uint8)[np.searchsorted(ends, (np.arange(256) + 0.5) / 256)]


def paint(kind: Kinds, where: Mask, what: Kind | Kinds) -> None:
    """Writes a kind where a mask is true."""
    np.copyto(kind, np.asarray(what, np.uint8), where=where)


def town_density(seed: int, grid: Grid, place: Place, ground_depth: Field) -> Field:
    """Gives how built-up the land is: above 0 in a town, towards 1 in its centre.

    Args:
        seed: Names the towns.
        grid: The coarse grid.
        place: Size of towns.
        ground_depth: Flood depth on the same grid, m; people built where it stays dry.

    Returns:
        (h, w).
    """
    cells = [
        np.arange(int(axis[0] // TOWN_PX) - 1, int(axis[-1] // TOWN_PX) + 2) for axis in (grid.rows, grid.cols)
    ]
    keys = hash_grid(stir(seed, 71), cells[0], cells[1])
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
    ragged = 0.35 * fractal(stir(seed, 72), grid, 60, 3)
    return density + ragged * (density > -0.6) - 0.4 * ramp(ground_depth, -0.8, 0.6)


def lay_cover(grid: Grid, place: Place, ground: Ground) -> Cover:
    """Covers the ground with fields, pasture, forest, sand, marsh, towns and roads.

    Args:
        grid: Full resolution.
        place: What the seed drew.
        ground: Its ground.

    Returns:
        The cover of both dates.
    """
    seed, coarse = place.seed, grid.coarse(STEP)
    parishes = lay_parishes(grid, place)
    turned = parishes.turned()
    owner = parishes.key[parishes.index]
    patch = enlarge(fractal(stir(seed, 81), coarse, 55, 4, 0.75), STEP)
    kind = np.full(patch.shape, Kind.GRASS, np.uint8)
    crops = farm(parishes, place, ground)
    scale = place.field_px * np.exp(0.35 * normal(parishes.key))
    slender = 1.2 + 2 * uniform(parishes.key, 9)
    fields = divide(*turned, owner, scale[parishes.index] * 2, (scale * slender)[parishes.index] * 2)
    paint(kind, crops, season(place.greenness)[fields.key >> np.uint32(24)])
    before = kind.copy()
    worked = crops & ((fields.key & np.uint32(255)) < 90)
    paint(before, worked, season(1 - 0.6 * place.greenness)[(fields.key >> np.uint32(16)) & np.uint32(255)])
    luck = np.where(crops, normal(fields.key), 0.5 * normal(fields.key) + 0.75 * patch)
    before_luck = np.where(worked, normal(fields.key, part=1), luck)
    hedged = (uniform(parishes.key, 21) < 0.35)[parishes.index] & (patch > -0.2) & ((fields.key >> np.uint32(8)) % 3 == 0)
    margin = fields.edge < 0.7
    for state in (kind, before):
        paint(state, margin & crops, Kind.GRASS)
        paint(state, margin & hedged, Kind.FOREST)
    woods = woodland(grid, place, ground, crops)
    marsh, sand = wild(grid, place, ground)
    bridge, dike = roads(grid, place, parishes)
    airport, runway = airports(grid, place, ground)
    for state in (kind, before):
        paint(state, marsh, Kind.MARSH)
        paint(state, woods, Kind.FOREST)
        paint(state, sand, Kind.SAND)
        paint(state, (dike > 0) & ~bridge, Kind.PAVED)
    density = enlarge(town_density(seed, coarse, place, coarse_of(ground.depth)), STEP)
    built = build(grid, seed, density, turned, owner, ground)
    for state in (kind, before):
        np.copyto(state, built, where=built > 0)
        paint(state, airport, Kind.GRASS)
        paint(state, bridge | runway, Kind.ROAD)
    dike = dike + 0.18 * crops * normal(fields.key, part=1)  # flood fills field by field
    return Cover(kind, before, luck, before_luck, normal(parishes.key, part=1)[parishes.index], bridge, dike)


def coarse_of(field: Field) -> Field:
    """Samples a full-resolution field on its coarse grid; the last row and column are repeated."""
    return np.pad(field[::STEP, ::STEP], ((0, 1), (0, 1)), mode="edge")


def farm(parishes: Parishes, place: Place, ground: Ground) -> Mask:
    """Tells where land is ploughed: in most parishes, off the slopes."""
    ploughed = (uniform(parishes.key, 3) < place.cropland)[parishes.index]
    return ploughed & (ground.steep < 0.09)


def woodland(grid: Grid, place: Place, ground: Ground, crops: Mask) -> Mask:
    """Tells where trees grow: patches, more on slopes and hills, along streams, little among crops."""
    coarse = grid.coarse(STEP)
    patches = fractal(stir(place.seed, 82), coarse, 210, 5, 0.62)
    wood = enlarge(patches, STEP) + 0.22 * ground.grain
    wood += np.float32(2.6 * (place.forest - 0.62)) - 1.1 * crops
    wood += 6 * np.clip(ground.steep - 0.04, 0, 0.16)
    bank = np.minimum(np.abs(ground.stream - 2.5), np.abs(ground.river - 5) * 0.4)
    wood += 1.5 * np.clip(1 - bank * 0.4, 0, 1)
    return np.asarray(wood > 0)


def wild(grid: Grid, place: Place, ground: Ground) -> tuple[Mask, Mask]:
    """Tells where marsh and sand are."""
    seed, coarse = place.seed, grid.coarse(STEP)
    wet = enlarge(fractal(stir(seed, 84), coarse, 130, 3), STEP)
    shore = np.clip(1 + ground.lake * 0.05, 0, 1)
    marsh = (wet + 0.9 * shore + 0.7 * ramp(ground.depth, 0, 1.5) - 0.6 * (1 - ground.plain) > 1.75) | (
        (shore > 0.75) & (wet > -0.4)
    )
    dry = enlarge(fractal(stir(seed, 85), coarse, 170, 5, 0.7), STEP) + 0.12 * ground.grain
    beach = ground.river < 0.5 * ground.bar
    sand = (dry + 2.4 * place.arid - 0.5 * ramp(ground.depth, -2, 0) > 2.8) | beach
    return marsh, sand


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
        down, right = np.gradient(line, float(STEP))
        length = enlarge(1 / np.maximum(np.hypot(down, right), 1e-4).astype(np.float32), STEP)
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
        row, col = (cells[0][i] + rng.random()) * AIRPORT_PX, (cells[1][j] + rng.random()) * AIRPORT_PX
        angle, long = rng.uniform(0, np.pi), rng.uniform(70, 160)
        if rng.random() > place.urban:
            continue
        rows, cols = (slice(*np.clip([at - low - 190, at - low + 190], 0, size).astype(int)) for at, low, size in (
            (row, grid.row, grid.height), (col, grid.col, grid.width)))
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


def build(
    grid: Grid, seed: int, density: Field, turned: tuple[Field, Field], owner: Hashes, ground: Ground
) -> Kinds:
    """Builds towns: blocks between streets along the parish's directions, parks, yards and industry.

    Args:
        grid: Full resolution.
        seed: Names the houses.
        density: How built-up, (H, W).
        turned: Coordinates along the parish's directions, px.
        owner: Random number of each pixel's parish.
        ground: Slopes stay green.

    Returns:
        `Kind` of built land, 0 elsewhere.
    """
    kind = np.zeros(density.shape, np.uint8)
    near = density > -0.25
    if not near.any():
        return kind
    level, key = density[near], owner[near]
    lots = hash_grid(stir(seed, 101), grid.rows.astype(np.int64), grid.cols.astype(np.int64))[near]
    size = 15 + 9 * uniform(key, 17)
    blocks = divide(turned[0][near], turned[1][near], key, size, size * 1.5)
    steep = ground.steep[near] > 0.14
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
