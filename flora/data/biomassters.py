"""BioMassters: forest, lake and bog in Finland, the same ground at several dates."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from flora.bands import OPTICAL_BANDS, SAR_BANDS, SENTINEL2_DN
from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.index_label import index_water
from flora.data.layers import sar_layer, sentinel2_layer
from flora.data.read import opened, read_bands
from flora.errors import DataError

BANDS: Final = ("blue", "green", "red", "nir", "swir")
# Where they, and the cloud probability, lie among the bands of a file: of all eleven as published (B2, B3, B4, B5, B6,
# B7, B8, B8A, B11, B12, CLP), or of the six that FLoRA needs.
PLACES: Final = {11: (0, 1, 2, 6, 8, 10), 6: (0, 1, 2, 3, 4, 5)}
# Above this cloud probability (%) a pixel's reflectance is not trusted.
CLOUD_PROBABILITY: Final = 20
# Places whose lake an optical index maps well, with their split.
LAKES: Final = frozenset({"288afc34"})
PLACE_SPLITS: Final = {"288afc34": "val"}


class BioMassters(ChipDataset):
    """BioMassters: calibrated radar and surface reflectance of one place over the months.

    - Sensor, product: Sentinel-1 and Sentinel-2 L2A, monthly, 256 x 256 px, 10 m, without georeference.
    - Layout: `train_features/PLACE_S1_MM.tif` as published, or `PLACE/PLACE_S1_MM.tif`.
    - SAR: `PLACE_S1_MM.tif` VV, VH, float32 dB, NaN or -9999 no-data; published with four bands, of the ascending and
      of the descending pass: the former are read, or the latter where there was no ascending pass that month.
    - Optical: `PLACE_S2_MM.tif` ten bands of surface reflectance x 10000, 0 no-data, and CLP, the cloud probability
      in %; above 20 invalid. B2, B3, B4, B8 and B11 are read. `MM` counts months from 00 = September. Dates are known
      to the month only; radar and optical are 1 to 3 px apart.
    - Prior: the clearest other month of the place.
    - Water: none published. On the lake of 288afc34 NDWI and MNDWI of the month are reliable: label `index`.
    - Splits: by place: 288afc34 val, all others train.
    - Size: 2 places with 4 and 3 months here. Licence: CC BY 4.0; contains modified Copernicus Sentinel data.
    - Paper: Nascetti et al., BioMassters, NeurIPS Datasets and Benchmarks 2023.
    """

    name: ClassVar[str] = "biomassters"
    layout: ClassVar[tuple[str, ...]] = ("*/*_S1_*.tif",)
    size: ClassVar[tuple[int, int] | None] = (256, 256)
    has_optical: ClassVar[bool] = True

    def _index(self) -> list[Record]:
        found = {
            (path.stem.split("_")[0], path.stem.split("_")[2]): path.parent
            for path in sorted(self.root.glob("*/*_S?_*.tif"))
        }
        return [self._record(place, month, folder) for (place, month), folder in sorted(found.items())]

    def _record(self, place: str, month: str, folder: Path) -> Record:
        files = {"sar": folder / f"{place}_S1_{month}.tif", "optical": folder / f"{place}_S2_{month}.tif"}
        skip = self.listing.missing(files)
        others = [path for path in sorted(folder.glob(f"{place}_S2_*.tif")) if path != files["optical"]]
        files |= {f"other_{path.stem[-2:]}": path for path in others}
        split = PLACE_SPLITS.get(place, "train")
        return Record(f"{place}_{month}", place, f"biomassters_{place}", split, files, skip=skip)

    def _read(self, record: Record) -> Chip:
        sar, sar_valid = _read_radar(record.files["sar"])
        bands, clear = _read_optical(record.files["optical"])
        optical, optical_valid = _layer(bands, clear)
        prior, prior_valid = self._prior(record)
        water = water_valid = None
        if record.event in LAKES:
            green, nir, swir = (
                bands[name].astype(np.float32) / np.float32(SENTINEL2_DN) for name in ("green", "nir", "swir")
            )
            water, water_valid = index_water(green, nir, swir, clear)
        return Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(
                record, optical_radiometry="surface", water_label="index" if record.event in LAKES else ""
            ),
            optical=optical,
            optical_valid=optical_valid,
            prior=prior,
            prior_valid=prior_valid,
            water=water,
            water_valid=water_valid,
        )

    def _prior(self, record: Record) -> tuple[NDArray[np.float32] | None, NDArray[np.bool_] | None]:
        paths = [path for layer, path in record.files.items() if layer.startswith("other_")]
        months = [_read_optical(path) for path in paths]
        if not months:
            return None, None
        return _layer(*max(months, key=lambda month: int(month[1].sum())))


def _read_radar(path: Path) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Reads VV and VH of the first pass that has a value."""
    with opened(path) as source:
        passes = 2 if source.count >= 2 * len(SAR_BANDS) else 1
    bands = read_bands(path, passes * len(SAR_BANDS))
    layers = [
        sar_layer({"VV": vv, "VH": vh}, zero_absent=True)
        for vv, vh in zip(bands[::2], bands[1::2], strict=True)
    ]
    return next((layer for layer in layers if layer[1].any()), layers[0])


def _read_optical(path: Path) -> tuple[dict[str, NDArray[np.uint16]], NDArray[np.bool_]]:
    """Reads digital numbers by band name and where the cloud probability is low."""
    with opened(path) as source:
        count = source.count
    if count not in PLACES:
        raise DataError(
            f"'{path}' has {count} bands; expected 11 as published (B2 to B12 and CLP), or the 6 that FLoRA needs. "
            "Fetch the file again."
        )
    layers = read_bands(path, count)[list(PLACES[count])]
    return dict(zip(BANDS, layers, strict=False)), layers[-1] <= CLOUD_PROBABILITY


def _layer(
    bands: dict[str, NDArray[np.uint16]], clear: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    return sentinel2_layer({name: bands[name] for name in OPTICAL_BANDS}, clear)
