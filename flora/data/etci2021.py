"""ETCI-2021: the NASA flood detection competition's tiles, 8-bit grey."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from flora.bands import SAR_BANDS
from flora.chip import Chip
from flora.data.dataset import ChipDataset, Footprint, Record, Split
from flora.data.layers import bright_grey, pseudo_decibel, sar_layer, water_layer
from flora.data.read import read_grey
from flora.errors import DataError

# Whole regions, so that no place is on both sides. Alabama's two dates show the same ground.
REGION_SPLITS: Final = {
    "northal": "train",
    "bangladesh": "train",
    "florence": "val",
    "nebraska": "test",
    "redrivernorth": "test",
}
# The competition kept the labels of its last region back.
HIDDEN_REGION: Final = "redrivernorth"
# Later dates without flood, whose tiles need no mask to be known as land.
DRY_SCENES: Final = frozenset({"northal_20190630t234655", "nebraska_20170731t002118"})
# But the west of Alabama, by its column of tiles, is for validation: there is no other for two bands of grey where
# Florence is not at hand. Two columns between belong to neither; the two dates' grids need not lie on each other.
WEST_REGION: Final = "northal"
WEST_LAST, EAST_FIRST = 8, 11
PIXEL_M: Final = 30.0
TILE: Final = 256
# Tiles of a scene that are read to learn its stretch.
SPREAD_TILES: Final = 32


class ETCI2021(ChipDataset):
    """ETCI-2021: tiles of whole Sentinel-1 scenes with hand-made water labels; radar as stretched grey.

    - Sensor, product: Sentinel-1 (HyP3), 256 x 256 px of about 30 m. Published as PNG (radar as three
      equal channels), read as JPEG too.
    - SAR: `vv`, `vh` 8-bit grey; the stretch differs per product and is unknown, so it becomes pseudo dB by the
      bright quarter of the product's tiles and says `stretched`. 255 in both bands is outside the swath and invalid.
    - Optical: none.
    - Water: `flood_label` 255 (or 1) water, 0 land: open water of that day, permanent water included; strong.
      `water_body_label` holds coarse permanent polygons up to 10 px off: read by `context`, never joined.
      Tiles of later, dry dates (`DRY_SCENES`) are land everywhere, also where their empty masks are not there. Any
      other tile without its mask is left out; of Red River North none was published.
    - Layout: `SCENE/tiles/{vv,vh,flood_label,water_body_label}/`, or such scenes in the folders that the archives
      unpack to (`train`, `test`, `test_internal`).
    - Splits: by region: Alabama (`northal`) and Bangladesh train, Florence and the west of Alabama (columns up to 8;
      9 and 10 are left out) val, Nebraska and Red River North test. Tiles whose `flag` in
      `tiles.csv` calls the mask likely wrong are left out.
    - File names: x is the row, y the column of the tile in its scene.
    - Size: 33,405 tiles published. Licence: as of the competition; contains modified Copernicus Sentinel data.
    - Paper: ETCI 2021 Competition on Flood Detection, NASA IMPACT and IEEE GRSS.
    """

    name: ClassVar[str] = "etci2021"
    layout: ClassVar[tuple[str, ...]] = ("*/tiles/vv", "*/tiles/vh")
    size: ClassVar[tuple[int, int] | None] = (TILE, TILE)
    has_water: ClassVar[bool] = True
    label_codes: ClassVar[tuple[int, ...]] = (0, 1, 255)

    def __init__(self, root: Path | str, split: Split = "train") -> None:
        """Lists the tiles of one split; see `ChipDataset`."""
        self._tiles_of: dict[str, list[Record]] = {}
        super().__init__(root, split)
        self._bright_of: dict[str, dict[str, float]] = {}

    def _require_layout(self) -> None:
        if next(self.root.glob("*/*/tiles/vv"), None) is None:
            super()._require_layout()

    def _index(self) -> list[Record]:
        table = self.root / "tiles.csv"
        if table.is_file():
            with table.open(newline="") as lines:
                rows = list(csv.DictReader(lines))
        else:
            depths = ("*/tiles/vv/[!.]*_vv.*", "*/*/tiles/vv/[!.]*_vv.*")
            rows = [self._row(path) for depth in depths for path in sorted(self.root.glob(depth))]
        records = [self._record(row) for row in rows]
        for record in records:  # of all splits: a tile's values may not depend on which of them is opened
            if not record.skip:
                self._tiles_of.setdefault(_scene(record), []).append(record)
        return records

    def _row(self, path: Path) -> dict[str, str]:
        """Makes the row of a tile from its published name, for trees without `tiles.csv`."""
        tile = path.stem.removesuffix("_vv")
        scene, row, col = tile.rsplit("_", 2)
        label = self.listing.picture(path.parents[1] / "flood_label" / tile)
        region = scene.split("_")[0]
        needed = path.parents[2].name not in DRY_SCENES and region != HIDDEN_REGION
        return {
            "scene": str(path.parents[2].relative_to(self.root)),
            "tile": tile,
            "row": row.removeprefix("x-"),
            "col": col.removeprefix("y-"),
            "region": region,
            "has_pixel_label": str(int(needed or self.listing.has(label))),
            "flag": "",
        }

    def _record(self, row: dict[str, str]) -> Record:
        region = row["region"]
        if region not in REGION_SPLITS:
            raise DataError(
                f"Tile '{row['tile']}' is of region '{region}'; expected one of {', '.join(REGION_SPLITS)}. "
                "Add the region to REGION_SPLITS."
            )
        tiles = self.root / row["scene"] / "tiles"
        files = {band: self.listing.picture(tiles / band / f"{row['tile']}_{band}") for band in ("vv", "vh")}
        labelled = row["has_pixel_label"] == "1"
        if labelled:
            files["water"] = self.listing.picture(tiles / "flood_label" / row["tile"])
        top, left = int(row["row"]) * TILE, int(row["col"]) * TILE
        doubtful = row["flag"] if labelled else ""
        if region == HIDDEN_REGION and not labelled:
            doubtful = "its flood label was not published"
        column = int(row["col"])
        west = region == WEST_REGION and column <= WEST_LAST
        if region == WEST_REGION and WEST_LAST < column < EAST_FIRST:
            doubtful = doubtful or "between training and validation ground"
        return Record(
            chip=row["tile"],
            event=region,
            group=f"{region}_west" if west else region,
            split="val" if west else REGION_SPLITS[region],
            files=files,
            footprint=Footprint(row["scene"], left, top, left + TILE - 1, top + TILE - 1),
            skip=self.listing.missing(files) or doubtful,
        )

    def _read(self, record: Record) -> Chip:
        vv, vh = (read_grey(record.files[band]) for band in ("vv", "vh"))
        bright = self._bright(record)
        levels = {
            band: pseudo_decibel(grey, band, bright[band])
            for band, grey in zip(SAR_BANDS, (vv, vh), strict=True)
        }
        sar, sar_valid = sar_layer(levels, ~outside_swath(vv, vh))
        label = self.read_label(record)
        water, water_valid = water_layer(
            np.zeros(vv.shape, np.uint8) if label is None else label, water=(1, 255)
        )
        return Chip(
            sar=sar,
            sar_valid=sar_valid,
            meta=self._meta(record, sar_radiometry="stretched", water_label="strong", pixel_m=PIXEL_M),
            water=water,
            water_valid=water_valid & sar_valid.all(axis=0),
        )

    def _bright(self, record: Record) -> dict[str, float]:
        """Gives the bright grey of each band of a record's scene, from tiles spread over it; worked out once."""
        scene = _scene(record)
        if scene not in self._bright_of:
            tiles = self._tiles_of[scene]
            spread = tiles[:: -(-len(tiles) // SPREAD_TILES)]
            vv, vh = (np.stack([read_grey(tile.files[band]) for tile in spread]) for band in ("vv", "vh"))
            inside = ~np.stack([outside_swath(*pair) for pair in zip(vv, vh, strict=True)])
            self._bright_of[scene] = {"VV": bright_grey(vv, inside), "VH": bright_grey(vh, inside)}
        return self._bright_of[scene]

    def read_label(self, record: Record) -> NDArray[np.integer] | None:
        """Reads `flood_label` as stored; None for tiles of dry dates."""
        return read_grey(record.files["water"]) if "water" in record.files else None

    def context(self, index: int) -> dict[str, NDArray[np.generic]]:
        """Reads the coarse permanent-water polygons, `reference_water` 0/1, where the tile has them."""
        record = self.records[index]
        path = record.files["vv"].parents[1] / "water_body_label" / f"{record.chip}.png"
        return {"reference_water": (read_grey(path) > 0).astype(np.uint8)} if path.exists() else {}


def _scene(record: Record) -> str:
    """Gives the product that a tile was cut from."""
    return record.files["vv"].parents[2].name


def outside_swath(vv: NDArray[np.uint8], vh: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Finds the white area beyond the swath: nearly 255 in both bands, more than a few pixels wide.

    JPEG makes the white ring by a few grey levels and smears its edge over one 8 px block, so that the area is
    taken at 250 and widened by 4 px; lone bright roofs stay.

    Args:
        vv: Grey, (H, W).
        vh: Grey, (H, W).
    """
    white = (vv >= 250) & (vh >= 250)
    if not white.any():
        return white
    area = ndimage.binary_opening(np.pad(white, 8, mode="edge"), np.ones((9, 9), np.bool_))[8:-8, 8:-8]
    return np.asarray(ndimage.binary_dilation(area, iterations=4) | (area & white), np.bool_)
