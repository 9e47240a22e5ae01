"""Radar picture of a surface: backscatter of each cover, incidence angle, slopes, thermal noise and speckle.

The order of the covers and their spread follow Ulaby and Dobson, "Handbook of Radar Scattering Statistics for Terrain"
(Artech House, 1989, C band); water, wind and flooded plants follow the review of Amitrano et al. (Remote Sensing 2024,
doi 10.3390/rs16040656) and, for double bounce under trees, Hess et al. (IJRS 1990, doi 10.1080/01431169008955090). The
means were then set so that calm water, wind-roughened flood water, forest, fields and towns lie where they lie in real
Sentinel-1 IW GRD chips (see `flora.data.simulate.compare`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from flora.data.simulate.cover import Cover
from flora.data.simulate.kinds import Kind
from flora.data.simulate.network import STEP
from flora.data.simulate.noise import Field, Grid, blur, enlarge, fractal, hash_grid, normal, stir, white
from flora.data.simulate.place import Place
from flora.data.simulate.surface import Surface
from flora.data.simulate.terrain import Ground

# Mean sigma0 at 38 degrees, dB: VV, VH; standard deviation between patches, dB: VV, VH; between pixels, dB: both;
# rise with soil moisture: 0 none, 1 full.
BACKSCATTER: Final[dict[Kind, tuple[float, float, float, float, float, float]]] = {
    Kind.WATER: (-26.0, -32.0, 0.3, 0.3, 0.0, 0.0),
    Kind.FOREST: (-7.5, -13.1, 0.6, 0.6, 0.9, 0.1),
    Kind.GRASS: (-9.5, -16.3, 1.2, 1.3, 0.4, 0.8),
    Kind.YOUNG: (-10.0, -16.9, 1.4, 1.5, 0.3, 1.0),
    Kind.MATURE: (-8.0, -14.2, 1.3, 1.3, 0.4, 0.3),
    Kind.STUBBLE: (-9.4, -16.9, 1.3, 1.4, 0.3, 1.0),
    Kind.BARE: (-10.3, -18.8, 2.0, 1.6, 0.3, 1.0),
    Kind.MUD: (-15.0, -23.2, 1.6, 1.2, 0.3, 0.3),
    Kind.SAND: (-18.6, -26.0, 1.4, 1.2, 0.3, 0.3),
    Kind.MARSH: (-9.8, -16.9, 1.0, 1.2, 0.7, 0.3),
    Kind.BUILDING: (-2.6, -10.0, 0.8, 0.8, 3.6, 0.0),
    Kind.PAVED: (-9.6, -17.2, 0.6, 0.6, 1.5, 0.2),
    Kind.GARDEN: (-8.0, -14.3, 0.6, 0.6, 1.2, 0.2),
    Kind.ROAD: (-17.8, -24.5, 0.5, 0.5, 0.8, 0.0),
    Kind.DROWNED_FOREST: (-5.3, -12.6, 0.8, 0.6, 1.2, 0.0),
    Kind.DROWNED_PLANTS: (-9.2, -21.2, 2.4, 1.8, 1.0, 0.0),
}
TABLE: Final[Field] = np.array([BACKSCATTER[kind] for kind in Kind], np.float32).T.copy()

# What full frost, or a long drought, takes from the ground, dB: VV, VH. Frozen fields lose 2 to 3 dB and more (Baghdadi
# et al., Remote Sensing 2018, doi 10.3390/rs10081182); VH is set to fall most, as in winter fields 12 dB below VV.
FROST_DB: Final[dict[Kind, tuple[float, float]]] = {
    Kind.FOREST: (0.8, 1.5),
    Kind.GRASS: (1.2, 3.5),
    Kind.YOUNG: (1.5, 4.5),
    Kind.STUBBLE: (1.5, 5.0),
    Kind.BARE: (1.5, 5.5),
    Kind.MUD: (1.0, 2.0),
    Kind.MARSH: (0.5, 1.0),
}
FROST: Final[Field] = np.array([FROST_DB.get(kind, (0.0, 0.0)) for kind in Kind], np.float32).T.copy()

# What roughness 1 adds to calm water, dB; wind raises VV far more than VH.
WIND_DB: Final = (9.0, 4.5)
# Change of sigma0 with the incidence angle, dB per degree: water (specular) and land, VV and VH.
TILT_WATER: Final = (-0.30, -0.12)
TILT_LAND: Final = (-0.13, -0.11)
# What streets square to the look add to houses in VV; the same turn takes VH away (cardinal effect).
CARDINAL_DB: Final = (2.3, -0.7)

NATURAL: Final = float(np.log(10) / 10)  # dB to nepers of power
DEGREE_PX: Final = 16 / 25000  # incidence across the 250 km of a swath, degrees per px
SWATH_DEG: Final = (29.0, 46.0)


def incidence(grid: Grid, place: Place) -> Field:
    """Gives the incidence angle of each column on flat ground, degrees, (1, W)."""
    angle = place.incidence_deg + DEGREE_PX * grid.cols
    return np.clip(angle, *SWATH_DEG).astype(np.float32)[None, :]


def slope_effect(grid: Grid, place: Place, ground: Ground) -> Field:
    """Gives how much brighter (foreshortened) or darker (turned away) slopes are than flat ground, dB, (H, W).

    The ratio of tangents of the flat and the local incidence angle, for a sensor left of the scene that looks right;
    slopes in radar shadow end at -9 dB and go down to the noise floor with the rest.

    Source: Small, IEEE TGRS 2011, doi 10.1109/TGRS.2011.2120616, for volume and area dependence; here as one factor.
    """
    flat = np.deg2rad(incidence(grid.coarse(STEP), place))
    local = np.clip(flat - np.arctan(ground.rise_right), np.deg2rad(8), np.deg2rad(84))
    gain = np.clip(10 * np.log10(np.tan(flat) / np.tan(local)), -9, 8)
    return enlarge(gain.astype(np.float32), STEP)


def speckle(seed: int, grid: Grid, place: Place) -> tuple[Field, Field]:
    """Gives multi-look speckle of mean 1 for VV and VH, correlated between neighbours as in 10 m GRD products.

    A filtered normal field becomes gamma-distributed by the cube-root transformation, which needs no tables.

    Source: Wilson and Hilferty, PNAS 1931, doi 10.1073/pnas.17.12.684; looks: Sentinel-1 Product Definition, IW GRDH.
    """
    side = place.speckle_side
    scale = (1 + 2 * side) ** 2 / ((1 + 2 * side**2) * 3 * np.sqrt(place.looks))
    drawn = []
    for noise in white(seed, grid.shrunk(-1)):
        root = blur(noise, side)
        root *= np.float32(scale)
        root += np.float32(1 - 1 / (9 * place.looks))
        np.maximum(root, 0.2, out=root)  # 0.2 cubed is -21 dB: below it the approximation has no meaning
        drawn.append(root * root * root)
    return drawn[0], drawn[1]


class Radar:
    """Takes radar pictures of one part of a place; what both dates share is computed once."""

    def __init__(self, grid: Grid, place: Place, ground: Ground, cover: Cover) -> None:
        """Computes incidence, slopes and the texture that stays from date to date.

        Args:
            grid: Full resolution.
            place: Calibration, noise and speckle.
            ground: Slopes.
            cover: Directions of districts.
        """
        self.grid, self.place, self.cover = grid, place, cover
        self.angle = incidence(grid, place) - 38
        self.slope = slope_effect(grid, place, ground)
        patch = fractal(stir(place.seed, 121), grid.coarse(STEP), 26, 2)
        self.patch = enlarge(patch, STEP)
        lots = hash_grid(stir(place.seed, 122), grid.rows.astype(np.int64), grid.cols.astype(np.int64))
        self.pixel = normal(lots), normal(lots, part=1)

    def mean_db(self, surface: Surface) -> tuple[Field, Field]:
        """Gives sigma0 of VV and VH without noise and speckle, dB, (H, W) each."""
        seen = surface.seen.astype(np.intp)
        water = surface.seen == Kind.WATER
        spread = TABLE[4][seen]
        town = (surface.seen == Kind.BUILDING) * np.clip(self.cover.district, -1, 2)
        damp = TABLE[5][seen] * np.float32(surface.wetness)
        bands = []
        for band in range(2):
            level = TABLE[band][seen] + TABLE[2 + band][seen] * (0.85 * surface.luck + 0.4 * self.patch)
            level += spread * self.pixel[band]
            level += CARDINAL_DB[band] * town
            level += damp
            level -= FROST[band][seen] * np.float32(self.place.frost)
            wind = WIND_DB[band] * surface.rough
            wind += np.float32(TILT_WATER[band] - TILT_LAND[band]) * self.angle
            level += np.where(water, wind, self.slope)
            level += np.float32(TILT_LAND[band]) * self.angle + np.float32(self.place.calibration[band])
            bands.append(level)
        return bands[0], bands[1]

    def picture(self, surface: Surface, date: int) -> Field:
        """Gives the picture of a surface as a product would show it.

        Args:
            surface: What covers the ground on that date.
            date: Number of the date; each has its own speckle.

        Returns:
            VV and VH, dB, without the outer pixel on each side, (2, H - 2, W - 2).
        """
        noise = np.float32(10 ** (self.place.noise_floor_db / 10))
        side = 0.3  # a resolution cell of about 20 m sees its neighbours
        inner = self.grid.shrunk(1)
        picture = np.empty((2, inner.height, inner.width), np.float32)
        grains = speckle(stir(self.place.seed, 131, date), inner, self.place)
        for band, (level, grain) in enumerate(zip(self.mean_db(surface), grains, strict=True)):
            level *= np.float32(NATURAL)
            power = blur(np.exp(level, out=level), side)
            power += noise
            power *= grain
            np.log10(power, out=picture[band])
        picture *= 10
        return picture
