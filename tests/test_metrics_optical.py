"""Pictures: values by hand, scikit-image as oracle, and masks that hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from flora.errors import ConfigError, DataError
from flora.metrics import optical

SCORES = [
    optical.psnr,
    optical.ssim,
    lambda x, y, v: optical.psnr(optical.mean_colour(y, v), y, v),
    lambda x, y, v: optical.psnr(optical.match_colour(x, y, v), y.double(), v),
]


def pair(seed: int = 0, size: int = 24, chips: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Two pictures that resemble each other, and a mask that is True everywhere."""
    draw = torch.Generator().manual_seed(seed)
    truth = torch.rand(chips, 3, size, size, generator=draw)
    predicted = (truth + 0.2 * torch.randn(truth.shape, generator=draw)).clamp(0, 1)
    return predicted, truth, torch.ones(chips, size, size, dtype=torch.bool)


def skimage_ssim(predicted: Tensor, truth: Tensor) -> float:
    return structural_similarity(
        predicted[0].numpy(),
        truth[0].numpy(),
        channel_axis=0,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )


def test_psnr_by_hand() -> None:
    truth = torch.zeros(2, 3, 4, 4)
    predicted = torch.stack([torch.full((3, 4, 4), 0.1), torch.full((3, 4, 4), 0.01)])
    found = optical.psnr(predicted, truth, torch.ones(2, 4, 4, dtype=torch.bool))
    assert found.tolist() == pytest.approx([20.0, 40.0], abs=1e-5)


def test_psnr_of_a_masked_error_by_hand() -> None:
    truth = torch.zeros(1, 3, 2, 2)
    predicted = truth.clone()
    predicted[0, :, 0, 0] = 0.1  # a quarter of the pixels is off by 0.1
    valid = torch.ones(1, 2, 2, dtype=torch.bool)
    assert optical.psnr(predicted, truth, valid).item() == pytest.approx(20 + 10 * np.log10(4), abs=1e-5)
    valid[0, 1] = False  # now half of what is judged
    assert optical.psnr(predicted, truth, valid).item() == pytest.approx(20 + 10 * np.log10(2), abs=1e-5)


def test_psnr_and_ssim_equal_scikit_image() -> None:
    for seed in range(3):
        predicted, truth, valid = pair(seed)
        expected = peak_signal_noise_ratio(truth.numpy(), predicted.numpy(), data_range=1.0)
        assert optical.psnr(predicted, truth, valid).item() == pytest.approx(expected, abs=1e-4)
        assert optical.ssim(predicted, truth, valid).item() == pytest.approx(
            skimage_ssim(predicted, truth), abs=1e-5
        )


def test_ssim_stays_exact_on_nearly_flat_bright_pictures() -> None:
    predicted, truth, valid = pair()
    predicted, truth = 0.97 + 0.01 * predicted, 0.97 + 0.01 * truth
    expected = skimage_ssim(predicted.double(), truth.double())
    assert optical.ssim(predicted, truth, valid).item() == pytest.approx(expected, abs=1e-5)


def test_ssim_under_a_mask_is_that_of_the_crop() -> None:
    predicted, truth, valid = pair(size=40)
    valid[:, :, :7] = False
    valid[:, 33:] = False
    crop = skimage_ssim(predicted[..., :33, 7:], truth[..., :33, 7:])
    assert optical.ssim(predicted, truth, valid).item() == pytest.approx(crop, abs=1e-5)


def test_equal_pictures() -> None:
    _, truth, valid = pair()
    assert optical.psnr(truth, truth, valid).item() == np.inf
    assert optical.ssim(truth, truth, valid).item() == pytest.approx(1, abs=1e-6)


def test_named_scalings() -> None:
    reflectance = torch.tensor([0.0, 0.15, 0.3, 0.6, 1.2, -0.1])
    assert optical.rescale(reflectance, "DN/10000").tolist() == pytest.approx([0, 0.15, 0.3, 0.6, 1, 0])
    assert optical.rescale(reflectance, "DN/3000").tolist() == pytest.approx([0, 0.5, 1, 1, 1, 0])
    with pytest.raises(ConfigError, match=r"'DN/255' is unknown; expected one of DN/10000, DN/3000"):
        optical.rescale(reflectance, "DN/255")


def test_mean_colour_is_the_best_constant() -> None:
    _, truth, valid = pair()
    valid[0, :12] = False
    floor = optical.mean_colour(truth, valid)
    assert floor[0, :, 0, 0].tolist() == pytest.approx(truth[0, :, 12:].mean((1, 2)).tolist(), abs=1e-6)
    best = optical.psnr(floor, truth, valid)
    for shift in (-0.02, 0.02):
        assert optical.psnr(floor + shift, truth, valid) < best


