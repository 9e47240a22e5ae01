"""SEN12MS and SEN12MS-CR: radar, 13 optical bands and land cover of 252 scenes in four seasons."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from flora.chip import Chip
from flora.data.dataset import ChipDataset, Record
from flora.data.layers import sar_layer, sentinel2_layer
from flora.data.read import read_bands
from flora.data.sentinel2 import COUNT, cloud, index_label, optical_bands
from flora.errors import DataError

# Official hold-out scenes, about a tenth of all patches. Source: SEN12MS toolbox, SEN12MS_holdOutScenes.txt.
HOLD_OUT: Final = {
    "ROIs1158_spring": (63, 146, 97, 124, 15, 17),
    "ROIs1868_summer": (43, 131, 19, 104, 72, 15, 79),
    "ROIs1970_fall": (120, 39, 144, 35, 61, 47, 30, 141),
    "ROIs2017_winter": (64, 146, 32, 107, 135),
}
# Scenes proposed for validation. Source: SEN12MS toolbox, ValidationScenes.txt.
VALIDATION: Final = {
    "ROIs1158_spring": (112, 113, 117, 44, 45, 77),
    "ROIs1868_summer": (113, 26, 36, 55, 73, 89),
    "ROIs1970_fall": (1, 130, 14, 142, 20, 3, 57, 62, 93),
    "ROIs2017_winter": (103, 144, 69, 77),
}
# Source: Ebel et al., SEN12MS-CR, split of the authors' data loader.
CLOUD_REMOVAL_TEST: Final = {
    "ROIs1158_spring": (106, 123, 140, 31, 44),
    "ROIs1868_summer": (119, 73),
    "ROIs1970_fall": (139,),
    "ROIs2017_winter": (108, 63),
}
CLOUD_REMOVAL_VALIDATION: Final = {
    "ROIs1158_spring": (17,),
    "ROIs1868_summer": (19, 80, 127, 17),
    "ROIs1970_fall": (65,),
    "ROIs2017_winter": (22, 107, 130, 84),
}
PATCH: Final = 256


class SEN12MS(ChipDataset):
    """SEN12MS: 180,662 triplets of radar, optical and land cover, worldwide, December 2016 to November 2017.

    - Sensor, product: Sentinel-1 GRD sigma0, Sentinel-2 L1C, MODIS land cover; 256 x 256 px, UTM, 10 m.
    - SAR: `s1` VV, VH, float32 dB, NaN no-data.
    - Optical: `s2` 13 bands, top of atmosphere x 10000, brought to the surface, 0 no-data; cloud-free.
    - Water: no flood label exists; NDWI and MNDWI of the optical image, label `index`. Radar and optical are of one
      season, not of one day.
    - Context: `lc` IGBP, LCCS land cover, land use, surface hydrology.
    - Layout: `ROIsXXXX_season/{s1,s2,lc}_N/ROIsXXXX_season_{s1|s2|lc}_N_pM.tif`, or, as the archives unpack,
      `ROIsXXXX_season_{s1|s2|lc}/{s1,s2,lc}_N/...`. Land cover is optional.
    - SEN12MS-CR holds many of the same scenes under another split: train on one of the two and test on the same.
    - Splits: the 26 official hold-out scenes are test, 25 proposed scenes val, all others train. A scene is a group;
      its patches overlap by half.
    - Size: 510 GB. Licence: CC BY 4.0; contains modified Copernicus Sentinel data.
    - Paper: Schmitt et al., SEN12MS, ISPRS Annals IV-2/W7, 2019, doi 10.5194/isprs-annals-IV-2-W7-153-2019.
    """

    name: ClassVar[str] = "sen12ms"
    layout: ClassVar[tuple[str, ...]] = ("ROIs*/s1_*", "ROIs*/s2_*")
    size: ClassVar[tuple[int, int] | None] = (PATCH, PATCH)
    has_optical: ClassVar[bool] = True
    has_water: ClassVar[bool] = True
    official_split: ClassVar[bool] = True
    test_scenes: ClassVar[dict[str, tuple[int, ...]]] = HOLD_OUT
    val_scenes: ClassVar[dict[str, tuple[int, ...]]] = VALIDATION

    def _index(self) -> list[Record]:
        patches = {
            _patch(path) for kind in ("s1", "s2") for path in self.root.glob(f"ROIs*/{kind}_[0-9]*/*.tif")
        }
        return [self._record(*patch) for patch in sorted(patches)]

    def _record(self, season: str, scene: int, number: int) -> Record:
        files = {
            "sar": self._path(season, "s1", scene, number),
            "optical": self._path(season, "s2", scene, number),
        }
        skip = self.listing.missing(files)
        cloudy = self._path(season, "s2_cloudy", scene, number)
        if self.listing.has(cloudy):
            files["prior"] = cloudy
        place = f"{season}_{scene}"
        return Record(
            chip=f"{place}_p{number}",
            event=place,
            group=place,
            split=self._split_of(season, scene),
            files=files,
            skip=skip,
        )

    def _path(self, season: str, kind: str, scene: int, number: int) -> Path:
        unpacked = self.root / f"{season}_{kind}"
        folder = unpacked if unpacked.is_dir() else self.root / season
        return folder / f"{kind}_{scene}" / f"{season}_{kind}_{scene}_p{number}.tif"

    def _split_of(self, season: str, scene: int) -> str:
        if scene in self.test_scenes.get(season, ()):
            return "test"
        return "val" if scene in self.val_scenes.get(season, ()) else "train"

    def _read(self, record: Record) -> Chip:
        vv, vh = read_bands(record.files["sar"], 2)
        sar, sar_valid = sar_layer({"VV": vv, "VH": vh}, zero_absent=True)
        numbers = read_bands(record.files["optical"], COUNT)
        optical, optical_valid = sentinel2_layer(optical_bands(numbers), ~cloud(numbers), toa=True)
        water, water_valid = index_label(numbers)
        prior = prior_valid = None
        if "prior" in record.files:
            cloudy = read_bands(record.files["prior"], COUNT)
            prior, prior_valid = sentinel2_layer(optical_bands(cloudy), ~cloud(cloudy), toa=True)
        return Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(record, optical_radiometry="surface", water_label="index"),
            optical=optical,
            optical_valid=optical_valid,
            prior=prior,
            prior_valid=prior_valid,
            water=water,
            water_valid=water_valid,
        )

    def context(self, index: int) -> dict[str, NDArray[np.generic]]:
        """Reads `igbp`, `lccs_cover`, `lccs_use`, `lccs_hydrology`, (H, W) each, where land cover is there."""
        season, scene, number = _patch(self.records[index].files["sar"])
        path = self._path(season, "lc", scene, number)
        if not path.exists():
            return {}
        return dict(
            zip(("igbp", "lccs_cover", "lccs_use", "lccs_hydrology"), read_bands(path, 4), strict=True)
        )


class SEN12MSCR(SEN12MS):
    """SEN12MS-CR: the same layout with a cloudy optical image (`s2_cloudy_N`) beside the cloud-free one.

    As `SEN12MS`, except:

    - Prior: the cloudy image, of another day, valid outside cloud.
    - Splits: test and val scenes of the authors' data loader.
    - Size: 122,218 triplets of 175 scenes. Licence: CC BY 4.0; contains modified Copernicus Sentinel data.
    - Paper: Ebel et al., Multisensor Data Fusion for Cloud Removal, IEEE TGRS 2021, doi 10.1109/TGRS.2020.3024744.
    """

    name: ClassVar[str] = "sen12ms_cr"
    test_scenes: ClassVar[dict[str, tuple[int, ...]]] = CLOUD_REMOVAL_TEST
    val_scenes: ClassVar[dict[str, tuple[int, ...]]] = CLOUD_REMOVAL_VALIDATION


NAME = re.compile(r"(?P<season>ROIs\d{4}_[a-z]+)_(?:s1|s2|s2_cloudy|lc)_(?P<scene>\d+)_p(?P<patch>\d+)")


def _patch(path: Path) -> tuple[str, int, int]:
    """Reads season, scene and patch number from a file name.

    Raises:
        DataError: The name does not follow the published pattern.
    """
    found = NAME.fullmatch(path.stem)
    if found is None:
        raise DataError(
            f"'{path.parent.name}/{path.name}' does not follow 'ROIsXXXX_season_s1_N_pM.tif'; expected the published "
            "names. Rename it or take it out."
        )
    return found["season"], int(found["scene"]), int(found["patch"])
