"""Hydrology-aware edge alignment: the faults of the published term, put in and caught."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from flora.losses.hydrology import OPTICAL_EDGE, SAR_EDGE, edge_evidence, hydrology_loss, shore_gradient

SIDE = 48


def _half(column: int = 24) -> Tensor:
    """Water to the right of a straight shore."""
    return (torch.arange(SIDE) >= column).float().expand(1, SIDE, SIDE).clone()


def _sure(water: Tensor) -> Tensor:
    return (2 * water - 1) * 30


def _everywhere() -> Tensor:
    return torch.ones(1, SIDE, SIDE, dtype=torch.bool)


def _sar(water: Tensor, speckle: float = 0.0) -> Tensor:
    land, wet = torch.tensor([-9.0, -16.0]), torch.tensor([-18.0, -25.0])
    plain = land.view(1, 2, 1, 1) + (wet - land).view(1, 2, 1, 1) * water.unsqueeze(1)
    return plain + speckle * torch.randn(plain.shape, generator=torch.Generator().manual_seed(0))


def test_a_perfect_map_costs_nothing() -> None:
    water = _half()
    evidence, able = edge_evidence(_sar(water), _everywhere().unsqueeze(1).expand(-1, 2, -1, -1), SAR_EDGE)
    assert hydrology_loss(_sure(water), water, _everywhere()).item() == pytest.approx(0, abs=1e-6)
    assert hydrology_loss(_sure(water), water, _everywhere(), evidence, able).item() == pytest.approx(
        0, abs=1e-6
    )


def test_the_predicted_map_gets_a_gradient() -> None:
    logits = torch.zeros(1, SIDE, SIDE).requires_grad_()
    hydrology_loss(logits, _half(), _everywhere()).backward()
    assert logits.grad is not None
    # From a flat map, descent raises water on the water side of the shore and lowers it on the other.
    assert (logits.grad[0, 20:28, 25] < 0).all() and (logits.grad[0, 20:28, 22] > 0).all()


def test_the_loss_depends_on_place_direction_and_sharpness() -> None:
    water, everywhere = _half(24), _everywhere()
    shifted = [hydrology_loss(_sure(_half(24 + px)), water, everywhere).item() for px in (0, 1, 2, 4)]
    assert shifted == sorted(shifted) and len(set(shifted)) == 4
    assert shifted[-1] < 1.01
    reversed_map = hydrology_loss(_sure(1 - water), water, everywhere).item()
    assert reversed_map == pytest.approx(2, rel=1e-3)  # every edge points the other way
    turned = hydrology_loss(_sure(water.transpose(1, 2)), water, everywhere).item()
    assert turned == pytest.approx(1, abs=0.05)  # hardly any edge in common
    faded = hydrology_loss((2 * water - 1) * 0.5, water, everywhere).item()
    assert 0.1 < faded < 1


def test_it_is_one_minus_a_cosine_of_gradient_fields() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, SIDE, SIDE, generator=generator, dtype=torch.float64)
    water = (torch.randn(1, SIDE, SIDE, generator=generator) > 0).double()
    g, r = shore_gradient(torch.sigmoid(logits)), shore_gradient(water)
    expected = 1 - 2 * (g * r).sum() / (g.square().sum() + r.square().sum())
    torch.testing.assert_close(hydrology_loss(logits, water, _everywhere()), expected, rtol=1e-3, atol=0)


def test_the_gradient_field_of_a_smoothed_step() -> None:
    across, down = shore_gradient(_half(24))[0]
    assert across.shape == (SIDE - 8, SIDE - 8)
    torch.testing.assert_close(across.sum(1), torch.ones(SIDE - 8))  # climbs from 0 to 1 along every row
    assert down.abs().max() < 1e-6


def test_flat_land_and_flat_water_cost_nothing() -> None:
    for value in (0.0, 1.0):
        flat = torch.full((1, SIDE, SIDE), value)
        assert hydrology_loss(_sure(flat), flat, _everywhere()).item() == 0


def test_radar_shows_its_edges_through_speckle() -> None:
    valid = _everywhere().unsqueeze(1).expand(-1, 2, -1, -1)
    evidence, able = edge_evidence(_sar(_half(24), speckle=2.0), valid, SAR_EDGE)
    assert able[0, 6:42, 6:42].all() and not able[0, :6].any() and not able[0, :, :6].any()
    shore, land = evidence[0, 8:40, 23:25], evidence[0, 8:40, 6:16]
    assert shore.min() > 0.9 and land.mean() < 0.05


def test_optical_shows_its_edges() -> None:
    land, wet = torch.tensor([0.08, 0.09, 0.07, 0.25]), torch.tensor([0.06, 0.07, 0.06, 0.03])
    optical = land.view(1, 4, 1, 1) + (wet - land).view(1, 4, 1, 1) * _half(24).unsqueeze(1)
    valid = torch.ones_like(optical, dtype=torch.bool)
    evidence, _ = edge_evidence(optical, valid, OPTICAL_EDGE)
    assert evidence[0, 8:40, 23:25].min() == 1 and evidence[0, 8:40, 6:16].max() == 0
    cloud = valid.clone()
    cloud[..., 30:] = False
    evidence, able = edge_evidence(optical, cloud, OPTICAL_EDGE)
    assert not able[0, :, 24:].any() and evidence[0, :, 24:].max() == 0


def test_a_missing_band_gives_no_evidence_and_does_no_harm() -> None:
    valid = torch.ones(1, 2, SIDE, SIDE, dtype=torch.bool)
    valid[:, 1] = False
    sar = _sar(_half(24))
    sar[:, 1] = float("nan")
    evidence, able = edge_evidence(sar, valid, SAR_EDGE)
    assert able[0, 10:38, 10:38].all() and evidence[0, 10:38, 23:25].min() == 1


def test_without_a_label_the_shore_is_drawn_to_where_radar_sees_an_edge() -> None:
    nowhere, water = ~_everywhere(), torch.zeros(1, SIDE, SIDE)
    valid = torch.ones(1, 2, SIDE, SIDE, dtype=torch.bool)
    evidence, able = edge_evidence(_sar(_half(24)), valid, SAR_EDGE)
    costs = [
        hydrology_loss(_sure(_half(column)), water, nowhere, evidence, able).item()
        for column in (24, 27, 30, 34)
    ]
    assert costs[0] < 0.02  # the tails of a smoothed edge
    assert costs == sorted(costs) and costs[-1] == pytest.approx(0.5, abs=0.02)
    logits = ((torch.arange(SIDE) - 31.5) / 3).expand(1, SIDE, SIDE).clone().requires_grad_()
    hydrology_loss(logits, water, nowhere, evidence, able).backward()
    assert logits.grad is not None and logits.grad.abs().sum() > 0


def test_a_labelled_shore_that_no_sensor_sees_is_supported() -> None:
    water = _half(24)
    nothing_seen = torch.zeros(1, SIDE, SIDE)
    assert hydrology_loss(
        _sure(water), water, _everywhere(), nothing_seen, _everywhere()
    ).item() == pytest.approx(0, abs=1e-3)
