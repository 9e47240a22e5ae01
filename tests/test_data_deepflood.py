"""DEEPFLOOD from its published names: codes, grids, splits by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_trees import write_deepflood_area, write_deepflood_tiles

from flora.data import open_dataset
from flora.data.deepflood import area_layer, area_of, place_and_event, split_of
from flora.errors import DataError

AREA = "Elizabeth_Florence_14_09_18_01"


def codes(side: int = 300) -> np.ndarray:
    """Four quarters 0, 1, 2, 3 at 2 m, with a column that is mixed within a 10 m pixel."""
    mask = np.empty((side * 5, side * 5), np.uint8)
    half = side * 5 // 2
    mask[:half, :half], mask[:half, half:], mask[half:, :half], mask[half:, half:] = 0, 1, 2, 3
    mask[: half // 2, half + 2 : half + 5] = 2
    return mask


@pytest.fixture(scope="module")
def area(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_deepflood_area(tmp_path_factory.mktemp("deepflood"), AREA, codes())


def test_flooded_is_vegetation_in_water_and_open_water(area: Path) -> None:
    dataset = open_dataset("deepflood", area, "all")
    assert [r.chip[-12:] for r in dataset.records] == [
        f"_r{r:04d}_c{c:04d}" for r in (0, 256) for c in (0, 256)
    ]
    chip = dataset[0]
    assert chip.water is not None and chip.water_valid is not None
    assert chip.water[100, 100] == 1, "code 0 is inundated vegetation, although declared as no-data"
    assert chip.water[200, 100] == 1, "code 2 is open water"
    assert chip.water[100, 200] == 0 and chip.water_valid[100, 200], "code 1 is dry vegetation"
    assert chip.water[200, 200] == 0 and chip.water_valid[200, 200], "code 3 is other"
    assert not chip.water_valid[20, 150], "a pixel with 3 of 5 columns flooded is in doubt"
    assert dataset.context(0)["inundated_vegetation"][100, 100] == 1


def test_radar_and_picture_lie_on_one_grid(area: Path) -> None:
    chip = open_dataset("deepflood", area, "all")[0]
    assert chip.optical is not None and chip.optical_valid is not None
    assert chip.optical_valid.all() and chip.sar_valid.all()
    # Grass of the tree: B4 600, B3 850, B2 900, B8 2500; the lake is 400 dark in nir.
    assert chip.optical[:, 100, 200] == pytest.approx([0.06, 0.085, 0.09, 0.25], abs=1e-3)
    assert chip.optical[3, 100, 100] == pytest.approx(0.03, abs=1e-3)
    assert np.median(chip.sar[0][chip.water > 0]) < np.median(chip.sar[0][chip.water == 0]) - 5  # type: ignore[operator]


def test_edge_window_is_padded_with_invalid(area: Path) -> None:
    chip = open_dataset("deepflood", area, "all")[3]
    assert chip.shape == (256, 256)
    assert chip.sar_valid[:, :44, :44].all() and chip.sar_valid.sum() == 2 * 44 * 44


def test_all_parts_and_storms_of_a_place_share_group_and_split(tmp_path: Path) -> None:
    names = (AREA, "Elizabeth_Florence_14_09_18_02", "Elizabeth_Mattew_11_10_16_01")
    for left, name in enumerate(names):
        write_deepflood_area(tmp_path, name, codes(40), 700000.0 + 5000 * left)
    records = open_dataset("deepflood", tmp_path, "all").records
    assert {r.group for r in records} == {"deepflood_elizabeth"}
    assert len({r.split for r in records}) == 1
    assert {r.event for r in records} == {"Elizabeth_Florence", "Elizabeth_Matthew"}


def test_own_split_table_wins(area: Path, tmp_path: Path) -> None:
    write_deepflood_area(tmp_path, AREA, codes(40))
    own = "test" if split_of("elizabeth", {}) != "test" else "val"
    (tmp_path / "splits.csv").write_text(f"place,split\nElizabeth,{own}\n")
    assert len(open_dataset("deepflood", tmp_path, own)) == 1  # type: ignore[arg-type]


def test_names_are_read_wherever_they_stand() -> None:
    assert area_of(Path(f"GEOTIFF MASK/{AREA}.tif")) == AREA
    assert area_of(Path(f"{AREA}/SENTINEL_1/VV.tif")) == AREA
    assert area_of(Path(f"SENTINEL_1/VV_{AREA}.tif")) == AREA
    assert (
        area_of(Path("Tiles/Mask/Fair_Bluff_Mattew_11_10_16_03_tile_7.tif"))
        == "Fair_Bluff_Mattew_11_10_16_03"
    )
    assert area_of(Path("DEM/whole.tif")) is None
    assert place_and_event("Fair_Bluff_Mattew_11_10_16_03") == ("fair_bluff", "Fair_Bluff_Matthew")
    assert area_layer(Path(f"{AREA}/SENTINEL_1/VV.tif")) == "vv"
    assert area_layer(Path(f"SENTINEL_1/{AREA}_water_index.tif")) is None
    assert area_layer(Path(f"Tiles/Mask/{AREA}_tile_1.tif")) is None


def test_area_without_radar_is_skipped_with_its_reason(tmp_path: Path) -> None:
    write_deepflood_area(tmp_path, AREA, codes(40))
    (tmp_path / "SENTINEL_1" / f"{AREA}_VH.tif").unlink()
    dataset = open_dataset("deepflood", tmp_path, "all")
    assert not len(dataset) and dataset.skipped[0].skip == f"missing vh of area {AREA}"


def test_mask_without_coordinates_is_refused(tmp_path: Path) -> None:
    from data_trees import write_tiff

    write_deepflood_area(tmp_path, AREA, codes(40))
    write_tiff(tmp_path / "GEOTIFF MASK" / f"{AREA}.tif", codes(40), crs=None)
    with pytest.raises(DataError, match="has no coordinate system"):
        open_dataset("deepflood", tmp_path, "all")[0]


def test_tiles_have_one_name_in_four_folders(tmp_path: Path) -> None:
    write_deepflood_tiles(tmp_path, (f"{AREA}_tile_8868", f"{AREA}_tile_8869"))
    (tmp_path / "Tiles" / "SAR VH" / f"{AREA}_tile_8869.tif").unlink()
    tiles = open_dataset("deepflood_tiles", tmp_path, "all")
    assert [r.skip for r in tiles.skipped] == [f"missing 'SAR VH/{AREA}_tile_8869.tif'"]
    chip = tiles[0]
    assert chip.water is not None and chip.water_valid is not None and chip.water_valid.all()
    assert (chip.water[:128, :128] == 1).all() and (chip.water[:128, 128:] == 0).all()
    assert (chip.water[128:, :128] == 1).all() and (chip.water[128:, 128:] == 0).all()
    assert chip.meta.optical_radiometry == "display" and chip.meta.pixel_m == 0.25
