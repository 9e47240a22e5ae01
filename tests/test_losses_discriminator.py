"""The patch critic: light, local, blind to what is invalid, and able to learn."""

from __future__ import annotations

import torch
from torch import Tensor

from flora.losses.adversarial import discriminator_loss, generator_loss
from flora.model.discriminator import PatchDiscriminator


def _case() -> tuple[PatchDiscriminator, Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    critic = PatchDiscriminator(8)
    with torch.no_grad():
        critic(
            torch.rand(2, 3, 64, 64),
            torch.ones(2, 64, 64) > 0,
            torch.randn(2, 2, 64, 64),
            torch.ones(2, 2, 64, 64) > 0,
        )
    optical, sar = 0.2 * torch.rand(2, 3, 64, 64), -12 + 3 * torch.randn(2, 2, 64, 64)
    return critic.eval(), optical, torch.ones(2, 64, 64) > 0, sar, torch.ones(2, 2, 64, 64) > 0


def test_one_score_each_eight_px_and_few_parameters() -> None:
    critic, *case = _case()
    assert critic(*case).shape == (2, 1, 8, 8)
    assert sum(p.numel() for p in PatchDiscriminator().parameters()) < 400_000
    assert not any(
        isinstance(m, torch.nn.BatchNorm2d | torch.nn.InstanceNorm2d | torch.nn.GroupNorm)
        for m in critic.modules()
    )


def test_a_score_depends_on_its_patch_alone() -> None:
    critic, optical, *rest = _case()
    optical.requires_grad_()
    critic(optical, *rest)[0, 0, 4, 4].backward()
    assert optical.grad is not None
    rows = optical.grad[0].abs().sum((0, 2)).nonzero().flatten()
    assert rows.max() - rows.min() + 1 <= 38 and rows.min() <= 32 <= rows.max()
    assert optical.grad[1].abs().sum() == 0


def test_values_under_false_change_no_score() -> None:
    critic, optical, valid, sar, sar_valid = _case()
    valid, sar_valid = valid.clone(), sar_valid.clone()
    valid[:, :20] = False
    sar_valid[:, 1, 40:] = False
    before = critic(optical, valid, sar, sar_valid)
    optical[:, :, :20], sar[:, 1, 40:] = float("nan"), float("inf")
    assert torch.equal(critic(optical, valid, sar, sar_valid), before)


def test_critic_and_picture_learn_from_each_other() -> None:
    critic, optical, valid, sar, sar_valid = _case()
    critic.train()
    fake = torch.full_like(optical, 0.1)
    optimizer = torch.optim.Adam(critic.parameters(), lr=2e-3)
    losses = []
    for _ in range(60):
        loss = discriminator_loss(
            critic(optical, valid, sar, sar_valid), critic(fake, valid, sar, sar_valid), valid
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    fake.requires_grad_()
    generator_loss(critic(fake, valid, sar, sar_valid), valid).backward()
    assert fake.grad is not None and fake.grad.abs().sum() > 0
