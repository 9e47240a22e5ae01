"""Ground of a simulated place: rivers, valleys, floodplains, lakes, and how far each pixel lies above the water.

There is no drainage area to accumulate when any window must come out alone, so the network is written in coordinates.
Main rivers are the lines of whole numbers of a warped coordinate that runs across them; between two rivers the land
belongs to the nearer one. Tributaries are lines of a second coordinate along the river, drawn separately on either
bank, that end at the divide; brooks do the same for tributaries. Heights grow from the nearest channel upwards, so
that height above nearest drainage (HAND; Nobre et al., J. Hydrology 2011, doi 10.1016/j.jhydrol.2011.03.051) is known
everywhere, and a flood fills what lies below its level.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flora.data.simulate.noise import (
    Field,
    Grid,
    enlarge,
    fractal,
    hash_keys,
    ramp,
    smooth,
    stir,
    uniform,
    weighted,
)
from flora.data.simulate.place import Place

STEP = 4  # px between samples of the fields that are smooth at 10 m
PIXEL_M = 10.0

MAIN_PX = 1700.0  # distance of main rivers, tributaries and brooks from their like
TRIBUTARY_PX = 560.0
BROOK_PX = 210.0


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


def warp(seed: int, grid: Grid, parts: tuple[tuple[float, float], ...]) -> Field:
    """Sums smooth fields given as (wavelength, amplitude), px."""
    return weighted([(size, smooth(stir(seed, i), grid, length)) for i, (length, size) in enumerate(parts)])


def steepness(field: Field, period: float) -> Field:
    """Pixels from one whole number of a coordinate field to the next, (h, w): the inverse of its gradient."""
    down, right = np.gradient(field, float(STEP))
    return 1 / np.maximum(np.hypot(down, right), 0.35 / period).astype(np.float32)


def fold(field: Field) -> tuple[Field, Field]:
    """Splits a coordinate field into its nearest whole number and the signed rest in [-0.5, 0.5]."""
    whole = np.rint(field)
    return whole, field - whole


def branch(seed: int, coordinate: Field, *sides: Field) -> tuple[Field, Field, Field]:
    """Places channels along a coordinate, separately for each value of `sides`.

    Returns:
        Index of the nearest channel, signed rest in [-0.5, 0.5], and a random number in [0, 1) of that channel.
    """
    keys = [np.rint(side).astype(np.int64) for side in sides]
    whole, rest = fold(coordinate + uniform(hash_keys(stir(seed, 1), *keys)))
    return whole, rest, uniform(hash_keys(stir(seed, 2), whole.astype(np.int64), *keys))


@dataclass(frozen=True, slots=True)
class Network:
    """Distances to the three orders of channels, (H, W), at any resolution.

    Attributes:
        main: To the middle of the nearest main river, px.
        away: 0 at the main river, 1 at the divide.
        tributary: To the nearest tributary, px.
        tributary_away: 0 at the tributary, 1 between two.
        tributary_luck: Random number of that tributary.
        brook: To the nearest brook, px.
        brook_luck: Random number of that brook.
    """

    main: Field
    away: Field
    tributary: Field
    tributary_away: Field
    tributary_luck: Field
    brook: Field
    brook_luck: Field


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Smooth coordinate fields of the network and the length of their units, px."""

    fields: tuple[Field, Field, Field]
    lengths: tuple[Field, Field, Field]

    def enlarged(self, step: int) -> Coordinates:
        """The same at full resolution."""
        first, second, third = (enlarge(field, step) for field in self.fields)
        one, two, three = (enlarge(length, step) for length in self.lengths)
        return Coordinates((first, second, third), (one, two, three))

    def network(self, seed: int) -> Network:
        """Places the channels."""
        across, along, brooks = self.fields
        river, rest = fold(across)
        away = np.abs(rest)
        bank = np.sign(rest)
        # Tributaries lean downstream: a channel that starts at the divide joins farther along.
        index, side, luck = branch(stir(seed, 11), along + np.float32(0.9) * away, river, bank)
        flank = np.sign(side) + 2 * bank
        _, lean, brook_luck = branch(
            stir(seed, 12), brooks + np.float32(0.8) * np.abs(side) + np.float32(3) * away, river, index, flank
        )
        return Network(
            main=away * self.lengths[0],
            away=2 * away,
            tributary=np.abs(side) * self.lengths[1],
            tributary_away=2 * np.abs(side),
            tributary_luck=luck,
            brook=np.abs(lean) * self.lengths[2],
            brook_luck=brook_luck,
        )


def lay_coordinates(grid: Grid, place: Place) -> Coordinates:
    """Draws the coordinates across the main rivers, across tributaries and across brooks.

    Args:
        grid: The coarse grid.
        place: Direction and seed.

    Returns:
        Fields in units of one river each, and the length of a unit, px.
    """
    seed = place.seed
    rows, cols = grid.rows[:, None], grid.cols[None, :]
    x = np.cos(place.heading) * cols + np.sin(place.heading) * rows
    y = np.cos(place.heading) * rows - np.sin(place.heading) * cols
    wide = ((900.0, 240.0), (360.0, 75.0))
    reach = 4.0 + place.river_width_px / 2  # meanders grow with the river
    meander = ((9.0 * reach, 5.0 * reach), (4.2 * reach, 1.5 * reach))
    bend_x, bend_y = warp(stir(seed, 1), grid, wide), warp(stir(seed, 2), grid, wide)
    across = (y + bend_y + warp(stir(seed, 3), grid, meander)) / MAIN_PX
    winding = ((110.0, 22.0), (45.0, 8.0), (22.0, 2.5))
    along = (x + bend_x + warp(stir(seed, 4), grid, winding)) / TRIBUTARY_PX
    curl = ((80.0, 22.0), (35.0, 7.0))
    brooks = (0.6 * y - 0.8 * x + 0.7 * bend_y + warp(stir(seed, 5), grid, curl)) / BROOK_PX
    fields = tuple(field.astype(np.float32) for field in (across, along, brooks))
    periods = (MAIN_PX, TRIBUTARY_PX, BROOK_PX)
    lengths = tuple(steepness(field, period) for field, period in zip(fields, periods, strict=True))
    return Coordinates((fields[0], fields[1], fields[2]), (lengths[0], lengths[1], lengths[2]))


