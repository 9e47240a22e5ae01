"""A sheet with pictures side by side, and around them what a reader needs: titles, scale, north, legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from flora.products.ground import Ground, drawn

Rgb = tuple[int, int, int]

FONTS: Final = Path(__file__).with_name("fonts")
INK: Final[Rgb] = (28, 32, 36)
SOFT: Final[Rgb] = (98, 104, 110)
ALERT: Final[Rgb] = (176, 58, 20)
PAPER: Final[Rgb] = (255, 255, 255)
EDGE, GAP = 36, 24  # px around the sheet, and between pictures
LEAST_WIDTH: Final = 1120  # px; narrower, the words would not fit


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet.

    Attributes:
        title: Said above it.
        note: Said below the title, smaller.
        picture: All of one size.
    """

    title: str
    note: str
    picture: Image.Image


@dataclass(frozen=True)
class Words:
    """What a sheet says.

    Attributes:
        title: Top line.
        subtitle: Second line.
        alert: What has to be known before anything else; empty for nothing.
        legend: Colour and meaning of each swatch.
        credit: Small, at the foot.
    """

    title: str
    subtitle: str
    alert: str
    legend: Sequence[tuple[Rgb, str]]
    credit: str


def draw_sheet(panels: Sequence[Panel], words: Words, ground: Ground, thinned: float) -> Image.Image:
    """Draws a sheet.

    Args:
        panels: Pictures of one size, left to right, their rows and columns as in the scene.
        words: What it says.
        ground: Size of a pixel of the scene on the ground, and north.
        thinned: Pixels of the scene, across, in one of the pictures.

    Returns:
        The sheet, RGB.
    """
    width, height = panels[0].picture.size
    content = len(panels) * width + (len(panels) - 1) * GAP
    sheet_width = max(content, LEAST_WIDTH - 2 * EDGE) + 2 * EDGE
    left = (sheet_width - content) // 2
    top = EDGE + 84 + (26 if words.alert else 0)
    below = top + 52 + height
    sheet = Image.new("RGB", (sheet_width, below + 118), PAPER)
    draw = ImageDraw.Draw(sheet)
    _head(draw, left, words)
    for place, panel in enumerate(panels):
        x = left + place * (width + GAP)
        _fitted(draw, (x, top), panel.title, width, 20, bold=True)
        _fitted(draw, (x, top + 27), panel.note, width, 14, color=SOFT)
        sheet.paste(Image.fromarray(drawn(np.asarray(panel.picture), ground)), (x, top + 52))
    _scale_bar(draw, (left, below + 22), width, ground, thinned)
    _legend(draw, (left + width + GAP, below + 22), words.legend)
    if ground.north is not None:
        _north(draw, (left + content - 20, below + 38), ground.north)
    draw.text((left, below + 82), words.credit, font=_font(13), fill=SOFT)
    return sheet


@cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONTS / f"DejaVuSans{'-Bold' if bold else ''}.ttf"), size)


def _fitted(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    width: float,
    size: int,
    bold: bool = False,
    color: Rgb = INK,
) -> None:
    """Writes a line that is made smaller, then shortened, where it would be too long."""
    while draw.textlength(text, font=_font(size, bold)) > width and size > 11:
        size -= 1
    shown = text
    while draw.textlength(shown, font=_font(size, bold)) > width and len(shown) > 1:
        shown = shown[:-2].rstrip() + "…"
    draw.text(at, shown, font=_font(size, bold), fill=color)


def _head(draw: ImageDraw.ImageDraw, left: int, words: Words) -> None:
    width = draw.im.size[0] - left - EDGE
    _fitted(draw, (left, EDGE - 8), words.title, width, 30, bold=True)
    _fitted(draw, (left, EDGE + 34), words.subtitle, width, 18, color=SOFT)
    _fitted(draw, (left, EDGE + 66), words.alert, width, 18, bold=True, color=ALERT)


def _scale_bar(
    draw: ImageDraw.ImageDraw, at: tuple[int, int], width: int, ground: Ground, thinned: float
) -> None:
    """Draws a bar of a round length, at most 0.4 of a picture long."""
    x, y = at
    unit = ground.pixel[1] * thinned  # m or px of the scene in a pixel of the picture
    length = round_length(0.4 * width * unit)
    right = x + length / unit
    draw.rectangle((x, y + 6, right, y + 12), outline=INK, fill=PAPER)
    draw.rectangle((x, y + 6, x + (right - x) / 2, y + 12), fill=INK)
    draw.text((x, y + 18), "0", font=_font(15), fill=INK)
    draw.text((right, y + 18), length_text(length, ground.unit), font=_font(15), fill=INK, anchor="ma")


def round_length(longest: float) -> float:
    """Gives the largest of 1, 2, 5 times a power of ten that is not above `longest`."""
    power = 10.0 ** math.floor(math.log10(longest))
    return max(step * power for step in (1, 2, 5) if step * power <= longest * (1 + 1e-9))


def length_text(length: float, unit: str) -> str:
    """Says a length: m up to a kilometre, then km; or px."""
    if unit == "m" and length >= 1000:
        return f"{length / 1000:g} km"
    return f"{length:g} {unit}"


def _legend(draw: ImageDraw.ImageDraw, at: tuple[float, float], entries: Sequence[tuple[Rgb, str]]) -> None:
    x, y = at
    for color, meaning in entries:
        draw.rectangle((x, y + 2, x + 26, y + 18), fill=color, outline=SOFT)
        draw.text((x + 36, y), meaning, font=_font(16), fill=INK)
        x += 36 + draw.textlength(meaning, font=_font(16)) + 32


def _north(draw: ImageDraw.ImageDraw, middle: tuple[float, float], clockwise: float) -> None:
    """Draws an arrow that points to north, and its letter."""
    x, y = middle
    angle = math.radians(clockwise)
    up, side = (math.sin(angle), -math.cos(angle)), (math.cos(angle), math.sin(angle))

    def point(forward: float, sideways: float) -> tuple[float, float]:
        return x + forward * up[0] + sideways * side[0], y + forward * up[1] + sideways * side[1]

    tip, tail = point(20, 0), point(-8, 0)
    draw.polygon([tip, point(-14, -9), tail], fill=INK)
    draw.polygon([tip, tail, point(-14, 9)], fill=PAPER, outline=INK)
    words = "North is up" if abs(clockwise) < 1 else f"North: {clockwise:+.0f}°"
    draw.text((x - 24, y), words, font=_font(16), fill=INK, anchor="rm")
