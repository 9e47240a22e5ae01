"""Two large scenes of stretched radar and enhanced true colour: a city, and hills with reservoirs."""

from __future__ import annotations

from typing import ClassVar, Final

from flora.chip import Chip, pad
from flora.data.dataset import ChipDataset, Footprint, Record
from flora.data.layers import bright_grey, display_layer, pseudo_decibel, sar_layer
from flora.data.read import read_colour, read_grey

WINDOW: Final = 512
SCENE: Final = (1733, 2500)
PAIR_SPLITS: Final = {"pair1": "train", "pair2": "val"}
PIXEL_M: Final = 19.0


class Sih1733(ChipDataset):
    """SIH 1733: two scenes of 2500 x 1733 px, radar and true colour aligned to the pixel, cut into windows.

    - Sensor, product: Sentinel-1 and Sentinel-2 screen pictures, JPEG, about 19 m a pixel, without georeference.
    - SAR: one polarisation, 8-bit grey, dark end clipped; pseudo dB in VV by the scene's bright quarter,
      `stretched`; VH absent.
    - Optical: true colour, enhanced; reflectance by display gain 3.5, `display`.
    - Water: none.
    - Splits: by scene: pair1 (city) train, pair2 (hills) val. Windows of 512 x 512 px; what reaches over the edge is
      invalid.
    - Size: 40 chips. Licence: not stated; contains modified Copernicus Sentinel data.
    """

    name: ClassVar[str] = "sih1733"
    layout: ClassVar[tuple[str, ...]] = ("pair*_sar.jpg", "pair*_optical.jpg")
    size: ClassVar[tuple[int, int] | None] = (WINDOW, WINDOW)
    sar_bands: ClassVar[tuple[str, ...]] = ("VV",)
    has_optical: ClassVar[bool] = True

    def _index(self) -> list[Record]:
        return [
            self._record(pair, split, row, col)
            for pair, split in PAIR_SPLITS.items()
            for row in range(0, SCENE[0], WINDOW)
            for col in range(0, SCENE[1], WINDOW)
        ]

    def _record(self, pair: str, split: str, row: int, col: int) -> Record:
        files = {"sar": self.root / f"{pair}_sar.jpg", "optical": self.root / f"{pair}_optical.jpg"}
        height, width = min(WINDOW, SCENE[0] - row), min(WINDOW, SCENE[1] - col)
        return Record(
            chip=f"{pair}_r{row:04d}_c{col:04d}",
            event=pair,
            group=f"sih1733_{pair}",
            split=split,
            files=files,
            window=(row, col, height, width),
            footprint=Footprint(pair, col, row, col + width - 1, row + height - 1),
            skip=self.listing.missing(files),
        )

    def _read(self, record: Record) -> Chip:
        assert record.window is not None
        row, col, height, width = record.window
        inside = (slice(row, row + height), slice(col, col + width))
        scene = read_grey(record.files["sar"])
        sar, sar_valid = sar_layer({"VV": pseudo_decibel(scene[inside], "VV", bright_grey(scene))})
        optical, optical_valid = display_layer(read_colour(record.files["optical"])[inside])
        meta = self._meta(record, sar_radiometry="stretched", optical_radiometry="display", pixel_m=PIXEL_M)
        chip = Chip(sar=sar, sar_valid=sar_valid, meta=meta, optical=optical, optical_valid=optical_valid)
        return pad(chip, WINDOW, WINDOW)