def test_matched_colour_undoes_gain_and_offset() -> None:
    _, truth, valid = pair()
    gain, offset = (
        torch.tensor([0.5, 2.0, -1.0]).view(1, 3, 1, 1),
        torch.tensor([0.3, -0.2, 0.9]).view(1, 3, 1, 1),
    )
    matched = optical.match_colour(truth * gain + offset, truth, valid)
    assert torch.allclose(matched, truth.double(), atol=1e-5)


def test_matched_colour_equals_least_squares() -> None:
    predicted, truth, valid = pair()
    valid[0, ::3] = False
    matched = optical.match_colour(predicted, truth, valid)
    for band in range(3):
        x, y = predicted[0, band][valid[0]].double().numpy(), truth[0, band][valid[0]].double().numpy()
        assert matched[0, band][valid[0]].numpy() == pytest.approx(
            np.polyval(np.polyfit(x, y, 1), x), abs=1e-6
        )


def test_matched_colour_of_a_flat_picture_is_the_floor() -> None:
    _, truth, valid = pair()
    matched = optical.match_colour(torch.full_like(truth, 0.4), truth, valid)
    assert torch.allclose(matched, optical.mean_colour(truth, valid).double(), atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**31), value=st.sampled_from([float("nan"), float("inf"), -1e9, 0.0, 7.0]))
def test_values_under_false_change_nothing(seed: int, value: float) -> None:
    predicted, truth, valid = pair(seed, size=20, chips=2)
    draw = np.random.default_rng(seed)
    valid[0, : draw.integers(1, 8)] = False
    valid[1, :, -int(draw.integers(1, 8)) :] = False
    before = [score(predicted, truth, valid) for score in SCORES]
    for picture in (predicted, truth):
        picture.masked_fill_(~valid.unsqueeze(1), value)
    for score, expected in zip(SCORES, before, strict=True):
        assert torch.equal(score(predicted, truth, valid), expected)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_matching_never_lowers_and_never_falls_below_the_floor(seed: int) -> None:
    predicted, truth, valid = pair(seed, size=12)
    matched = optical.psnr(optical.match_colour(predicted, truth, valid), truth.double(), valid)
    assert matched >= optical.psnr(predicted, truth, valid) - 1e-6
    assert matched >= optical.psnr(optical.mean_colour(truth, valid), truth, valid) - 1e-4


def test_a_chip_without_valid_pixels_is_nan_and_harms_no_other() -> None:
    predicted, truth, valid = pair(chips=2)
    alone = [score(predicted[:1], truth[:1], valid[:1]) for score in SCORES]
    valid[1] = False
    for score, expected in zip(SCORES, alone, strict=True):
        found = score(predicted, truth, valid)
        assert torch.allclose(found[0], expected[0], atol=1e-6) and found[1].isnan()


def test_ssim_without_a_whole_window_is_nan() -> None:
    predicted, truth, valid = pair(size=10)
    assert optical.ssim(predicted, truth, valid).isnan().all()
    predicted, truth, valid = pair(size=20)
    valid[:, ::5] = False
    assert optical.ssim(predicted, truth, valid).isnan().all()


def test_errors_name_what_was_found() -> None:
    predicted, truth, valid = pair()
    with pytest.raises(DataError, match=r"\(1, 3, 24, 24\) and \(1, 3, 23, 24\).*one grid"):
        optical.psnr(predicted, truth[:, :, 1:], valid)
    with pytest.raises(DataError, match=r"torch.uint8"):
        optical.ssim(predicted, truth, valid.to(torch.uint8))


@pytest.mark.real
def test_mean_colour_floor_of_the_known_chip(real_data) -> None:
    """Spain_7370579 in B4, B3, B2: 28.3 dB under DN/10000 and 18.0 dB under DN/3000 have been published."""
    rasterio = pytest.importorskip("rasterio")
    folder = real_data / "sen1floods11/v1.1/data/flood_events/HandLabeled/S2Hand"
    with rasterio.open(folder / "Spain_7370579_S2Hand.tif") as file:
        rgb = torch.from_numpy(file.read([4, 3, 2]).astype(np.float32))[None]
    valid = (rgb > 0).all(1)
    for scaling, expected in (("DN/10000", 28.3), ("DN/3000", 18.0)):
        truth = optical.rescale(rgb / 10000, scaling)
        assert optical.psnr(optical.mean_colour(truth, valid), truth, valid).item() == pytest.approx(
            expected, abs=0.06
        )
