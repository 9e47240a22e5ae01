"""Ground of a simulated place: heights, floodplains, lakes, and how far each pixel lies above the water.

Heights grow from the nearest channel upwards, so that height above nearest drainage (HAND; Nobre et al., J. Hydrology
2011, doi 10.1016/j.jhydrol.2011.03.051) is known everywhere, and a flood fills what lies below its level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flora.data.simulate.network import (
    DRY_BROOK,
    DRY_TRIBUTARY,
    FAR_PX,
    STEP,
    Network,
    gradient,
    lay_coordinates,
)
from flora.data.simulate.noise import Field, Grid, enlarge, fractal, ramp, smooth, stir, weighted
from flora.data.simulate.place import Place

PIXEL_M = 10.0


@dataclass(frozen=True, slots=True)
class Ground:
    """What water, land cover and pictures need to know of the ground; arrays are (H, W) at full resolution.

    Attributes:
        river: Signed distance to the bank of the nearest main river, px, negative in the water.
        stream: The same for tributaries and brooks.
        lake: Positive inside permanent standing water, about px from its shore.
        bar: Width of the sand along the river's bank, px.
        depth: Depth of flood water above the ground, m; negative is dry, by how much.
        plain: 1 on the floodplain, 0 far above it.
        steep: Slope, m per m.
        grain: Unevenness at the scale of pixels, standard deviation 1, so that edges are as ragged as real ones.
        height: Height above the rivers, m, on the coarse grid.
        rise_right: Slope towards higher columns, m per m, on the coarse grid.
        rise_down: Slope towards higher rows, m per m, on the coarse grid.
    """

    river: Field
    stream: Field
    lake: Field
    bar: Field
    depth: Field
    plain: Field
    steep: Field
    grain: Field
    height: Field
    rise_right: Field
    rise_down: Field


def microrelief(seed: int, grid: Grid, net: Network, width: Field) -> Field:
    """Gives the heights of levees, scroll bars, swales and hummocks on the floodplain, m."""
    levee = np.exp(-(((net.main - width / 2 - 6) / 14) ** 2)) * ramp(
        smooth(stir(seed, 21), grid, 120), -0.6, 0.6
    )
    ridges = np.sin(net.main * 0.16 + 3 * smooth(stir(seed, 22), grid, 140))
    scroll = ridges * np.exp(-net.main / 260) * ramp(smooth(stir(seed, 23), grid, 260), -0.2, 1.0)
    hummocks = fractal(stir(seed, 24), grid, 170, 5, 0.6)
    return weighted(
        [(1.3, levee), (0.75, scroll), (0.75, hummocks), (0.7, smooth(stir(seed, 25), grid, 520))]
    )


def lay_ground(grid: Grid, place: Place) -> Ground:
    """Shapes the ground of a place.

    Args:
        grid: Full resolution; height and width are multiples of `STEP`.
        place: What the seed drew.

    Returns:
        Fields on `grid`.
    """
    seed, coarse = place.seed, grid.coarse(STEP)
    coordinates = lay_coordinates(coarse, place)
    net = coordinates.network(seed)
    width = place.river_width_px * np.exp(0.35 * smooth(stir(seed, 31), coarse, 420))
    width *= 1 + 5 * ramp(smooth(stir(seed, 32), coarse, 1300), 1.3, 3.0)  # a few reaches widen to lakes
    plain_px = place.floodplain_px * np.exp(0.45 * smooth(stir(seed, 33), coarse, 480))
    side = ramp(net.main - width - plain_px, 0, 420)
    height, depth = raise_land(coarse, place, net, width, side)
    down, right = gradient(height, STEP * PIXEL_M)
    bar = smooth(stir(seed, 37), coarse, 34) + 0.5 * smooth(stir(seed, 38), coarse, 14) - 0.7
    bar = np.clip(bar, 0, 1) * np.minimum(0.38 * width - 3, 9)
    fine = coordinates.enlarged(STEP).network(seed)
    grain = weighted([(0.7, smooth(stir(seed, 41), grid, 3.7)), (0.7, smooth(stir(seed, 42), grid, 9.0))])
    return Ground(
        river=fine.main - enlarge(0.5 * width, STEP),
        stream=streams(fine, place),
        lake=enlarge(lakes(place, coarse, net, side), STEP),
        bar=enlarge(bar, STEP),
        depth=weighted([(1, enlarge(depth, STEP)), (0.22, grain)]),
        grain=grain,
        plain=enlarge(1 - side, STEP),
        steep=enlarge(np.hypot(right, down), STEP),
        height=height,
        rise_right=right,
        rise_down=down,
    )


def raise_land(grid: Grid, place: Place, net: Network, width: Field, side: Field) -> tuple[Field, Field]:
    """Raises land from its channels, and measures how deep the flood stands on it.

    Main rivers flood what lies below their stage; tributaries back up to 0.45 of it along their own valleys.

    Args:
        grid: The coarse grid.
        place: Relief and stage of the flood.
        net: Distances to channels, on `grid`.
        width: Width of the main river, px.
        side: 0 on the floodplain, 1 on the land beside it.

    Returns:
        Height above the main river, m, and depth of the flood, m, negative where dry.
    """
    seed = place.seed
    relief: Field = 6 + place.relief_m * ramp(smooth(stir(seed, 34), grid, 1100), -0.8, 1.6)
    rough = fractal(stir(seed, 35), grid, 150, 4, 0.52)
    flows = (net.tributary_luck < DRY_TRIBUTARY).astype(np.float32)
    fade: Field = 1 - net.away**4  # valleys end at the divide
    valley = flows * fade / (1 + (net.tributary / 85) ** 2) * (1 - net.tributary_away**6)
    gully = fade * (1 - net.tributary_away**4) / (1 + (net.brook / 26) ** 2) * (net.brook_luck < DRY_BROOK)
    shape = 1 + 0.42 * rough - 0.62 * valley - 0.3 * gully * (1 - valley)
    height: Field = np.multiply(relief * side, shape)
    micro = microrelief(seed, grid, net, width)
    stage: Field = place.flood_stage_m + 0.5 * smooth(stir(seed, 36), grid, 800)
    from_river: Field = stage - (1.5 * relief + 4) * side - micro
    above_bed = 0.62 * relief * side * (fade - valley) + 0.05 * np.clip(net.tributary - 3, 0, None)
    backed_up: Field = 0.45 * stage - above_bed - 0.5 * micro - 6 * net.away**3 - 30 * (1 - flows)
    return height, np.maximum(from_river, backed_up)


def streams(net: Network, place: Place) -> Field:
    """Gives the signed distance to the banks of tributaries and brooks, px; both narrow towards the divide."""
    taper = np.clip(1.05 - net.away, 0, 1)
    tributary: Field = net.tributary - (
        0.6 + 0.16 * place.river_width_px * taper * (0.4 + net.tributary_luck)
    )
    tributary[(net.tributary_luck >= DRY_TRIBUTARY) | (net.away > 0.93)] = FAR_PX
    brook: Field = net.brook - (0.15 + 0.7 * taper * net.brook_luck)
    brook[(net.brook_luck >= DRY_BROOK) | (net.tributary_away > 0.85) | (net.away > 0.9)] = FAR_PX
    nearest: Field = np.minimum(tributary, brook)
    return nearest


def lakes(place: Place, grid: Grid, net: Network, side: Field) -> Field:
    """Gives permanent standing water, positive inside.

    Each kind is a field in about px from its shore, and the highest wins: lakes of the plain, oxbows along an old
    course of the river, ponds anywhere, and reservoirs that fill the valleys of dammed tributaries.
    """
    seed = place.seed
    body = 30 * (fractal(stir(seed, 51), grid, 190, 4, 0.4) - (2.05 - 1.4 * place.lakes)) - 12 * side
    course = np.abs(net.main + 60 * smooth(stir(seed, 52), grid, 130) - 95) - 3.5
    oxbow = np.minimum(-course, 10 * (smooth(stir(seed, 53), grid, 70) - 0.9)) - 40 * side
    pond = 9 * (smooth(stir(seed, 54), grid, 11) - 2.9 + 0.4 * smooth(stir(seed, 55), grid, 300))
    reservoir = 22 * (smooth(stir(seed, 56), grid, 90) - 1.1) - 0.9 * net.tributary - 0.4 * net.brook
    reservoir[(net.tributary_luck >= DRY_TRIBUTARY) | (net.away > 0.85)] = -FAR_PX
    highest: Field = np.maximum(np.maximum(body, oxbow), np.maximum(pond, reservoir))
    return highest
