"""The spread of a picture: errors drawn as it says are covered as it says, by formula and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from flora.errors import DataError
from flora.metrics import spread
from flora.metrics.spread import Spread


def drawn(said: float = 1.0, size: int = 200) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A picture whose errors are of a Laplace distribution, with a spread that is `said` times the true one."""
    draw = torch.Generator().manual_seed(0)
    truth = 0.3 * torch.rand(1, 3, size, size, generator=draw)
    scale = 0.005 + 0.05 * torch.rand(truth.shape, generator=draw)
    sides = torch.rand(truth.shape, generator=draw) - 0.5
    error = -scale * sides.sign() * torch.log1p(-2 * sides.abs())
    return truth + error, said * scale, truth, torch.ones(1, size, size, dtype=torch.bool)


@pytest.mark.parametrize("said", [0.5, 1.0, 2.0])
def test_intervals_hold_what_the_distribution_says(said: float) -> None:
    sums = spread.spread_sums(*drawn(said))
    for level in (0.5, 0.9):
        assert spread.coverage(sums, level)[0] == pytest.approx(1 - (1 - level) ** said, abs=0.005)
    levels = np.arange(1, spread.LEVELS) / spread.LEVELS
    expected = np.abs(1 - (1 - levels) ** said - levels).mean()
    assert spread.miscalibration(sums)[0] == pytest.approx(expected, abs=0.004)
    assert (spread.miscalibration(sums)[0] < 0.01) == (said == 1)


def test_the_surer_half_by_hand() -> None:
    error = torch.tensor([[[[0.01, 0.02, 0.08, 0.09]]]]).expand(1, 3, 1, 4)
    valid = torch.ones(1, 1, 4, dtype=torch.bool)
    scale = torch.tensor([[[[0.01, 0.01, 0.1, 0.1]]]]).expand(1, 3, 1, 4)
    telling = spread.spread_sums(error, scale, torch.zeros_like(error), valid)
    assert spread.sure_half(telling)[0] == pytest.approx(0.015 / 0.05)
    covered, found = spread.error_coverage(telling)
    assert found[0, covered[0] == 0.5][0] == pytest.approx(0.015)
    assert (covered[0, -1], found[0, -1]) == pytest.approx((1, 0.05))
    silent = spread.spread_sums(error, torch.full_like(scale, 0.03), torch.zeros_like(error), valid)
    assert spread.sure_half(silent)[0] == pytest.approx(1)


def test_an_interval_reaches_as_far_as_its_level_says() -> None:
    """Half of a Laplace distribution lies within ln 2 times its scale."""
    scale = torch.full((1, 3, 1, 2), 0.1)
    error = torch.tensor([0.1 * math.log(2) * 0.999, 0.1 * math.log(2) * 1.001]).expand(1, 3, 1, 2)
    sums = spread.spread_sums(error, scale, torch.zeros_like(error), torch.ones(1, 1, 2, dtype=torch.bool))
    assert spread.coverage(sums, 0.5)[0] == 0.5


def test_chips_add_up_and_what_is_masked_changes_nothing() -> None:
    picture, scale, truth, valid = drawn(size=40)
    valid[:, ::3] = False
    sums = spread.spread_sums(picture, scale, truth, valid)
    spoilt = [layer.masked_fill(~valid.unsqueeze(1), math.nan) for layer in (picture, scale, truth)]
    for found, expected in zip(spread.spread_sums(*spoilt, valid), sums, strict=True):
        assert np.array_equal(found, expected)
    halves = [spread.spread_sums(*(layer[..., part] for layer in (picture, scale, truth, valid)))
              for part in (slice(0, 20), slice(20, 40))]  # fmt: skip
    for first, second, both in zip(*halves, sums, strict=True):
        assert first + second == pytest.approx(both)


def test_nothing_to_judge_is_no_figure() -> None:
    picture, scale, truth, valid = drawn(size=8)
    sums = spread.spread_sums(picture, scale, truth, torch.zeros_like(valid))
    figures = (spread.coverage(sums, 0.5), spread.miscalibration(sums), spread.sure_half(sums))
    assert all(np.isnan(figure).all() for figure in figures)
    assert isinstance(sums, Spread)


@pytest.mark.parametrize("bad", [0.0, -0.1, math.nan])
def test_a_spread_that_cannot_be_is_refused(bad: float) -> None:
    picture, scale, truth, valid = drawn(size=8)
    scale[0, 1, 2, 3] = bad
    with pytest.raises(DataError, match="spread of the picture is NaN, 0 or less"):
        spread.spread_sums(picture, scale, truth, valid)
    with pytest.raises(DataError, match="expected one shape"):
        spread.spread_sums(picture, scale[:, :1], truth, valid)
