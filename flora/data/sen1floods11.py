"""Sen1Floods11 v1.1: the benchmark of flood mapping from Sentinel-1, hand- and weakly labelled."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.layers import sar_layer, sentinel2_layer, water_layer
from flora.data.read import footprint_of, read_bands
from flora.data.sentinel2 import COUNT, optical_bands
from flora.data.splits import touching_groups
from flora.errors import DataError

EVENTS_FOLDER: Final = "v1.1/data/flood_events"
SPLITS_FOLDER: Final = "v1.1/splits/flood_handlabeled"
# Bolivia is the official held-out event: its chips are test and its event name keeps them apart in reports.
OFFICIAL_LISTS: Final = {"train": "train", "valid": "val", "test": "test", "bolivia": "test"}
EVENT_OF_PREFIX: Final = {"Mekong": "Cambodia"}
UNUSABLE: Final = {
    "Paraguay_34417": "SAR is NaN everywhere",
    "Ghana_83483": "label has no valid pixel",
}


class Sen1Floods11(ChipDataset):
    """Sen1Floods11, hand-labelled: 446 chips of 11 flood events with the official split lists.

    - Sensor, product: Sentinel-1 GRD sigma0 and Sentinel-2 L1C; 512 x 512 px, EPSG:4326, 8.98e-5° (about 10 m).
    - SAR: `S1Hand` VV, VH, float32 dB, NaN no-data.
    - Optical: `S2Hand` 13 bands, top of atmosphere x 10000, 0 no-data (red B4, green B3, blue B2, nir B8),
      brought to the surface; of the same days, seldom the same hour. Optional: chips without it have no optical
      layer.
    - Water: `LabelHand` 1 water, 0 land, -1 no-data (cloud, off the swath); strong.
    - Reference water: `JRCWaterHand` 0/1, optional, by `context`.
    - Groups: touching chips of one split are one group.
    - Splits: `flood_{train,valid,test,bolivia}_data.csv`, 252 / 89 / 90 / 15 chips. Bolivia is in `test` with
      event `Bolivia`. Listed chips whose files are not there are not served and are counted by the check.
      Event Cambodia's chips have the prefix Mekong. Two official test chips cannot be used (`UNUSABLE`).
    - Size: about 3 GB of the hand-labelled part. Licence: CC BY 4.0; contains modified Copernicus Sentinel data.
    - Paper: Bonafilia et al., Sen1Floods11, CVPR Workshops 2020, doi 10.1109/CVPRW50498.2020.00113.
    """

    name: ClassVar[str] = "sen1floods11"
    layout: ClassVar[tuple[str, ...]] = (
        f"{EVENTS_FOLDER}/HandLabeled/S1Hand",
        f"{EVENTS_FOLDER}/HandLabeled/LabelHand",
        *(f"{SPLITS_FOLDER}/flood_{name}_data.csv" for name in OFFICIAL_LISTS),
    )
    size: ClassVar[tuple[int, int] | None] = (512, 512)
    has_optical: ClassVar[bool] = True
    has_water: ClassVar[bool] = True
    label_codes: ClassVar[tuple[int, ...]] = (-1, 0, 1)
    official_split: ClassVar[bool] = True

    def listed(self) -> dict[str, list[str]]:
        """Gives the chips of each official list, present or not."""
        return {
            name: _listed(self.root / SPLITS_FOLDER / f"flood_{name}_data.csv") for name in OFFICIAL_LISTS
        }

    def _index(self) -> list[Record]:
        named = [(chip, OFFICIAL_LISTS[part]) for part, chips in self.listed().items() for chip in chips]
        records = [self._record(chip, split) for chip, split in named]
        present = [
            record for record in records if any(self.listing.has(path) for path in record.files.values())
        ]
        return _grouped([_placed(record) for record in present])

    def _record(self, chip: str, split: str) -> Record:
        folder = self.root / EVENTS_FOLDER / "HandLabeled"
        parts = {"sar": "S1Hand", "water": "LabelHand"}
        files = {layer: folder / part / f"{chip}_{part}.tif" for layer, part in parts.items()}
        missing = self.listing.missing(files)
        optical = folder / "S2Hand" / f"{chip}_S2Hand.tif"
        if self.listing.has(optical):
            files["optical"] = optical
        event = event_of(chip)
        return Record(chip, event, f"{event}_{chip}", split, files, skip=missing or UNUSABLE.get(chip, ""))

    def remarks(self) -> list[str]:
        """Says how many of the listed chips are here."""
        listed = sum(len(chips) for chips in self.listed().values())
        return [f"{len(self.records) + len(self.skipped)} of {listed} listed chips are here"]

    def read_label(self, record: Record) -> NDArray[np.integer]:
        """Reads the hand label's codes."""
        return _label(record.files["water"])

    def _read(self, record: Record) -> Chip:
        return _read_chip(self, record, self.read_label(record), "strong")

    def context(self, index: int) -> dict[str, NDArray[np.generic]]:
        """Reads `reference_water` (permanent water of JRC, 0/1) where the chip has it."""
        chip = self.records[index].chip
        path = self.root / EVENTS_FOLDER / "HandLabeled" / "JRCWaterHand" / f"{chip}_JRCWaterHand.tif"
        return {"reference_water": read_bands(path, 1)[0]} if path.exists() else {}


