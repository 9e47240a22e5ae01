"""Datasets whose published layout is not the one of the files at hand open from it as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_trees import radar, write_tiff
from PIL import Image

from flora.data import open_dataset
from flora.data.check import check
from flora.errors import DataError

SIDE = 512
WATER = np.zeros((SIDE, SIDE), np.uint8)
WATER[:100] = 1


def test_stac_overflow(tmp_path: Path) -> None:
    """`train_features/CHIP_vv.tif`, `CHIP_vh.tif` and `train_labels/CHIP.tif`."""
    for seed, chip in enumerate(("awc00", "pxs03")):
        sar, label = radar(seed, SIDE), WATER.copy()
        sar[:, :, 0] = 0
        label[:, 0] = 255
        place = {"origin": (5e5 + 1e5 * seed, 7e6), "pixel": 10.0, "crs": "EPSG:32722"}
        for band, values in zip(("vv", "vh"), sar, strict=True):
            write_tiff(tmp_path / f"train_features/{chip}_{band}.tif", values, **place)  # type: ignore[arg-type]
        write_tiff(tmp_path / f"train_labels/{chip}.tif", label, **place)  # type: ignore[arg-type]
    (chip,) = open_dataset("stac_overflow", tmp_path, "val")
    assert (chip.meta.chip, chip.meta.event) == ("pxs03", "India")
    assert chip.water is not None and chip.water[:100, 1:].all() and not chip.sar_valid[:, :, 0].any()
    assert check("stac_overflow", tmp_path).ok
    (tmp_path / "train_labels/awc00.tif").unlink()
    assert "train_labels/awc00.tif" in str(check("stac_overflow", tmp_path))


def write_biomassters(folder: Path, bands: int) -> None:
    numbers = (np.arange(bands)[:, None, None] + 1) * np.full((1, 256, 256), 100, np.uint16)
    numbers[-1] = 5
    numbers[-1, :9] = 90
    numbers = numbers.astype(np.uint16)
    sar = np.concatenate([radar(1, 256), radar(2, 256)])
    sar[:, 0, 0] = -9999
    for month in ("00", "07"):
        write_tiff(folder / f"0003d2eb_S1_{month}.tif", sar, crs=None)
        write_tiff(folder / f"0003d2eb_S2_{month}.tif", numbers, crs=None)


def test_biomassters(tmp_path: Path) -> None:
    """`train_features/PLACE_S2_MM.tif` of eleven bands: near infrared is the seventh, cloud the last."""
    write_biomassters(tmp_path / "train_features", 11)
    chips = open_dataset("biomassters", tmp_path, "train")
    assert [chip.meta.chip for chip in chips] == ["0003d2eb_00", "0003d2eb_07"]
    chip = chips[0]
    assert chip.optical is not None and chip.optical_valid is not None
    np.testing.assert_allclose(chip.optical[:, 20, 20], [0.03, 0.02, 0.01, 0.07])
    assert chip.optical_valid[:, 9:].all() and not chip.optical_valid[:, :9].any()
    assert not chip.sar_valid[:, 0, 0].any() and chip.prior is not None
    np.testing.assert_array_equal(chip.sar[:, 5], radar(1, 256)[:, 5])
    assert check("biomassters", tmp_path).ok


def test_biomassters_without_an_ascending_pass_takes_the_descending_one(tmp_path: Path) -> None:
    """A month without a pass has -9999 in its two bands."""
    folder = tmp_path / "train_features"
    write_biomassters(folder, 11)
    sar = np.concatenate([np.full((2, 256, 256), -9999, np.float32), radar(2, 256)])
    write_tiff(folder / "0003d2eb_S1_07.tif", sar, crs=None)
    first, second = open_dataset("biomassters", tmp_path, "train")
    np.testing.assert_array_equal(first.sar[:, 5], radar(1, 256)[:, 5])
    np.testing.assert_array_equal(second.sar, radar(2, 256))
    assert check("biomassters", tmp_path).ok


def test_biomassters_of_other_bands_is_refused(tmp_path: Path) -> None:
    write_biomassters(tmp_path / "train_features", 10)
    with pytest.raises(DataError, match="has 10 bands; expected 11 as published"):
        open_dataset("biomassters", tmp_path, "train")[0]


def test_dfc2024(tmp_path: Path) -> None:
    """`Track1/train/images/N.tif` and `labels/N.png`: power x 10000 as whole numbers, six bands."""
    root = tmp_path / "Track1/train"
    bands = np.full((6, SIDE, SIDE), 1000, np.int16)
    bands[1], bands[:2, 0] = 100, 0
    for number in ("1", "12"):
        write_tiff(root / f"images/{number}.tif", bands, crs=None)
        (root / "labels").mkdir(exist_ok=True)
        Image.fromarray(WATER).save(root / f"labels/{number}.png")
    (chip,) = open_dataset("dfc2024", root, "train")
    assert chip.meta.chip == "dfc2024_12"
    np.testing.assert_allclose(chip.sar[:, 9, 9], [-10, -20])
    assert not chip.sar_valid[:, 0].any()


@pytest.mark.parametrize("folders", ["ROIs1158_spring/{}_1", "agri/{}"])
def test_sen12(tmp_path: Path, folders: str) -> None:
    """SEN1-2: `ROIs1158_spring/s1_1/ROIs1158_spring_s1_1_p30.png` beside `s2_1`; and a selection by terrain."""
    for kind, mode in (("s1", "L"), ("s2", "RGB")):
        folder = tmp_path / folders.format(kind)
        folder.mkdir(parents=True)
        image = Image.new(mode, (256, 256), 153 if mode == "L" else (51, 102, 51))
        if mode == "L":
            image.paste(51, (0, 0, 256, 64))
        image.save(folder / f"ROIs1158_spring_{kind}_1_p30.png")
    (chip,) = open_dataset("sen12", tmp_path, "train")
    assert chip.meta.sar_radiometry == "stretched"
    assert (chip.meta.chip, chip.meta.group) == ("ROIs1158_spring_1_p30", "sen12_ROIs1158_spring_1")
    # The bright three quarters are levelled to -9 dB; the dark one lies 102 of 255 grey levels of 30 dB below.
    np.testing.assert_allclose(chip.sar[0, 255, 0], -9)
    np.testing.assert_allclose(chip.sar[0, 0, 0], -9 - 30 * 102 / 255)
    np.testing.assert_allclose(chip.optical[1, 0, 0], 102 / 255 / 3.5, rtol=1e-6)  # type: ignore[index]


def write_etci_tile(tiles: Path, tile: str, mode: str) -> None:
    """Writes one tile as PNG: VV and VH in a picture mode of one's choice, the label in 8 bits."""
    speckle = np.random.default_rng(1).integers(90, 150, (256, 256)).astype(np.uint8)
    speckle[:64] = 20
    label = np.zeros((256, 256), np.uint8)
    label[:64] = 255
    for layer, array in {"vv": speckle, "vh": speckle, "flood_label": label}.items():
        (tiles / layer).mkdir(parents=True, exist_ok=True)
        ending = "" if layer == "flood_label" else f"_{layer}"
        image = Image.fromarray(array)
        image.convert(mode if ending else "L").save(tiles / layer / f"{tile}{ending}.png")


