"""Losses of the optical picture: known values, and scikit-image and NumPy as independent judges."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from flora.losses import reconstruction as loss
from flora.losses.perceptual import perceptual_loss


def _pair(side: int = 32, channels: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(2, channels, side, side, generator=generator)
    predicted = (target + 0.2 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
    return predicted, target, torch.ones_like(target, dtype=torch.bool)


EVERY = (
    loss.charbonnier_loss,
    loss.squared_loss,
    loss.ssim_loss,
    loss.edge_loss,
    loss.frequency_loss,
    loss.colour_loss,
)


@pytest.mark.parametrize("function", EVERY)
def test_equal_pictures_cost_nothing_and_others_do(function: Callable[..., Tensor]) -> None:
    predicted, target, valid = _pair(64)
    assert function(target, target, valid).item() == pytest.approx(0, abs=1e-6)
    assert function(predicted, target, valid).item() > 1e-3


def test_charbonnier_by_hand() -> None:
    target = torch.zeros(1, 1, 1, 2)
    predicted = torch.tensor([[[[0.3, 0.0]]]])
    eps = 2**-10
    expected = (math.sqrt(0.09 + eps**2) - eps) / 2
    found = loss.charbonnier_loss(predicted, target, torch.ones(1, 1, 1, 2, dtype=torch.bool))
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_squared_is_least_between_two_likely_colours_and_charbonnier_at_the_likelier() -> None:
    truth = torch.tensor([0.0, 0.0, 0.6]).view(1, 1, 1, 3)
    valid = torch.ones_like(truth, dtype=torch.bool)
    guesses = torch.linspace(0, 0.6, 61)
    squared, absolute = (
        torch.stack([function(torch.full_like(truth, float(g)), truth, valid) for g in guesses])
        for function in (loss.squared_loss, loss.charbonnier_loss)
    )
    assert guesses[squared.argmin()].item() == pytest.approx(0.2)
    assert guesses[absolute.argmin()].item() == 0.0
    assert squared[0].item() == pytest.approx(0.36 / 3)


def test_ssim_is_that_of_scikit_image() -> None:
    predicted, target, valid = _pair()
    scores = []
    for p, t in zip(predicted.flatten(0, 1).numpy(), target.flatten(0, 1).numpy(), strict=True):
        _, plane = structural_similarity(
            p, t, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        scores.append(plane[5:-5, 5:-5])
    expected = 1 - np.mean(scores)
    assert loss.ssim_loss(predicted, target, valid, stride=1).item() == pytest.approx(expected, abs=1e-5)
    assert loss.ssim_loss(predicted, target, valid, stride=2).item() == pytest.approx(
        1 - np.mean([plane[::2, ::2] for plane in scores]), abs=1e-5
    )


def test_ssim_counts_the_windows_without_an_invalid_pixel() -> None:
    predicted, target, valid = _pair()
    valid[:, :, :16] = False
    inside = loss.ssim_loss(predicted[:, :, 16:], target[:, :, 16:], valid[:, :, 16:], stride=1)
    torch.testing.assert_close(loss.ssim_loss(predicted, target, valid, stride=1), inside)


def test_every_second_ssim_window_still_weighs_all_pixels_alike() -> None:
    window = torch.exp(-0.5 * ((torch.arange(11, dtype=torch.float64) - 5) / 1.5) ** 2)
    window /= window.sum()
    even, odd = window[0::2].sum(), window[1::2].sum()
    assert abs(even - odd) < 1e-3


def test_a_picture_smaller_than_a_window_has_no_ssim() -> None:
    predicted = torch.rand(1, 3, 8, 40, requires_grad=True)
    found = loss.ssim_loss(predicted, predicted.detach(), torch.ones(1, 3, 8, 40, dtype=torch.bool))
    found.backward()
    assert found.item() == 0 and predicted.grad is not None


def test_edge_of_a_ramp_is_its_slope() -> None:
    ramp = 0.25 * torch.arange(8.0).expand(1, 1, 8, 8)
    valid = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    eps = 2**-10
    assert loss.edge_loss(ramp, torch.zeros_like(ramp), valid).item() == pytest.approx(0.25 - eps, abs=1e-5)
    assert loss.edge_loss(ramp + 7, ramp, valid).item() == pytest.approx(0, abs=1e-6)
    assert loss.edge_loss(ramp, ramp.flip(-1), valid).item() == pytest.approx(0.5 - eps, abs=1e-5)


def test_edge_is_not_asked_for_where_the_stencil_touches_an_invalid_pixel() -> None:
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1.0
    valid = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    valid[..., 3:5] = False
    assert loss.edge_loss(step, torch.zeros_like(step), valid).item() == 0


def test_frequency_is_that_of_numpy() -> None:
    predicted, target, valid = _pair(16, 1)
    mean = target.mean((2, 3), keepdim=True).numpy()
    spectra = [np.abs(np.fft.rfft2(x.numpy() - mean, norm="ortho")) for x in (predicted, target)]
    expected = np.abs(spectra[0] - spectra[1]).mean()
    assert loss.frequency_loss(predicted, target, valid, block=16).item() == pytest.approx(expected, rel=1e-4)


def test_frequency_does_not_ask_for_phase_but_for_texture() -> None:
    generator = torch.Generator().manual_seed(1)
    target = torch.randn(1, 1, 64, 64, generator=generator)
    valid = torch.ones_like(target, dtype=torch.bool)
    shifted = loss.frequency_loss(target.roll(5, -1), target, valid)
    blurred = loss.frequency_loss(torch.zeros_like(target), target, valid)
    assert shifted.item() == pytest.approx(0, abs=1e-5) and blurred.item() > 0.5


def test_frequency_counts_a_block_by_its_valid_pixels() -> None:
    predicted, target, valid = _pair(32, 1)
    valid[:, :, :, 16:] = False
    left = loss.frequency_loss(predicted[..., :16], target[..., :16], valid[..., :16], block=16)
    torch.testing.assert_close(loss.frequency_loss(predicted, target, valid, block=16), left)
    ragged = loss.frequency_loss(predicted[..., :20], target[..., :20], valid[..., :20], block=16)
    torch.testing.assert_close(ragged, left)


def test_spread_is_lowest_at_the_mean_error_and_teaches_only_itself() -> None:
    target = torch.zeros(1, 1, 8, 8)
    predicted = torch.full_like(target, 0.2).requires_grad_()
    valid = torch.ones_like(target, dtype=torch.bool)
    values = {
        b: loss.spread_loss(predicted, torch.full_like(target, b), target, valid) for b in (0.1, 0.2, 0.4)
    }
    assert values[0.2].item() == pytest.approx(math.log(0.4) + 1, rel=1e-5)
    assert values[0.2] < values[0.1] and values[0.2] < values[0.4]
    spread = torch.full_like(target, 0.1, requires_grad=True)
    loss.spread_loss(predicted, spread, target, valid).backward()
    assert predicted.grad is None
    assert spread.grad is not None and (spread.grad < 0).all()  # too small: it must grow


def test_colour_sees_means_and_not_texture() -> None:
    target = torch.full((1, 3, 32, 32), 0.5)
    valid = torch.ones_like(target, dtype=torch.bool)
    checkers = target + 0.3 * (-1.0) ** (torch.arange(32)[:, None] + torch.arange(32))
    eps = 2**-10
    assert loss.colour_loss(checkers, target, valid).item() == pytest.approx(0, abs=1e-6)
    assert loss.colour_loss(target + 0.25, target, valid).item() == pytest.approx(0.25 - eps, abs=1e-5)


def test_colour_takes_the_mean_of_valid_pixels() -> None:
    target = torch.zeros(1, 1, 16, 32)
    predicted = target.clone()
    predicted[..., :16] = 0.4
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[..., 4:16] = False  # the left cell has 64 valid pixels, the right one 256
    expected = (0.4 - 2**-10) * 64 / (64 + 256)
    assert loss.colour_loss(predicted, target, valid).item() == pytest.approx(expected, rel=1e-3)


def test_perceptual_by_hand() -> None:
    target, predicted = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([3.0, 4.0, 0.0])
    target, predicted = (x.view(1, 3, 1, 1).expand(1, 3, 4, 4) for x in (target, predicted))
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    found = perceptual_loss(lambda picture: [picture, 2 * picture[..., ::2, ::2]], predicted, target, valid)
    assert found.item() == pytest.approx(
        (1 - 0.6) ** 2 + 0.8**2, rel=1e-5
    )  # unit length: (0.6, 0.8) from (1, 0)
