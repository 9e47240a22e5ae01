"""From a scene to predictions: exact tiling, and the network over dask."""

from flora.scene.grouping import group_scenes
from flora.scene.predict import DEFAULT_TILE, predict
from flora.scene.tiling import Tile, Tiling

__all__ = ["DEFAULT_TILE", "Tile", "Tiling", "group_scenes", "predict"]
