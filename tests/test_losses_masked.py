"""What every loss has to keep: the mask, the empty mask, the chip's weight, and a right gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from flora.losses import adversarial, distillation, hydrology, reconstruction, segmentation
from flora.losses.masked import keep, masked_mean, shrunk
from flora.losses.perceptual import perceptual_loss
from flora.losses.stencil import dilated, eroded, gaussian, sobel

Loss = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
SIDE = 24


def _spread(p: Tensor, t: Tensor, v: Tensor, w: Tensor | None) -> Tensor:
    return reconstruction.spread_loss(t, 0.1 * p + 1, -t, v, w)


def _hydrology(p: Tensor, t: Tensor, v: Tensor, w: Tensor | None) -> Tensor:
    return hydrology.hydrology_loss(p[:, 0], (t[:, 0] > 0).to(p), v[:, 0], weight=w)


def _support(p: Tensor, t: Tensor, v: Tensor, w: Tensor | None) -> Tensor:
    evidence, able = hydrology.edge_evidence(t, v, (0.02, 0.5))
    return hydrology.hydrology_loss(p[:, 0], (t[:, 0] > 0).to(p), v[:, 0] & False, evidence, able, w)


def _features(kind: str, scales: str) -> Loss:
    def loss(p: Tensor, t: Tensor, v: Tensor, w: Tensor | None) -> Tensor:
        levels = [(x, x[..., ::2, ::2], x[..., ::4, ::4]) for x in (p, t)]
        return distillation.feature_loss(*levels, v[:, 0], w, kind, scales)  # type: ignore[arg-type]

    return loss


def _discriminator(p: Tensor, t: Tensor, v: Tensor, w: Tensor | None) -> Tensor:
    real, fake = t[:, :1, ::4, ::4], p[:, :1, ::4, ::4]
    return adversarial.discriminator_loss(real, fake, v[:, 0], w)


def _generator(p: Tensor, t: Tensor, v: Tensor, w: Tensor | None) -> Tensor:
    return adversarial.generator_loss(p[:, :1, ::4, ::4], v[:, 0], w)


def _perceptual(p: Tensor, t: Tensor, v: Tensor, w: Tensor | None) -> Tensor:
    def encode(picture: Tensor) -> list[Tensor]:
        return [
            picture,
            torch.nn.functional.avg_pool2d(picture, 5, 3),
        ]  # 24 px to 7 cells: the grids do not nest

    return perceptual_loss(encode, p, t, v.all(1), w)


def _water(function: Callable[..., Tensor], **options: float) -> Loss:
    def loss(p: Tensor, t: Tensor, v: Tensor, w: Tensor | None) -> Tensor:
        return function(p[:, 0], (t[:, 0] > 0).to(p), v[:, 0], w, **options)

    return loss


def _soft(p: Tensor, t: Tensor, v: Tensor, w: Tensor | None) -> Tensor:
    return distillation.soft_label_loss(p[:, 0], t[:, 0], v[:, 0], w)


LOSSES: dict[str, Loss] = {
    "charbonnier": reconstruction.charbonnier_loss,
    "squared": reconstruction.squared_loss,
    "ssim": reconstruction.ssim_loss,
    "ssim, every window": lambda p, t, v, w: reconstruction.ssim_loss(p, t, v, w, stride=1),
    "edge": reconstruction.edge_loss,
    "frequency": lambda p, t, v, w: reconstruction.frequency_loss(p, t, v, w, block=16),
    "colour": lambda p, t, v, w: reconstruction.colour_loss(p, t, v, w, cell=7),
    "spread": _spread,
    "perceptual": _perceptual,
    "bce": _water(segmentation.bce_loss),
    "bce, boundary": _water(segmentation.bce_loss, boundary_px=2, boundary_weight=0.3),
    "dice": _water(segmentation.dice_loss),
    "tversky": _water(segmentation.tversky_loss),
    "lovasz": _water(segmentation.lovasz_loss),
    "hydrology": _hydrology,
    "hydrology without label": _support,
    "features, smooth l1": _features("smooth_l1", "batch"),
    "features, unit": _features("smooth_l1", "unit"),
    "features, cosine": _features("cosine", "batch"),
    "soft label": _soft,
    "discriminator": _discriminator,
    "generator": _generator,
}
# Without a label there is no trust in it; a deviation measured over the batch sees all of the batch.
UNWEIGHTED = ("hydrology without label", "features, smooth l1", "features, cosine")
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
each_weighted_loss = pytest.mark.parametrize(
    "loss", [pytest.param(loss, id=name) for name, loss in LOSSES.items() if name not in UNWEIGHTED]
)


def _case(seed: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """A smooth prediction and target with an invalid corner and a few invalid pixels in one of two chips."""
    generator = torch.Generator().manual_seed(seed)
    predicted, target = torch.randn(2, 2, 3, SIDE, SIDE, generator=generator, dtype=dtype)
    valid = torch.ones(2, 3, SIDE, SIDE, dtype=torch.bool)
    valid[0, :, :5, :6] = False
    valid[0, :, 21, 20] = False
    return predicted, target, valid


@each_loss
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16), poison=st.sampled_from([float("nan"), float("inf"), -1e6, 3.0]))
def test_values_under_false_change_neither_loss_nor_gradient(loss: Loss, seed: int, poison: float) -> None:
    predicted, target, valid = _case(seed)
    results = []
    for other in (0.5, poison):
        p = torch.where(valid, predicted, other).requires_grad_()
        value = loss(p, torch.where(valid, target, other), valid, None)
        value.backward()
        results.append((value.detach(), p.grad))
    (value, gradient), (value_poisoned, gradient_poisoned) = results
    assert value.shape == () and torch.isfinite(value) and value != 0
    assert torch.equal(value, value_poisoned)
    assert gradient is not None and gradient_poisoned is not None
    assert torch.equal(gradient, gradient_poisoned) and gradient.abs().sum() > 0
    assert (gradient[~valid] == 0).all()


@each_loss
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 0.5])])
@pytest.mark.parametrize("content", [1.0, float("nan")])
def test_empty_mask_gives_exactly_zero_with_a_graph(
    loss: Loss, weight: Tensor | None, content: float
) -> None:
    p = torch.full((2, 3, SIDE, SIDE), content, requires_grad=True)
    value = loss(p, torch.full_like(p, content).detach(), torch.zeros_like(p, dtype=torch.bool), weight)
    value.backward()
    assert value.item() == 0
    assert p.grad is not None and (p.grad == 0).all()


@each_weighted_loss
def test_a_chip_of_weight_zero_is_as_if_absent(loss: Loss) -> None:
    predicted, target, valid = _case(1)
    both = loss(predicted, target, valid, torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(both, loss(predicted[:1], target[:1], valid[:1], None))


@each_loss
def test_weight_is_relative(loss: Loss) -> None:
    predicted, target, valid = _case(2)
    one, half = (loss(predicted, target, valid, torch.tensor([w, 2 * w])) for w in (1.0, 0.5))
    torch.testing.assert_close(one, half)


@each_loss
def test_gradient_is_right(loss: Loss) -> None:
    predicted, target, valid = _case(3, torch.float64)
    weight = torch.tensor([1.0, 0.5], dtype=torch.float64)
    predicted.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, valid, weight), (predicted,), fast_mode=True)


def test_keep_is_where_with_the_same_gradient() -> None:
    valid = torch.tensor([True, False, True, False])
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        image = torch.tensor([1.5, float("nan"), -2.0, float("-inf")], dtype=dtype, requires_grad=True)
        kept = keep(image, valid)
        assert kept.dtype == dtype and kept.tolist() == [1.5, 0.0, -2.0, 0.0]
        (kept * kept).sum().backward()
        assert image.grad is not None and image.grad.tolist() == [3.0, 0.0, -4.0, 0.0]


def test_masked_mean_by_hand() -> None:
    values = torch.tensor([[[[1.0, 2.0], [3.0, 9.0]]], [[[5.0, 7.0], [9.0, 9.0]]]])
    valid = torch.tensor([[[[True, True], [True, False]]], [[[True, False], [False, False]]]])
    assert masked_mean(values, valid).item() == pytest.approx((1 + 2 + 3 + 5) / 4)
    weight = torch.tensor([1.0, 0.5])
    assert masked_mean(values, valid, weight).item() == pytest.approx((1 + 2 + 3 + 0.5 * 5) / (3 + 0.5))
    two = torch.cat([values, values], 1)
    assert masked_mean(two, valid).item() == pytest.approx((1 + 2 + 3 + 5) / 4)


def test_a_coarse_pixel_is_valid_if_all_under_it_are() -> None:
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[0, 3, 0] = False
    assert shrunk(valid, 2, 2).tolist() == [[[True, True], [False, True]]]
    with pytest.raises(ValueError, match="4 x 4 px does not nest in 3 x 2"):
        shrunk(valid, 3, 2)


def test_stencils_against_plain_definitions() -> None:
    image = torch.randn(2, 3, 13, 17, dtype=torch.float64)
    reach = ndimage.gaussian_filter(image.numpy(), (0, 0, 1.5, 1.5), truncate=5 / 1.5)[..., 5:-5, 5:-5]
    torch.testing.assert_close(gaussian(image, 11, 1.5), torch.from_numpy(reach))
    torch.testing.assert_close(gaussian(image, 11, 1.5, stride=2), torch.from_numpy(reach)[..., ::2, ::2])
    across, down = sobel(image)
    for found, axis in ((across, 3), (down, 2)):
        for one, plane in zip(found.flatten(0, 1), image.flatten(0, 1), strict=True):
            expected = torch.from_numpy(ndimage.sobel(plane.numpy(), axis=axis - 2)) / 8
            torch.testing.assert_close(one, expected[1:-1, 1:-1])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16), size=st.integers(1, 12), height=st.integers(1, 14), width=st.integers(1, 14)
)
def test_erosion_against_a_loop(seed: int, size: int, height: int, width: int) -> None:
    valid = torch.rand(2, height, width, generator=torch.Generator().manual_seed(seed)) > 0.05
    found = eroded(valid, size)
    assert found.shape == (2, max(height - size + 1, 0), max(width - size + 1, 0))
    for row in range(found.shape[1]):
        for column in range(found.shape[2]):
            expected = valid[:, row : row + size, column : column + size].flatten(1).all(1)
            assert torch.equal(found[:, row, column], expected)


def test_dilation_grows_a_square() -> None:
    mask = torch.zeros(1, 7, 7, dtype=torch.bool)
    mask[0, 3, 0] = True
    grown = dilated(mask, 2)
    assert grown[0, 1:6, 0:3].all() and grown.sum() == 15
