"""A grid of chips for people to look at: radar, true and predicted picture, true and predicted water, errors.

Every picture uses a fixed range, the same for all chips: what looks brighter is brighter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from flora.chip import Batch
from flora.errors import OutputError
from flora.evaluate.predictor import Prediction

Picture = NDArray[np.uint8]
Bool = NDArray[np.bool_]

# False colour of the radar: red VV, green VH, blue VV - VH, each dB range black to full.
SAR_RANGE_DB: Final = ((-25.0, 0.0), (-32.0, -7.0), (0.0, 15.0))
# Reflectance that is white, and a gamma without which vegetation and water would be told apart by no eye.
REFLECTANCE_WHITE: Final = 0.3
GAMMA: Final = 1.5
INVALID: Final = (90, 90, 90)
LAND: Final = (235, 232, 225)
WATER: Final = (33, 102, 172)
# Told apart by people who do not tell red from green.
FALSE_ALARM: Final = (215, 48, 39)
MISSED: Final = (253, 184, 40)

COLUMNS: Final = (
    "SAR: VV, VH, VV-VH",
    "true optical",
    "predicted optical",
    "true water",
    "predicted water",
    "errors",
)
LEGEND: Final = (
    ("water, found", WATER),
    ("false alarm", FALSE_ALARM),
    ("missed", MISSED),
    ("land", LAND),
    ("invalid or absent", INVALID),
)
SIDE: Final = 256
GAP: Final = 6
TITLE: Final = 18


def colour_sar(sar: NDArray[np.float32], valid: Bool) -> Picture:
    """Gives the radar in false colour by a fixed dB range.

    Args:
        sar: VV, VH, (2, H, W), dB.
        valid: (2, H, W), bool. With one band only, the picture is grey by that band.

    Returns:
        (H, W, 3).
    """
    vv, vh = np.where(valid, sar, 0)
    vv_valid, vh_valid = valid
    shades = [
        (np.clip((band - low) / (high - low), 0, 1) * 255).astype(np.uint8)
        for band, (low, high) in zip((vv, vh, vv - vh), SAR_RANGE_DB, strict=True)
    ]
    single = np.where(vv_valid, shades[0], shades[1])
    colour = np.where((vv_valid & vh_valid)[..., None], np.stack(shades, -1), single[..., None])
    return np.where((vv_valid | vh_valid)[..., None], colour, INVALID).astype(np.uint8)


def colour_optical(optical: NDArray[np.float32], valid: Bool) -> Picture:
    """Gives true colour, reflectance 0 to 0.3 as black to white, brightened by a gamma of 1.5.

    Args:
        optical: Red, green, blue, (3, H, W), reflectance.
        valid: (H, W), bool.

    Returns:
        (H, W, 3).
    """
    shades = np.clip(np.where(valid, optical, 0) / REFLECTANCE_WHITE, 0, 1) ** (1 / GAMMA) * 255
    return np.where(valid[..., None], np.moveaxis(shades, 0, -1), INVALID).astype(np.uint8)


def colour_classes(classes: Mapping[tuple[int, int, int], Bool], shape: tuple[int, int]) -> Picture:
    """Paints masks in their colours, later ones over earlier ones, on invalid grey, (H, W, 3)."""
    picture = np.full((*shape, 3), INVALID, np.uint8)
    for colour, mask in classes.items():
        picture[mask] = colour
    return picture


def draw_chip(truth: Batch, answer: Prediction, threshold: float) -> list[Picture]:
    """Draws the six pictures of a batch's first chip, in the order of `COLUMNS`.

    Args:
        truth: The chip, its truths valid where they are judged.
        answer: The predictor's answer on the same grid.
        threshold: Water is where probability >= threshold.

    Returns:
        Six pictures, (H, W, 3); grey where a layer is absent.
    """
    sar_valid = truth.sar_valid[0].numpy()
    seen = truth.sar_valid[0].any(0).numpy()
    shape = (sar_valid.shape[-2], sar_valid.shape[-1])
    absent = np.full((*shape, 3), INVALID, np.uint8)
    true, valid = truth.water[0].numpy() > 0, truth.water_valid[0].numpy()
    panels = [colour_sar(truth.sar[0].numpy(), sar_valid)]
    clear = truth.optical_valid[0, :3].all(0).numpy()
    panels.append(colour_optical(truth.optical[0, :3].numpy(), clear))
    panels.append(absent if answer.optical is None else colour_optical(answer.optical[0].numpy(), seen))
    panels.append(colour_classes({LAND: valid & ~true, WATER: valid & true}, shape))
    if answer.probability is None:
        return [*panels, absent, absent]
    said = answer.probability[0].numpy() >= threshold
    panels.append(colour_classes({LAND: seen & ~said, WATER: seen & said}, shape))
    errors = {LAND: ~said & ~true, WATER: said & true, FALSE_ALARM: said & ~true, MISSED: ~said & true}
    panels.append(colour_classes({colour: mask & valid for colour, mask in errors.items()}, shape))
    return panels


@dataclass(slots=True)
class Gallery:
    """Keeps a few chips of each event, drawn at random but alike for a seed, so that memory stays bounded.

    Attributes:
        each: Chips kept of each event.
        seed: Of the choice.
    """

    each: int
    seed: int
    _kept: dict[tuple[str, str], list[tuple[str, list[Image.Image]]]] = field(default_factory=dict)
    _seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def offer(self, truth: Batch, answer: Prediction, threshold: float) -> None:
        """Shows the gallery a chip, which it keeps or not (reservoir sampling). Source: Vitter, ACM TOMS 1985."""
        meta = truth.meta[0]
        event = (meta.dataset, meta.event)
        kept = self._kept.setdefault(event, [])
        count = self._seen[event] = self._seen.get(event, 0) + 1
        place = len(kept)
        if len(kept) >= self.each:
            place = int(np.random.default_rng([self.seed, count]).integers(count))
        if place >= self.each:
            return
        images = [thumbnail(panel) for panel in draw_chip(truth, answer, threshold)]
        title = f"{meta.dataset} · {meta.event} · {meta.chip} · {meta.split}"
        kept[place : place + 1] = [(title, images)]

    def draw(self) -> Image.Image:
        """Lays the kept chips out under their titles, with headings above and the legend below."""
        return draw_grid([row for kept in self._kept.values() for row in kept], COLUMNS)

    def save(self, path: Path) -> None:
        """Writes the grid as PNG under a temporary name and renames it when whole.

        Args:
            path: Where to write.

        Raises:
            OutputError: The file cannot be written.
        """
        part = path.with_name(path.name + ".part")
        try:
            self.draw().save(part, format="PNG")
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise OutputError(
                f"Cannot write the picture grid '{path}' ({error}); choose a writable folder."
            ) from error


def draw_grid(rows: Sequence[tuple[str, Sequence[Image.Image]]], headings: Sequence[str]) -> Image.Image:
    """Lays rows of pictures out.

    Args:
        rows: Title of each row, and its pictures, at most `SIDE` px wide, as many as there are headings.
        headings: Said above the columns.

    Returns:
        The page, RGB, with the legend of classes below.
    """
    width = len(headings) * (SIDE + GAP) + GAP
    heights = [TITLE + max(image.height for image in images) + GAP for _, images in rows]
    page = Image.new("RGB", (width, TITLE + GAP + sum(heights) + TITLE + GAP), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for column, heading in enumerate(headings):
        pen.text((GAP + column * (SIDE + GAP), 2), heading, "black", font)
    top = TITLE + GAP
    for (title, images), height in zip(rows, heights, strict=True):
        pen.text((GAP, top), title, (60, 60, 60), font)
        for column, image in enumerate(images):
            page.paste(image, (GAP + column * (SIDE + GAP), top + TITLE))
        top += height
    left = GAP
    for word, colour in LEGEND:
        pen.rectangle((left, top + 3, left + 12, top + 15), colour, "black")
        pen.text((left + 18, top), word, "black", font)
        left += 18 + int(pen.textlength(word, font)) + 24
    return page


def thumbnail(panel: Picture) -> Image.Image:
    """Brings a picture to `SIDE` px; box averaging keeps thin water visible as a tint."""
    image = Image.fromarray(panel)
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST)
