"""Weak labels, cloud and swath edges, each on a picture small enough to work out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flora.data import open_dataset
from flora.data.etci2021 import outside_swath
from flora.data.guaiba import cloud as guaiba_cloud
from flora.data.guaiba import flood_unseen
from flora.data.index_label import index_water
from flora.data.ombria import Ombria, after_water, false_colour_water, radar_dark
from flora.data.sentinel2 import COUNT, cloud, index_label, optical_bands, remove_offset
from flora.data.splits import shared_chips, shared_groups, touching_across
from flora.errors import DataError

VEGETATION, WATER, BLACK_RIVER, CLOUD = (90, 110, 40), (10, 20, 60), (8, 6, 9), (150, 160, 140)


def picture(colour: tuple[int, int, int], side: int = 32) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


def grey(level: int, side: int = 32) -> np.ndarray:
    return np.full((side, side), level, np.uint8)


def speckled(levels: np.ndarray) -> np.ndarray:
    """Radar is nowhere one value; only what fills an image up is."""
    rng = np.random.default_rng(0)
    return (levels.astype(int) + rng.integers(-3, 4, levels.shape)).astype(np.uint8)


def index(green: float, nir: float, swir: float, clear: bool = True) -> tuple[int, bool]:
    bands = (np.array([[value]], np.float32) for value in (green, nir, swir))
    water, valid = index_water(*bands, np.array([[clear]]))
    return int(water[0, 0]), bool(valid[0, 0])


def test_index_needs_both_witnesses_and_dark_nir() -> None:
    assert index(0.08, 0.03, 0.01) == (1, True), "lake"
    assert index(0.08, 0.25, 0.16) == (0, True), "grass"
    assert index(0.60, 0.55, 0.10) == (0, False), "snow is bright in nir: in doubt"
    assert index(0.08, 0.07, 0.12) == (0, False), "wet soil: NDWI says water, MNDWI land"
    assert index(0.08, 0.03, 0.01, clear=False) == (0, False), "under cloud"


def test_false_colour_water_by_index_or_with_the_radar() -> None:
    nothing, dark = np.zeros((32, 32), np.bool_), np.ones((32, 32), np.bool_)
    for colour, radar, expected in (
        (WATER, nothing, (True, False)),
        (VEGETATION, nothing, (False, True)),
        (BLACK_RIVER, nothing, (False, False)),
        (BLACK_RIVER, dark, (True, False)),
        (CLOUD, dark, (False, False)),
        ((0, 0, 0), dark, (False, False)),
    ):
        water, dry = false_colour_water(picture(colour), radar)
        assert (bool(water.all()), bool(dry.all())) == expected, colour
        assert not (water & dry).any()


@pytest.mark.parametrize(
    ("flood", "before", "after", "radar", "expected"),
    [
        (True, VEGETATION, WATER, (150, 40), "water"),
        (True, VEGETATION, VEGETATION, (150, 150), "doubt"),
        (False, WATER, WATER, (40, 40), "water"),
        (False, VEGETATION, WATER, (150, 150), "doubt"),
        (False, BLACK_RIVER, CLOUD, (40, 40), "water"),
        (False, CLOUD, CLOUD, (40, 40), "doubt"),
        (False, VEGETATION, VEGETATION, (150, 150), "land"),
        (False, VEGETATION, VEGETATION, (40, 40), "doubt"),
    ],
    ids=[
        "new flood",
        "flood that no other witness saw",
        "river: 0 in the mask, and water",
        "water beyond the mask",
        "river under cloud",
        "dark at both dates",
        "fields",
        "dark fields",
    ],
)
def test_new_flood_mask_never_teaches_that_rivers_are_dry(
    flood: bool,
    before: tuple[int, int, int],
    after: tuple[int, int, int],
    radar: tuple[int, int],
    expected: str,
) -> None:
    # The place in question is the left part of a picture whose right part is bright, dry land.
    place = np.zeros((32, 64), np.bool_)
    place[:, :24] = True
    shown = {
        date: np.where(place[..., None], np.uint8(colour), np.uint8(VEGETATION))
        for date, colour in (("before", before), ("after", after))
    }
    levels = {
        date: speckled(np.where(place, level, 150))
        for date, level in zip(("before", "after"), radar, strict=True)
    }
    water, valid = after_water(place & flood, levels, shown)
    middle = (slice(8, 24), slice(6, 14))
    found = "doubt" if not valid[middle].any() else "water" if water[middle].all() else "land"
    assert found == expected
    assert not water[:, 48:].any() and valid[:, 48:].all()


def test_radar_dark_is_relative_to_its_own_image() -> None:
    scene = np.hstack([grey(30), grey(100), grey(100)])
    for gain in (1, 2):
        dark = radar_dark(speckled(scene * gain))
        assert dark[:, :28].all() and not dark[:, 36:].any()


def write_ombria(root: Path, table: bool) -> Path:
    for sensor, kinds in (("S1", ("BEFORE", "AFTER", "MASK")), ("S2", ("BEFORE", "AFTER", "MASK"))):
        for part, chip in (("train", "0001"), ("test", "0002")):
            for kind in kinds:
                folder = root / f"Ombria{sensor}" / part / kind
                folder.mkdir(parents=True, exist_ok=True)
                level = 0 if kind == "MASK" else 120
                shape = (256, 256, 3) if sensor == "S2" and kind != "MASK" else (256, 256)
                Image.fromarray(np.full(shape, level, np.uint8)).save(
                    folder / f"{sensor}_{kind.lower()}_{chip}.png"
                )
    if table:
        (root / "scene_clusters.csv").write_text(
            "chip,official_split,scene_cluster\n0001,train,0\n0002,test,6\n"
        )
    return root


def test_ombria_opens_as_published_and_leaves_the_leaking_test_alone(tmp_path: Path) -> None:
    plain = write_ombria(tmp_path / "plain", table=False)
    assert [len(open_dataset("ombria", plain, split)) for split in ("train", "val", "test")] == [4, 0, 0]  # type: ignore[arg-type]
    assert "63 of the 70" in Ombria(plain).remarks()[0]
    tabled = write_ombria(tmp_path / "tabled", table=True)
    assert [len(open_dataset("ombria", tabled, split)) for split in ("train", "val", "test")] == [2, 2, 0]  # type: ignore[arg-type]


def test_ombria_beyond_the_rim_of_a_swath_there_is_no_radar(tmp_path: Path) -> None:
    root = write_ombria(tmp_path, table=False)
    path = root / "OmbriaS1" / "train" / "AFTER" / "S1_after_0001.png"
    radar = speckled(np.full((256, 256), 90))
    radar[40:80, 200:240] = 0  # water that the stretch clipped
    read = []
    for fill in (None, 177):
        picture = radar.copy()
        if fill is not None:
            picture[:, :70] = fill
        Image.fromarray(picture).save(path)
        ombria = open_dataset("ombria", root)
        read.append(next(chip for chip in ombria if chip.meta.chip == "0001_after"))
    whole, cut = read
    assert whole.sar_valid[0].all()
    assert not cut.sar_valid[0, :, :74].any() and cut.sar_valid[0, :, 76:].all()
    assert cut.water_valid is not None and not cut.water_valid[:, :70].any()
    assert cut.sar[0, :, 76:] == pytest.approx(whole.sar[0, :, 76:], abs=0.3), "the fill is no level"


def write_etci(root: Path, scene: str, labelled: bool = True, column: int = 7) -> Path:
    tiles = root / scene / "tiles"
    layers = {"vv": grey(120, 256), "vh": grey(140, 256)} | (
        {"flood_label": grey(255, 256)} if labelled else {}
    )
    for layer, array in layers.items():
        (tiles / layer).mkdir(parents=True, exist_ok=True)
        ending = "" if layer == "flood_label" else f"_{layer}"
        Image.fromarray(array).save(tiles / layer / f"{scene}_x-3_y-{column}{ending}.png")
    return root


def test_etci_opens_as_published_and_x_is_the_row(tmp_path: Path) -> None:
    write_etci(tmp_path, "bangladesh_20170314t115609")
    write_etci(tmp_path, "northal_20190630t234655", labelled=False, column=11)
    train = open_dataset("etci2021", tmp_path)
    first, second = train.records
    assert first.footprint is not None
    assert (first.footprint.top, first.footprint.left) == (3 * 256, 7 * 256)
    assert (first.event, second.event) == ("bangladesh", "northal")
    wet, dry = train
    assert wet.water is not None and wet.water.all()
    assert (
        dry.water is not None
        and not dry.water.any()
        and dry.water_valid is not None
        and dry.water_valid.all()
    )
    assert wet.sar[0, 0, 0] == pytest.approx(-9.0) and wet.sar[1, 0, 0] == pytest.approx(-15.5)


def test_etci_keeps_the_west_of_alabama_for_validation(tmp_path: Path) -> None:
    for column in (1, 8, 9, 10, 11, 37):
        write_etci(tmp_path, "northal_20190302t234651", column=column)
    found = open_dataset("etci2021", tmp_path, "all")
    column_of = {record.chip.rsplit("-", 1)[1]: record.split for record in found.records}
    assert column_of == {"1": "val", "8": "val", "11": "train", "37": "train"}
    assert {record.chip.rsplit("-", 1)[1] for record in found.skipped} == {"9", "10"}
    assert not shared_chips(found.records) and not shared_groups(found.records)
    assert not touching_across(found.records)


def test_etci_reads_a_tile_alike_whichever_split_is_opened(tmp_path: Path) -> None:
    scene = "northal_20190302t234651"
    for column in (8, 11):
        write_etci(tmp_path, scene, column=column)
    for band, level in (("vv", 40), ("vh", 60)):
        Image.fromarray(grey(level, 256)).save(
            tmp_path / scene / "tiles" / band / f"{scene}_x-3_y-8_{band}.png"
        )
    (alone,) = open_dataset("etci2021", tmp_path, "val")
    together = next(c for c in open_dataset("etci2021", tmp_path, "all") if c.meta.split == "val")
    assert np.array_equal(alone.sar, together.sar)
    assert alone.sar[0, 0, 0] < -15, "levelled by the bright tile of the other split"


def test_etci_levels_a_scene_as_a_whole(tmp_path: Path) -> None:
    scene = "bangladesh_20170314t115609"
    for column in (7, 8, 9, 10):
        write_etci(tmp_path, scene, column=column)
    for column in (8, 9, 10):  # a tile of water beside three of land
        for band, level in (("vv", 40), ("vh", 60)) if column == 8 else (("vv", 120), ("vh", 140)):
            path = tmp_path / scene / "tiles" / band / f"{scene}_x-3_y-{column}_{band}.png"
            Image.fromarray(grey(level, 256)).save(path)
    etci = open_dataset("etci2021", tmp_path)
    found = {record.chip[-1]: chip.sar[:, 0, 0] for record, chip in zip(etci.records, etci, strict=True)}
    assert found["8"] == pytest.approx([-9 - 30 * 80 / 255, -15.5 - 30 * 80 / 255])
    assert found["7"] == pytest.approx([-9, -15.5])


def test_etci_unknown_region_is_named(tmp_path: Path) -> None:
    write_etci(tmp_path, "atlantis_20200101t000000")
    with pytest.raises(DataError, match="region 'atlantis'; expected one of northal"):
        open_dataset("etci2021", tmp_path)


def test_swath_edge_is_wide_and_roofs_are_small() -> None:
    vv, vh = grey(120, 64), grey(120, 64)
    vv[:, 48:] = vh[:, 48:] = 252
    vv[10:13, 10:13] = vh[10:13, 10:13] = 255
    outside = outside_swath(vv, vh)
    assert outside[:, 48:].all() and not outside[10:13, 10:13].any()
    assert outside[:, 44:].all() and not outside[:, :43].any(), "the smear of JPEG, 4 px, is taken too"
    assert not outside_swath(vv, grey(120, 64)).any(), "white in one band only is ground"


def test_guaiba_cloud_is_neither_roof_nor_brown_water() -> None:
    before = np.full((200, 200, 3), 40, np.uint8)
    after = before.copy()
    before[150:190, 20:60] = after[150:190, 20:60] = 245
    after[20:80, 20:80] = 230
    after[20:80, 120:180] = (210, 130, 90)
    found = guaiba_cloud(after, before)
    assert found[20:80, 20:80].all() and found[5, 50], "with a rim"
    assert not found[150:190, 20:60].any(), "a roof is bright in both pictures"
    assert not found[30:70, 130:170].any(), "flood water is bright in red"


def test_flooded_streets_and_drowned_trees_are_in_doubt() -> None:
    before = np.full((120, 120, 3), 60, np.uint8)
    after = before.copy()
    after[:40, :40] = (150, 110, 70)
    vv_before = np.full((120, 120), -8.0, np.float32)
    vv = vv_before + 1.5
    vv[60:100, 60:100] += 6
    vv[110:, :10] = np.nan
    found = flood_unseen(after, before, vv, vv_before)
    assert found[5:35, 5:35].all(), "brown water"
    assert found[70:90, 70:90].all(), "double echo between walls"
    assert not found[5:35, 60:].any() and not found[60:, :40].any(), "the scene as a whole is brighter"


def thirteen(dn: int, **bands: int) -> np.ndarray:
    stack = np.full((COUNT, 40, 40), dn, np.int32)
    for name, value in bands.items():
        stack[int(name[1:])] = value
    return stack


def test_offset_is_removed_only_where_every_band_carries_it() -> None:
    plain = thirteen(1500, b10=12)
    assert np.array_equal(remove_offset(plain), plain)
    shifted = plain + 1000
    shifted[:, 0, 0] = 0
    restored = remove_offset(shifted)
    assert (restored[:, 0, 0] == 0).all() and np.array_equal(restored[:, 1:], plain[:, 1:])
    assert np.array_equal(remove_offset(np.zeros_like(plain)), np.zeros_like(plain))


def test_bands_are_picked_by_name() -> None:
    stack = np.arange(COUNT)[:, None, None] * np.ones((1, 2, 2), np.int32)
    assert {name: int(band[0, 0]) for name, band in optical_bands(stack).items()} == {
        "red": 3,
        "green": 2,
        "blue": 1,
        "nir": 7,
    }


def test_cloud_is_white_and_desert_is_not() -> None:
    sand = thirteen(1700, b3=3000)
    assert not cloud(sand).any()
    sand[1, 10:20, 10:20] = sand[3, 10:20, 10:20] = 5000
    assert cloud(sand)[10:20, 10:20].all() and cloud(sand)[15, 26] and not cloud(sand)[15, 35]


def test_lone_index_pixels_are_left_to_doubt() -> None:
    grass = thirteen(900, b7=2500, b11=1600)
    lake = (slice(10, 20), slice(10, 20))
    for row, col in (lake, (slice(30, 31), slice(30, 31))):
        grass[7, row, col], grass[11, row, col] = 300, 100
    water, valid = index_label(grass)
    assert water[11:19, 11:19].all() and valid[11:19, 11:19].all()
    assert water[30, 30] == 0 and not valid[30, 30]
    assert valid[0, 0] and water[0, 0] == 0
