"""Porto Alegre and Canoas before and after the flood of May 2024: one real scene, cut into windows."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flora.chip import Chip, pad
from flora.data.dataset import ChipDataset, Footprint, Record
from flora.data.layers import display_layer, sar_layer, water_layer
from flora.data.read import Window, read_bands, read_mask

Bool = NDArray[np.bool_]

SCENE: Final = (4660, 2048)
WINDOW: Final = 512
# Rows and columns read around a window to find cloud, and how far cloud reaches beyond its bright core, in px.
MARGIN: Final = 64
RIM: Final = 24
# Rise of the mean blue, in grey levels at display gain, that only cloud makes; haze (under 40) still shows the ground.
BRIGHTER: Final = 55
# Rise of the mean red that only muddy water makes, and of the mean VV that only flooded streets make; between the two
# dates the whole scene differs by 1.5 dB.
BROWNER: Final = 40
BRIGHTENED_DB: Final = 6.0
# First and last row of each strip. Between strips lie 128 rows (1.3 km) that belong to none.
STRIPS: Final = {"test": (0, 1023), "train": (1152, 3711), "val": (3840, 4659)}


class Guaiba(ChipDataset):
    """Guaíba 2024: the same ground before and after a flood, as a user's scene would be.

    - Sensor, product: Sentinel-1 sigma0 and Sentinel-2 true colour; EPSG:4326, 8.98315e-5° (about 10 m).
    - SAR: VV, VH, float32 dB, clipped to [-30, 0] in steps of 0.118; NaN outside the swath. Values at -30 and 0
      mean "that or beyond" and count as valid. The before scene is a mosaic of two dates (seam at row 1076).
    - Optical: B4, B3, B2 as 8 bits, DN = 255 clip(3.5 reflectance); its mask band is carried. Cloud in the after
      image (rows over 4100, left middle), partly painted white, is found by `cloud` and invalid. No nir.
    - Prior: after chips carry the before image; in train, before chips carry the after image too, clouds invalid, for a
      flood that has gone is a change like one that has come. Water of the earlier date is invalid in it: brown in
      the image and dark in the truth, it would teach that an image's muddy water is clear. SAR and optical
      may differ by days and by 1 to 3 px.
    - Water: 1 water, 0 land, 255 no-data; weak: its makers' output from the same SAR, good on open water, poor
      at flooded streets. In train, land is invalid where `flood_unseen` finds flood; val and test stay as published.
    - Splits: rows 0-1023 test, 1152-3711 train, 3840-4659 val; windows 512 x 512 start at the strip's first row,
      each at two dates; the last row of val windows reaches over the scene's edge and is invalid there.
    - Size: 4660 x 2048 px, 2 dates, 72 chips. Licence: not stated; contains modified Copernicus Sentinel data 2024.
    """

    name: ClassVar[str] = "guaiba"
    layout: ClassVar[tuple[str, ...]] = tuple(
        f"guaiba_{date}_{layer}.tif" for date in ("before", "after") for layer in ("S1", "S2", "water_weak")
    )
    size: ClassVar[tuple[int, int] | None] = (WINDOW, WINDOW)
    has_optical: ClassVar[bool] = True
    has_water: ClassVar[bool] = True
    label_codes: ClassVar[tuple[int, ...]] = (0, 1, 255)

    def _index(self) -> list[Record]:
        return [
            self._record(date, split, row, col)
            for split, (first, last) in STRIPS.items()
            for row in range(first, last + 1, WINDOW)
            for col in range(0, SCENE[1], WINDOW)
            for date in ("before", "after")
        ]

    def _record(self, date: str, split: str, row: int, col: int) -> Record:
        layers = {"sar": "S1", "optical": "S2", "water": "water_weak"}
        files = {layer: self.root / f"guaiba_{date}_{part}.tif" for layer, part in layers.items()}
        if date == "after" or split == "train":
            other = "before" if date == "after" else "after"
            files["prior"] = self.root / f"guaiba_{other}_S2.tif"
            files["prior_sar"] = self.root / f"guaiba_{other}_S1.tif"
        height = min(WINDOW, STRIPS[split][1] + 1 - row)
        return Record(
            chip=f"guaiba_{date}_r{row:04d}_c{col:04d}",
            event="guaiba",
            group=f"guaiba_{split}",
            split=split,
            files=files,
            window=(row, col, height, WINDOW),
            footprint=Footprint("guaiba", col, row, col + WINDOW - 1, row + height - 1),
        )

    def _read(self, record: Record) -> Chip:
        window = record.window
        vv, vh = read_bands(record.files["sar"], 2, window)
        sar, sar_valid = sar_layer({"VV": vv, "VH": vh})
        water, water_valid = water_layer(self.read_label(record))
        if record.split == "train" and "_after_" in record.chip:
            water_valid &= (water == 1) | ~self._unseen(record)
        optical, optical_valid = self._optical(record, "optical")
        prior, prior_valid = self._optical(record, "prior") if "prior" in record.files else (None, None)
        if prior is not None and prior_valid is not None and "_before_" in record.chip:
            prior_valid &= (water != 1) | ~water_valid
            np.copyto(prior, 0, where=~prior_valid)
        chip = Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(record, optical_radiometry="surface", water_label="weak"),
            optical=optical,
            optical_valid=optical_valid,
            prior=prior,
            prior_valid=prior_valid,
            water=water,
            water_valid=water_valid,
        )
        return pad(chip, WINDOW, WINDOW)

    def read_label(self, record: Record) -> NDArray[np.integer]:
        """Reads the weak label's codes within the record's window."""
        label: NDArray[np.uint8] = read_bands(record.files["water"], 1, record.window)[0]
        return label

    def _optical(self, record: Record, layer: str) -> tuple[NDArray[np.float32], Bool]:
        """Reads a picture with a margin, so that a cloud beyond the window's edge still casts its rim."""
        wide, inner = _widened(record)
        rgb = _picture(record.files[layer], wide)
        valid = read_mask(record.files[layer], wide)
        if "after" in record.files[layer].name:
            clear = record.files[layer].with_name("guaiba_before_S2.tif")
            valid &= ~cloud(rgb, _picture(clear, wide))
        return display_layer(rgb[inner], valid[inner])

    def _unseen(self, record: Record) -> Bool:
        wide, inner = _widened(record)
        rgb = [_picture(record.files[layer], wide) for layer in ("optical", "prior")]
        vv = [read_bands(record.files[layer], 1, wide)[0] for layer in ("sar", "prior_sar")]
        return flood_unseen(rgb[0], rgb[1], vv[0], vv[1])[inner]


