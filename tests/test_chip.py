"""A chip and its padding: what is added is invalid, and every layer is shifted alike."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from flora.chip import Chip, ChipMeta, pad


def whole_chip(height: int, width: int) -> Chip:
    """Every layer there, every pixel valid, no two pixels of the radar alike."""
    planes = {"sar": 2, "optical": 4, "prior": 4}
    layers = {
        name: np.arange(1, 1 + count * height * width, dtype=np.float32).reshape(count, height, width)
        for name, count in planes.items()
    }
    masks = {f"{name}_valid": np.ones_like(layer, bool) for name, layer in layers.items()}
    water = np.ones((height, width), np.uint8)
    return Chip(meta=ChipMeta("x", "x", "x", "x"), water=water, water_valid=water > 0, **layers, **masks)


@pytest.mark.parametrize(("size", "margin"), [((3, 4), 0), ((7, 9), 2), ((6, 7), 1)])
def test_padding_adds_invalid_pixels_around_every_layer(size: tuple[int, int], margin: int) -> None:
    chip = whole_chip(2, 3)
    padded = pad(chip, *size, margin=margin)
    assert padded.shape == size and padded.meta is chip.meta
    inside = np.zeros(size, bool)
    inside[margin : margin + 2, margin : margin + 3] = True
    for name in (field.name for field in fields(chip) if field.name != "meta"):
        before, after = getattr(chip, name), getattr(padded, name)
        assert after.dtype == before.dtype
        assert (after[..., inside].reshape(before.shape) == before).all()
        assert not after[..., ~inside].any()


def test_padding_leaves_absent_layers_absent_and_a_chip_of_that_size_alone() -> None:
    chip = whole_chip(2, 3).with_layers(optical=None, optical_valid=None)
    assert pad(chip, 4, 4).optical is None and pad(chip, 4, 4).optical_valid is None
    assert pad(chip, 2, 3) is chip
