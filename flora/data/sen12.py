"""SEN1-2: pairs of stretched radar and true colour."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar

from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.layers import bright_grey, display_layer, pseudo_decibel, sar_layer
from flora.data.read import read_colour, read_grey


class Sen12(ChipDataset):
    """SEN1-2: 282,384 pairs of patches worldwide; here 14 pairs of fields of one scene.

    - Sensor, product: Sentinel-1 VV and Sentinel-2 true colour, 256 x 256 px, 10 m, without georeference, PNG.
    - SAR: 8-bit grey stretched to each patch's range; pseudo dB by its bright quarter, `stretched`. VH is absent.
    - Optical: red, green, blue, 8 bits, enhanced; reflectance by display gain 3.5, `display`.
    - Water: none.
    - Splits: train only. Groups from `pairs.csv` (columns kind, sar, optical, group), or, without it, each scene
      of the published layout `ROIsXXXX_season/s1_N/ROIsXXXX_season_s1_N_pM.png`, or of a selection by terrain that
      keeps the names, `agri/s1/ROIsXXXX_season_s1_N_pM.png` beside `agri/s2`.
    - Licence: open access as published; contains modified Copernicus Sentinel data.
    - Paper: Schmitt et al., The SEN1-2 Dataset, ISPRS Annals IV-1, 2018, arXiv 1807.01569.
    """

    name: ClassVar[str] = "sen12"
    size: ClassVar[tuple[int, int] | None] = (256, 256)
    sar_bands: ClassVar[tuple[str, ...]] = ("VV",)
    has_optical: ClassVar[bool] = True

    def _index(self) -> list[Record]:
        table = self.root / "pairs.csv"
        if table.is_file():
            with table.open(newline="") as lines:
                rows = list(csv.DictReader(lines))
            return [
                self._record(self.root / row["kind"], row["sar"], row["optical"], row["group"])
                for row in rows
            ]
        found = [
            path for part in ("s1_*", "s1") for path in sorted(self.root.glob(f"*/{part}/ROIs*_s1_*.png"))
        ]
        return [self._published(path) for path in found]

    def _published(self, path: Path) -> Record:
        season, patch = path.stem.split("_s1_")
        optical = f"{path.parent.name.replace('s1', 's2')}/{path.name.replace('_s1_', '_s2_')}"
        group = f"sen12_{season}_{patch.rsplit('_', 1)[0]}"
        return self._record(path.parents[1], f"{path.parent.name}/{path.name}", optical, group)

    def _record(self, folder: Path, sar: str, optical: str, group: str) -> Record:
        files = {"sar": folder / sar, "optical": folder / optical}
        chip = Path(sar).stem.replace("_s1_", "_")
        return Record(chip, group, group, "train", files, skip=self.listing.missing(files))

    def _read(self, record: Record) -> Chip:
        grey = read_grey(record.files["sar"])
        sar, sar_valid = sar_layer({"VV": pseudo_decibel(grey, "VV", bright_grey(grey))})
        optical, optical_valid = display_layer(read_colour(record.files["optical"]))
        return Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(record, sar_radiometry="stretched", optical_radiometry="display"),
            optical=optical,
            optical_valid=optical_valid,
        )
