"""DEEPFLOOD: hurricane floods in North Carolina with inundated vegetation, as area rasters at 10 m."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any, ClassVar, Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from flora.bands import OPTICAL_BANDS, SAR_BANDS
from flora.chip import Chip, pad
from flora.data.dataset import ChipDataset, Footprint, Record
from flora.data.layers import optical_layer, sar_layer
from flora.data.read import opened
from flora.errors import DataError

# Codes of the mask. Published loaders mistake them: 0 is not background, it is flooded vegetation.
INUNDATED_VEGETATION: Final = 0
DRY_VEGETATION: Final = 1
OPEN_WATER: Final = 2
OTHER: Final = 3
FLOODED: Final = (INUNDATED_VEGETATION, OPEN_WATER)
DRY: Final = (DRY_VEGETATION, OTHER)
NO_CODE: Final = 255

AREA: Final = re.compile(
    r"(?P<place>[A-Za-z]+(?:[_ ][A-Za-z]+)*?)_(?P<storm>Florence|Matt?h?ew)_(?P<day>\d\d_\d\d_\d\d)_(?P<part>\d\d)",
    re.IGNORECASE,
)
# Names of layers that some files carry before the name of their area.
PREFIXES: Final = re.compile(
    r"^(?:(?:vv|vh|mask|dem|slope|sar|s1|s2|optical|water|index)[_ ])+", re.IGNORECASE
)

WINDOW: Final = 256
SAR_PIXEL_M: Final = 10.0
# The mask is sampled this many times along a side of a 10 m pixel; a pixel is labelled where most samples agree.
SAMPLES: Final = 5
AGREEMENT: Final = 0.7


class DeepFlood(ChipDataset):
    """DEEPFLOOD at 10 m: whole areas as Sentinel-1 and Sentinel-2 rasters, the label brought to the radar's grid.

    - Sensor, product: Sentinel-1 VV, VH, Sentinel-2, aerial pictures of about 25 cm; GeoTIFF. Areas are named
      `Place_Hurricane_DD_MM_YY_NN` (Florence 2018, Matthew 2016, also spelt Mattew).
    - SAR: folder `SENTINEL_1`, files with VV and VH in their name, float32; dB or power as the file or its values
      say (`flora.raster.open_sar`). Decomposition and water index lie beside them and are not read.
    - Optical: folder `SENTINEL_2`, bands as the file names them (`flora.raster.open_optical`), reflectance x 10000;
      optional.
    - Water: folder `GEOTIFF MASK`, codes 0 inundated vegetation, 1 dry vegetation, 2 open water, 3 other. Flooded =
      0 and 2. A 10 m pixel is labelled where 70 % of 25 samples agree, else invalid; strong. `context` gives the share
      of inundated vegetation.
    - Splits: by place, never by tile: a place keeps its split for all its parts and both hurricanes. Train, val and
      test take about 6, 2 and 2 of 10 places, by a checksum of the place's name; a file `splits.csv` (columns
      place, split) in the folder overrules it. Windows of 256 x 256 px.
    - Size: 20,593 tiles. Licence: CC BY 4.0; contains modified Copernicus Sentinel data.
    - Paper: DeepFlood, Scientific Data 12:271, 2025, doi 10.1038/s41597-025-04554-3; data figshare 28328339.
    """

    name: ClassVar[str] = "deepflood"
    size: ClassVar[tuple[int, int] | None] = (WINDOW, WINDOW)
    has_optical: ClassVar[bool] = True
    has_water: ClassVar[bool] = True
    aligned: ClassVar[bool] = False
    label_codes: ClassVar[tuple[int, ...]] = (*FLOODED, *DRY, NO_CODE)

    def _index(self) -> list[Record]:
        areas: dict[str, dict[str, Path]] = {}
        for path in sorted(self.root.rglob("*.tif")):
            inside = path.relative_to(self.root)
            layer, area = area_layer(inside), area_of(inside)
            if layer and area:
                areas.setdefault(area, {}).setdefault(layer, path)
        if not areas:
            raise DataError(
                f"'{self.root}' has no area raster such as 'SENTINEL_1/Elizabeth_Florence_14_09_18_01_VV.tif'; "
                "expected the folders SENTINEL_1 and GEOTIFF MASK. For the 256 px tiles open 'deepflood_tiles'."
            )
        splits = own_splits(self.root)
        return [record for area, files in sorted(areas.items()) for record in _windows(area, files, splits)]

    def _read(self, record: Record) -> Chip:
        from flora.raster import open_optical, open_sar

        assert record.window is not None
        row, col, height, width = record.window
        inside = {"y": slice(row, row + height), "x": slice(col, col + width)}
        scene = open_sar([record.files["vv"], record.files["vh"]], bands=SAR_BANDS)
        sar, sar_valid = sar_layer({band: _values(scene[band].isel(inside)) for band in SAR_BANDS})
        optical = optical_valid = None
        if "sentinel2" in record.files:
            picture = open_optical(record.files["sentinel2"], scene.odc.geobox).isel(inside)
            optical, optical_valid = optical_layer(
                {band: _values(picture[band]) for band in OPTICAL_BANDS if band in picture}
            )
        flooded, labelled, _ = self._shares(record)
        water = flooded >= AGREEMENT * labelled
        known = (labelled > 0.5) & (water | (flooded <= (1 - AGREEMENT) * labelled))
        chip = Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(
                record,
                optical_radiometry="" if optical is None else "surface",
                water_label="strong",
                pixel_m=SAR_PIXEL_M,
            ),
            optical=optical,
            optical_valid=optical_valid,
            water=(water & known).astype(np.uint8),
            water_valid=known,
        )
        return pad(chip, WINDOW, WINDOW)

    def context(self, index: int) -> dict[str, NDArray[np.generic]]:
        """Reads `inundated_vegetation`, the share of each pixel, (H, W), without the padding of an edge window."""
        return {"inundated_vegetation": self._shares(self.records[index])[2]}

    def read_label(self, record: Record) -> NDArray[np.uint8]:
        """Reads the mask's codes, 5 x 5 samples in each radar pixel."""
        return mask_on_grid(record)

    def _shares(self, record: Record) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Gives the shares of each 10 m pixel that are flooded, labelled, and inundated vegetation, (H, W)."""
        codes = self.read_label(record)
        groups = (FLOODED, FLOODED + DRY, (INUNDATED_VEGETATION,))
        flooded, labelled, vegetation = (_block_mean(np.isin(codes, group)) for group in groups)
        return flooded, labelled, vegetation


def area_of(path: Path) -> str | None:
    """Finds the area that a file belongs to, by its own name or that of a folder above it; None without one."""
    for name in (path.stem, *(parent.name for parent in path.parents)):
        found = AREA.search(PREFIXES.sub("", name))
        if found:
            return found.group(0)
    return None


def area_layer(path: Path) -> str | None:
    """Tells which layer of an area a file is, by its folders and name: vv, vh, mask, sentinel2; None for others."""
    folders = [part.upper().replace(" ", "_") for part in path.parts[:-1]]
    words = re.split(r"[^A-Z0-9]+", "_".join([*folders, path.stem.upper()]))
    if "TILES" in folders or any(folder.endswith("TILES") for folder in folders):
        return None
    if "GEOTIFF_MASK" in folders or ("MASK" in words and "SENTINEL_1" not in folders):
        return "mask"
    if "SENTINEL_1" in folders:
        return next((band.lower() for band in SAR_BANDS if band in words), None)
    return "sentinel2" if "SENTINEL_2" in folders else None


def place_and_event(area: str) -> tuple[str, str]:
    """Gives the place in lower case and the event, place and hurricane in its usual spelling, of an area's name."""
    found = AREA.fullmatch(area)
    assert found is not None
    storm = "Matthew" if found["storm"].lower().startswith("mat") else "Florence"
    return found["place"].lower().replace(" ", "_"), f"{found['place']}_{storm}"


