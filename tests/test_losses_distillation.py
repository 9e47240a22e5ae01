"""What the student takes from the teacher, and the hinge game."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from flora.losses.adversarial import discriminator_loss, generator_loss
from flora.losses.distillation import channel_statistics, feature_loss, soft_label_loss


def _pyramid(seed: int, channels: tuple[int, ...] = (2, 3)) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sides = [8 // 2**level for level in range(len(channels))]
    return [
        torch.randn(2, c, side, side, generator=generator) for c, side in zip(channels, sides, strict=True)
    ]


VALID = torch.ones(2, 16, 16, dtype=torch.bool)


@pytest.mark.parametrize("kind", ["smooth_l1", "cosine"])
def test_a_copy_costs_nothing_and_the_teacher_never_learns(kind: str) -> None:
    teacher = [level.requires_grad_() for level in _pyramid(0)]
    assert feature_loss(teacher, teacher, VALID, kind=kind).item() == pytest.approx(0, abs=1e-6)  # type: ignore[arg-type]
    student = [level.requires_grad_() for level in _pyramid(1)]
    feature_loss(student, teacher, VALID, kind=kind).backward()  # type: ignore[arg-type]
    assert all(level.grad is None for level in teacher)
    assert all(level.grad is not None and level.grad.abs().sum() > 0 for level in student)


def test_smooth_l1_in_the_teachers_deviations_by_hand() -> None:
    teacher = torch.tensor([-2.0, 2.0, -2.0, 2.0]).view(1, 1, 2, 2)  # deviation 2
    student = teacher + torch.tensor([1.0, 0.0, 0.0, 6.0]).view(1, 1, 2, 2)  # 0.5 and 3 deviations off
    expected = (0.5 * 0.5**2 + (3 - 0.5)) / 4
    found = feature_loss([student], [teacher], torch.ones(1, 4, 4, dtype=torch.bool))
    assert found.item() == pytest.approx(expected, rel=1e-6)
    fixed = feature_loss(
        [student], [teacher], torch.ones(1, 4, 4, dtype=torch.bool), scales=[torch.tensor([2.0])]
    )
    assert fixed.item() == pytest.approx(expected, rel=1e-6)
    unit = feature_loss([student], [teacher], torch.ones(1, 4, 4, dtype=torch.bool), scales="unit")
    assert unit.item() == pytest.approx((0.5 + 5.5) / 4, rel=1e-6)


def test_no_level_or_channel_outweighs_by_the_size_of_its_numbers() -> None:
    teacher, student = _pyramid(0), _pyramid(1)
    before = feature_loss(student, teacher, VALID)
    scaled = [[level.clone() for level in pyramid] for pyramid in (student, teacher)]
    for pyramid in scaled:
        pyramid[0] *= 1000
        pyramid[1][:, 0] *= 5
        pyramid[1][:, 1] += 7
    torch.testing.assert_close(feature_loss(*scaled, VALID), before, rtol=1e-4, atol=0)


def test_a_feature_counts_if_all_pixels_under_it_are_valid() -> None:
    teacher, student = _pyramid(0), _pyramid(1)
    valid = VALID.clone()
    valid[0, 0, 0] = False  # one pixel: the corner feature of every level
    changed = [level.clone() for level in student]
    for level in changed:
        level[0, :, 0, 0] += 100
    assert torch.equal(feature_loss(student, teacher, valid), feature_loss(changed, teacher, valid))
    changed[0][0, :, 0, 1] += 100
    assert feature_loss(student, teacher, valid) != feature_loss(changed, teacher, valid)


def test_a_dead_channel_of_the_teacher_does_not_rule() -> None:
    features = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    features[:, 1] = 0.5
    mean, spread = channel_statistics(features, torch.ones(2, 1, 8, 8, dtype=torch.bool))
    assert mean[0, 1].item() == pytest.approx(0.5)
    others = (features[:, 0].std(unbiased=False) + features[:, 2].std(unbiased=False)) / 3
    assert spread[0, 1].item() == pytest.approx(0.1 * others.item(), rel=1e-4)


def test_pyramids_of_other_shapes_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"student's pyramid is .* expected the teacher's .* Give both one width"
    ):
        feature_loss(_pyramid(0, (2, 3)), _pyramid(0, (2, 4)), VALID)
    with pytest.raises(ValueError, match="student's pyramid"):
        feature_loss(_pyramid(0, (2,)), _pyramid(0, (2, 3)), VALID)


def test_soft_labels_by_hand() -> None:
    student, teacher = torch.zeros(1, 1, 1), torch.full((1, 1, 1), 2 * math.log(3.0))
    # At temperature 2 the teacher says 3/4, the student 1/2.
    divergence = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    valid = torch.ones(1, 1, 1, dtype=torch.bool)
    assert soft_label_loss(student, teacher, valid, temperature=2.0).item() == pytest.approx(
        4 * divergence, rel=1e-5
    )
    assert soft_label_loss(teacher, teacher, valid).item() == pytest.approx(0, abs=1e-7)


def test_soft_labels_do_not_teach_the_teacher() -> None:
    student, teacher = torch.zeros(1, 2, 2, requires_grad=True), torch.ones(1, 2, 2, requires_grad=True)
    soft_label_loss(student, teacher, torch.ones(1, 2, 2, dtype=torch.bool)).backward()
    assert teacher.grad is None and student.grad is not None and (student.grad < 0).all()


def test_hinge_by_hand() -> None:
    real = torch.tensor([0.0, 0.5, 2.0, 9.0]).view(1, 1, 2, 2)
    fake = torch.tensor([0.0, -0.5, -3.0, 9.0]).view(1, 1, 2, 2)
    valid = torch.ones(1, 4, 4, dtype=torch.bool)
    valid[0, 3, 2] = False  # the last patch does not count
    found = discriminator_loss(real, fake, valid)
    assert found.item() == pytest.approx((1 + 0.5 + 0) / 3 + (1 + 0.5 + 0) / 3)
    assert generator_loss(fake, valid).item() == pytest.approx(3.5 / 3)
    assert discriminator_loss(real * 0, fake * 0, valid).item() == 2
