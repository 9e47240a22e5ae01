"""Sand sea in July: dark as water to the radar, and dry."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.layers import sar_layer, sentinel2_layer
from flora.data.read import read_bands


class Desert(ChipDataset):
    """Desert: hard negatives for water, five pairs of one sand sea.

    - Sensor, product: Sentinel-1 VV and Sentinel-2, 256 x 256 px of about 10 m, without georeference.
    - SAR: `Jul_NN_VV.tif`, float32 dB; sand is -20 dB and darker. VH is absent.
    - Optical: `Jul_NN_RGB.tif`, red, green, blue x 10000, 0 no-data; its darkest pixels are brightest in blue, so
      it is taken as top of atmosphere and brought to the surface.
    - Water: dry everywhere; strong.
    - Splits: train only; one place, one group.
    - Size: 5 chips. Licence: not stated; contains modified Copernicus Sentinel data.
    """

    name: ClassVar[str] = "desert"
    layout: ClassVar[tuple[str, ...]] = ("*_VV.tif",)
    size: ClassVar[tuple[int, int] | None] = (256, 256)
    sar_bands: ClassVar[tuple[str, ...]] = ("VV",)
    has_optical: ClassVar[bool] = True
    has_water: ClassVar[bool] = True

    def _index(self) -> list[Record]:
        chips = {path.name.rsplit("_", 1)[0] for path in self.root.glob("*_*.tif")}
        return [self._record(chip) for chip in sorted(chips)]

    def _record(self, chip: str) -> Record:
        files = {"sar": self.root / f"{chip}_VV.tif", "optical": self.root / f"{chip}_RGB.tif"}
        return Record(f"desert_{chip}", "desert", "desert", "train", files, skip=self.listing.missing(files))

    def _read(self, record: Record) -> Chip:
        sar, sar_valid = sar_layer({"VV": read_bands(record.files["sar"], 1)[0]})
        red, green, blue = read_bands(record.files["optical"], 3)
        optical, optical_valid = sentinel2_layer({"red": red, "green": green, "blue": blue}, toa=True)
        return Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(record, optical_radiometry="surface", water_label="strong"),
            optical=optical,
            optical_valid=optical_valid,
            water=np.zeros(red.shape, np.uint8),
            water_valid=np.ones(red.shape, np.bool_),
        )
