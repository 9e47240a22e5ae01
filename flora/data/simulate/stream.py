"""Simulated scenes and chips as streams, for what does not fit in memory or never ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from flora.data.simulate.place import SceneConfig
from flora.data.simulate.scene import PAGE, SimulatedScene, simulate, spread
from flora.errors import ConfigError

if TYPE_CHECKING:
    from flora.chip import Chip


def simulate_blocks(
    height: int,
    width: int,
    seed: int = 0,
    config: SceneConfig | None = None,
    block: int = 1024,
    workers: int = 1,
) -> Iterator[SimulatedScene]:
    """Simulates a scene of any size block by block; memory does not grow with the scene.

    Args:
        height: Rows, px.
        width: Columns, px.
        seed: The place and its weather.
        config: Ranges that places are drawn from.
        block: Side of a block, px; multiples of `PAGE` waste nothing.
        workers: Threads, each with a block of its own.

    Yields:
        Blocks in rows from the top left; the last of a row or column may be smaller. `origin` says where each lies.

    Raises:
        ConfigError: A size is not positive.
    """
    if min(height, width, block) < 1:
        raise ConfigError(
            f"A scene of {height} x {width} px in blocks of {block} is empty; expected all above 0."
        )
    corners = ((row, col) for row in range(0, height, block) for col in range(0, width, block))

    def one(corner: tuple[int, int]) -> SimulatedScene:
        size = min(block, height - corner[0]), min(block, width - corner[1])
        return simulate(*size, seed, config, origin=corner)

    yield from spread(one, corners, workers)


def chips(
    count: int, size: int = 256, seed: int = 0, config: SceneConfig | None = None, split: str = "train"
) -> Iterator[Chip]:
    """Streams chips, each place giving the chips of one page.

    Args:
        count: How many chips.
        size: Side of a chip, px.
        seed: Names the stream: another seed, and another split, gives other places.
        config: Ranges that places are drawn from.
        split: Split that the chips say they belong to.

    Yields:
        Chips with both radar bands, optics of the flood, the picture before as prior, and water.
    """
    across = max(1, PAGE // size)
    made = 0
    for number in range(-(-count // across**2)):
        scene = _place(number, across * size, seed, config, split)
        for row in range(0, across * size, size):
            for col in range(0, across * size, size):
                if made < count:
                    yield scene.to_chip(np.s_[row : row + size, col : col + size], split)
                made += 1


def _place(number: int, side: int, seed: int, config: SceneConfig | None, split: str) -> SimulatedScene:
    """Simulates place `number` of a stream of chips; no place depends on another."""
    rng = np.random.default_rng([seed & 0xFFFFFFFF, number, 0xC41, *split.encode()])
    # Within one swath: the incidence angle grows with the column.
    corner = int(rng.integers(128)) * PAGE, int(rng.integers(8)) * PAGE
    place = int(rng.integers(2**31))
    return simulate(side, side, place, config, corner)
