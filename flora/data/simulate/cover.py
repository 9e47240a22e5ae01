"""Land cover of a simulated place, on the date of the flood and on an earlier one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flora.data.simulate.built import airports, build, roads
from flora.data.simulate.kinds import Kind, Kinds, Mask
from flora.data.simulate.network import STEP
from flora.data.simulate.noise import Field, Grid, enlarge, fractal, normal, ramp, stir, uniform
from flora.data.simulate.parcels import Parishes, divide, lay_parishes
from flora.data.simulate.place import Place
from flora.data.simulate.terrain import Ground


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
    hedged = (uniform(parishes.key, 21) < 0.35)[parishes.index] & (patch > -0.2)
    hedged &= (fields.key >> np.uint32(8)) % 3 == 0
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
    built = build(grid, place, turned, owner, ground)
    for state in (kind, before):
        np.copyto(state, built, where=built > 0)
        paint(state, airport, Kind.GRASS)
        paint(state, bridge | runway, Kind.ROAD)
    dike += np.float32(0.18) * crops * normal(fields.key, part=1)  # flood fills field by field
    return Cover(kind, before, luck, before_luck, normal(parishes.key, part=1)[parishes.index], bridge, dike)


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