def test_etci2021_grey_in_three_channels_is_the_same_radar(tmp_path: Path) -> None:
    """The published `vv` and `vh` are PNG files of three equal channels."""
    read = []
    for mode in ("L", "RGB"):
        scene = tmp_path / mode / "bangladesh_20170314t115609"
        write_etci_tile(scene / "tiles", f"{scene.name}_x-1_y-2", mode)
        (chip,) = open_dataset("etci2021", tmp_path / mode, "train")
        assert check("etci2021", tmp_path / mode).ok
        read.append(chip)
    np.testing.assert_array_equal(read[0].sar, read[1].sar)
    np.testing.assert_array_equal(read[0].sar_valid, read[1].sar_valid)


def test_etci2021_as_its_archives_unpack(tmp_path: Path) -> None:
    """`train`, `test` and `test_internal`; the masks of the last were never published, and no lost mask means land."""
    scenes = {
        "train": "bangladesh_20170314t115609",
        "test": "florence_20180510t231343",
        "test_internal": "redrivernorth_20190104t002247",
    }
    for part, scene in scenes.items():
        for column in (2, 3):
            write_etci_tile(tmp_path / part / scene / "tiles", f"{scene}_x-1_y-{column}", "RGB")
    hidden = tmp_path / "test_internal" / scenes["test_internal"] / "tiles/flood_label"
    for mask in (
        *hidden.iterdir(),
        tmp_path / "train" / scenes["train"] / f"tiles/flood_label/{scenes['train']}_x-1_y-3.png",
    ):
        mask.unlink()
    hidden.rmdir()
    found = open_dataset("etci2021", tmp_path, "all")
    expected = [("bangladesh", "train"), *[("florence", "val")] * 2]
    assert sorted((record.event, record.split) for record in found.records) == expected
    skipped = {record.chip: record.skip for record in found.skipped}
    assert skipped.pop(f"{scenes['train']}_x-1_y-3").startswith("missing 'flood_label/")
    assert set(skipped.values()) == {"its flood label was not published"}
    faults = [fault for fault in check("etci2021", tmp_path).faults if "is not served" in fault]
    assert len(faults) == 1 and "missing 'flood_label/" in faults[0]


