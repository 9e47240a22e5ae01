"""The maps of a report: radar before and after, the optical picture, and the flood over it, with their legend."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from flora.errors import FloraError
from flora.products.colors import NO_DATA_COLOR, Picture, optical_colors, radar_colors, water_over
from flora.products.floodpicture import UNKNOWN_REFERENCE
from flora.products.layers import WATER, WATER_COLORS, origin_words
from flora.products.layerstyle import FLOOD_COLOR, RECEDED_COLOR, REFERENCE_COLOR, Rgb
from flora.products.mapframe import Frame, draw_map, frame_of
from flora.products.result import OBSERVED_FLOOD, OBSERVED_WATER, Result
from flora.products.thumbnail import thin_file, thin_radar, thinning
from flora.products.water import RECEDED
from flora.raster import open_sar
from flora.raster.align import align_scene
from flora.raster.grid import geobox_of

MAP_WIDTH, MAP_HEIGHT = 340, 300  # px of the page; two side by side fill the width of A4
OPACITY = 0.8
RADAR_NOTE = "red VV, green VH, blue their ratio; dark is smooth, as water is"


def map_section(result: Result) -> str:
    """Sets the maps two by two, as HTML; the legend takes a place that is left, or goes below."""
    maps = list(_maps(result))
    inside, below = (_legend(result), "") if len(maps) % 2 else ("", _legend(result))
    return f'<section class="maps">{"".join(maps)}{inside}</section>{below}'


def _maps(result: Result) -> Iterator[str]:
    """Draws before, after, optical and the map, as far as they are there."""
    water = result.layer(OBSERVED_WATER)
    frame = frame_of(geobox_of(water, crs_required=False), MAP_WIDTH, MAP_HEIGHT)
    factor = thinning((water.height, water.width), (2 * frame.size[1], 2 * frame.size[0]))
    for title, scene in _scenes(result, frame):
        yield draw_map(radar_colors(thin_radar(scene, factor)), frame, title, RADAR_NOTE)
    optical = result.find(("optical",))
    picture: Picture | None = None
    if optical is not None:
        picture = optical_colors(thin_file(optical, factor)[:3])
        note = f"what the eye would have seen; {origin_words(bool(result.summary.get('optical_prior')))}"
        yield draw_map(picture, frame, "Optical, reconstructed", note)
    yield draw_map(_flood_colors(result, factor, picture), frame, *_map_words(result))


def _scenes(result: Result, frame: Frame) -> Iterator[tuple[str, xr.Dataset]]:
    """Opens the radar again, with its titles; what is gone or another by now is left out."""
    scene = _opened(result, "sources")
    if scene is None or tuple(scene["VV"].shape) != tuple(frame.geobox.shape.yx):
        return
    earlier = _opened(result, "before_sources", like=scene)
    if earlier is not None:
        yield _titled("Radar before", result.summary.get("before_time")), earlier
    yield _titled("Radar", result.summary.get("time")), scene


def _titled(title: str, time: object) -> str:
    return f"{title}, {str(time)[:10]}" if time else title


def _opened(result: Result, key: str, like: xr.Dataset | None = None) -> xr.Dataset | None:
    """Opens a scene as it was read for the map, on the grid of another where one is given; None where it is gone."""
    sources = result.summary.get(key)
    if not isinstance(sources, list) or not sources:
        return None
    for reading in _readings(result.summary):
        with contextlib.suppress(FloraError):
            scene: xr.Dataset = open_sar(sources, crs_required=False, **reading)
            return scene if like is None else align_scene(scene, like)
    return None


def _readings(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Gives bands and scale to open a scene with; where they were not noted, what it was read as, then what it says."""
    noted = summary.get("reading")
    if isinstance(noted, dict) and noted:
        return [{"bands": noted.get("bands"), "scale": noted.get("scale") or "auto"}]
    read_as = (summary.get("sar_scale") or {}).get("read_as")
    return [{"scale": str(read_as)}, {}] if read_as else [{}]


def _map_words(result: Result) -> tuple[str, str]:
    threshold = float(result.summary.get("threshold", 0.5))
    note = f"water where its probability is at least {threshold:.2f}"
    return ("Flood and water", note) if result.find(OBSERVED_FLOOD) else ("Water", note)


def _flood_colors(result: Result, factor: int, picture: Picture | None) -> Picture:
    """Lays water, and over it what is told of it, on the paled picture."""
    path = result.find(OBSERVED_WATER)
    assert path is not None, "opened before"
    water = thin_file(path, factor)[0]
    colors = water_over(picture if picture is not None else np.full((*water.shape, 3), 235, np.uint8), water)
    for name, value, color in _told(result):
        share = (thin_file(result.folder / f"{name}.tif", factor)[0] == value).astype(np.float32)
        colors = _over(colors, share, color)
    return colors


def _told(result: Result) -> list[tuple[str, int, Rgb]]:
    """Gives layer, value and colour of what is told of water, as far as the product tells it."""
    known = [
        ("reference_water", WATER, REFERENCE_COLOR),
        ("change", RECEDED, RECEDED_COLOR),
        ("observed_flood", WATER, FLOOD_COLOR),
    ]
    return [entry for entry in known if (result.folder / f"{entry[0]}.tif").is_file()]


def _over(colors: Picture, share: NDArray[np.float32], color: Rgb) -> Picture:
    alpha = share[..., None] * OPACITY
    mixed: Picture = np.rint((1 - alpha) * colors + alpha * np.array(color, np.float32)).astype(np.uint8)
    return mixed


def _legend(result: Result) -> str:
    names = {
        "observed_flood": "flood",
        "reference_water": "reference water: there without a flood",
        "change": "receded water: there before, not now",
    }
    entries = [(color, names[name]) for name, _, color in reversed(_told(result))]
    if not (result.folder / "reference_water.tif").is_file():
        entries.append((WATER_COLORS[WATER][:3], "water"))
    elif result.summary.get("reference_unknown_pixels"):
        entries.append((WATER_COLORS[WATER][:3], UNKNOWN_REFERENCE))
    entries.append((NO_DATA_COLOR, "no data"))
    cells = (f'<span><i style="background:rgb{color}"></i>{escape(name)}</span>' for color, name in entries)
    return f'<p class="legend">{"".join(cells)}</p>'
