"""OMBRIA: floods of Copernicus EMS, before and after, one polarisation as 8-bit grey."""

from __future__ import annotations

import csv
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.layers import bright_grey, pseudo_decibel, sar_layer
from flora.data.read import read_colour, read_grey

Bool = NDArray[np.bool_]
Byte = NDArray[np.uint8]

# The published train/test split leaks: 63 of 70 test chips touch a training chip. These clusters of one scene are
# kept for validation instead, about a seventh of the chips, of many sizes and landscapes.
VAL_CLUSTERS: Final = frozenset({"6", "34", "77", "25", "19", "12", "58", "39"})
DATES: Final = ("before", "after")
DARK_END: Final = 64  # grey under which an even area may be water that the stretch clipped


class Ombria(ChipDataset):
    """OMBRIA: 844 EMS flood scenes' chips before and after, here 694 sets and two of the four events of 2021.

    - Sensor, product: Sentinel-1 and Sentinel-2, 256 x 256 px of about 10 m, without georeference. Published as
      PNG, read as JPEG too.
    - SAR: one polarisation, 8-bit grey stretched per image, 255 no-data, and one even grey beyond the rim of
      a swath; brightness before and after cannot be compared. It becomes pseudo dB in VV by its own bright quarter and
      says `stretched`; VH is absent.
    - Optical: false colour (short-wave infrared, near infrared, red-green-like): not red, green, blue, so it is no
      optical layer here. It serves weak labels and `context` gives it.
    - Water: the mask is new flood only and coarser than the image. A chip `after` is water where the mask says so
      and the picture does not deny it, or where the picture shows water at both dates; it is land where neither
      mask nor pictures show water and the radar is not dark at both dates; else invalid; weak. A chip `before`
      is labelled by its picture alone; index. `context` gives the mask whole, for before/after change.
    - Splits: train and val by scene cluster (`scene_clusters.csv`; without it all of them train); test: the events of
      2021 that are there (published: Albania, France, Guyana, Timor).
    - Size: 792 sets, 1,584 chips. Licence: as published; contains modified Copernicus Sentinel data.
    - Paper: Drakonakis et al., OmbriaNet, IEEE JSTARS 2022, doi 10.1109/JSTARS.2022.3155559.
    """

    name: ClassVar[str] = "ombria"
    layout: ClassVar[tuple[str, ...]] = ("OmbriaS1", "OmbriaS2")
    size: ClassVar[tuple[int, int] | None] = (256, 256)
    sar_bands: ClassVar[tuple[str, ...]] = ("VV",)
    has_water: ClassVar[bool] = True
    label_codes: ClassVar[tuple[int, ...]] = (0, 255)

    def _index(self) -> list[Record]:
        records = [self._record(*row, date) for row in self._sets() for date in DATES]
        masks = self.root.glob("2021/*/Sentinel1/MASK/gt_*.png")
        sets = sorted((path.parents[2].name, int(path.stem.removeprefix("gt_"))) for path in masks)
        return records + [self._record_2021(*each, date) for each in sets for date in DATES]

    def _sets(self) -> list[tuple[str, str, str]]:
        """Lists chip, published part and scene cluster; without the table all chips are one cluster."""
        table = self.root / "scene_clusters.csv"
        if table.is_file():
            with table.open(newline="") as lines:
                return [
                    (row["chip"], row["official_split"], row["scene_cluster"])
                    for row in csv.DictReader(lines)
                ]
        masks = sorted(self.root.glob("OmbriaS1/*/MASK/S1_mask_*.png"))
        return [(path.stem.removeprefix("S1_mask_"), path.parents[1].name, "unknown") for path in masks]

    def remarks(self) -> list[str]:
        """Says what it means that the table of scene clusters is not there."""
        if (self.root / "scene_clusters.csv").is_file():
            return []
        return [
            "without 'scene_clusters.csv' all sets train: 63 of the 70 published test chips touch a training chip"
        ]

    def _record(self, chip: str, part: str, cluster: str, date: str) -> Record:
        files = {"mask": self.root / "OmbriaS1" / part / "MASK" / f"S1_mask_{chip}.png"}
        for sensor in ("S1", "S2"):
            for when in DATES:
                stem = self.root / f"Ombria{sensor}" / part / when.upper() / f"{sensor}_{when}_{chip}"
                files[f"{sensor}_{when}"] = self.listing.picture(stem)
        place = f"ombria_{cluster}"
        split = "val" if cluster in VAL_CLUSTERS else "train"
        return Record(f"{chip}_{date}", place, place, split, files, skip=self.listing.missing(files))

    def _record_2021(self, event: str, number: int, date: str) -> Record:
        folder = self.root / "2021" / event
        files = {"mask": folder / "Sentinel1" / "MASK" / f"gt_{number}.png"}
        for sensor, part in (("S1", "Sentinel1"), ("S2", "Sentinel2")):
            for when in DATES:
                stem = folder / part / when.upper() / f"im{when}_{number}"
                files[f"{sensor}_{when}"] = self.listing.picture(stem)
        place = f"{event.lower()}2021"
        skip = self.listing.missing(files)
        return Record(f"{place}_{number}_{date}", place, place, "test", files, skip=skip)

    def _read(self, record: Record) -> Chip:
        date = record.chip.rsplit("_", 1)[1]
        grey = {when: read_grey(record.files[f"S1_{when}"]) for when in DATES}
        picture = {when: read_colour(record.files[f"S2_{when}"]) for when in DATES}
        present = ~_no_data(grey[date])
        sar, sar_valid = sar_layer(
            {"VV": pseudo_decibel(grey[date], "VV", bright_grey(grey[date], present))}, present
        )
        if date == "before":
            water, dry = false_colour_water(picture["before"], radar_dark(grey["before"]))
            valid = water | dry
        else:
            water, valid = after_water(self.read_label(record) > 127, grey, picture)
        return Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(
                record, sar_radiometry="stretched", water_label="index" if date == "before" else "weak"
            ),
            water=(water & valid & present).astype(np.uint8),
            water_valid=valid & present,
        )

    def read_label(self, record: Record) -> Byte:
        """Reads the mask of new flood as stored."""
        return read_grey(record.files["mask"])

    def context(self, index: int) -> dict[str, NDArray[np.generic]]:
        """Reads the mask of new flood, `new_flood` 0/1, and the false-colour pictures, (H, W, 3) 8 bits."""
        files = self.records[index].files
        pictures = {f"false_colour_{date}": read_colour(files[f"S2_{date}"]) for date in DATES}
        return {"new_flood": (self.read_label(self.records[index]) > 127).astype(np.uint8), **pictures}


