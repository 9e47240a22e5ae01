"""Sen1Floods11 from its published layout: hand-labelled, weakly labelled, and the real chips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from data_trees import FLOOD, lake, write_lists, write_sen1floods11, write_sen1floods11_weak

from flora.atmosphere import surface_reflectance
from flora.bands import OPTICAL_BANDS
from flora.data import open_dataset
from flora.data.sen1floods11 import Sen1Floods11, event_of
from flora.errors import DataError

LISTS = {
    "train": ("Ghana_103272", "Mekong_52610"),
    "valid": ("India_80221",),
    "test": ("Spain_7370579", "Ghana_83483"),
    "bolivia": ("Bolivia_103757",),
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sen1floods11(tmp_path_factory.mktemp("sen1floods11"), LISTS)


def test_official_lists_make_the_splits(tree: Path) -> None:
    chips = {
        split: [r.chip for r in open_dataset("sen1floods11", tree, split).records]
        for split in ("train", "val")
    }  # type: ignore[arg-type]
    assert chips == {"train": ["Ghana_103272", "Mekong_52610"], "val": ["India_80221"]}
    test = open_dataset("sen1floods11", tree, "test")
    assert [(r.chip, r.event) for r in test.records] == [
        ("Spain_7370579", "Spain"),
        ("Bolivia_103757", "Bolivia"),
    ]


def test_touching_chips_are_one_group(tmp_path: Path) -> None:
    write_sen1floods11(tmp_path, {"train": ("Ghana_1", "Ghana_2", "Ghana_3")}, side=64)
    path = tmp_path / FLOOD / "HandLabeled/S1Hand"
    with rasterio.open(path / "Ghana_1_S1Hand.tif") as first:
        beside = first.transform * first.transform.translation(64, 64)
    with rasterio.open(path / "Ghana_3_S1Hand.tif", "r+") as third:
        third.transform = beside
    groups = {record.chip: record.group for record in open_dataset("sen1floods11", tmp_path).records}
    assert groups["Ghana_1"] == groups["Ghana_3"] != groups["Ghana_2"]


def test_chip_that_cannot_be_used_is_flagged_not_lost(tree: Path) -> None:
    skipped = open_dataset("sen1floods11", tree, "test").skipped
    assert [(r.chip, r.skip) for r in skipped] == [("Ghana_83483", "label has no valid pixel")]


def test_layers_units_and_masks(tree: Path) -> None:
    chip = open_dataset("sen1floods11", tree, "val")[0]
    water = lake(512)
    assert chip.shape == (512, 512)
    assert not chip.sar_valid[:, :, -2:].any() and chip.sar_valid[:, :, :-2].all()
    assert chip.water is not None and chip.water_valid is not None
    assert not chip.water_valid[-1].any() and chip.water_valid[:-1].all()
    assert (chip.water == water).all()
    assert chip.optical is not None
    land = chip.optical[:, ~water]
    # Grass of the tree at the top of the atmosphere: B4 600, B3 850, B2 900, B8 2500.
    seen = zip(OPTICAL_BANDS, (600, 850, 900, 2500), strict=True)
    grass = [surface_reflectance(np.float32(dn / 10000), band) for band, dn in seen]
    assert np.median(land, axis=1).tolist() == grass
    assert (chip.meta.water_label, chip.meta.optical_radiometry, chip.meta.event) == (
        "strong",
        "surface",
        "India",
    )


def test_permanent_water_is_context(tree: Path) -> None:
    assert (open_dataset("sen1floods11", tree, "val").context(0)["reference_water"] == lake(512)).all()


def test_cambodia_has_the_prefix_mekong() -> None:
    assert event_of("Mekong_52610") == "Cambodia"
    assert event_of("Sri-Lanka_101973") == "Sri-Lanka"


def test_chip_without_optical_image_has_none(tmp_path: Path) -> None:
    write_sen1floods11(tmp_path, {"train": ("Ghana_1",)}, side=64)
    (tmp_path / FLOOD / "HandLabeled/S2Hand/Ghana_1_S2Hand.tif").unlink()
    chip = open_dataset("sen1floods11", tmp_path)[0]
    assert chip.optical is None and chip.meta.optical_radiometry == ""


def test_listed_chips_that_are_not_there_are_counted(tree: Path, tmp_path: Path) -> None:
    write_sen1floods11(tmp_path, {"train": ("Ghana_1",)}, side=64)
    write_lists(tmp_path, {"train": ("Ghana_1", "Ghana_2"), "test": ("Spain_3",)})
    assert len(open_dataset("sen1floods11", tmp_path, "all")) == 1
    assert Sen1Floods11(tmp_path, "all").remarks() == ["1 of 3 listed chips are here"]


def test_one_band_is_named(tmp_path: Path) -> None:
    from data_trees import write_tiff

    write_sen1floods11(tmp_path, {"train": ("Ghana_1",)}, side=64)
    path = tmp_path / FLOOD / "HandLabeled/S1Hand/Ghana_1_S1Hand.tif"
    write_tiff(path, np.zeros((64, 64), np.float32))
    with pytest.raises(DataError, match=r"Ghana_1_S1Hand.tif' has 1 band\(s\); expected 2"):
        open_dataset("sen1floods11", tmp_path)[0]


def test_weak_labels_train_only_and_never_bolivia(tmp_path: Path) -> None:
    chips = {"Ghana_1": "S2IndexLabelWeak", "Mekong_2": "S1OtsuLabelWeak", "Bolivia_3": "S2IndexLabelWeak"}
    write_sen1floods11_weak(tmp_path, chips)
    weak = open_dataset("sen1floods11_weak", tmp_path)
    assert [(c.meta.chip, c.meta.water_label, c.meta.event) for c in weak] == [
        ("Ghana_1", "index", "Ghana"),
        ("Mekong_2", "weak", "Cambodia"),
    ]
    assert weak[0].water is not None and weak[0].water.sum() == lake(512).sum()
    assert not len(open_dataset("sen1floods11_weak", tmp_path, "test"))


def test_spain_has_its_published_counts(real_data: Path) -> None:
    test = open_dataset("sen1floods11", real_data / "sen1floods11", "test")
    assert [r.chip for r in test.records] == ["Spain_7370579", "USA_905409"]
    assert sorted(r.chip for r in test.skipped) == ["Ghana_83483", "Paraguay_34417"]
    chip = test[0]
    assert chip.water is not None and chip.water_valid is not None
    assert int(chip.water.sum()) == 70_035
    assert int((chip.water_valid & (chip.water == 0)).sum()) == 192_010
    assert int((~chip.water_valid).sum()) == 99


def test_real_lists_hold_446_names_and_ghana_trains(real_data: Path) -> None:
    train = Sen1Floods11(real_data / "sen1floods11", "train")
    assert {name: len(chips) for name, chips in train.listed().items()} == {
        "train": 252,
        "valid": 89,
        "test": 90,
        "bolivia": 15,
    }
    assert [r.chip for r in train.records] == ["Ghana_7496"]
