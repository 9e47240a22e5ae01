"""The check passes good trees, and names the fault of broken ones."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from data_trees import (
    FLOOD,
    SPLITS,
    write_deepflood_area,
    write_lists,
    write_sen1floods11,
    write_sen12ms,
    write_tiff,
)

from flora.data.check import check

LISTS = {"train": ("Ghana_1",), "test": ("Spain_3",)}
HAND = f"{FLOOD}/HandLabeled"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sen1floods11(tmp_path_factory.mktemp("good"), LISTS)


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Changes a raster's values and keeps its place."""
    with rasterio.open(path) as source:
        profile, array = source.profile, source.read()
    changed = change(array)
    profile.update(
        count=changed.shape[0], height=changed.shape[1], width=changed.shape[2], dtype=changed.dtype.name
    )
    with rasterio.open(path, "w", **profile) as target:
        target.write(changed)


def power(decibel: np.ndarray) -> np.ndarray:
    return (10 ** (decibel / 10)).astype(np.float32)


def moved(root: Path) -> None:
    path = root / HAND / "LabelHand/Ghana_1_LabelHand.tif"
    with rasterio.open(path, "r+") as source:
        source.transform = source.transform * source.transform.translation(3, 0)


def code_seven(label: np.ndarray) -> np.ndarray:
    label[0, 0, 0] = 7
    return label


def cut_short(root: Path) -> None:
    path = root / HAND / "S1Hand/Ghana_1_S1Hand.tif"
    path.write_bytes(path.read_bytes()[:2000])


def same_radar(root: Path) -> None:
    folder = root / HAND / "S1Hand"
    with rasterio.open(folder / "Ghana_1_S1Hand.tif") as source:
        array = source.read()
    rewrite(folder / "Spain_3_S1Hand.tif", lambda _: array)


S1 = f"{HAND}/S1Hand/Ghana_1_S1Hand.tif"
S2 = f"{HAND}/S2Hand/Ghana_1_S2Hand.tif"
LABEL = f"{HAND}/LabelHand/Ghana_1_LabelHand.tif"

BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "label missing": (
        lambda r: (r / LABEL).unlink(),
        "chip 'Ghana_1' is not served: missing 'LabelHand/Ghana_1_LabelHand.tif'",
    ),
    "radar missing": (
        lambda r: (r / S1).unlink(),
        "chip 'Ghana_1' is not served: missing 'S1Hand/Ghana_1_S1Hand.tif'",
    ),
    "split list missing": (
        lambda r: (r / SPLITS / "flood_valid_data.csv").unlink(),
        "has no 'v1.1/splits/flood_handlabeled/flood_valid_data.csv'",
    ),
    "folder missing": (
        lambda r: shutil.rmtree(r / HAND / "S1Hand"),
        "has no 'v1.1/data/flood_events/HandLabeled/S1Hand'",
    ),
    "file cut short": (cut_short, "chip 'Ghana_1' cannot be read"),
    "one band": (lambda r: rewrite(r / S1, lambda a: a[:1]), "has 1 band(s); expected 2"),
    "another size": (
        lambda r: [rewrite(r / p, lambda a: a[:, :256, :256]) for p in (S1, S2, LABEL)],
        "is 256 x 256 px",
    ),
    "label of another size": (
        lambda r: rewrite(r / LABEL, lambda a: a[:, :256]),
        "has water of shape (256, 512)",
    ),
    "linear power": (lambda r: rewrite(r / S1, power), "linear power or amplitude; expected dB"),
    "bands swapped": (lambda r: rewrite(r / S1, lambda a: a[::-1]), "the bands are swapped"),
    "constant radar": (
        lambda r: rewrite(r / S1, lambda a: np.full_like(a, -12)),
        "the same value -12 dB everywhere",
    ),
    "radar all NaN": (lambda r: rewrite(r / S1, lambda a: np.full_like(a, np.nan)), "has no valid SAR pixel"),
    "unknown code": (lambda r: rewrite(r / LABEL, code_seven), "has label values 7; expected only -1, 0, 1"),
    "reflectance not scaled": (
        lambda r: rewrite(r / S2, lambda a: np.maximum(a // 1000, 1)),
        "expected 0.01 to 1: the scale is another",
    ),
    "label elsewhere": (moved, "has water on another grid than sar"),
    "chip listed twice": (
        lambda r: write_lists(r, {**LISTS, "test": ("Spain_3", "Ghana_1")}),
        "lists 'Ghana_1' more than once",
    ),
    "same radar in two splits": (same_radar, "hold the same radar image"),
}


def test_good_tree_passes_and_its_table_tells_the_numbers(good: Path) -> None:
    report = check("sen1floods11", good)
    assert report.ok, report.faults
    assert {split: s.chips for split, s in report.splits.items()} == {"train": 1, "val": 0, "test": 1}
    train = report.splits["train"]
    assert train.invalid["VV"] == pytest.approx(2 / 512)
    assert train.labelled == pytest.approx(511 / 512)
    assert train.water == pytest.approx(256 * 256 / (511 * 512))
    # A quarter of the tree is lake at -18 and -25 dB, the rest is grass at -10 and -17 dB.
    assert -11.5 < train.decibel["VV"] < -10 and -18.5 < train.decibel["VH"] < -17
    assert "512 x 512" in str(report) and str(report).startswith("sen1floods11 in ")
    assert report.as_dict()["ok"] is True


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tree_is_refused_and_its_fault_named(good: Path, tmp_path: Path, name: str) -> None:
    spoil, sentence = BROKEN[name]
    root = tmp_path / "tree"
    shutil.copytree(good, root)
    spoil(root)
    report = check("sen1floods11", root)
    assert not report.ok
    assert any(sentence in fault for fault in report.faults), report.faults
    assert "FAULT" in str(report) or not report.splits


def test_touching_places_in_two_splits_are_a_fault(tmp_path: Path) -> None:
    mask = np.zeros((200, 200), np.uint8)
    write_deepflood_area(tmp_path, "Elizabeth_Florence_14_09_18_01", mask)
    write_deepflood_area(tmp_path, "Lumberton_Florence_14_09_18_01", mask, left=700400.0)
    (tmp_path / "splits.csv").write_text("place,split\nElizabeth,train\nLumberton,test\n")
    faults = check("deepflood", tmp_path).faults
    assert any(
        "has touching chips in two splits: 'Elizabeth_Florence_14_09_18_01_r0000_c0000'" in f for f in faults
    )


def test_touching_patches_across_the_published_split_are_noted(tmp_path: Path) -> None:
    write_sen12ms(tmp_path, (("ROIs1158_spring", 63, 5), ("ROIs1158_spring", 1, 30)))
    path = next(tmp_path.glob("*/s1_1/*.tif"))
    with rasterio.open(next(tmp_path.glob("*/s1_63/*.tif"))) as source:
        beside = source.transform * source.transform.translation(256, 0)
    for layer in tmp_path.glob("*/*_1/*.tif"):
        with rasterio.open(layer, "r+") as target:
            target.transform = beside
    report = check("sen12ms", tmp_path)
    assert path.exists() and report.ok, report.faults
    assert any("parts 1 pair(s) of touching chips" in note for note in report.notes)


def test_label_without_a_valid_pixel_is_noted(good: Path, tmp_path: Path) -> None:
    root = tmp_path / "tree"
    shutil.copytree(good, root)
    rewrite(root / LABEL, lambda label: np.full_like(label, -1))
    report = check("sen1floods11", root)
    assert report.ok and "chip 'Ghana_1' has no labelled pixel" in report.notes


def test_empty_folder_is_one_fault(tmp_path: Path) -> None:
    report = check("stac_overflow", tmp_path)
    assert not report.ok and "has no '*_vv.tif'" in report.faults[0]


def test_limit_reads_fewer_chips_and_still_counts_all(good: Path) -> None:
    report = check("sen1floods11", good, limit=0)
    assert report.splits["test"].chips == 1 and report.splits["test"].labelled is None and report.ok


def test_no_dataset_folder_without_partner(tmp_path: Path) -> None:
    write_tiff(tmp_path / "abc01_vv.tif", np.full((512, 512), -12, np.float32))
    report = check("stac_overflow", tmp_path)
    folder = tmp_path.name
    assert any(f"missing '{folder}/abc01_vh.tif', '{folder}/abc01_label.tif'" in f for f in report.faults)
    assert any("has no usable chip" in fault for fault in report.faults)
