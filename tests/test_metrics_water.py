"""Water maps: counts by hand, scikit-learn as oracle, and each protocol under its name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.metrics import f1_score, jaccard_score, precision_score, recall_score
from torch import Tensor

from flora.errors import DataError
from flora.metrics import water


def maps(seed: int, chips: int = 2, size: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    """Prediction, truth and mask, random."""
    draw = torch.Generator().manual_seed(seed)
    first, second, third = (torch.rand(chips, size, size, generator=draw) for _ in range(3))
    return first > 0.5, second > 0.6, third > 0.2


def rows(*lines: str) -> Tensor:
    """A map from text: # is True, (1, H, W)."""
    return torch.tensor([[character == "#" for character in line] for line in lines]).unsqueeze(0)


def test_counts_by_hand() -> None:
    predicted, truth = rows("##..", "#.#."), rows("#.#.", "#..#")
    valid = rows("####", "###.")  # the last pixel, a miss, is not judged
    counts = water.confusion(predicted, truth, valid)
    assert [float(cell[0]) for cell in counts] == [2, 2, 1, 2]
    assert water.iou(counts)[0] == pytest.approx(2 / 5)
    assert water.dice(counts)[0] == pytest.approx(4 / 7)
    assert water.precision(counts)[0] == pytest.approx(2 / 4)
    assert water.recall(counts)[0] == pytest.approx(2 / 3)
    assert water.false_water(counts)[0] == pytest.approx(2 / 4)


@pytest.mark.parametrize(
    ("ours", "oracle"),
    [
        (water.iou, jaccard_score),
        (water.dice, f1_score),
        (water.precision, precision_score),
        (water.recall, recall_score),
    ],
)
def test_equals_scikit_learn_per_chip_and_pooled(ours, oracle) -> None:
    for seed in range(3):
        predicted, truth, valid = maps(seed)
        counts = water.confusion(predicted, truth, valid)
        for chip in range(len(valid)):
            expected = oracle(truth[chip][valid[chip]].numpy(), predicted[chip][valid[chip]].numpy())
            assert ours(counts)[chip] == pytest.approx(expected)
        assert ours(counts.total())[0] == pytest.approx(
            oracle(truth[valid].numpy(), predicted[valid].numpy())
        )


def test_a_dry_chip_by_protocol() -> None:
    dry = torch.zeros(2, 4, 4, dtype=torch.bool)
    alarm = dry.clone()
    alarm[1, 0, 0] = True
    counts = water.confusion(alarm, dry, ~dry)
    assert water.iou(counts, empty=1).tolist() == [1, 0]  # macro: one false alarm costs the whole chip
    assert water.dice(counts, empty=1).tolist() == [1, 0]
    assert np.isnan(water.iou(counts)[0]) and water.iou(counts)[1] == 0
    assert water.false_water(counts).tolist() == [0, 1 / 16]


def test_a_label_of_minus_one_never_counts() -> None:
    label = torch.tensor([[[1, 0, -1, -1]]])
    valid = label >= 0
    for hidden in (0, 1):
        predicted = torch.tensor([[[1, 0, hidden, hidden]]])
        assert [float(cell[0]) for cell in water.confusion(predicted, label, valid)] == [1, 0, 0, 1]


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), value=st.sampled_from([-1.0, 0.0, 1.0, 255.0, float("nan")]))
def test_values_under_false_change_nothing(seed: int, value: float) -> None:
    predicted, truth, valid = (layer.float() for layer in maps(seed))
    valid = valid > 0
    before = [*water.confusion(predicted, truth, valid), *water.boundary(predicted, truth, valid)]
    for layer in (predicted, truth):
        layer.masked_fill_(~valid, value)
    after = [*water.confusion(predicted, truth, valid), *water.boundary(predicted, truth, valid)]
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_laws(seed: int) -> None:
    predicted, truth, valid = maps(seed)
    counts, turned = water.confusion(predicted, truth, valid), water.confusion(truth, predicted, valid)
    assert sum(cell.sum() for cell in counts) == valid.sum()
    iou = water.iou(counts, empty=1)
    assert np.allclose(iou, water.iou(turned, empty=1))
    assert np.allclose(water.dice(counts, empty=1), 2 * iou / (1 + iou))
    assert np.allclose(water.precision(counts), water.recall(turned), equal_nan=True)


def test_shoreline_by_hand() -> None:
    lake = rows(".....", ".###.", ".###.", ".###.", ".....")
    assert torch.equal(
        water.shoreline(lake, torch.ones_like(lake)), rows(".....", ".###.", ".#.#.", ".###.", ".....")
    )
    valid = torch.ones_like(lake)
    valid[:, 0] = valid[:, :, 0] = False  # land above and to the left is unknown: no shoreline there
    assert torch.equal(water.shoreline(lake, valid), rows(".....", "...#.", "...#.", ".###.", "....."))


def test_the_edge_of_a_chip_is_no_shoreline() -> None:
    flooded = torch.ones(1, 6, 6, dtype=torch.bool)
    assert not water.shoreline(flooded, flooded).any()
    assert np.isnan(water.boundary_f1(water.boundary(flooded, flooded, flooded))[0])


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_boundary_within_tolerance(shift: int, expected: float) -> None:
    truth = torch.zeros(1, 12, 20, dtype=torch.bool)
    truth[..., :8] = True
    predicted = truth.roll(shift, -1)
    predicted[..., :8] = True
    counts = water.boundary(predicted, truth, torch.ones_like(truth), tolerance=2)
    assert counts.true[0] == 12
    assert water.boundary_f1(counts)[0] == expected


def test_boundary_distance_is_euclidean() -> None:
    truth, predicted = torch.zeros(2, 1, 16, 16, dtype=torch.bool)
    truth[0, 5, 5] = predicted[0, 7, 7] = True  # 2.8 px apart
    valid = torch.ones_like(truth)
    assert water.boundary_f1(water.boundary(predicted, truth, valid, 2))[0] == 0
    assert water.boundary_f1(water.boundary(predicted, truth, valid, 3))[0] == 1


def test_boundary_equals_distance_transform() -> None:
    predicted, truth, valid = maps(5, chips=1, size=40)
    valid |= True
    said, true = (water.shoreline(layer, valid)[0].numpy() for layer in (predicted, truth))
    counts = water.boundary(predicted, truth, valid, tolerance=1)
    assert counts.predicted_hit[0] == (ndimage.distance_transform_edt(~true)[said] <= 1).sum()
    assert counts.true_hit[0] == (ndimage.distance_transform_edt(~said)[true] <= 1).sum()


def test_missing_shore_scores_zero() -> None:
    truth = rows("##..", "##..")
    counts = water.boundary(torch.zeros_like(truth), truth, torch.ones_like(truth))
    assert water.boundary_f1(counts)[0] == 0


def test_errors_name_what_was_found() -> None:
    predicted, truth, valid = maps(0)
    with pytest.raises(DataError, match=r"\(2, 16, 16\) and \(2, 15, 16\).*one grid"):
        water.confusion(predicted, truth[:, 1:], valid)
    with pytest.raises(DataError, match=r"of torch.float32"):
        water.boundary(predicted, truth, valid.float())
