"""The picture of a flood map: radar, optical, and the flood over it, side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image

from flora.bands import DISPLAY_GAIN
from flora.products.colors import NO_DATA_COLOR, WATER_COLOR, Picture, radar_colors
from flora.products.figure import Panel, Words, draw_sheet
from flora.products.floodsummary import FloodSummary
from flora.products.layers import WATER, origin_words
from flora.products.layerstyle import FLOOD_COLOR, RECEDED_COLOR, REFERENCE_COLOR
from flora.products.quicklook import FINER, average_share, optical_panel, resampling, sheet_words
from flora.products.thumbnail import thin_file, thin_radar
from flora.products.water import RECEDED

OPACITY = 0.85
UNKNOWN_REFERENCE = "water, reference unknown"


def write_flood_quicklook(
    path: Path,
    scene: xr.Dataset,
    before: xr.Dataset | None,
    geobox: GeoBox,
    folder: Path,
    summary: FloodSummary,
    subtitle: str,
) -> Path:
    """Draws the quicklook of a flood map.

    Args:
        path: PNG to write.
        scene: The scene with the flood.
        before: The scene from before on the same grid; None without one.
        geobox: The grid.
        folder: Where the layers are.
        summary: The product's numbers.
        subtitle: What was found, in a line.

    Returns:
        The path.
    """
    ground, size, factor, optical = optical_panel(geobox, folder)
    titled = [] if before is None else [(_radar_words("Radar, before", before), before)]
    titled.append((_radar_words("Radar", scene), scene))
    shown = [(words, radar_colors(thin_radar(radar, factor))) for words, radar in titled]
    note = f"{origin_words(summary.optical_prior)}; reflectance 0…{1 / DISPLAY_GAIN:.2f}"
    shown.append((("Optical, reconstructed", note), optical))
    shown.append(
        (
            ("Flood", "observed water without reference water"),
            _flooded(optical, folder, max(1, factor // FINER)),
        )
    )
    panels = [
        Panel(title, note, Image.fromarray(picture).resize(size, resampling(picture, size)))
        for (title, note), picture in shown
    ]
    words = sheet_words(summary)
    legend = [(FLOOD_COLOR, "flood"), (REFERENCE_COLOR, "reference water")]
    legend += [(RECEDED_COLOR, "receded water")] if before is not None else []
    legend += [(WATER_COLOR, UNKNOWN_REFERENCE)] if summary.reference_unknown_pixels else []
    legend.append((NO_DATA_COLOR, "no data"))
    words = Words(words.title, subtitle, words.alert, legend, words.credit)
    draw_sheet(panels, words, ground, thinned=geobox.shape.x / size[0]).save(path, compress_level=4)
    return path


def _radar_words(title: str, scene: xr.Dataset) -> tuple[str, str]:
    time = str(scene.attrs.get("time") or "").replace("T", " ").replace("Z", " UTC")
    return title, " · ".join(part for part in (str(scene.attrs.get("name", "")), time) if part)


def _flooded(optical: Picture, folder: Path, factor: int) -> Picture:
    """Lays what is told of water over a paler picture, by the share that it fills."""
    grey = optical @ np.array([0.299, 0.587, 0.114], np.float32)
    mixed = 0.5 * grey[..., None] + 0.2 * optical + 0.3 * 255
    shape = optical.shape[:2]
    water, flood = (
        thin_file(folder / f"{name}.tif", factor)[0] for name in ("observed_water", "observed_flood")
    )
    shares = [
        (_share(thin_file(folder / "reference_water.tif", factor)[0], WATER, shape), REFERENCE_COLOR),
        (average_share(unknown_reference(water, flood), shape), WATER_COLOR),
        (_share(flood, WATER, shape), FLOOD_COLOR),
    ]
    if (folder / "change.tif").is_file():
        receded = _share(thin_file(folder / "change.tif", factor)[0], RECEDED, shape)
        shares.insert(1, (receded, RECEDED_COLOR))
    for share, color in shares:
        alpha = OPACITY * np.nan_to_num(share)[..., None]
        mixed = (1 - alpha) * mixed + alpha * np.array(color, np.float32)
    no_radar = np.isnan(_share(water, WATER, shape))
    mixed = np.where(no_radar[..., None], np.array(NO_DATA_COLOR, np.float32), mixed)
    return np.rint(mixed).astype(np.uint8)


def unknown_reference(water: NDArray[np.float32], flood: NDArray[np.float32]) -> NDArray[np.float32]:
    """Tells where water is seen and nobody knows whether it is there without a flood.

    Args:
        water: Observed water, 1 water, 0 land, NaN no data, (H, W).
        flood: Observed flood, NaN where unknown, (H, W).

    Returns:
        1 there, 0 elsewhere, NaN where water has no data, (H, W).
    """
    unknown = (water == WATER) & np.isnan(flood)
    return np.where(np.isnan(water), np.nan, unknown).astype(np.float32)


def _share(classes: NDArray[np.float32], value: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Gives the share of each pixel of a picture that has a class; NaN where nothing is known."""
    chosen = np.where(np.isnan(classes), np.nan, classes == value).astype(np.float32)
    return average_share(chosen, shape)
