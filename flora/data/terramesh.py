"""TerraMesh: terrain-corrected radar beside optical bands, elevation and land cover, worldwide."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.layers import sar_layer, sentinel2_layer
from flora.data.read import read_bands
from flora.data.sentinel2 import COUNT, index_label, optical_bands, remove_offset
from flora.errors import DataError

# A tile has one of the two: terrain-corrected radar comes first.
RADAR: Final = ("S1RTC", "S1GRD")


class TerraMesh(ChipDataset):
    """TerraMesh: tiles of nine million places with radar and optical of nearby dates; here four, as GeoTIFF.

    - Sensor, product: Sentinel-1 RTC gamma0 or GRD sigma0, and Sentinel-2 L1C; 224 x 224 px, UTM, 10 m. Published as
      Zarr shards, read as GeoTIFF.
    - SAR: `S1RTC/TILE.tif` (the Major TOM part) or `S1GRD/TILE.tif` (the SSL4EO-S12 part) VV, VH, float32 dB, NaN
      no-data.
    - Optical: `S2L1C/TILE.tif` 13 bands, top of atmosphere x 10000, 0 no-data, brought to the surface (`S2RGB` is a
      display picture and is not read). Tiles processed from 2022 on carry an offset of 1000, known by their cirrus
      band; it is removed.
    - Water: none published; from NDWI and MNDWI of the optical image, label `index`. Radar and optical may be
      weeks apart.
    - Context: `DEM` in m, `LULC` (1 water, 2 trees, 3 flooded vegetation, 4 crops, 5 built, 6 bare, 7 snow or ice,
      8 cloud, 9 rangeland; of the year, not the day).
    - Splits: train only. A name such as `609U_541L_3_0` is a cell of the Major TOM grid and a part of it; tiles of
      one cell are one group.
    - Size: 4 tiles here. Licence: CC BY-SA 4.0; contains modified Copernicus Sentinel data.
    - Paper: Blumenstiel et al., TerraMesh, CVPR Workshops 2025, arXiv 2504.11172.
    """

    name: ClassVar[str] = "terramesh"
    layout: ClassVar[tuple[str, ...]] = ("S1*", "S2L1C")
    size: ClassVar[tuple[int, int] | None] = (224, 224)
    has_optical: ClassVar[bool] = True
    has_water: ClassVar[bool] = True

    def _index(self) -> list[Record]:
        tiles = {path.stem for part in (*RADAR, "S2L1C") for path in (self.root / part).glob("*.tif")}
        shard = None if tiles else next(iter(sorted((self.root / "S2L1C").iterdir())), None)
        if shard is not None:
            raise DataError(
                f"'{shard}' is no GeoTIFF; expected one a tile, 'S1RTC/TILE.tif' and 'S2L1C/TILE.tif'. Export them "
                "from the published Zarr shards first."
            )
        return [self._record(tile) for tile in sorted(tiles)]

    def _record(self, tile: str) -> Record:
        radar = [self.root / part / f"{tile}.tif" for part in RADAR]
        sar = next((path for path in radar if self.listing.has(path)), radar[0])
        files = {"sar": sar, "optical": self.root / "S2L1C" / f"{tile}.tif"}
        cell = tile.rsplit("_", 2)[0]
        return Record(
            tile, "terramesh", f"terramesh_{cell}", "train", files, skip=self.listing.missing(files)
        )

    def _read(self, record: Record) -> Chip:
        vv, vh = read_bands(record.files["sar"], 2)
        sar, sar_valid = sar_layer({"VV": vv, "VH": vh}, zero_absent=True)
        numbers = remove_offset(read_bands(record.files["optical"], COUNT))
        optical, optical_valid = sentinel2_layer(optical_bands(numbers), toa=True)
        water, water_valid = index_label(numbers)
        return Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(record, optical_radiometry="surface", water_label="index"),
            optical=optical,
            optical_valid=optical_valid,
            water=water,
            water_valid=water_valid,
        )

    def context(self, index: int) -> dict[str, NDArray[np.generic]]:
        """Reads `dem` (m) and `landcover` (classes above) where the tile has them."""
        tile = self.records[index].chip
        paths = {"dem": self.root / "DEM" / f"{tile}.tif", "landcover": self.root / "LULC" / f"{tile}.tif"}
        return {layer: read_bands(path, 1)[0] for layer, path in paths.items() if path.exists()}
