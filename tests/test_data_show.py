"""The contact sheet shows each layer in its place, right way up, and overwrites nothing unasked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_trees import lake, write_tiff
from PIL import Image

from flora.chip import Chip, ChipMeta
from flora.data.layers import optical_layer, sar_layer
from flora.data.show import CAPTION, COLUMNS, INVALID, WATER_COLOURS, chip_pictures, contact_sheet, show
from flora.errors import DataError, OutputError


def chip() -> Chip:
    side = 8
    vv = np.full((side, side), -25.0, np.float32)
    vv[:, side // 2 :] = 0.0
    vv[0, 0] = np.nan
    sar, sar_valid = sar_layer({"VV": vv})
    red = np.full((side, side), 1 / 3.5, np.float32)
    optical, optical_valid = optical_layer({"red": red, "green": red * 0, "blue": red * 0})
    water = lake(side).astype(np.uint8)
    meta = ChipMeta("x", "event", "group", "name")
    return Chip(
        sar, sar_valid, meta, optical, optical_valid, water=water, water_valid=np.ones((side, side), np.bool_)
    )


def test_each_layer_is_drawn_over_a_fixed_range() -> None:
    drawn = chip_pictures(chip())
    assert list(drawn) == list(COLUMNS)
    assert drawn["VV"][1, 0].tolist() == [0, 0, 0] and drawn["VV"][1, 7].tolist() == [255, 255, 255]
    assert drawn["VV"][0, 0].tolist() == INVALID.tolist()
    assert (drawn["VH"] == INVALID).all()
    assert (drawn["optical"] == [255, 0, 0]).all()
    assert (drawn["prior"] == 128).all(), "a layer that the chip does not have is grey"
    assert drawn["water"][0, 0].tolist() == WATER_COLOURS[1].tolist(), "the lake is in the upper left"
    assert drawn["water"][7, 0].tolist() == WATER_COLOURS[0].tolist()


def test_sheet_has_a_cell_for_every_layer() -> None:
    sheet = contact_sheet([chip()] * 3, side=16, per_row=2)
    assert sheet.size == (2 * (16 * 5 + 8), 2 * (16 + CAPTION))
    assert sheet.getpixel((16 * 4 + 1, CAPTION + 1)) == tuple(WATER_COLOURS[1])
    assert sheet.getpixel((16 * 4 + 1, CAPTION + 14)) == tuple(WATER_COLOURS[0])


def test_sheet_is_written_once(tmp_path: Path) -> None:
    for part, value in (("vv", -10), ("vh", -17)):
        write_tiff(tmp_path / f"abc01_{part}.tif", np.full((512, 512), value, np.float32))
    write_tiff(tmp_path / "abc01_label.tif", np.zeros((512, 512), np.uint8))
    out = tmp_path / "sheet.png"
    assert show("stac_overflow", tmp_path, out) == out
    with Image.open(out) as sheet:
        assert sheet.format == "PNG"
    with pytest.raises(OutputError, match=r"sheet\.png' exists"):
        show("stac_overflow", tmp_path, out)
    show("stac_overflow", tmp_path, out, overwrite=True)
    with pytest.raises(OutputError, match="does not exist"):
        show("stac_overflow", tmp_path, tmp_path / "no" / "sheet.png")
    with pytest.raises(DataError, match="Split 'val' of stac_overflow has no chip"):
        show("stac_overflow", tmp_path, tmp_path / "other.png", "val")
