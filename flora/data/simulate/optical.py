"""Optical picture of a surface as surface reflectance: red, green, blue, near infrared.

Typical reflectance of soils, plants and built land follows the USGS Spectral Library Version 7 (Kokaly et al., 2017,
doi 10.3133/ds1035) at the bands of Sentinel-2; sediment-laden flood water is brown, bright in red, as in Sentinel-2
pictures of the flood of May 2024 at Porto Alegre.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from flora.data.simulate.kinds import Kind, Mask
from flora.data.simulate.network import STEP
from flora.data.simulate.noise import (
    Field,
    Grid,
    blur,
    enlarge,
    fractal,
    hash_grid,
    normal,
    ramp,
    smooth,
    stir,
    uniform,
    white,
)
from flora.data.simulate.place import Place
from flora.data.simulate.surface import Surface
from flora.data.simulate.terrain import Ground

# Reflectance: red, green, blue, nir; relative spread between patches, between pixels.
REFLECTANCE: Final[dict[Kind, tuple[float, float, float, float, float, float]]] = {
    Kind.WATER: (0.03, 0.04, 0.04, 0.015, 0.05, 0.01),
    Kind.FOREST: (0.026, 0.046, 0.026, 0.25, 0.14, 0.16),
    Kind.GRASS: (0.072, 0.086, 0.048, 0.26, 0.16, 0.09),
    Kind.YOUNG: (0.085, 0.098, 0.056, 0.25, 0.18, 0.07),
    Kind.MATURE: (0.042, 0.078, 0.036, 0.40, 0.16, 0.09),
    Kind.STUBBLE: (0.195, 0.160, 0.103, 0.28, 0.13, 0.07),
    Kind.BARE: (0.185, 0.142, 0.102, 0.25, 0.2, 0.07),
    Kind.MUD: (0.105, 0.082, 0.060, 0.15, 0.15, 0.05),
    Kind.SAND: (0.28, 0.24, 0.18, 0.35, 0.12, 0.05),
    Kind.MARSH: (0.05, 0.064, 0.038, 0.19, 0.18, 0.08),
    Kind.BUILDING: (0.165, 0.148, 0.136, 0.2, 0.1, 0.36),
    Kind.PAVED: (0.108, 0.106, 0.102, 0.15, 0.06, 0.12),
    Kind.GARDEN: (0.06, 0.075, 0.05, 0.24, 0.1, 0.2),
    Kind.ROAD: (0.14, 0.136, 0.128, 0.18, 0.05, 0.05),
    Kind.DROWNED_FOREST: (0.026, 0.046, 0.026, 0.25, 0.14, 0.16),
    Kind.DROWNED_PLANTS: (0.05, 0.064, 0.038, 0.19, 0.18, 0.08),
}
TABLE: Final[Field] = np.array([REFLECTANCE[kind] for kind in Kind], np.float32).T.copy()

# Water without sediment, from peat-brown over grey and blue to green.
CLEAR: Final = (
    (0.036, 0.028, 0.014, 0.012),
    (0.016, 0.032, 0.036, 0.010),
    (0.012, 0.026, 0.052, 0.006),
    (0.032, 0.070, 0.040, 0.020),
)
MURKY: Final = (0.205, 0.132, 0.078, 0.060)
RED_SOIL: Final = (1.12, 0.86, 0.72, 1.0)
GREY_SOIL: Final = (0.92, 1.0, 1.06, 0.97)
DRY_GRASS: Final = (1.75, 1.25, 1.35, 0.85)
LUSH_GRASS: Final = (0.72, 0.95, 0.8, 1.12)
TILES: Final = (1.25, 0.82, 0.68, 1.0)
EARTH: Final = (Kind.STUBBLE, Kind.BARE, Kind.MUD, Kind.SAND)
SUN: Final = (
    -0.62,
    -0.62,
)  # direction that the light comes from: (down, right); north-west is light on most maps


def palette(place: Place, greenness: float) -> Field:
    """Gives the table of reflectance tinted by the place's soil and season, (6, kinds)."""
    table = TABLE.copy()
    for band in range(4):
        soil = GREY_SOIL[band] + (RED_SOIL[band] - GREY_SOIL[band]) * place.soil
        table[band, list(EARTH)] *= soil
        grass = DRY_GRASS[band] + (LUSH_GRASS[band] - DRY_GRASS[band]) * greenness
        table[band, [Kind.GRASS, Kind.MARSH, Kind.GARDEN, Kind.DROWNED_PLANTS]] *= 0.3 + 0.7 * grass
    table[:4, Kind.FOREST] *= 1.25 - 0.35 * greenness
    table[:4, Kind.DROWNED_FOREST] = table[:4, Kind.FOREST]
    return table


