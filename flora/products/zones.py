"""Figures for people: how much is flooded, is water, is excluded, overall and zone by zone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from flora.products.area import SQUARE_KM, row_areas
from flora.products.components import BLOCK
from flora.products.landcover import LandCover
from flora.products.layers import WATER
from flora.products.population import Population
from flora.products.result import LIKELIHOOD, OBSERVED_FLOOD, OBSERVED_WATER, Result, added, open_result
from flora.products.zonefigures import COVERED, CSV_FILE, JSON_FILE, Figures, write_figures
from flora.products.zonefile import Zone, read_zones, require_inside
from flora.raster.file import RasterFile, describe
from flora.raster.grid import require_same_grid

SURE, POSSIBLE = 0.9, 0.1  # probability from which a pixel is in the low and in the high figure
OVERALL = "overall"

Mask = NDArray[np.bool_]
Cover = tuple[NDArray[np.intp], list[str]]  # place of each pixel's class in a list of names


def write_zones(
    folder: str | Path,
    zones: str | Path | None = None,
    *,
    name_field: str | None = None,
    population: str | Path | None = None,
    land_cover: str | Path | None = None,
    overwrite: bool = False,
    block: int = BLOCK,
) -> list[Figures]:
    """Writes `zones.csv` and `zones.json` into a product's folder: overall, then zone by zone.

    A pixel belongs to a zone when its middle lies in it. Areas are those on the ellipsoid.

    Args:
        folder: A product, as `flora predict` writes it.
        zones: File of polygons (GeoPackage, GeoJSON, Shapefile, …) in any CRS; None for the whole scene alone.
        name_field: Its field with the names; None for one that is called so, or else numbers.
        population: Raster of people a cell, in any CRS.
        land_cover: Raster of ESA WorldCover codes, or others, in any CRS.
        overwrite: Whether older figures are replaced.
        block: Side of what is read at once, px; does not change the result.

    Returns:
        The figures, overall first.

    Raises:
        InputError: The product, the zones, the population or the land cover cannot be read or lie elsewhere, or the
            scene has no CRS.
        OutputError: The files cannot be written.
    """
    rasters = {"population": population, "land_cover": land_cover}
    with added(open_result(folder).folder, [CSV_FILE, JSON_FILE], overwrite=overwrite) as hidden:
        figures = count_zones(folder, zones, name_field=name_field, block=block, **rasters)
        write_figures(hidden, figures)
    return figures


def count_zones(
    folder: str | Path,
    zones: str | Path | None = None,
    *,
    name_field: str | None = None,
    population: str | Path | None = None,
    land_cover: str | Path | None = None,
    block: int = BLOCK,
) -> list[Figures]:
    """Counts as `write_zones` does, and writes nothing.

    Args:
        folder: A finished result.
        zones: Polygons of any form that GDAL reads; None for the whole scene alone.
        name_field: Field with the names of the zones.
        population: A raster of people a cell.
        land_cover: A raster of ESA WorldCover codes.
        block: Side of the blocks that are read, px; changes memory, not the figures.

    Returns:
        The row `overall`, then one a zone, in the order of the file.

    Raises:
        InputError: Something cannot be read, or lies elsewhere.
    """
    result = open_result(folder)
    source = _Source(result, population, land_cover)
    known = read_zones(zones, name_field, source.geobox) if zones else []
    if zones:
        require_inside(known, source.geobox, zones)
    figures = [source.start(OVERALL), *(source.start(zone.name) for zone in known)]
    for rows, cols in _blocks(source.geobox, block):
        amounts = source.amounts(rows, cols)
        cover = source.land_cover.read(rows, cols) if source.land_cover else None
        _add(figures[0], amounts, cover, np.ones(amounts["scene_km2"].shape, np.bool_))
        for zone, told in zip(known, figures[1:], strict=True):
            inside = _inside(zone, source.geobox, rows, cols)
            if inside is not None:
                _add(told, amounts, cover, inside)
    for zone, told in zip(known, figures[1:], strict=True):
        told.covered_share = min(1.0, told.scene_km2 / zone.square_km) if zone.square_km else 0.0
    for told in figures:
        if told.people_share is not None:
            told.people_share = min(1.0, told.people_share / told.scene_km2) if told.scene_km2 else 0.0
    return figures


class _Source:
    """Reads what is counted, block by block."""

    def __init__(self, result: Result, population: str | Path | None, land_cover: str | Path | None) -> None:
        self.water = result.layer(OBSERVED_WATER)
        self.likelihood = result.layer(LIKELIHOOD)
        self.flood, self.exclusion, self.reference = (
            describe(path) if path else None
            for path in map(result.find, (OBSERVED_FLOOD, ("exclusion",), ("reference_water",)))
        )
        self.geobox = result.located(self.water)
        self.population = Population(population, self.geobox) if population else None
        self.land_cover = LandCover(land_cover, self.geobox) if land_cover else None
        layers = (self.water, self.likelihood, self.flood, self.exclusion, self.reference)
        require_same_grid([layer for layer in layers if layer])

    def start(self, zone: str) -> Figures:
        """Gives figures at zero, and None where nothing is known."""
        figures = Figures(zone)
        if self.flood:
            figures.flood_km2 = figures.flood_low_km2 = figures.flood_high_km2 = 0.0
        if self.exclusion:
            figures.excluded_km2 = 0.0
        if self.population:
            figures.people = figures.people_share = figures.people_in_water = 0.0
            figures.people_in_flood = 0.0 if self.flood else None
        if self.land_cover:
            figures.land_cover = {}
        return figures

    def amounts(self, rows: slice, cols: slice) -> dict[str, NDArray[np.float64]]:
        """Gives what each pixel of a block adds to each figure, (H, W)."""
        values, valid = self.water.read(1, rows, cols)
        probability = self._probability(rows, cols)
        masks: dict[str, Mask] = {"scene_km2": np.ones_like(valid), "no_data_km2": ~valid}
        masks |= _ranged("water", valid & (values == WATER), valid, probability)
        if self.flood:
            elsewhere = valid & ~self._is(self.reference, rows, cols)
            masks |= _ranged("flood", self._is(self.flood, rows, cols), elsewhere, probability)
        if self.exclusion:
            flags, known = self.exclusion.read(1, rows, cols)
            masks["excluded_km2"] = valid & known & (flags > 0)
        area = row_areas(self.geobox, rows, cols)[:, None]
        amounts = {name: mask * (area / SQUARE_KM) for name, mask in masks.items()}
        if self.population:
            density, inside = self.population.density(self.geobox, rows, cols)
            people = density * area
            amounts |= {"people": people, "people_in_water": people * masks["water_km2"]}
            amounts["people_share"] = inside * (area / SQUARE_KM)  # km² here, a share in the end
            if self.flood:
                amounts["people_in_flood"] = people * masks["flood_km2"]
        return amounts

    def _probability(self, rows: slice, cols: slice) -> NDArray[np.float64]:
        values, valid = self.likelihood.read(1, rows, cols)
        scale = 1.0 if Path(self.likelihood.path).stem == "water_probability" else 0.01
        return np.where(valid, values * scale, 0.0).astype(np.float64)

    def _is(self, file: RasterFile | None, rows: slice, cols: slice) -> Mask:
        """Tells where a layer has its class; nowhere without one."""
        if file is None:
            return np.zeros((rows.stop - rows.start, cols.stop - cols.start), np.bool_)
        values, valid = file.read(1, rows, cols)
        mask: Mask = valid & (values == WATER)
        return mask


def _ranged(name: str, mapped: Mask, where: Mask, probability: NDArray[np.float64]) -> dict[str, Mask]:
    """Gives what is mapped, what of it is sure, and what is possible besides."""
    return {
        f"{name}_km2": mapped,
        f"{name}_low_km2": mapped & (probability >= SURE),
        f"{name}_high_km2": mapped | (where & (probability >= POSSIBLE)),
    }


def _blocks(geobox: GeoBox, block: int) -> Iterator[tuple[slice, slice]]:
    height, width = geobox.shape.yx
    for top in range(0, height, block):
        for left in range(0, width, block):
            yield slice(top, min(top + block, height)), slice(left, min(left + block, width))


def _inside(zone: Zone, geobox: GeoBox, rows: slice, cols: slice) -> Mask | None:
    """Tells which pixels of a block have their middle in a zone; None where they cannot."""
    left, top, right, bottom = zone.pixels.bounds
    if right <= cols.start or left >= cols.stop or bottom <= rows.start or top >= rows.stop:
        return None
    shape = rows.stop - rows.start, cols.stop - cols.start
    place = Affine.translation(cols.start, rows.start)
    burnt = rasterize([(zone.pixels, 1)], out_shape=shape, transform=place, dtype="uint8")
    inside: Mask = burnt == 1
    return inside


def _add(
    figures: Figures, amounts: dict[str, NDArray[np.float64]], cover: Cover | None, inside: Mask
) -> None:
    for name, amount in amounts.items():
        figures.add(name, float(amount[inside].sum()))
    if cover is None:
        return
    places, kinds = cover
    for name in filter(amounts.__contains__, COVERED):
        sums = np.bincount(places[inside], weights=amounts[name][inside], minlength=len(kinds))
        for kind, amount in zip(kinds, sums, strict=True):
            figures.add(f"{kind}/{name}", float(amount))
