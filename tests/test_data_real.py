"""Every real dataset at hand: the contract of a chip, the splits of its sheet, and one pixel by every door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from flora.atmosphere import surface_reflectance
from flora.chip import Chip
from flora.data import find, open_dataset
from flora.data.dataset import ChipDataset
from flora.data.splits import shared_chips, shared_groups, touching_across

# Chips served in train, val and test, and chips skipped.
SERVED = {
    "biomassters": (4, 3, 0, 0),
    "desert": (5, 0, 0, 0),
    "dfc2024": (4, 2, 0, 0),
    "etci2021": (308, 67, 203, 36),
    "guaiba": (40, 16, 16, 0),
    "ombria": (1178, 210, 196, 0),
    "sen1floods11": (1, 0, 2, 2),
    "sen12": (14, 0, 0, 0),
    "sen12ms_cr": (0, 0, 1, 0),
    "sih1733": (20, 20, 0, 0),
    "stac_overflow": (1, 1, 0, 0),
    "terramesh": (4, 0, 0, 0),
}
SCENES = {
    "biomassters": "sar",
    "dfc2024": "sar",
    "guaiba": "sar",
    "sen1floods11": "sar",
    "sen12ms_cr": "sar",
    "stac_overflow": "vv",
    "terramesh": "sar",
}


def opened(real_data: Path, name: str, split: str = "all") -> ChipDataset:
    folders = find(real_data)
    if name not in folders:
        pytest.skip(f"{name} is not in {real_data}")
    return open_dataset(name, folders[name], split)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", SERVED)
def test_splits_are_those_of_the_sheet_and_apart(real_data: Path, name: str) -> None:
    parts = [opened(real_data, name, split) for split in ("train", "val", "test")]
    everything = opened(real_data, name)
    assert (*map(len, parts), len(everything.skipped)) == SERVED[name]
    assert len(everything) == sum(map(len, parts))
    assert not shared_chips(everything.records) and not shared_groups(everything.records)
    assert not touching_across(everything.records)


@pytest.mark.parametrize("name", SERVED)
def test_chips_keep_the_contract(real_data: Path, name: str) -> None:
    dataset = opened(real_data, name)
    for index in sorted({0, len(dataset) // 2, len(dataset) - 1}):
        chip = dataset[index]
        keeps_contract(chip)
        assert chip.meta.dataset == name and chip.meta.chip == dataset.records[index].chip
        assert (chip.optical is None) <= (chip.meta.optical_radiometry == "")
        assert (chip.water is None) == (chip.meta.water_label == "")


def keeps_contract(chip: Chip) -> None:
    for layer in ("sar", "optical", "prior", "water"):
        values, valid = getattr(chip, layer), getattr(chip, f"{layer}_valid")
        if values is not None:
            assert np.isfinite(values).all(), layer
            assert not values[~valid].any(), f"{layer} has a value where it is invalid"
    assert chip.sar.dtype == np.float32 and chip.sar_valid.dtype == np.bool_
    if chip.water is not None:
        assert set(np.unique(chip.water)) <= {0, 1}
    if chip.optical is not None:
        assert chip.optical.min() >= 0 and chip.optical.max() < 2


@pytest.mark.parametrize("name", SCENES)
def test_a_pixel_is_the_same_by_dataset_and_by_scene(real_data: Path, name: str) -> None:
    raster = pytest.importorskip("flora.raster")
    dataset = opened(real_data, name)
    index = len(dataset) - 1
    record, chip = dataset.records[index], dataset[index]
    if SCENES[name] == "vv":
        scene = raster.open_sar([record.files["vv"], record.files["vh"]], crs_required=False)
    else:
        scene = raster.open_sar(record.files["sar"], crs_required=False)
    row, col, height, width = record.window or (0, 0, *chip.shape)
    window = scene.isel(y=slice(row, row + height), x=slice(col, col + width)).compute(
        scheduler="synchronous"
    )
    for plane, band in enumerate(("VV", "VH")):
        seen = window[band].values
        mine, valid = chip.sar[plane, :height, :width], chip.sar_valid[plane, :height, :width]
        assert (np.isfinite(seen) == valid).all()
        assert (seen[valid].view(np.uint32) == mine[valid].view(np.uint32)).all()


def test_optical_pixel_is_the_same_by_dataset_and_by_scene(real_data: Path) -> None:
    raster = pytest.importorskip("flora.raster")
    dataset = opened(real_data, "sen1floods11", "test")
    chip = dataset[0]
    picture = raster.open_optical(dataset.records[0].files["optical"]).compute(scheduler="synchronous")
    assert chip.optical is not None and chip.optical_valid is not None
    for plane, band in enumerate(("red", "green", "blue", "nir")):
        seen = picture[band].values
        assert (np.isfinite(seen) == chip.optical_valid[plane]).all()
        assert np.array_equal(np.nan_to_num(seen), chip.optical[plane])


def test_guaiba_strips_dates_and_cloud(real_data: Path) -> None:
    guaiba = opened(real_data, "guaiba")
    rows = {
        split: [r.window[0] for r in guaiba.records if r.window and r.split == split]
        for split in SERVED_SPLITS
    }
    assert {split: (min(found), max(found)) for split, found in rows.items()} == {
        "train": (1152, 3200),
        "val": (3840, 4352),
        "test": (0, 512),
    }
    by_name = {record.chip: index for index, record in enumerate(guaiba.records)}
    before = guaiba[by_name["guaiba_before_r1664_c0000"]]
    after = guaiba[by_name["guaiba_after_r1664_c0000"]]
    assert before.optical is not None and after.optical is not None
    assert after.prior is not None and np.array_equal(after.prior, before.optical)
    # In training the pair is shown both ways round, cloud invalid in each; elsewhere nobody has a picture of later.
    assert before.prior is not None and before.prior_valid is not None and before.water is not None
    still = (before.water == 1) & before.water_valid
    assert 0 < still.mean() < 1 and not before.prior_valid[:, still].any(), "no mud of a later day on a lake"
    assert np.array_equal(before.prior_valid[:, ~still], after.optical_valid[:, ~still])  # type: ignore[index]
    assert np.array_equal(before.prior[:, ~still], after.optical[:, ~still])  # type: ignore[index]
    assert all(guaiba[by_name[f"guaiba_before_r{row}_c0000"]].prior is None for row in ("0512", "3840"))
    assert after.optical is not None and after.optical_valid is not None and after.water is not None
    # Flood water is brown: brightest in red, and yet water. Two clouds in the left middle are gone.
    flood = (after.water == 1) & after.optical_valid[0]
    assert np.median(after.optical[0][flood]) > 1.5 * np.median(after.optical[2][flood])
    assert 0.02 < 1 - after.optical_valid[0].mean() < 0.3
    south = guaiba[by_name["guaiba_after_r4352_c0000"]]
    assert south.optical_valid is not None and not south.optical_valid.any(), "painted white"
    assert not south.sar_valid[:, 308:].any(), "beyond the scene"


SERVED_SPLITS = ("train", "val", "test")


def test_guaiba_flooded_streets_are_land_in_no_training_label(real_data: Path) -> None:
    guaiba = opened(real_data, "guaiba")
    by_name = {record.chip: index for index, record in enumerate(guaiba.records)}
    streets = guaiba[by_name["guaiba_after_r1152_c0512"]]
    assert streets.water is not None and streets.water_valid is not None
    # Blocks of flooded streets shine in VV.
    block = (slice(60, 300), slice(120, 300))
    assert np.median(streets.sar[0][block]) > -2 and streets.water[block].mean() < 0.1
    assert streets.water_valid[block].mean() < 0.35
    untouched = guaiba[by_name["guaiba_before_r1152_c0512"]]
    assert untouched.water_valid is not None and untouched.water_valid.all()
    test = guaiba[by_name["guaiba_after_r0512_c0512"]]
    assert test.water_valid is not None and test.water_valid.all(), "test labels stay as published"


def test_guaiba_city_and_lake_lie_where_they_should(real_data: Path) -> None:
    guaiba = opened(real_data, "guaiba")
    transform = (-51.25123938, 8.98315e-05, -29.83346077)

    def chip_at(latitude: float, longitude: float, date: str) -> tuple[Chip, int, int]:
        row = round((transform[2] - latitude) / transform[1])
        col = round((longitude - transform[0]) / transform[1])
        for index, record in enumerate(guaiba.records):
            assert record.window is not None
            top, left, height, width = record.window
            if f"_{date}_" in record.chip and top <= row < top + height and left <= col < left + width:
                return guaiba[index], row - top, col - left
        raise AssertionError("between the strips")

    city, row, col = chip_at(-30.0331, -51.2302, "before")
    assert city.water is not None and not city.water[row - 5 : row + 5, col - 5 : col + 5].any()
    lake, row, col = chip_at(-30.20, -51.245, "before")
    assert lake.water is not None and lake.water[row - 5 : row + 5, col - 5 : col + 5].all()
    assert lake.sar[0, row, col] < -15


def test_etci_dry_dates_are_land_and_flagged_tiles_stay_out(real_data: Path) -> None:
    etci = opened(real_data, "etci2021")
    dry = next(i for i, r in enumerate(etci.records) if "northal_20190630" in r.chip)
    chip = etci[dry]
    assert chip.meta.split == "train" and chip.water is not None and not chip.water.any()
    assert chip.water_valid is not None and chip.water_valid.mean() > 0.9
    wrong = [r for r in etci.skipped if "likely wrong" in r.skip]
    assert len(wrong) == 13 and {r.split for r in wrong} == {"test"}


def test_etci_swath_edge_is_invalid(real_data: Path) -> None:
    etci = opened(real_data, "etci2021")
    index = next(i for i, r in enumerate(etci.records) if r.chip == "northal_20190302t234651_x-4_y-35")
    chip = etci[index]
    assert not chip.sar_valid[:, :, -8:].any() and chip.sar_valid[:, :, :128].all()
    assert chip.meta.sar_radiometry == "stretched" and chip.meta.pixel_m == 30


def test_desert_is_dark_and_dry(real_data: Path) -> None:
    desert = opened(real_data, "desert")
    chip = desert[len(desert) - 1]
    assert np.median(chip.sar[0]) < -20 and chip.water is not None and not chip.water.any()
    assert not chip.sar_valid[1].any()


def test_biomassters_lake_is_water_by_index_and_dark(real_data: Path) -> None:
    val = opened(real_data, "biomassters", "val")
    chip = val[1]
    assert chip.meta.chip == "288afc34_08" and chip.water is not None and chip.water_valid is not None
    assert 0.1 < chip.water.mean() < 0.2
    land = chip.water_valid & (chip.water == 0)
    assert np.median(chip.sar[0][chip.water == 1]) < np.median(chip.sar[0][land]) - 8
    assert chip.prior is not None and not np.array_equal(chip.prior, chip.optical)  # type: ignore[arg-type]


def test_terramesh_offset_of_new_products_is_removed(real_data: Path) -> None:
    train = opened(real_data, "terramesh")
    by_name = {record.chip: index for index, record in enumerate(train.records)}
    chile = train[by_name["433D_629L_3_1"]]
    assert chile.optical is not None
    darkest = surface_reflectance(np.array([0.0302, 0.0691]), "red")
    assert chile.optical[0].min() == pytest.approx(darkest[0], abs=1e-4), (
        "B4 starts at 1302, of which 1000 is offset"
    )
    kenya = train[by_name["38D_378R_2_3"]]
    assert kenya.optical is not None and kenya.optical[0].min() == pytest.approx(darkest[1], abs=1e-4)


def test_dfc_chip_zero_is_all_water_and_has_context(real_data: Path) -> None:
    train = opened(real_data, "dfc2024", "train")
    chip = train[0]
    assert chip.water is not None and chip.water.all()
    assert set(train.context(0)) == {"dem_merit", "dem_copernicus", "worldcover", "water_occurrence"}
    assert (train.context(0)["worldcover"] == 80).all()


def test_ombria_rivers_are_not_land_because_the_mask_says_new_flood_only(real_data: Path) -> None:
    ombria = opened(real_data, "ombria", "test")
    index = next(i for i, r in enumerate(ombria.records) if r.chip == "france2021_71_after")
    chip = ombria[index]
    flood = ombria.context(index)["new_flood"]
    assert chip.water is not None and chip.water_valid is not None
    river = (chip.water == 1) & (flood == 0)
    assert 0.05 < river.mean() < 0.15
    dark_land = (chip.sar[0] < -27) & (chip.water == 0) & chip.water_valid
    assert dark_land.mean() < 0.002, "what is dark and not river is in doubt, not land"
    assert chip.optical is None and not chip.sar_valid[1].any() and chip.meta.water_label == "weak"
