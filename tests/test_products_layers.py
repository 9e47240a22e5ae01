"""Stored values and colours, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flora.products.colors import NO_DATA_COLOR, optical_colors, radar_colors, water_over
from flora.products.layers import decide_water, encode_probability, encode_reflectance

NAN = np.nan


def test_probability_is_stored_in_steps() -> None:
    stored = encode_probability(np.array([0, 1, 0.5, 0.00004, 0.00006, NAN], np.float32))
    assert stored.dtype == np.uint16
    assert stored.tolist() == [0, 10_000, 5_000, 0, 1, 65_535]


def test_water_is_what_reaches_the_threshold() -> None:
    stored = np.array([0, 4_999, 5_000, 10_000, 65_535], np.uint16)
    assert decide_water(stored, 0.5).tolist() == [0, 0, 1, 1, 255]
    assert decide_water(stored, 0.50005).tolist() == [0, 0, 0, 1, 255]


@given(threshold=st.floats(0.01, 0.99), probability=st.floats(0, 1, width=32))
def test_the_two_files_never_contradict_each_other(threshold: float, probability: float) -> None:
    threshold = round(threshold, 4)
    stored = encode_probability(np.array([probability], np.float32))
    assert bool(decide_water(stored, threshold)[0]) == (round(stored[0] * 1e-4, 4) >= threshold)


def test_reflectance_is_stored_in_steps_and_dark_is_not_absent() -> None:
    stored = encode_reflectance(np.array([0, 0.00001, 0.1234, 1.5, 9.0, NAN], np.float32))
    assert stored.dtype == np.uint16
    assert stored.tolist() == [1, 1, 1_234, 15_000, 65_535, 0]


def test_radar_colours_are_fixed() -> None:
    """VV -12 dB is the middle of -22 to -2, VH -18 dB that of -28 to -8, and 6 dB apart is a third of 2 to 14."""
    radar = np.array([[[-12, -12, NAN, NAN, -40]], [[-18, NAN, -8, NAN, -40]]], np.float32)
    colors = radar_colors(radar)[0].tolist()
    assert colors[0] == [128, 128, 85]
    assert colors[1] == [128, 128, 128], "VV alone is grey"
    assert colors[2] == [255, 255, 255], "VH alone is grey"
    assert colors[3] == list(NO_DATA_COLOR)
    assert colors[4] == [0, 0, 0]


def test_optical_colours_are_fixed() -> None:
    reflectance = np.array([[[0.1, 0.5, NAN]], [[0.0, 0.5, 0.1]], [[0.2, 0.5, 0.1]]], np.float32)
    assert optical_colors(reflectance)[0].tolist() == [[89, 0, 178], [255, 255, 255], list(NO_DATA_COLOR)]


def test_water_lies_over_a_paler_picture() -> None:
    picture = np.zeros((1, 3, 3), np.uint8)
    over = water_over(picture, np.array([[0, 1, NAN]], np.float32))[0]
    assert over[0].tolist() == [51, 51, 51]
    assert over[1].tolist() == pytest.approx([0.22 * 51 + 0.78 * c for c in (24, 92, 196)], abs=1)
    assert over[2].tolist() == list(NO_DATA_COLOR)
