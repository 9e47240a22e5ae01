"""Contact sheet of a dataset: radar, picture, older picture and water of some chips, side by side to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from flora.bands import DISPLAY_GAIN
from flora.chip import Chip
from flora.data.dataset import Split
from flora.data.registry import open_dataset
from flora.errors import DataError, OutputError

Picture = NDArray[np.uint8]

# Shown range in dB, black to white. Fixed, so that two sheets can be compared.
SHOWN_DB: Final = {"VV": (-25.0, 0.0), "VH": (-32.0, -5.0)}
COLUMNS: Final = ("VV", "VH", "optical", "prior", "water")
INVALID: Final = np.array([200, 0, 200], np.uint8)
WATER_COLOURS: Final = np.array([[225, 215, 190], [20, 90, 200]], np.uint8)
CAPTION: Final = 14


def show(
    name: str,
    root: Path | str,
    out_png: Path | str,
    split: Split = "all",
    count: int = 12,
    overwrite: bool = False,
) -> Path:
    """Writes a contact sheet of chips that are spread evenly over a split.

    Each row is a chip: VV and VH over a fixed dB range, optical and prior at display gain 3.5, water blue and land
    sand; magenta is invalid in every column, grey is a layer that the chip does not have.

    Args:
        name: Dataset.
        root: The dataset's folder.
        out_png: File to write.
        split: `train`, `val`, `test` or `all`.
        count: Largest number of chips.
        overwrite: Allows an existing file to be replaced.

    Returns:
        The file written.

    Raises:
        DataError: The dataset cannot be opened or the split has no chip.
        OutputError: The file exists, or its folder does not.
    """
    out = Path(out_png)
    if out.exists() and not overwrite:
        raise OutputError(f"'{out}' exists; expected a new file. Pass --overwrite or another name.")
    if not out.parent.is_dir():
        raise OutputError(
            f"Folder '{out.parent}' does not exist; expected one to write '{out.name}' into. Create it."
        )
    dataset = open_dataset(name, root, split)
    if not len(dataset):
        raise DataError(
            f"Split '{split}' of {name} has no chip; expected at least one. Choose another split."
        )
    positions = np.unique(np.linspace(0, len(dataset) - 1, min(count, len(dataset))).round().astype(int))
    contact_sheet([dataset[int(position)] for position in positions]).save(out)
    return out


def contact_sheet(chips: Sequence[Chip], side: int = 192, per_row: int = 2) -> Image.Image:
    """Draws chips in rows of their layers.

    Args:
        chips: At least one chip.
        side: Width and height in px of a layer's picture.
        per_row: Chips beside each other.

    Returns:
        The sheet.
    """
    width, height = side * len(COLUMNS) + 8, side + CAPTION
    rows = -(-len(chips) // per_row)
    sheet = Image.new("RGB", (width * min(per_row, len(chips)), height * rows), "white")
    draw = ImageDraw.Draw(sheet)
    for position, chip in enumerate(chips):
        left, top = width * (position % per_row), height * (position // per_row)
        meta = chip.meta
        draw.text(
            (left + 2, top + 1), f"{meta.chip}  {meta.split}  {meta.event}  {meta.water_label}", fill="black"
        )
        for column, picture in enumerate(chip_pictures(chip).values()):
            resized = Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST)
            sheet.paste(resized, (left + column * side, top + CAPTION))
    return sheet


def chip_pictures(chip: Chip) -> dict[str, Picture]:
    """Draws each layer of a chip, (H, W, 3) 8 bits, by the names in `COLUMNS`."""
    drawn = {band: _radar(chip, band, plane) for plane, band in enumerate(SHOWN_DB)}
    drawn["optical"] = _colour(chip.optical, chip.optical_valid, chip.shape)
    drawn["prior"] = _colour(chip.prior, chip.prior_valid, chip.shape)
    if chip.water is None or chip.water_valid is None:
        drawn["water"] = _absent(chip.shape)
    else:
        drawn["water"] = np.where(chip.water_valid[..., None], WATER_COLOURS[chip.water], INVALID)
    return drawn


def _radar(chip: Chip, band: str, plane: int) -> Picture:
    low, high = SHOWN_DB[band]
    grey = np.clip((chip.sar[plane] - low) / (high - low), 0, 1)
    return np.where(chip.sar_valid[plane][..., None], _bytes(grey)[..., None], INVALID)


def _colour(
    layer: NDArray[np.float32] | None, valid: NDArray[np.bool_] | None, shape: tuple[int, int]
) -> Picture:
    if layer is None or valid is None:
        return _absent(shape)
    rgb = np.moveaxis(_bytes(np.clip(layer[:3] * DISPLAY_GAIN, 0, 1)), 0, -1)
    seen = np.logical_and.reduce(valid[:3])[..., None]
    return np.where(seen, rgb, INVALID)


def _bytes(unit: NDArray[np.float32]) -> Picture:
    return np.rint(unit * 255).astype(np.uint8)


def _absent(shape: tuple[int, int]) -> Picture:
    return np.full((*shape, 3), 128, np.uint8)
