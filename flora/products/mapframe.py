"""A map for a page: a picture, and over it coordinates, a scale bar and north, as SVG."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from PIL import Image
from pyproj import CRS, Transformer

from flora.products.colors import Picture
from flora.products.figure import length_text, round_length
from flora.products.ground import Ground, drawn, ground_of
from flora.raster.grid import apply_affine

LINES = 3  # of the graticule across the shorter side, about
SAMPLES = 65  # points of a line, and places along a side where its ends are looked for
LETTER = 7.5  # px; width of a letter of a name, and rather more than less
QUALITY = 88  # of a JPEG; a page stays under a megabyte or two, as radar is all noise
STEPS = (1.0, 2.0, 5.0)

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """Where the pictures of a page lie.

    Attributes:
        geobox: Grid of the scene.
        ground: Its pixel on the ground.
        size: Width and height of a picture, px of the page.
    """

    geobox: GeoBox
    ground: Ground
    size: tuple[int, int]

    @property
    def thinned(self) -> float:
        """Pixels of the scene, across, in one of the picture."""
        return self.geobox.shape.x / self.size[0]


def frame_of(geobox: GeoBox, width: int, highest: int) -> Frame:
    """Gives pictures of a scene the proportions of the ground.

    Args:
        geobox: Grid of the scene.
        width: Of a picture at most, px.
        highest: Its height at most, px.
    """
    ground = ground_of(geobox)
    tall = geobox.shape.y * ground.pixel[0] / (geobox.shape.x * ground.pixel[1])
    across = min(width, highest / tall)
    return Frame(geobox, ground, (max(1, round(across)), max(1, round(across * tall))))


def draw_map(picture: Picture, frame: Frame, title: str, note: str) -> str:
    """Gives a map as HTML: its picture inside, nothing to be loaded.

    Args:
        picture: Colours, (H, W, 3).
        frame: Where it lies.
        title: Above it.
        note: Below it.

    Returns:
        A `figure` element.
    """
    width, height = frame.size
    larger = width > picture.shape[1] * 1.5
    filter_ = Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS
    # Twice as fine as the page's px, so that print is sharp; never finer than the data.
    fine = (
        (width, height) if larger else (min(2 * width, picture.shape[1]), min(2 * height, picture.shape[0]))
    )
    shown = Image.fromarray(drawn(picture, frame.ground)).resize(fine, filter_)
    over = "".join([*_graticule(frame), _scale_bar(frame), _north(frame)])
    return (
        f"<figure><h3>{escape(title)}</h3>"
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
        f'<image width="{width}" height="{height}" preserveAspectRatio="none" href="{_embedded(shown)}"/>'
        f"{over}</svg><figcaption>{escape(note)}</figcaption></figure>"
    )


def _embedded(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _graticule(frame: Frame) -> list[str]:
    """Draws meridians and parallels at round degrees, with their names where they leave the picture."""
    if not frame.geobox.crs:
        return []
    lon, lat = _border(frame)
    lines = []
    for values, others, meridian in ((lon, lat, True), (lat, lon, False)):
        low, high = float(values.min()), float(values.max())
        if not np.isfinite([low, high, *others]).all() or high - low > 180:
            return []  # around a pole a few round lines would say little
        step = round_degrees((high - low) / LINES)
        along = np.linspace(others.min(), others.max(), SAMPLES)
        for degree in np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step:
            at = np.full(SAMPLES, degree)
            points = _to_page(frame, at, along) if meridian else _to_page(frame, along, at)
            name = _degree_text(float(degree), step, meridian)
            lines += _line(points, frame, name, meridian, step / (high - low) * frame.size[0])
    return lines


def _border(frame: Frame) -> tuple[Points, Points]:
    """Gives longitude and latitude along the border of the scene; longitudes run on past ±180."""
    height, width = frame.geobox.shape.yx
    t = np.linspace(0, 1, SAMPLES)
    x = np.concatenate([t * width, np.full(SAMPLES, width), (1 - t) * width, np.zeros(SAMPLES)])
    y = np.concatenate([np.zeros(SAMPLES), t * height, np.full(SAMPLES, height), (1 - t) * height])
    lon, lat = _transformer(frame).transform(*apply_affine(frame.geobox.transform, x, y))
    return lon[0] + np.remainder(lon - lon[0] + 180, 360) - 180, np.asarray(lat)


def _transformer(frame: Frame) -> Transformer:
    return Transformer.from_crs(CRS.from_user_input(str(frame.geobox.crs)), 4326, always_xy=True)


def _to_page(frame: Frame, lon: Points, lat: Points) -> Points:
    x, y = _transformer(frame).transform(lon, lat, direction="INVERSE")
    if frame.geobox.crs is not None and frame.geobox.crs.geographic:
        x = lon  # PROJ would bring it back to ±180
    col, row = apply_affine(~frame.geobox.transform, np.asarray(x), np.asarray(y))
    height, width = frame.geobox.shape.yx
    upside_down, mirrored = frame.ground.flipped
    across, down = (width - col if mirrored else col) / width, (height - row if upside_down else row) / height
    return np.stack([across * frame.size[0], down * frame.size[1]], axis=1)


def _line(points: Points, frame: Frame, name: str, meridian: bool, apart: float) -> list[str]:
    """Draws a line and its name; `apart` px from it are the next ones."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    line = f'<polyline class="grid" points="{path}"/>'
    # A meridian is named at the top, a parallel at the left, where the other things on the map are not.
    along, across = (1, 0) if meridian else (0, 1)
    order = np.argsort(points[:, along])
    place = float(np.interp(0, points[order, along], points[order, across]))
    if not 20 < place < frame.size[across] - 20:
        return [line]
    x, y, end, wide = place + 3, 11.0, "", len(name) * LETTER
    if not meridian:
        x, y = 3, place - 3
    elif x + wide > frame.size[0]:
        if apart < 2 * wide + 6:  # left of its line, it would lie on the name of the next one
            return [line]
        x, end = place - 3, ' text-anchor="end"'
    return [line, f'<text class="degree" x="{x:.1f}" y="{y:.1f}"{end}>{name}</text>']


