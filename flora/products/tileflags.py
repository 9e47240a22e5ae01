"""The flag layers tile by tile: each reads its core and a halo, of radar, context and its neighbours' water."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.bands import SAR_BANDS
from flora.products.flags import HALO, advisory, exclusion
from flora.products.layers import NO_DATA
from flora.products.terrain import ground_steps, slope
from flora.raster.context import ArrayBand, Context

Classes = NDArray[np.uint8]
Span = tuple[int, int]


@dataclass(frozen=True, eq=False)
class TileFlags:
    """What the flags of a tile are found from; a plain object, so that dask does not look inside.

    Attributes:
        scene: `VV`, `VH`, (y, x), dB, NaN where invalid.
        before: The same of an earlier date, on the same grid; None without one.
        geobox: The grid.
        dem: Elevation, m; None without it.
        cover: ESA WorldCover codes; None without it.
    """

    scene: xr.Dataset
    before: xr.Dataset | None
    geobox: GeoBox
    dem: Context | None
    cover: Context | None

    def run(self, rows: Span, cols: Span, water: Classes, reference: Classes | None) -> Classes:
        """Finds the flags of one tile.

        Args:
            rows: Start and stop of the core, px.
            cols: Start and stop of the core, px.
            water: Observed water with the halo around.
            reference: Reference water with the halo around; None where unknown.

        Returns:
            Exclusion and advisory, (2, H, W).
        """
        radar = self._radar(self.scene, rows, cols)
        before = self._radar(self.before, rows, cols) if self.before is not None else None
        inside = slice(*rows), slice(*cols)
        steep = None
        if self.dem is not None:
            elevation = self.dem.read(slice(rows[0] - 1, rows[1] + 1), slice(cols[0] - 1, cols[1] + 1))
            steep = slope(elevation, ground_steps(self.geobox, inside[0]))
        cover = self.cover.read(*inside) if self.cover is not None else None
        return np.stack(
            [
                exclusion(radar, water, steep, cover),
                advisory(radar, water, reference=reference, before=before, slope=steep, cover=cover),
            ]
        )

    def _radar(self, scene: xr.Dataset, rows: Span, cols: Span) -> NDArray[np.float32]:
        window = slice(rows[0] - HALO, rows[1] + HALO), slice(cols[0] - HALO, cols[1] + HALO)
        bands = [Context(ArrayBand(scene[name]), self.geobox, self.geobox, "decibel") for name in SAR_BANDS]
        return np.stack([band.read(*window) for band in bands])


def flag_layers(flags: TileFlags, water: da.Array, reference: da.Array | None) -> da.Array:
    """Lays the tiles' tasks out as one array.

    Args:
        flags: What they are found from.
        water: Observed water, (y, x), one chunk a tile.
        reference: Reference water in the same chunks; None where unknown.

    Returns:
        Exclusion and advisory, (2, y, x), uint8, in the same chunks.
    """
    shared = delayed(flags, name=f"flora-flags-{uuid4().hex}", traverse=False)
    row_spans, col_spans = (_spans(chunks) for chunks in water.chunks)
    blocks = [_grid(layer) if layer is not None else None for layer in (water, reference)]
    parts = []
    for rows in row_spans:
        line = []
        for cols in col_spans:
            near = _near(row_spans, rows), _near(col_spans, cols)
            windows = [
                [[grid[i, j] for j in near[1]] for i in near[0]] if grid is not None else None
                for grid in blocks
            ]
            corner = row_spans[near[0][0]][0], col_spans[near[1][0]][0]
            task = delayed(_run, pure=False)(shared, rows, cols, corner, *windows)
            shape = (2, rows[1] - rows[0], cols[1] - cols[0])
            line.append(da.from_delayed(task, shape, np.uint8, meta=np.empty((0, 0, 0), np.uint8)))  # type: ignore[no-untyped-call]
        parts.append(line)
    packed: da.Array = da.block(parts)  # type: ignore[no-untyped-call]
    return packed


def _grid(layer: da.Array) -> Any:
    return layer.to_delayed(optimize_graph=False)  # type: ignore[no-untyped-call]


def _spans(chunks: Sequence[int]) -> list[Span]:
    ends = np.cumsum(chunks)
    return [(int(end) - size, int(end)) for end, size in zip(ends, chunks, strict=True)]


def _near(spans: Sequence[Span], own: Span) -> list[int]:
    """Gives the places of the spans that reach into a span or its halo; more than three where they are narrow."""
    return [
        place for place, (start, stop) in enumerate(spans) if stop > own[0] - HALO and start < own[1] + HALO
    ]


def _run(flags: TileFlags, rows: Span, cols: Span, corner: Span, water: Any, reference: Any) -> Classes:
    windows = [
        _window(blocks, rows, cols, corner) if blocks is not None else None for blocks in (water, reference)
    ]
    assert windows[0] is not None, "there is always observed water"
    return flags.run(rows, cols, windows[0], windows[1])


def _window(blocks: Any, rows: Span, cols: Span, corner: Span) -> Classes:
    """Cuts core and halo out of the blocks around; no data outside the scene."""
    joined = np.block(blocks)
    window = np.full((rows[1] - rows[0] + 2 * HALO, cols[1] - cols[0] + 2 * HALO), NO_DATA, np.uint8)
    cuts = []
    for span, start, length in zip((rows, cols), corner, joined.shape, strict=True):
        first, last = max(span[0] - HALO, start), min(span[1] + HALO, start + length)
        origin = span[0] - HALO
        cuts.append((slice(first - origin, last - origin), slice(first - start, last - start)))
    window[cuts[0][0], cuts[1][0]] = joined[cuts[0][1], cuts[1][1]]
    return window