def write_ombria_set(folder: Path, names: dict[str, str], grey: str, colour: str, mask: str) -> None:
    """Writes one set of OMBRIA in picture modes of one's choice; `names` gives path patterns by layer and date."""
    rng = np.random.default_rng(2)
    radar_before = rng.integers(90, 150, (256, 256)).astype(np.uint8)
    radar_after = radar_before.copy()
    radar_after[:64] //= 6
    land = np.full((256, 256, 3), (90, 110, 40), np.uint8)
    flooded = land.copy()
    flooded[:64] = (10, 20, 60)
    land[:, :9] = flooded[:, :9] = 0
    flood = np.zeros((256, 256), np.uint8)
    flood[:64] = 255
    layers = {
        "S1_before": (radar_before, grey),
        "S1_after": (radar_after, grey),
        "S2_before": (land, colour),
        "S2_after": (flooded, colour),
        "mask": (flood, mask),
    }
    for layer, (array, mode) in layers.items():
        path = folder / names[layer]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).convert(mode).save(path)


def ombria_names(chip: str) -> dict[str, str]:
    sides = [(sensor, date) for sensor in ("S1", "S2") for date in ("before", "after")]
    names = {f"{s}_{d}": f"Ombria{s}/train/{d.upper()}/{s}_{d}_{chip}.png" for s, d in sides}
    return names | {"mask": f"OmbriaS1/train/MASK/S1_mask_{chip}.png"}


def test_ombria_reads_alike_however_its_pictures_are_stored(tmp_path: Path) -> None:
    """Grey in three channels, colour with alpha (black no-data is not opaque ground), a mask of one bit."""
    read = []
    for number, modes in enumerate((("L", "RGB", "L"), ("RGB", "RGBA", "1"))):
        root = tmp_path / str(number)
        write_ombria_set(root, ombria_names("0001"), *modes)
        read.append({chip.meta.chip: chip for chip in open_dataset("ombria", root)})
    after = read[0]["0001_after"]
    assert after.water is not None and after.water[8:56, 20:].all() and not after.water[70:].any()
    for name, chip in read[0].items():
        for layer in ("sar", "sar_valid", "water", "water_valid"):
            np.testing.assert_array_equal(
                getattr(chip, layer), getattr(read[1][name], layer), f"{name} {layer}"
            )


def test_ombria_every_event_of_2021_is_for_testing(tmp_path: Path) -> None:
    """Published are Albania, France, Guyana and Timor, `2021/EVENT/Sentinel1/AFTER/imafter_N.png`."""
    write_ombria_set(tmp_path, ombria_names("0001"), "L", "RGB", "L")
    for event in ("ALBANIA", "GUYANA"):
        for number in (2, 10):
            sides = [(sensor, date) for sensor in ("S1", "S2") for date in ("before", "after")]
            names = {
                f"{s}_{d}": f"2021/{event}/Sentinel{s[1]}/{d.upper()}/im{d}_{number}.png" for s, d in sides
            }
            names |= {"mask": f"2021/{event}/Sentinel1/MASK/gt_{number}.png"}
            write_ombria_set(tmp_path, names, "L", "RGB", "L")
    found = open_dataset("ombria", tmp_path, "test")
    assert [record.chip for record in found.records[::2]] == [
        f"{event}2021_{number}_before" for event in ("albania", "guyana") for number in (2, 10)
    ]
    assert found[1].meta.event == "albania2021" and len(open_dataset("ombria", tmp_path, "train")) == 2


def test_terramesh_has_radar_of_two_kinds(tmp_path: Path) -> None:
    """Tiles of Major TOM lie in `S1RTC`, those of SSL4EO-S12 in `S1GRD`."""
    for seed, (part, tile) in enumerate((("S1RTC", "609U_541L_3_0"), ("S1GRD", "0123456_2_1"))):
        place = {"origin": (5e5 + 1e5 * seed, 7e6), "pixel": 10.0, "crs": "EPSG:32722"}
        write_tiff(tmp_path / f"{part}/{tile}.tif", radar(seed, 224), **place)  # type: ignore[arg-type]
        numbers = np.full((13, 224, 224), 1500 + 100 * seed, np.uint16)
        write_tiff(tmp_path / f"S2L1C/{tile}.tif", numbers, **place)  # type: ignore[arg-type]
    grd, rtc = open_dataset("terramesh", tmp_path, "train")
    np.testing.assert_array_equal(grd.sar, radar(1, 224))
    np.testing.assert_array_equal(rtc.sar, radar(0, 224))
    (tmp_path / "S1GRD/0123456_2_1.tif").unlink()
    assert [record.chip for record in open_dataset("terramesh", tmp_path, "train").records] == [rtc.meta.chip]


def test_terramesh_as_shards_is_told(tmp_path: Path) -> None:
    """What is published is Zarr in shards; a folder of those has no tile, which says nothing of why."""
    for part in ("S1RTC", "S2L1C"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "majortom_shard_000001.tar").touch()
    with pytest.raises(DataError, match=r"shard_000001.tar' is no GeoTIFF; .*Export them"):
        open_dataset("terramesh", tmp_path, "train")
