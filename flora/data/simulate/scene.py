"""Puts a simulated scene together from pages, so that any window of it can be made alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flora.data.simulate.cover import lay_cover
from flora.data.simulate.noise import Field, Grid
from flora.data.simulate.optical import Camera, under_cloud
from flora.data.simulate.place import Place, SceneConfig, draw_place
from flora.data.simulate.radar import Radar
from flora.data.simulate.surface import lay_surfaces
from flora.data.simulate.terrain import lay_ground
from flora.errors import ConfigError

if TYPE_CHECKING:
    from flora.chip import Chip

PAGE = 512  # px; a scene is a mosaic of pages, each a pure function of its place, row and column
HALO = 4  # px that a page computes beyond its border, for filters and slopes; one step of the coarse grid
WEDGE_SLOPE = 0.2  # px that the left edge of the swath moves per row: an orbit's heading


@dataclass(frozen=True, slots=True)
class SimulatedScene:
    """One simulated place before and during a flood; absent radar is NaN.

    Attributes:
        sar_db: VV, VH on the date of the flood, sigma0 dB, (2, H, W).
        sar_before_db: VV, VH before, dB, (2, H, W).
        optical: red, green, blue, nir on the date of the flood, reflectance, (4, H, W).
        optical_before: The same before, (4, H, W).
        water: 1 where water is on the date of the flood: permanent, open flood and flooded vegetation, (H, W).
        water_before: 1 where water is permanent, (H, W).
        flooded_vegetation: Where plants stand in flood water, (H, W).
        ambiguous: Buildings and closed forest in flood water, left out of chips' labels, (H, W).
        valid: Where the radar sees the ground, (H, W).
        optical_valid: Where no cloud hides the optical picture of the flood, (H, W).
        kind: Land cover as if dry, values of `flora.data.simulate.Kind`, (H, W).
        seed: What it was made from.
        origin: Absolute row and column of its first pixel.
    """

    sar_db: Field
    sar_before_db: Field
    optical: Field
    optical_before: Field
    water: NDArray[np.uint8]
    water_before: NDArray[np.uint8]
    flooded_vegetation: NDArray[np.bool_]
    ambiguous: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    optical_valid: NDArray[np.bool_]
    kind: NDArray[np.uint8]
    seed: int
    origin: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.water.shape[0], self.water.shape[1]

    @property
    def flood(self) -> NDArray[np.bool_]:
        """Water that is not permanent, (H, W)."""
        new: NDArray[np.bool_] = (self.water == 1) & (self.water_before == 0)
        return new

    def to_chip(self, window: tuple[slice, slice] | None = None, split: str = "train") -> Chip:
        """Cuts a training sample: the picture before the flood is its prior.

        Args:
            window: Rows and columns, such as `np.s_[0:256, 0:256]`; None takes the whole scene.
            split: Split that the chip says it belongs to.

        Returns:
            The chip; radar outside the swath, clouded optics and the ambiguous water are invalid.
        """
        from flora.chip import Chip, ChipMeta

        rows, cols = window or (slice(None), slice(None))
        valid = self.valid[rows, cols]
        clear = self.optical_valid[rows, cols]
        height, width = valid.shape
        corner = self.origin[0] + (rows.start or 0), self.origin[1] + (cols.start or 0)
        meta = ChipMeta(
            dataset="simulated",
            event=f"simulated-{self.seed}",
            group=f"simulated-{self.seed}",
            chip=f"simulated-{self.seed}_{corner[0]}_{corner[1]}",
            split=split,
            optical_radiometry="surface",
            water_label="strong",
            pixel_m=10.0,
            simulated=True,
        )
        return Chip(
            sar=np.where(valid, self.sar_db[:, rows, cols], np.float32(0)),
            sar_valid=np.broadcast_to(valid, (2, height, width)).copy(),
            meta=meta,
            optical=np.where(clear, self.optical[:, rows, cols], np.float32(0)),
            optical_valid=np.broadcast_to(clear, (4, height, width)).copy(),
            prior=self.optical_before[:, rows, cols].copy(),
            prior_valid=np.ones((4, height, width), bool),
            water=np.where(valid, self.water[rows, cols], np.uint8(0)),
            water_valid=valid & ~self.ambiguous[rows, cols],
        )


ARRAYS = tuple(item.name for item in fields(SimulatedScene) if item.name not in ("seed", "origin"))


def make_part(place: Place, row: int, col: int) -> SimulatedScene:
    """Makes `PAGE` x `PAGE` px of a place.

    Anywhere on the plane gives the same picture up to rounding; parts at multiples of `PAGE`, the pages, are what
    scenes are made of, and so windows of a scene are equal to the last bit.

    Args:
        place: The place.
        row: Absolute row of its first pixel, a multiple of the coarse step; negative allowed.
        col: Absolute column of its first pixel, likewise.

    Returns:
        The part as a scene of its own.
    """
    side = PAGE + 2 * HALO
    grid = Grid(row - HALO, col - HALO, side, side)
    ground = lay_ground(grid, place)
    cover = lay_cover(grid, place, ground)
    after, before, waters = lay_surfaces(grid, place, ground, cover)
    radar, camera = Radar(grid, place, ground, cover), Camera(grid, place, ground)
    optical, clear = under_cloud(camera.picture(after, 0), camera.cloud())
    inner = slice(HALO, HALO + PAGE)
    cut = slice(HALO - 1, HALO - 1 + PAGE)  # pictures have lost a pixel on each side to filters
    sar, sar_before = (radar.picture(surface, i)[:, cut, cut] for i, surface in enumerate((after, before)))
    valid = np.ones((PAGE, PAGE), bool)
    if place.wedge_px:
        valid = grid.cols[None, inner] >= place.wedge_px - WEDGE_SLOPE * grid.rows[inner, None]
        sar[:, ~valid] = sar_before[:, ~valid] = np.nan
    return SimulatedScene(
        sar_db=sar,
        sar_before_db=sar_before,
        optical=optical[:, cut, cut],
        optical_before=camera.picture(before, 1)[:, cut, cut],
        water=waters.water[inner, inner].astype(np.uint8),
        water_before=waters.permanent[inner, inner].astype(np.uint8),
        flooded_vegetation=waters.drowned[inner, inner],
        ambiguous=waters.ambiguous[inner, inner],
        valid=valid,
        optical_valid=clear[cut, cut],
        kind=cover.kind[inner, inner],
        seed=place.seed,
        origin=(row, col),
    )


def simulate(
    height: int = 2048,
    width: int = 2048,
    seed: int = 0,
    config: SceneConfig | None = None,
    origin: tuple[int, int] = (0, 0),
    workers: int = 1,
) -> SimulatedScene:
    """Simulates a flood as Sentinel-1 and Sentinel-2 would show it, with the truth beside it.

    A seed is a place on an infinite plane: a window with another origin, size or number of workers shows the same
    pixels, to the last bit.

    Args:
        height: Rows, px.
        width: Columns, px.
        seed: The place and its weather.
        config: Ranges that places are drawn from; None for the default.
        origin: Absolute row and column of the first pixel.
        workers: Threads.

    Returns:
        The scene, whole in memory: about 56 bytes a pixel.

    Raises:
        ConfigError: A size is not positive.
    """
    if height < 1 or width < 1:
        raise ConfigError(
            f"A scene of {height} x {width} px has no pixels; expected both above 0. Give another size."
        )
    place = draw_place(seed, config or SceneConfig())
    ends = origin[0] + height, origin[1] + width
    pages = [
        (row, col)
        for row in range(origin[0] // PAGE * PAGE, ends[0], PAGE)
        for col in range(origin[1] // PAGE * PAGE, ends[1], PAGE)
    ]
    layers: dict[str, NDArray[np.generic]] = {}
    for page in spread(lambda at: make_part(place, *at), pages, workers):
        lay(layers, page, origin, (height, width))
    return SimulatedScene(**layers, seed=place.seed, origin=origin)  # type: ignore[arg-type]


def lay(
    layers: dict[str, NDArray[np.generic]],
    page: SimulatedScene,
    origin: tuple[int, int],
    shape: tuple[int, int],
) -> None:
    """Copies a page's pixels to where they lie in a window, making the window's arrays with the first page."""
    there, here = [], []
    for start, begin, length in zip(page.origin, origin, shape, strict=True):
        low, high = max(start, begin), min(start + PAGE, begin + length)
        there.append(slice(low - begin, high - begin))
        here.append(slice(low - start, high - start))
    for name in ARRAYS:
        part = getattr(page, name)
        if name not in layers:
            layers[name] = np.empty((*part.shape[:-2], *shape), part.dtype)
        layers[name][..., there[0], there[1]] = part[..., here[0], here[1]]


def spread(
    work: Callable[[tuple[int, int]], SimulatedScene], items: Iterable[tuple[int, int]], workers: int
) -> Iterator[SimulatedScene]:
    """Yields the results of `work` in order; at most one more than `workers` of them is under way or waiting."""
    if workers < 2:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[SimulatedScene]] = deque()
        for item in items:
            if len(waiting) > workers:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, item))
        while waiting:
            yield waiting.popleft().result()