def split_of(place: str, own: dict[str, str]) -> str:
    """Gives a place's split: as `splits.csv` says, else by the checksum of its name (6 train, 2 val, 2 test of 10)."""
    if place in own:
        return own[place]
    drawn = crc32(place.encode()) % 10
    return "train" if drawn < 6 else "val" if drawn < 8 else "test"


def mask_on_grid(record: Record) -> NDArray[np.uint8]:
    """Samples the mask's codes 5 x 5 times in each radar pixel of a window, (5 H, 5 W); 255 outside the mask.

    A declared no-data value of 0 to 3 is not believed: these are codes.

    Raises:
        DataError: The mask or the radar has no coordinate system.
    """
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT
    from rasterio.windows import Window

    assert record.window is not None
    row, col, height, width = record.window
    with opened(record.files["vv"]) as radar, opened(record.files["mask"]) as mask:
        if mask.crs is None or radar.crs is None:
            raise DataError(
                f"'{(mask if mask.crs is None else radar).name}' has no coordinate system; expected the mask and the "
                "radar of an area to be georeferenced. Fetch the file again."
            )
        transform = radar.window_transform(Window(col, row, width, height))
        transform *= transform.scale(1 / SAMPLES)
        declared = mask.nodata if mask.nodata is not None and mask.nodata not in FLOODED + DRY else NO_CODE
        options: dict[str, Any] = {
            "src_nodata": declared,
            "nodata": NO_CODE,
            "resampling": Resampling.nearest,
        }
        grid = {
            "crs": radar.crs,
            "transform": transform,
            "width": width * SAMPLES,
            "height": height * SAMPLES,
        }
        with WarpedVRT(mask, **grid, **options) as warped:
            codes: NDArray[np.uint8] = warped.read(1)
    return codes