def clear_water(place: Place, grid: Grid) -> list[Field]:
    """Gives the reflectance of water without sediment: red, green, blue, nir, each (H, W) for a coarse `grid`.

    A lake has its hue, and hues of one place are alike.
    """
    hue = np.clip(place.water + 0.15 * smooth(stir(place.seed, 143), grid, 420), 0, 1)
    stops = np.linspace(0, 1, len(CLEAR))
    return [
        enlarge(np.interp(hue, stops, [water[band] for water in CLEAR]).astype(np.float32), STEP)
        for band in range(4)
    ]


class Camera:
    """Takes optical pictures of one part of a place; what both dates share is computed once."""

    def __init__(self, grid: Grid, place: Place, ground: Ground) -> None:
        """Computes the light on slopes and the texture that stays from date to date.

        Args:
            grid: Full resolution.
            place: Soil, season and sediment.
            ground: Slopes.
        """
        self.grid, self.place = grid, place
        shade = 1 - 1.3 * (SUN[0] * ground.rise_down + SUN[1] * ground.rise_right)
        self.light = enlarge(np.clip(shade, 0.45, 1.5).astype(np.float32), STEP)
        self.clear = clear_water(place, grid.coarse(STEP))
        self.patch = enlarge(fractal(stir(place.seed, 141), grid.coarse(STEP), 30, 3, 0.8), STEP)
        lots = hash_grid(stir(place.seed, 142), grid.rows.astype(np.int64), grid.cols.astype(np.int64))
        self.pixel = normal(lots)
        self.tiled = uniform(lots, 13) < 0.35

    def picture(self, surface: Surface, date: int) -> Field:
        """Gives the picture of a surface.

        Args:
            surface: What covers the ground on that date.
            date: Number of the date; each has its own sensor noise.

        Returns:
            red, green, blue, nir, reflectance, without the outer pixel on each side, (4, H - 2, W - 2).
        """
        kind = surface.land.astype(np.intp)
        table = palette(self.place, self.place.greenness if date == 0 else 0.5 + 0.5 * self.place.greenness)
        gain = table[4][kind] * (0.8 * surface.luck + 0.5 * self.patch)
        gain += table[5][kind] * self.pixel
        np.exp(gain, out=gain)
        gain *= self.light
        gain *= np.float32(1 - 0.1 * surface.wetness)
        roofs = (surface.land == Kind.BUILDING) & self.tiled
        inner = self.grid.shrunk(1)
        grain = white(stir(self.place.seed, 151, date), inner)
        picture = np.empty((4, inner.height, inner.width), np.float32)
        for band in range(4):
            land = table[band][kind]
            land *= gain
            np.multiply(land, np.float32(TILES[band]), out=land, where=roofs)
            water = (np.float32(MURKY[band]) - self.clear[band]) * surface.turbidity
            water += self.clear[band] - land
            water *= surface.wet
            land += water
            value = blur(land, 0.2)  # the optics see a little of the neighbours
            noise = value * np.float32(0.01 if band < 2 else -0.01)
            noise += np.float32(0.0015)
            noise *= grain[band % 2]
            value += noise
            np.clip(value, 0.001, 1, out=picture[band])
        return picture

    def cloud(self) -> Field:
        """Gives how much cloud hides each pixel of a picture of the flood, 0 to 1, (H - 2, W - 2)."""
        if self.place.cloud <= 0:
            return np.zeros((self.grid.height - 2, self.grid.width - 2), np.float32)
        from scipy.special import ndtri

        level = float(ndtri(1 - min(self.place.cloud, 0.999)))
        thick = fractal(stir(self.place.seed, 161), self.grid.coarse(STEP), 260, 6, 0.6)
        return enlarge(ramp(thick, level - 0.05, level + 0.45), STEP)[1:-1, 1:-1]


def under_cloud(picture: Field, cloud: Field) -> tuple[Field, Mask]:
    """Paints cloud over a picture.

    Returns:
        The picture, (4, H, W), and where it shows the ground, (H, W).
    """
    return picture + (np.float32(0.75) - picture) * cloud, cloud < 0.04
