"""The kinds of land cover that the simulator knows."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Kinds = NDArray[np.uint8]
Mask = NDArray[np.bool_]


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
