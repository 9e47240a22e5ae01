"""SEN12MS from its published layouts, and SEN12MS-CR's real patch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_trees import lake, write_sen12ms

from flora.data import open_dataset
from flora.data.sen12ms import HOLD_OUT
from flora.errors import DataError

PATCHES = (("ROIs1158_spring", 63, 5), ("ROIs1158_spring", 1, 30), ("ROIs1970_fall", 130, 100))


@pytest.mark.parametrize("unpacked", [False, True], ids=["one folder a season", "as the archives unpack"])
def test_layouts_and_official_hold_out(tmp_path: Path, unpacked: bool) -> None:
    write_sen12ms(tmp_path, PATCHES, unpacked)
    chips = {
        s: [r.chip for r in open_dataset("sen12ms", tmp_path, s).records] for s in ("train", "val", "test")
    }  # type: ignore[arg-type]
    assert chips == {
        "train": ["ROIs1158_spring_1_p30"],
        "val": ["ROIs1970_fall_130_p100"],
        "test": ["ROIs1158_spring_63_p5"],
    }
    everything = open_dataset("sen12ms", tmp_path, "all")
    assert not everything.skipped
    assert everything.context(0)["igbp"].shape == (256, 256)


def test_hold_out_has_26_scenes() -> None:
    assert sum(map(len, HOLD_OUT.values())) == 26


def test_water_is_an_index_and_says_so(tmp_path: Path) -> None:
    write_sen12ms(tmp_path, PATCHES[1:2])
    chip = open_dataset("sen12ms", tmp_path)[0]
    assert (chip.meta.water_label, chip.meta.optical_radiometry) == ("index", "surface")
    assert chip.water is not None and chip.water_valid is not None
    assert (chip.water == lake(256))[chip.water_valid].all()
    assert chip.water_valid.mean() > 0.99
    assert chip.prior is None


def test_missing_partner_is_skipped_with_its_name(tmp_path: Path) -> None:
    write_sen12ms(tmp_path, PATCHES[:2])
    next(tmp_path.glob("*/s2_1/*.tif")).unlink()
    train = open_dataset("sen12ms", tmp_path)
    assert not len(train)
    assert train.skipped[0].skip == "missing 's2_1/ROIs1158_spring_s2_1_p30.tif'"


def test_name_off_the_pattern_is_refused(tmp_path: Path) -> None:
    write_sen12ms(tmp_path, PATCHES[:1])
    path = next(tmp_path.glob("*/s1_63/*.tif"))
    path.rename(path.with_name("patch5.tif"))
    with pytest.raises(DataError, match=r"'s1_63/patch5.tif' does not follow 'ROIsXXXX_season_s1_N_pM.tif'"):
        open_dataset("sen12ms", tmp_path)


def test_cloudy_image_of_the_real_patch_is_a_prior_without_its_clouds(real_data: Path) -> None:
    test = open_dataset("sen12ms_cr", real_data / "sen12ms_cr", "test")
    chip = test[0]
    assert [r.chip for r in test.records] == ["ROIs1970_fall_139_p839"]
    assert chip.prior is not None and chip.prior_valid is not None
    assert 0.2 < chip.prior_valid[0].mean() < 0.6
    assert np.median(chip.prior[2][chip.prior_valid[2]]) < 0.22
    assert not len(open_dataset("sen12ms_cr", real_data / "sen12ms_cr", "train"))