def _widened(record: Record) -> tuple[Window, tuple[slice, slice]]:
    """Gives a record's window with a margin, cut at the scene's edge, and where the window lies in it."""
    assert record.window is not None
    row, col, height, width = record.window
    top, left = max(row - MARGIN, 0), max(col - MARGIN, 0)
    bottom, right = min(row + height + MARGIN, SCENE[0]), min(col + width + MARGIN, SCENE[1])
    inner = (slice(row - top, row - top + height), slice(col - left, col - left + width))
    return (top, left, bottom - top, right - left), inner


def flood_unseen(
    rgb: NDArray[np.uint8],
    rgb_before: NDArray[np.uint8],
    vv: NDArray[np.float32],
    vv_before: NDArray[np.float32],
) -> Bool:
    """Finds flood that a radar label of dark water misses: flooded streets and drowned trees.

    Water between walls doubles the echo, so that the radar brightens; brown water among trees shows in the picture.

    Args:
        rgb: True-colour picture of the flood, (H, W, 3), 8 bits at display gain 3.5.
        rgb_before: The same ground before.
        vv: VV of the flood, dB, (H, W); NaN outside the swath.
        vv_before: VV before, dB, (H, W).

    Returns:
        True where land in such a label is in doubt, (H, W).
    """
    level, level_before = (
        ndimage.uniform_filter(np.nan_to_num(band, nan=-15.0), 15) for band in (vv, vv_before)
    )
    now, then = (
        ndimage.uniform_filter(picture.astype(np.float32), (5, 5, 1)) for picture in (rgb, rgb_before)
    )
    browner = (now[..., 0] - then[..., 0] > BROWNER) & (now[..., 0] > 1.5 * now[..., 2])
    return np.asarray((level - level_before > BRIGHTENED_DB) | browner, np.bool_)


def cloud(rgb: NDArray[np.uint8], clear: NDArray[np.uint8]) -> Bool:
    """Finds cloud, drawn or painted white, generously, by comparison with a clear picture of the same ground.

    Cloud is colourless and much brighter in blue than the ground was. Roofs are bright in both pictures; brown
    flood water is brighter than before, but in red.

    Args:
        rgb: True-colour picture, (H, W, 3), 8 bits at display gain 3.5.
        clear: The same ground without cloud, same shape.

    Returns:
        True where the picture must not be trusted, (H, W).
    """
    now, then = (_smooth(picture) for picture in (rgb, clear))
    brighter = now[2] - then[2] > BRIGHTER
    white = now.min(axis=0) > 0.6 * now.max(axis=0)
    core = ndimage.binary_opening(brighter & white, iterations=4)
    return np.asarray(ndimage.binary_dilation(core, iterations=RIM), np.bool_)


def _smooth(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Gives each band's mean over 13 x 13 px, (3, H, W)."""
    return np.stack([ndimage.uniform_filter(picture[..., band].astype(np.float32), 13) for band in range(3)])


def _picture(path: Path, window: Window) -> NDArray[np.uint8]:
    return np.moveaxis(read_bands(path, 3, window), 0, -1)
