"""DEEPFLOOD's published tiles: aerial pictures of 256 px with radar blown up to the same grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from flora.bands import SAR_BANDS
from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.deepflood import DRY, FLOODED, area_of, own_splits, place_and_event, split_of
from flora.data.layers import bright_grey, decibel, display_layer, pseudo_decibel, sar_layer, water_layer
from flora.data.read import read_bands
from flora.errors import DataError

TILE: Final = 256
PIXEL_M: Final = 0.25


class DeepFloodTiles(ChipDataset):
    """DEEPFLOOD tiles: 20,593 aerial tiles of 256 px with radar blown up to the same grid.

    - Layout: `Tiles/{Optical, Mask, SAR VV, SAR VH}/Elizabeth_Florence_14_09_18_01_tile_8868.tif`, one name in each.
    - A tile spans about 64 m, that is 5 to 12 Sentinel-1 pixels: the radar cannot carry its detail. Use the areas
      (`deepflood`) to train for Sentinel-1; the tiles are here to compare with what is published.
    - SAR: float dB or power (told by sign), or 8-bit grey (`stretched`). Optical: aerial RGB, 8 bits, `display`.
    - Water: codes and splits as `DeepFlood`; strong.
    """

    name: ClassVar[str] = "deepflood_tiles"
    layout: ClassVar[tuple[str, ...]] = tuple(
        f"Tiles/{part}" for part in ("Optical", "Mask", "SAR VV", "SAR VH")
    )
    size: ClassVar[tuple[int, int] | None] = (TILE, TILE)
    has_optical: ClassVar[bool] = True
    has_water: ClassVar[bool] = True
    label_codes: ClassVar[tuple[int, ...]] = (*FLOODED, *DRY)
    parts: ClassVar[dict[str, str]] = {"optical": "Optical", "water": "Mask", "vv": "SAR VV", "vh": "SAR VH"}

    def _index(self) -> list[Record]:
        folder = self.root / "Tiles"
        names = {path.name for part in self.parts.values() for path in (folder / part).glob("*.tif")}
        splits = own_splits(self.root)
        return [self._record(name, splits) for name in sorted(names)]

    def _record(self, name: str, splits: dict[str, str]) -> Record:
        files = {layer: self.root / "Tiles" / part / name for layer, part in self.parts.items()}
        area = area_of(Path(name))
        if area is None:
            raise DataError(
                f"Tile '{name}' names no area; expected 'Place_Hurricane_DD_MM_YY_NN_tile_M.tif'. "
                "Rename it or take it out."
            )
        place, event = place_and_event(area)
        return Record(
            name.removesuffix(".tif"),
            event,
            f"deepflood_{place}",
            split_of(place, splits),
            files,
            skip=self.listing.missing(files),
        )

    def _read(self, record: Record) -> Chip:
        stored = {band: read_bands(record.files[band.lower()], 1)[0] for band in SAR_BANDS}
        grey = all(values.dtype == np.uint8 for values in stored.values())
        sar, sar_valid = sar_layer({band: _backscatter(values, band) for band, values in stored.items()})
        optical, optical_valid = display_layer(np.moveaxis(read_bands(record.files["optical"], 3), 0, -1))
        water, water_valid = water_layer(self.read_label(record), FLOODED, DRY)
        return Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(
                record,
                sar_radiometry="stretched" if grey else "calibrated",
                optical_radiometry="display",
                water_label="strong",
                pixel_m=PIXEL_M,
            ),
            optical=optical,
            optical_valid=optical_valid,
            water=water,
            water_valid=water_valid,
        )

    def read_label(self, record: Record) -> NDArray[np.integer]:
        """Reads the mask's codes."""
        label: NDArray[np.uint8] = read_bands(record.files["water"], 1)[0]
        return label


def _backscatter(stored: NDArray[Any], band: str) -> NDArray[np.float32]:
    """Brings a tile to dB: 8-bit grey by its bright quarter; floats are dB if any is negative, else power."""
    if stored.dtype == np.uint8:
        return pseudo_decibel(stored, band, bright_grey(stored))
    values = stored.astype(np.float32)
    return values if bool((values < 0).any()) else decibel(values)
