"""Data Fusion Contest 2024, track 1: flood mapping from Sentinel-1 with context layers."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.layers import decibel, sar_layer, water_layer
from flora.data.read import read_bands, read_picture

CONTEXT: Final = ("dem_merit", "dem_copernicus", "worldcover", "water_occurrence")
VALIDATION: Final = frozenset({"1", "9"})


class DFC2024(ChipDataset):
    """DFC 2024 track 1: chips of unnamed places with SAR, elevation, land cover and the day's water.

    - Sensor, product: Sentinel-1, terrain-corrected, 512 x 512 px of about 10 m, without georeference.
    - SAR: bands 1, 2 = VV, VH, int16, linear power x 10000; 0 and below no-data, as for any scene in power;
      32765 is the ceiling (5.2 dB).
    - Optical: none.
    - Water: `labels/N.png`, 1 water, 0 land: all water on that day, permanent water included; strong.
    - Context: bands 3 to 6 = MERIT DEM and Copernicus DEM in m (-9999 no-data), ESA WorldCover, water occurrence
      of JRC in %.
    - Splits: chips 1 and 9 val, all others train; places are not stated, so each chip is its own group.
    - Size: 6 chips here (the contest has more). Licence: as of the contest.
    - Source: IEEE GRSS Data Fusion Contest 2024, doi 10.21227/5xtx-1m65 (to be cited as the contest asks).
    """

    name: ClassVar[str] = "dfc2024"
    layout: ClassVar[tuple[str, ...]] = ("images", "labels")
    size: ClassVar[tuple[int, int] | None] = (512, 512)
    has_water: ClassVar[bool] = True
    label_codes: ClassVar[tuple[int, ...]] = (0, 1)

    def _index(self) -> list[Record]:
        images = {path.stem for path in (self.root / "images").glob("*.tif")}
        labels = {path.stem for path in (self.root / "labels").glob("*.png")}
        return [self._record(stem) for stem in sorted(images | labels, key=lambda stem: (len(stem), stem))]

    def _record(self, stem: str) -> Record:
        files = {"sar": self.root / "images" / f"{stem}.tif", "water": self.root / "labels" / f"{stem}.png"}
        split = "val" if stem in VALIDATION else "train"
        return Record(
            f"dfc2024_{stem}", "dfc2024", f"dfc2024_{stem}", split, files, skip=self.listing.missing(files)
        )

    def _read(self, record: Record) -> Chip:
        vv, vh = decibel(read_bands(record.files["sar"], 2).astype(np.float64) / 10000)
        sar, sar_valid = sar_layer({"VV": vv, "VH": vh})
        water, water_valid = water_layer(self.read_label(record))
        meta = self._meta(record, water_label="strong")
        return Chip(sar=sar, sar_valid=sar_valid, meta=meta, water=water, water_valid=water_valid)

    def read_label(self, record: Record) -> NDArray[np.integer]:
        """Reads the label's codes."""
        return read_picture(record.files["water"])

    def context(self, index: int) -> dict[str, NDArray[np.generic]]:
        """Reads elevation (m, two sources), land cover and water occurrence (%), each (H, W) int16."""
        layers = read_bands(self.records[index].files["sar"], 2 + len(CONTEXT))[2:]
        return dict(zip(CONTEXT, layers, strict=True))
