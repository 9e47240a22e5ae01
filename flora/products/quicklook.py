"""The picture that people look at first: radar, optical, water over optical, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image

import flora
from flora.bands import DISPLAY_GAIN
from flora.products.colors import (
    NO_DATA_COLOR,
    RATIO_RANGE,
    VH_RANGE,
    VV_RANGE,
    WATER_COLOR,
    Picture,
    optical_colors,
    radar_colors,
    water_over,
)
from flora.products.figure import Panel, Words, draw_sheet
from flora.products.ground import Ground, ground_of
from flora.products.layers import origin_words
from flora.products.summary import NOTICE, Summary
from flora.products.thumbnail import STRIP, RadarThumbnail, block_sum, thin_file, thin_radar, thinning, thins

# Three of these and what stands between them stay under 2,400 px.
PANEL_WIDTH, PANEL_HEIGHT = 750, 1200
LEAST_SIDE = 240  # px; a small chip is enlarged to it
FINER = 4  # water is read this much finer and averaged, so that thin rivers stay


def radar_thumbnail(prediction: xr.Dataset, geobox: GeoBox) -> RadarThumbnail | None:
    """Prepares the radar's picture of the sheet, to be filled tile by tile.

    Args:
        prediction: As `flora.predict` gives it.
        geobox: Grid of the scene.

    Returns:
        The picture, still empty; None where tiles would cut its pixels, and the scene is to be read once more for it.
    """
    factor, radar = _layout(geobox)[2], prediction["radar"].data
    return RadarThumbnail(radar, factor) if thins(radar, factor) else None


def thinned_radar(scene: xr.Dataset, geobox: GeoBox) -> NDArray[np.float32]:
    """Reads the scene once more for the radar's picture of the sheet; see `radar_thumbnail`."""
    return thin_radar(scene, _layout(geobox)[2])


def write_quicklook(
    path: Path, radar: NDArray[np.float32], geobox: GeoBox, folder: Path, summary: Summary
) -> Path:
    """Draws the quicklook of a product.

    Args:
        path: PNG to write.
        radar: VV, VH as `radar_thumbnail` or `thinned_radar` gives them, dB.
        geobox: Grid of the scene.
        folder: Where the product's `optical.tif` and `water.tif` are.
        summary: The product's numbers.

    Returns:
        The path.
    """
    ground, size, factor, optical = optical_panel(geobox, folder)
    water = thin_file(folder / "water.tif", max(1, factor // FINER))[0]
    share = average_share(water, optical.shape[:2])
    pictures = [radar_colors(radar), optical, water_over(optical, share)]
    panels = [
        Panel(title, note, Image.fromarray(picture).resize(size, resampling(picture, size)))
        for (title, note), picture in zip(_captions(summary), pictures, strict=True)
    ]
    draw_sheet(panels, sheet_words(summary), ground, thinned=geobox.shape.x / size[0]).save(
        path, compress_level=4
    )
    return path


def optical_panel(geobox: GeoBox, folder: Path) -> tuple[Ground, tuple[int, int], int, Picture]:
    """Gives what all pictures of a sheet share.

    Args:
        geobox: Grid of the scene.
        folder: Where the product's `optical.tif` is.

    Returns:
        The scene on the ground, width and height of a picture in px, pixels of the scene that become one, and the
        optical picture in such pixels.
    """
    ground, size, factor = _layout(geobox)
    return ground, size, factor, optical_colors(thin_file(folder / "optical.tif", factor))


def _layout(geobox: GeoBox) -> tuple[Ground, tuple[int, int], int]:
    """Gives the scene on the ground, width and height of a picture, px, and pixels of the scene that become one."""
    ground = ground_of(geobox)
    height, width = geobox.shape.yx
    size = panel_size((height * ground.pixel[0], width * ground.pixel[1]), (height, width))
    return ground, size, thinning((height, width), (size[1], size[0]))


def panel_size(extent: tuple[float, float], shape: tuple[int, int]) -> tuple[int, int]:
    """Gives width and height of a picture, px, with the proportions of the ground.

    Args:
        extent: Height and width of the scene on the ground, in any unit.
        shape: Height and width of the scene, px.

    Returns:
        At most 750 x 1200, not larger than the scene (but a chip's longer side is enlarged to 240), at least 1.
    """
    height, width = extent
    # Ground units in a pixel of the picture: as few as fit, but no fewer than the scene's own.
    unit = max(width / PANEL_WIDTH, height / PANEL_HEIGHT)
    own = min(width / shape[1], height / shape[0])
    unit = max(unit, min(own, max(width, height) / LEAST_SIDE))
    return max(1, round(width / unit)), max(1, round(height / unit))


def resampling(picture: NDArray[np.uint8], size: tuple[int, int]) -> Image.Resampling:
    """Chooses how a picture is brought to its size."""
    # Enlarged pixels stay pixels: no detail is shown that was not there.
    larger = size[0] > picture.shape[1] * 1.5
    return Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS


def average_share(water: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Averages classes over the pixels of a coarser picture, (H, W); NaN where none has data."""
    factor = max(1, round(water.shape[0] / shape[0]), round(water.shape[1] / shape[1]))
    share = np.empty(shape, np.float32)
    for top in range(0, shape[0], STRIP):
        rows = water[top * factor : (top + STRIP) * factor]
        valid = np.isfinite(rows)
        count = block_sum(valid.astype(np.float32), factor)
        total = block_sum(np.where(valid, rows, np.float32(0)), factor)
        share[top : top + STRIP] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return share


def _captions(summary: Summary) -> list[tuple[str, str]]:
    def span(name: str, limits: tuple[float, float]) -> str:
        return f"{name} {limits[0]:g}…{limits[1]:g}".replace("-", "−")

    bands = (span("red VV", VV_RANGE), span("green VH", VH_RANGE), span("blue VV/VH", RATIO_RANGE))
    source = origin_words(summary.optical_prior)
    return [
        ("Radar", " · ".join(bands) + " dB"),
        ("Optical, reconstructed", f"{source}; reflectance 0…{1 / DISPLAY_GAIN:.2f}"),
        ("Water", f"probability ≥ {summary.threshold:.2f}, over the reconstructed picture"),
    ]


def sheet_words(summary: Summary) -> Words:
    """Says what a product is: title, numbers, caveats, credit."""
    area = f"{summary.water_km2:,.1f} km² of water" if summary.water_km2 is not None else "Area unknown"
    share = f"{100 * summary.water_share:.1f} % of the valid pixels"
    when = f"  ·  {summary.time.replace('T', ' ').replace('Z', ' UTC')}" if summary.time else ""
    simulated = "simulated" in summary.note
    credit = f"FLoRA {flora.__version__}" + ("" if simulated else f"  ·  {NOTICE}")
    return Words(
        title=summary.scene,
        subtitle=f"{area}, {share}{when}",
        alert=summary.note,
        legend=[(WATER_COLOR, "water"), (NO_DATA_COLOR, "no data")],
        credit=credit,
    )
