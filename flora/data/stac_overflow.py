"""STAC Overflow: hand-labelled flood chips of DrivenData's competition."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.layers import sar_layer, water_layer
from flora.data.read import read_bands

# The event of each chip is the first three letters of its name.
EVENT_SPLITS: Final = {"pxs": "val"}
EVENT_NAMES: Final = {"pxs": "India", "jja": "Paraguay"}


class StacOverflow(ChipDataset):
    """STAC Overflow: Sentinel-1 chips with a hand label of flood water.

    - Sensor, product: Sentinel-1 GRD, 512 x 512 px, UTM, 10 m.
    - Layout: `train_features/CHIP_vv.tif` and `train_labels/CHIP.tif` as published, or all in one folder.
    - SAR: `CHIP_vv.tif`, `CHIP_vh.tif`, float32 dB, 0 no-data.
    - Optical: none.
    - Water: `CHIP.tif`, in one folder `CHIP_label.tif`: 1 water, 0 land, 255 no-data; strong. In Paraguay the water
      stands under plants and VV does not see it.
    - Splits: by event (first three letters): pxs (India) val, all others train.
    - Size: 2 chips here of 542. Licence: CC BY 4.0 (labels: Cloud to Street, Microsoft); contains modified
      Copernicus Sentinel data.
    - Source: STAC Overflow: Map Floodwater from Radar Imagery, DrivenData 2021; doi 10.34911/rdnt.oz32gz.
    """

    name: ClassVar[str] = "stac_overflow"
    layout: ClassVar[tuple[str, ...]] = ("*_vv.tif",)
    size: ClassVar[tuple[int, int] | None] = (512, 512)
    has_water: ClassVar[bool] = True
    label_codes: ClassVar[tuple[int, ...]] = (0, 1, 255)

    @property
    def _published(self) -> bool:
        return (self.root / "train_features").is_dir()

    def _require_layout(self) -> None:
        if not self._published:
            super()._require_layout()

    def _index(self) -> list[Record]:
        folder = self.root / "train_features" if self._published else self.root
        chips = {path.name.rsplit("_", 1)[0] for path in folder.glob("*_*.tif")}
        return [self._record(chip) for chip in sorted(chips)]

    def _record(self, chip: str) -> Record:
        if self._published:
            files = {band: self.root / "train_features" / f"{chip}_{band}.tif" for band in ("vv", "vh")}
            files["label"] = self.root / "train_labels" / f"{chip}.tif"
        else:
            files = {layer: self.root / f"{chip}_{layer}.tif" for layer in ("vv", "vh", "label")}
        event = EVENT_NAMES.get(chip[:3], chip[:3])
        return Record(
            chip,
            event,
            f"stac_{chip[:3]}",
            EVENT_SPLITS.get(chip[:3], "train"),
            files,
            skip=self.listing.missing(files),
        )

    def _read(self, record: Record) -> Chip:
        vv, vh = (read_bands(record.files[band], 1)[0] for band in ("vv", "vh"))
        sar, sar_valid = sar_layer({"VV": vv, "VH": vh}, np.stack([vv != 0, vh != 0]))
        water, water_valid = water_layer(self.read_label(record))
        meta = self._meta(record, water_label="strong")
        return Chip(sar=sar, sar_valid=sar_valid, meta=meta, water=water, water_valid=water_valid)

    def read_label(self, record: Record) -> NDArray[np.integer]:
        """Reads the hand label's codes."""
        label: NDArray[np.uint8] = read_bands(record.files["label"], 1)[0]
        return label
