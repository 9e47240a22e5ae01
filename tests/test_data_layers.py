"""Values, units and masks on the way from file to chip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from flora.data.layers import (
    bright_grey,
    decibel,
    display_layer,
    optical_layer,
    pseudo_decibel,
    sar_layer,
    sentinel2_layer,
    water_layer,
)


def plane(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


def test_sar_layer_puts_vv_first_and_masks_what_is_no_measurement() -> None:
    sar, valid = sar_layer({"VH": plane(-20, np.nan, -90, -15), "VV": plane(-12, -11, -10, np.inf)})
    assert valid.tolist() == [[[True, True, True, False]], [[True, False, False, True]]]
    assert sar.tolist() == [[[-12, -11, -10, 0]], [[-20, 0, 0, -15]]]
    assert sar.dtype == np.float32


def test_absent_polarisation_is_invalid_everywhere() -> None:
    sar, valid = sar_layer({"VV": plane(-12, -11)})
    assert valid.tolist() == [[[True, True]], [[False, False]]]
    assert not sar[1].any()


def test_zero_in_both_bands_is_absent_only_where_no_nodata_is_declared() -> None:
    bands = {"VV": plane(0, 0, -9), "VH": plane(0, -14, 0)}
    assert sar_layer(bands)[1].all()
    assert sar_layer(bands, zero_absent=True)[1].tolist() == [[[False, True, True]]] * 2


def test_decibel_of_known_powers() -> None:
    assert decibel(np.array([1.0, 0.1, 0.001, 0.0, -1.0]))[:3].tolist() == [0.0, -10.0, -30.0]
    assert np.isnan(decibel(np.array([0.0, -1.0]))).all()


@pytest.mark.parametrize(("band", "bright"), [("VV", -9.0), ("VH", -15.5)])
def test_bright_grey_stands_for_bright_land_and_steps_are_fixed(band: str, bright: float) -> None:
    levels = pseudo_decibel(np.array([0, 200, 255], np.uint8), band, 200.0)
    assert levels.dtype == np.float32
    assert levels == pytest.approx([bright - 30 * 200 / 255, bright, bright + 30 * 55 / 255], abs=1e-5)


def test_bright_grey_is_the_upper_quartile_of_what_is_valid() -> None:
    grey = np.array([10, 20, 30, 40, 50, 255], np.uint8)
    assert bright_grey(grey, grey < 255) == 40
    assert bright_grey(np.full(9, 7, np.uint8)) == 7
    assert bright_grey(grey, grey > 255) == 128


def test_images_of_one_ground_stretched_apart_become_alike() -> None:
    ground = np.random.default_rng(0).integers(40, 140, (64, 64)).astype(np.uint8)
    one, two = (pseudo_decibel(grey, "VV", bright_grey(grey)) for grey in (ground, ground + 60))
    assert np.abs(one - two).max() < 1e-5


def test_single_dark_band_is_data_and_all_zero_is_not() -> None:
    bands = {name: np.array([[0, 100]], np.uint16) for name in ("red", "green", "blue")}
    optical, valid = sentinel2_layer({**bands, "nir": np.array([[0, 0]], np.uint16)})
    assert valid[:, 0].tolist() == [[False, True]] * 4
    assert optical[:, 0, 1].tolist() == [np.float32(0.01)] * 3 + [0.0]


def test_display_picture_has_gain_and_no_nir_and_painted_white_is_unknown() -> None:
    rgb = np.array([[[255, 250, 251], [255, 249, 255], [0, 0, 0], [0, 51, 102]]], np.uint8)
    optical, valid = display_layer(rgb)
    assert valid[0, 0].tolist() == [False, True, False, True]
    assert not valid[3].any()
    assert optical[:3, 0, 3] == pytest.approx([0, 0.2 / 3.5, 0.4 / 3.5])


def test_codes_that_are_neither_water_nor_land_are_invalid() -> None:
    water, valid = water_layer(np.array([[0, 1, -1, 255]]))
    assert water.tolist() == [[0, 1, 0, 0]]
    assert valid.tolist() == [[True, True, False, False]]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-80, 60, width=32) | st.just(float("nan"))))
def test_layers_are_finite_and_zero_where_invalid(values: np.ndarray) -> None:
    for layer, valid in (sar_layer({"VV": values}), optical_layer({"red": values})):
        assert np.isfinite(layer).all()
        assert not layer[~valid].any()