def round_degrees(wanted: float) -> float:
    """Gives the largest of 1, 2, 5 times a power of ten, degrees, that is not above what is wanted."""
    power = 10.0 ** math.floor(math.log10(max(wanted, 1e-9)))
    return max(step * power for step in STEPS if step * power <= wanted * (1 + 1e-9))


def _degree_text(degree: float, step: float, meridian: bool) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if meridian:
        degree = (degree + 180) % 360 - 180
    side = ("E" if degree > 0 else "W") if meridian else ("N" if degree > 0 else "S")
    return f"{abs(degree):.{digits}f}°{side if round(degree, digits) else ''}"


def _scale_bar(frame: Frame) -> str:
    unit = frame.ground.pixel[1] * frame.thinned
    length = round_length(0.35 * frame.size[0] * unit)
    width, top = length / unit, frame.size[1] - 16
    return (
        f'<rect class="bar" x="8" y="{top}" width="{width:.1f}" height="5"/>'
        f'<rect class="half" x="8" y="{top}" width="{width / 2:.1f}" height="5"/>'
        f'<text class="degree" x="{12 + width:.1f}" y="{top + 6}">{length_text(length, frame.ground.unit)}</text>'
    )


def _north(frame: Frame) -> str:
    if frame.ground.north is None:
        return ""
    x, y = frame.size[0] - 18, frame.size[1] - 22
    return (
        f'<g transform="translate({x} {y}) rotate({frame.ground.north:.1f})">'
        '<path class="half" d="M0 -14 L5 8 L0 4 Z"/><path class="bar" d="M0 -14 L-5 8 L0 4 Z"/>'
        '<text class="degree" x="-4" y="19">N</text></g>'
    )
