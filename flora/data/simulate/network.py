"""Channels of a simulated place: main rivers, tributaries and brooks, as lines of warped coordinates.

There is no drainage area to accumulate when any window must come out alone, so the network is written in coordinates.
Main rivers are the lines of whole numbers of a warped coordinate that runs across them; between two rivers the land
belongs to the nearer one. Tributaries are lines of a second coordinate along the river, drawn separately on either
bank, that end at the divide; brooks do the same for tributaries.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from flora.data.simulate.noise import Field, Grid, enlarge, hash_keys, smooth, stir, uniform, weighted
from flora.data.simulate.place import Place

STEP = 4  # px between samples of the fields that are smooth at 10 m

MAIN_PX = 1700.0  # distance of main rivers, tributaries and brooks from their like
TRIBUTARY_PX = 560.0
BROOK_PX = 210.0

# Channels whose random number is above these do not exist.
DRY_TRIBUTARY = 0.8
DRY_BROOK = 0.7
FAR_PX = 20.0


def gradient(field: Field, spacing: float) -> tuple[Field, Field]:
    """Gives the slope of a field downwards and to the right, per unit of `spacing`."""
    down, right = np.gradient(field, float(spacing))
    return np.asarray(down, np.float32), np.asarray(right, np.float32)


def warp(seed: int, grid: Grid, parts: tuple[tuple[float, float], ...]) -> Field:
    """Sums smooth fields given as (wavelength, amplitude), px."""
    return weighted([(size, smooth(stir(seed, i), grid, length)) for i, (length, size) in enumerate(parts)])


def steepness(field: Field, period: float) -> Field:
    """Pixels from one whole number of a coordinate field to the next, (h, w): the inverse of its gradient."""
    down, right = gradient(field, STEP)
    least = 0.35 / period  # where the coordinate turns, a channel would widen without end
    return np.asarray(1 / np.maximum(np.hypot(down, right), least), np.float32)


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
        away: Field = np.abs(rest)
        bank = np.sign(rest)
        # Tributaries lean downstream: a channel that starts at the divide joins farther along.
        index, side, luck = branch(stir(seed, 11), weighted([(1, along), (0.9, away)]), river, bank)
        flank = np.sign(side) + 2 * bank
        lean = weighted([(1, brooks), (0.8, np.abs(side)), (3, away)])
        _, brook, brook_luck = branch(stir(seed, 12), lean, river, index, flank)
        return Network(
            main=away * self.lengths[0],
            away=2 * away,
            tributary=np.abs(side) * self.lengths[1],
            tributary_away=2 * np.abs(side),
            tributary_luck=luck,
            brook=np.abs(brook) * self.lengths[2],
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
