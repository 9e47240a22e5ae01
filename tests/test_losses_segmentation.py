"""Losses of the water map: known values, dry chips, and labels that lie a little off."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score
from torch import Tensor

from flora.losses import segmentation as loss

SURE = 30.0  # a logit whose probability is 1 in float32


def _logits(water: Tensor) -> Tensor:
    return (2 * water - 1) * SURE


def _all(water: Tensor) -> Tensor:
    return torch.ones_like(water, dtype=torch.bool)


def _random(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    water = (torch.rand(2, 16, 16, generator=generator) > 0.7).float()
    guess = (torch.rand(2, 16, 16, generator=generator) > 0.6).float()
    return guess, water, torch.rand(2, 16, 16, generator=generator) > 0.2


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0), 5.0]]])
    water = torch.tensor([[[1.0, 0.0, 1.0]]])
    valid = torch.tensor([[[True, True, False]]])
    expected = (math.log(2) + math.log(4)) / 2  # -log 1/2, -log 1/4; the third pixel has no label
    assert loss.bce_loss(logits, water, valid).item() == pytest.approx(expected, rel=1e-6)


def test_boundary_pixels_count_less() -> None:
    water = torch.zeros(1, 5, 8)
    water[..., 4:] = 1
    logits = torch.zeros(1, 5, 8)
    logits[..., 2:6] = (
        _logits(1 - water)[..., 2:6] / 10
    )  # wrong by 3 nats within 2 px of the edge, unsure beyond
    wrong = math.log(1 + math.exp(3.0))
    for weight in (1.0, 0.25, 0.0):
        expected = (weight * wrong + math.log(2)) / (weight + 1)  # half of the pixels are near
        found = loss.bce_loss(logits, water, _all(water), boundary_px=2, boundary_weight=weight)
        assert found.item() == pytest.approx(expected, rel=1e-5)


def test_an_edge_to_unlabelled_pixels_is_no_boundary() -> None:
    water = torch.zeros(1, 5, 8)
    water[..., 4:] = 1
    valid = _all(water)
    valid[..., 4:] = False
    assert not loss.near_boundary(water, valid, 2).any()
    assert loss.near_boundary(water, _all(water), 2)[0, 0].tolist() == [False] * 2 + [True] * 4 + [False] * 2


def test_dice_of_sure_answers_is_one_minus_f1() -> None:
    guess, water, valid = _random()
    expected = 1 - f1_score(water[valid].numpy(), guess[valid].numpy())
    found = loss.dice_loss(_logits(guess), water, valid, smooth=0.0)
    assert found.item() == pytest.approx(expected, abs=1e-6)
    assert loss.dice_loss(_logits(water), water, valid).item() == pytest.approx(0, abs=1e-6)


def test_dice_pools_chips_instead_of_averaging_them() -> None:
    water = torch.zeros(2, 4, 4)
    water[0] = 1
    guess = water.clone()
    guess[1, 0] = 1  # 4 false alarms on the dry chip: 2 * 16 / (20 + 16)
    assert loss.dice_loss(_logits(guess), water, _all(water), smooth=0).item() == pytest.approx(
        1 - 32 / 36, abs=1e-6
    )


def test_tversky_by_hand() -> None:
    water = torch.tensor([[[1.0, 1.0, 1.0, 0.0, 0.0]]])
    guess = torch.tensor([[[1.0, 0.0, 0.0, 1.0, 0.0]]])  # 1 hit, 2 missed, 1 false alarm
    found = loss.tversky_loss(_logits(guess), water, _all(water), false_alarm=0.3, miss=0.7, smooth=0)
    assert found.item() == pytest.approx(1 - 1 / (1 + 0.3 * 1 + 0.7 * 2), rel=1e-5)


def test_lovasz_of_sure_answers_is_one_minus_iou() -> None:
    guess, water, valid = _random()
    margin = 2 * guess - 1  # logits of -1 and 1: errors of 0 or 2
    expected = 2 * (1 - jaccard_score(water[valid].numpy(), guess[valid].numpy()))
    assert loss.lovasz_loss(margin, water, valid).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("function", [loss.bce_loss, loss.dice_loss, loss.tversky_loss, loss.lovasz_loss])
@pytest.mark.parametrize("wet_neighbour", [False, True])
def test_a_false_alarm_on_a_dry_chip_costs(function: Callable[..., Tensor], wet_neighbour: bool) -> None:
    water = torch.zeros(2, 16, 16)
    water[0, :8] = float(wet_neighbour)
    lovasz_alone = (
        function is loss.lovasz_loss and not wet_neighbour
    )  # IoU is 0 from the first false alarm on
    costs = []
    for alarms in (0, 1) if lovasz_alone else (0, 1, 16, 64, 256):
        logits = (2 * water - 1) * 3.0
        logits[1].view(-1)[:alarms] = 3.0
        logits.requires_grad_()
        cost = function(logits, water, torch.ones_like(water, dtype=torch.bool))
        cost.backward()
        costs.append(cost.item())
        assert logits.grad is not None and (logits.grad[1].view(-1)[:alarms] > 0).all()
    assert costs == sorted(costs) and len(set(costs)) == len(costs)
