"""Tiles of a scene: cores that together cover it once, and the wider windows that they read.

A scene lies in an infinite plane of invalid pixels. A tile reads its core and a margin as wide as the network's
reach; what lies outside the scene is read as invalid. Cores start on the network's own grid, in scene pixel
coordinates, so that a pixel meets the same windows and strides in every tiling. Then any tiling gives the pixels of
the untiled answer, which is one tile as large as the scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flora.errors import ConfigError


def round_up(length: int, step: int) -> int:
    """Gives the smallest multiple of `step` that is not below `length`."""
    return -(-length // step) * step


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: where it writes, and where it reads.

    Attributes:
        index: Row and column of the tile among the tiles.
        core: Rows and columns of the scene that the tile writes, px.
        window: Rows and columns that it reads, px of the plane; may reach outside the scene on every side.
    """

    index: tuple[int, int]
    core: tuple[slice, slice]
    window: tuple[slice, slice]

    @property
    def window_shape(self) -> tuple[int, int]:
        """Height and width of the window, px."""
        rows, cols = self.window
        return rows.stop - rows.start, cols.stop - cols.start

    @property
    def core_in_window(self) -> tuple[slice, slice]:
        """Rows and columns of the core, counted from the window's corner, px."""
        pairs = zip(self.core, self.window, strict=True)
        rows, cols = (slice(core.start - window.start, core.stop - window.start) for core, window in pairs)
        return rows, cols


@dataclass(frozen=True, slots=True)
class Tiling:
    """Cuts a scene of `height` x `width` px into tiles.

    Attributes:
        height: Rows of the scene, px.
        width: Columns of the scene, px.
        tile: Side of a core, px, a multiple of `grid`. The last core of a row or column is what is left, and never
            larger: one that is, by however little, finds no place where the others were, and the heap grows.
        grid: Side of the network's window grid, px.
        margin: What a tile reads around its core, px, a multiple of `grid`.
    """

    height: int
    width: int
    tile: int
    grid: int
    margin: int

    def __post_init__(self) -> None:
        """Checks that the cores start on the grid.

        Raises:
            ConfigError: The tile's side is not a positive multiple of the grid.
        """
        if self.tile <= 0 or self.tile % self.grid:
            raise ConfigError(
                f"The tile is {self.tile} px; this network needs a positive multiple of {self.grid} px, "
                f"such as {max(self.grid, round_up(max(self.tile, 1), self.grid))}."
            )
        assert self.margin % self.grid == 0, "the margin must keep tiles on the grid"
        assert self.height > 0 and self.width > 0, "a scene has pixels"

    @property
    def shape(self) -> tuple[int, int]:
        """Number of tiles down and across."""
        rows, cols = self.chunks
        return len(rows), len(cols)

    @property
    def chunks(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Heights and widths of the cores, px, in dask's notation."""
        return _chunks(self.height, self.tile), _chunks(self.width, self.tile)

    def __len__(self) -> int:
        down, across = self.shape
        return down * across

    def __iter__(self) -> Iterator[Tile]:
        down, across = self.shape
        return (self[row, col] for row in range(down) for col in range(across))

    def __getitem__(self, index: tuple[int, int]) -> Tile:
        """Gives the tile in the given row and column of tiles."""
        rows, row_window = self._span(index[0], self.height)
        cols, col_window = self._span(index[1], self.width)
        return Tile(index=index, core=(rows, cols), window=(row_window, col_window))

    def _span(self, position: int, length: int) -> tuple[slice, slice]:
        sizes = _chunks(length, self.tile)
        assert 0 <= position < len(sizes), "the tile lies in the scene"
        start = position * self.tile
        stop = start + sizes[position]
        padded = start + round_up(stop - start, self.grid)
        return slice(start, stop), slice(start - self.margin, padded + self.margin)


def _chunks(length: int, tile: int) -> tuple[int, ...]:
    whole, rest = divmod(length, tile)
    return (tile,) * whole + ((rest,) if rest else ())