def false_colour_water(picture: Byte, dark: Bool) -> tuple[Bool, Bool]:
    """Finds what is surely water and surely dry in a false-colour picture.

    The difference of its blue and red channels is an MNDWI-like index (visible against short-wave infrared). Where
    the index is clear it decides; deep rivers are nearly black in the picture, and there the radar has to agree.

    Args:
        picture: Short-wave infrared, near infrared, red-green-like, (H, W, 3), 8 bits, 0 no-data.
        dark: Radar-dark at the same date, (H, W).

    Returns:
        Water and dry, (H, W) each; cloud, no-data and what lies between are neither.
    """
    swir, nir, visible = (picture[..., band].astype(np.float32) for band in range(3))
    ratio = (visible - swir) / np.maximum(visible + swir, 1)
    cloud = ndimage.binary_dilation((visible > 95) & (nir > 85), iterations=6)
    clear = ~cloud & (picture.max(axis=-1) > 6)
    clearly = (ratio > 0.2) & (visible - swir > 10) & (nir < 1.25 * visible)
    faintly = (np.maximum(swir, nir) < 45) & (ratio > -0.1) & (nir < 1.6 * visible + 4) & dark
    dry = clear & ((ratio < -0.05) | (nir > 1.8 * visible)) & (np.maximum(swir, nir) > 40)
    return np.asarray(clear & (clearly | faintly), np.bool_), np.asarray(dry & ~faintly, np.bool_)


def after_water(flood: Bool, grey: dict[str, Byte], picture: dict[str, Byte]) -> tuple[Bool, Bool]:
    """Labels all water of the day of flood from a mask of new flood only; two witnesses have to agree.

    Args:
        flood: New flood, (H, W).
        grey: SAR `before` and `after`, (H, W).
        picture: False colour `before` and `after`, (H, W, 3).

    Returns:
        Water and its validity, (H, W) each.
    """
    dark = {date: radar_dark(values) for date, values in grey.items()}
    wet_before, _ = false_colour_water(picture["before"], dark["before"])
    wet_after, dry_after = false_colour_water(picture["after"], dark["after"])
    seen = wet_after | (radar_dark(grey["after"], 0.8) & ~dry_after)
    permanent = ~flood & wet_before & (wet_after | dark["after"])
    doubtful = wet_before | wet_after | (dark["before"] & dark["after"])
    water = (flood & seen) | permanent
    land = ~flood & ~doubtful & ~ndimage.binary_dilation(flood, iterations=1)
    return water, water | land


def radar_dark(grey: Byte, share: float = 0.6) -> Bool:
    """Finds radar-dark areas: under a share of the image's median once speckle is smoothed.

    Args:
        grey: Stretched backscatter, (H, W).
        share: Of the median of what is not no-data.
    """
    smooth = ndimage.median_filter(grey, 5).astype(np.float32)
    present = smooth[~_no_data(grey)]
    return np.asarray(smooth < share * np.median(present) if present.size else smooth < 0, np.bool_)


def _no_data(grey: Byte) -> Bool:
    """Finds what is no radar: white areas more than a few pixels wide, and the one grey beyond a swath's rim.

    Lone bright targets stay. No radar image is one value over 9 x 9 px, unless it was clipped at the dark end.
    """
    white = np.pad(grey >= 250, 8, mode="edge")
    area = ndimage.binary_opening(white, np.ones((9, 9), np.bool_))[8:-8, 8:-8]
    area |= _beyond_rim(grey)
    return np.asarray(ndimage.binary_dilation(area, iterations=4), np.bool_)


def _beyond_rim(grey: Byte) -> Bool:
    """Finds the one grey that fills an image beyond the swath, as far as it hangs together; JPEG blurs its rim."""
    even: Bool = (ndimage.maximum_filter(grey, 9) == ndimage.minimum_filter(grey, 9)) & (grey >= DARK_END)
    if not even.any():
        return even
    alike = np.abs(grey.astype(np.int16) - int(np.median(grey[even]))) <= 4
    wide = ndimage.binary_opening(np.pad(alike, 4, mode="edge"), np.ones((3, 3), np.bool_))[4:-4, 4:-4]
    return np.asarray(ndimage.binary_propagation(even, mask=wide | even), np.bool_)