def _windows(area: str, files: dict[str, Path], splits: dict[str, str]) -> list[Record]:
    place, event = place_and_event(area)
    group, split = f"deepflood_{place}", split_of(place, splits)
    missing = [layer for layer in ("vv", "vh", "mask") if layer not in files]
    if missing:
        return [Record(area, event, group, split, files, skip=f"missing {', '.join(missing)} of area {area}")]
    with opened(files["vv"]) as radar:
        shape = radar.shape
        grid = str(radar.crs)
        boxes = [
            (
                (row, col),
                radar.xy(row, col, offset="ul"),
                radar.xy(_last(row, shape[0]), _last(col, shape[1]), offset="lr"),
            )
            for row in range(0, shape[0], WINDOW)
            for col in range(0, shape[1], WINDOW)
        ]
    return [
        Record(
            chip=f"{area}_r{row:04d}_c{col:04d}",
            event=event,
            group=group,
            split=split,
            files=files,
            window=(row, col, min(WINDOW, shape[0] - row), min(WINDOW, shape[1] - col)),
            footprint=Footprint(grid, left, min(top, bottom), right, max(top, bottom)),
        )
        for (row, col), (left, top), (right, bottom) in boxes
    ]


def _last(first: int, length: int) -> int:
    return min(first + WINDOW, length) - 1


def own_splits(root: Path) -> dict[str, str]:
    """Reads `splits.csv` (columns place, split) of the dataset's folder; empty without one."""
    table = root / "splits.csv"
    if not table.is_file():
        return {}
    with table.open(newline="") as lines:
        return {row["place"].lower().replace(" ", "_"): row["split"] for row in csv.DictReader(lines)}


def _block_mean(samples: NDArray[np.bool_]) -> NDArray[np.float32]:
    height, width = (length // SAMPLES for length in samples.shape)
    blocks = samples.reshape(height, SAMPLES, width, SAMPLES)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float32)


def _values(layer: Any) -> NDArray[np.float32]:
    return np.asarray(layer.compute(scheduler="synchronous").values, np.float32)