def microrelief(seed: int, grid: Grid, net: Network, width: Field) -> Field:
    """Gives the heights of levees, scroll bars, swales and hummocks on the floodplain, m."""
    levee = np.exp(-(((net.main - width / 2 - 6) / 14) ** 2)) * ramp(smooth(stir(seed, 21), grid, 120), -0.6, 0.6)
    ridges = np.sin(net.main * 0.16 + 3 * smooth(stir(seed, 22), grid, 140))
    scroll = ridges * np.exp(-net.main / 260) * ramp(smooth(stir(seed, 23), grid, 260), -0.2, 1.0)
    hummocks = fractal(stir(seed, 24), grid, 170, 5, 0.6)
    return weighted([(1.3, levee), (0.75, scroll), (0.75, hummocks), (0.7, smooth(stir(seed, 25), grid, 520))])


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
    side = np.clip((net.main - width - plain_px) / 420, 0, 1)
    side = side * side * (3 - 2 * side)
    hills = ramp(smooth(stir(seed, 34), coarse, 1100), -0.8, 1.6)
    relief = 6 + place.relief_m * hills
    rough = fractal(stir(seed, 35), coarse, 150, 4, 0.52)
    fade = 1 - net.away**4
    valley = fade / (1 + (net.tributary / 85) ** 2) * (net.tributary_luck < 0.8)
    valley *= 1 - net.tributary_away**6
    gully = fade * (1 - net.tributary_away**4) / (1 + (net.brook / 26) ** 2) * (net.brook_luck < 0.7)
    height = relief * side * (1 + 0.42 * rough - 0.62 * valley - 0.3 * gully * (1 - valley))
    down, right = np.gradient(height, STEP * PIXEL_M)
    micro = microrelief(seed, coarse, net, width)
    stage = place.flood_stage_m + 0.5 * smooth(stir(seed, 36), coarse, 800)
    flood = stage - relief * side * 1.5 - 4 * side - micro
    hand = relief * side * 0.62 * (fade - valley) + np.clip(net.tributary - 3, 0, None) * 0.05
    upstream = 0.45 * stage - hand - 0.5 * micro - 6 * net.away**3 - 30 * (net.tributary_luck >= 0.8)
    depth = np.maximum(flood, upstream)
    lake = lakes(seed, coarse, net, side, micro)
    bar = smooth(stir(seed, 37), coarse, 34) + 0.5 * smooth(stir(seed, 38), coarse, 14) - 0.7
    bar = np.clip(bar, 0, 1) * (0.38 * width - 3)
    fine = coordinates.enlarged(STEP).network(seed)
    wide = enlarge(width, STEP)
    grain = 0.7 * smooth(stir(seed, 41), grid, 3.7) + 0.7 * smooth(stir(seed, 42), grid, 9.0)
    return Ground(
        river=fine.main - wide / 2,
        stream=streams(fine, place),
        lake=enlarge(lake, STEP),
        bar=enlarge(bar.astype(np.float32), STEP),
        depth=enlarge(depth, STEP) + 0.22 * grain,
        grain=grain,
        plain=enlarge(1 - side, STEP),
        steep=enlarge(np.hypot(right, down).astype(np.float32), STEP),
        height=height,
        rise_right=right.astype(np.float32),
        rise_down=down.astype(np.float32),
    )


def streams(net: Network, place: Place) -> Field:
    """Gives the signed distance to the banks of tributaries and brooks, px."""
    size = place.river_width_px
    taper = np.clip(1.05 - net.away, 0, 1)
    tributary = net.tributary - (0.6 + 0.16 * size * taper * (0.4 + net.tributary_luck))
    tributary += 20 * (net.tributary_luck >= 0.8) + 20 * (net.away > 0.93)
    brook = net.brook - (0.15 + 0.7 * taper * net.brook_luck)
    brook += 20 * ((net.brook_luck >= 0.7) | (net.tributary_away > 0.85) | (net.away > 0.9))
    return np.minimum(tributary, brook)


def lakes(seed: int, grid: Grid, net: Network, side: Field, micro: Field) -> Field:
    """Gives permanent standing water: plain lakes, oxbows, ponds, reservoirs; positive inside."""
    body = 30 * (fractal(stir(seed, 51), grid, 190, 4, 0.4) - 2.05) - 12 * side
    old = np.abs(net.main + 60 * smooth(stir(seed, 52), grid, 130) - 95) - 3.5
    oxbow = np.minimum(-old, 10 * (smooth(stir(seed, 53), grid, 70) - 0.9)) - 40 * side
    pond = 9 * (smooth(stir(seed, 54), grid, 11) - 2.9 + 0.4 * smooth(stir(seed, 55), grid, 300))
    dammed = 22 * (smooth(stir(seed, 56), grid, 90) - 1.1) - 0.9 * net.tributary - 0.4 * net.brook
    dammed -= 25 * (net.tributary_luck >= 0.8) + 60 * (net.away > 0.85)
    return np.maximum(np.maximum(body, oxbow), np.maximum(pond, dammed)).astype(np.float32)