class Sen1Floods11Weak(ChipDataset):
    """Sen1Floods11, weakly labelled: 4,385 chips of the same events, labelled by an optical index.

    As `Sen1Floods11`, except:

    - SAR `S1Weak`, water `S2IndexLabelWeak` (1 water, 0 land, -1 no-data; from NDVI and MNDWI of Sentinel-2), or
      where that is missing `S1OtsuLabelWeak` (by a threshold on VH).
    - Splits: train only, without Bolivia, which stays the held-out event. An event is one group.
    """

    name: ClassVar[str] = "sen1floods11_weak"
    layout: ClassVar[tuple[str, ...]] = (f"{EVENTS_FOLDER}/WeaklyLabeled/S1Weak",)
    size: ClassVar[tuple[int, int] | None] = (512, 512)
    has_optical: ClassVar[bool] = True
    has_water: ClassVar[bool] = True
    label_codes: ClassVar[tuple[int, ...]] = (-1, 0, 1)

    def _index(self) -> list[Record]:
        sources = sorted((self.root / EVENTS_FOLDER / "WeaklyLabeled" / "S1Weak").glob("*_S1Weak.tif"))
        chips = [path.name.removesuffix("_S1Weak.tif") for path in sources]
        return [self._record(chip) for chip in chips if event_of(chip) != "Bolivia"]

    def _record(self, chip: str) -> Record:
        folder = self.root / EVENTS_FOLDER / "WeaklyLabeled"
        files = {"sar": folder / "S1Weak" / f"{chip}_S1Weak.tif"}
        optional = {"optical": "S2Weak", "index": "S2IndexLabelWeak", "otsu": "S1OtsuLabelWeak"}
        paths = {layer: folder / part / f"{chip}_{part}.tif" for layer, part in optional.items()}
        files |= {layer: path for layer, path in paths.items() if self.listing.has(path)}
        event = event_of(chip)
        skip = "" if {"index", "otsu"} & set(files) else self.listing.missing({"index": paths["index"]})
        return Record(chip, event, f"{event}_weak", "train", files, skip=skip)

    def read_label(self, record: Record) -> NDArray[np.integer]:
        """Reads the codes of the index label, or, without one, of the label by threshold."""
        return _label(record.files["index" if "index" in record.files else "otsu"])

    def _read(self, record: Record) -> Chip:
        return _read_chip(
            self, record, self.read_label(record), "index" if "index" in record.files else "weak"
        )


def _placed(record: Record) -> Record:
    try:
        return replace(record, footprint=footprint_of(record.files["sar"]))
    except DataError:
        return record


def _grouped(records: list[Record]) -> list[Record]:
    """Joins touching chips of one split into a group; touching chips of different official splits stay apart."""
    grouped = []
    for split in dict.fromkeys(record.split for record in records):
        part = [record for record in records if record.split == split]
        clusters = touching_groups(part)
        grouped += [
            replace(record, group=f"{record.event}_{part[cluster].chip}")
            for record, cluster in zip(part, clusters, strict=True)
        ]
    return grouped


def event_of(chip: str) -> str:
    """Gives the flood event of a chip by its prefix; `Mekong_...` belongs to Cambodia."""
    prefix = chip.rsplit("_", 1)[0]
    return EVENT_OF_PREFIX.get(prefix, prefix)


def _listed(path: Path) -> list[str]:
    with path.open(newline="") as lines:
        return [row[0].removesuffix("_S1Hand.tif") for row in csv.reader(lines) if row]


def _label(path: Path) -> NDArray[np.integer]:
    label: NDArray[np.int16] = read_bands(path, 1)[0]
    return label


def _read_chip(dataset: ChipDataset, record: Record, label: NDArray[np.integer], water_label: str) -> Chip:
    vv, vh = read_bands(record.files["sar"], 2)
    sar, sar_valid = sar_layer({"VV": vv, "VH": vh})
    water, water_valid = water_layer(label)
    optical = optical_valid = None
    if "optical" in record.files:
        numbers = read_bands(record.files["optical"], COUNT)
        optical, optical_valid = sentinel2_layer(optical_bands(numbers), toa=True)
    radiometry = "" if optical is None else "surface"
    return Chip(
        sar=sar,
        sar_valid=sar_valid,
        meta=dataset._meta(record, optical_radiometry=radiometry, water_label=water_label),
        optical=optical,
        optical_valid=optical_valid,
        water=water,
        water_valid=water_valid,
    )
