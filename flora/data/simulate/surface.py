"""What the sensors see on each date: land cover with the water of that date laid over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flora.data.simulate.cover import Cover
from flora.data.simulate.kinds import Kind, Kinds, Mask
from flora.data.simulate.network import STEP
from flora.data.simulate.noise import Field, Grid, enlarge, fractal, ramp, smooth, stir, weighted
from flora.data.simulate.place import Place
from flora.data.simulate.terrain import Ground


@dataclass(frozen=True, slots=True)
class Surface:
    """The surface on one date; arrays are (H, W).

    Attributes:
        land: `Kind` as if dry.
        seen: `Kind` with open water and flooded vegetation in it.
        luck: Standard normal number of each field or patch.
        wet: How much of the picture is water, 0 to 1.
        turbidity: Sediment in the water, 0 clear to 1 brown.
        rough: Roughness of the water by wind and flow, 0 to about 1.
        wetness: Rise of soil backscatter, dB.
    """

    land: Kinds
    seen: Kinds
    luck: Field
    wet: Field
    turbidity: Field
    rough: Field
    wetness: float


@dataclass(frozen=True, slots=True)
class Waters:
    """Where water is; arrays are (H, W).

    Attributes:
        permanent: Water on both dates.
        flood: Open flood water.
        drowned: Flooded vegetation.
        ambiguous: Buildings and closed forest that stand in the flood: what is seen at 10 m is not the water.
    """

    permanent: Mask
    flood: Mask
    drowned: Mask
    ambiguous: Mask

    @property
    def water(self) -> Mask:
        """All water on the date of the flood."""
        return self.permanent | self.flood | self.drowned


# Roughness that the flow of a flood gives its water, in the unit of wind.
FLOW = np.float32(0.2)
# Turbidity of still water.
CLEAN = np.float32(0.1)

# Depth of water over which a plant still stands, m; 0 where nothing stands.
STANDING_M = {
    Kind.FOREST: 9.0,
    Kind.MARSH: 0.9,
    Kind.MATURE: 0.7,
    Kind.GRASS: 0.15,
    Kind.YOUNG: 0.1,
    Kind.STUBBLE: 0.1,
}


def wetted(seen: Kinds, depth: Field, waters: Waters) -> Field:
    """Gives how much of an optical picture is water: shallow water lets the ground through, plants stand above it."""
    cover = np.zeros(len(Kind), np.float32)
    cover[[Kind.WATER, Kind.DROWNED_FOREST, Kind.DROWNED_PLANTS]] = 1, 0.35, 0.55
    wet: Field = cover[seen]
    clear = np.clip(depth, 0, 2)
    np.multiply(wet, 1 - np.exp(-5 * clear), out=wet, where=waters.flood)
    return wet


def wind_on_water(seed: int, grid: Grid, wind: float) -> Field:
    """Gives the roughness of water by wind, in patches, (H, W) for a coarse `grid`."""
    gusts = weighted(
        [(0.4 * wind, smooth(stir(seed, 1), grid, 170)), (0.2 * wind, smooth(stir(seed, 2), grid, 33))]
    )
    return enlarge(np.clip(gusts + np.float32(0.8 * wind), 0, 1), STEP)


def find_water(ground: Ground, cover: Cover) -> tuple[Waters, Field]:
    """Fills rivers and lakes, and on the date of the flood all that lies below its level.

    Args:
        ground: Shores and flood depth.
        cover: Plants, roads and buildings.

    Returns:
        The waters, and the depth of the flood, m, negative where dry.
    """
    permanent = (ground.river < -np.clip(ground.bar, 0, None)) | (ground.stream < 0) | (ground.lake > 0)
    permanent &= ~cover.bridge
    depth = ground.depth - cover.dike
    reached = (depth > 0) & ~permanent & ~cover.bridge
    built = reached & (cover.kind == Kind.BUILDING)
    standing = np.zeros(len(Kind), np.float32)
    for kind, height in STANDING_M.items():
        standing[kind] = height
    drowned = reached & (depth < standing[cover.kind])
    ambiguous = built | (drowned & (cover.kind == Kind.FOREST))
    return Waters(permanent, reached & ~drowned & ~built, drowned, ambiguous), depth


def lay_surfaces(grid: Grid, place: Place, ground: Ground, cover: Cover) -> tuple[Surface, Surface, Waters]:
    """Lays the waters of both dates over the land.

    Args:
        grid: Full resolution.
        place: Wind, sediment and moisture.
        ground: Its ground.
        cover: Its land cover.

    Returns:
        Surface on the date of the flood, surface on the earlier date, and the waters.
    """
    waters, depth = find_water(ground, cover)
    coarse, seed = grid.coarse(STEP), place.seed
    silt = enlarge(weighted([(0.15, fractal(stir(seed, 115), coarse, 240, 4, 0.6))]) + np.float32(0.85), STEP)
    seen = cover.kind.copy()
    seen[waters.flood | waters.permanent] = Kind.WATER
    seen[waters.drowned] = Kind.DROWNED_PLANTS
    seen[waters.drowned & (cover.kind == Kind.FOREST)] = Kind.DROWNED_FOREST
    river = (((ground.river < 0) | (ground.stream < 0)) & (ground.lake < 0)).astype(np.float32)
    # A river that does not swell stays as clear as it was, and so does a lake that the flood does not fill.
    swollen = np.float32(np.interp(place.flood_stage_m, (-1.5, 0.5), (place.silt_before, 1)))
    plume = np.float32(place.flood_stage_m) + 0.6 * smooth(stir(seed, 116), coarse, 300)
    filled = enlarge(ramp(plume, -0.2, 0.7), STEP) * ground.plain
    running = np.where(ground.lake > 0, filled, np.maximum(ramp(ground.depth, -2.0, 0.8), swollen * river))
    flow = np.where(waters.flood, FLOW, np.float32(0))
    after = Surface(
        land=cover.kind,
        seen=seen,
        luck=cover.luck,
        wet=wetted(seen, depth, waters),
        turbidity=silt * np.float32(place.turbidity) * running + CLEAN,
        rough=wind_on_water(stir(seed, 111), coarse, place.wind) + flow,
        wetness=place.wetness,
    )
    calm = cover.kind_before.copy()
    calm[waters.permanent] = Kind.WATER
    before = Surface(
        land=cover.kind_before,
        seen=calm,
        luck=cover.luck_before,
        wet=waters.permanent.astype(np.float32),
        turbidity=silt * np.float32(place.silt_before * place.turbidity) * river + CLEAN,
        rough=wind_on_water(stir(seed, 112), coarse, place.wind_before),
        wetness=0.0,
    )
    return after, before, waters
