"""What makes pictures sharp in the joint stage: a discriminator that learns beside it, a teacher that compares.

The discriminator keeps an optimiser of its own inside the training step, so that the network trains as without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from flora.chip import Batch
from flora.losses.adversarial import discriminator_loss
from flora.losses.perceptual import Encoder
from flora.metrics.lpips import Lpips
from flora.model.discriminator import PatchDiscriminator
from flora.model.output import Output
from flora.model.teacher import OpticalTeacher
from flora.normalize import unit_to_reflectance


class Critic(nn.Module):
    """A patch discriminator and its optimiser: learns to tell pictures, and scores them.

    Args:
        width: Channels of the discriminator's first level.
        lr: Its learning rate.
        seed: Of its first weights, which do not depend on what was drawn before: a resumed run skips the teacher stage.
    """

    def __init__(self, width: int = 32, lr: float = 2e-4, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.discriminator = PatchDiscriminator(width)
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=lr, betas=(0.5, 0.999))

    def learn(self, output: Output, batch: Batch) -> Tensor:
        """Takes one step at telling the true pictures from the reconstructed ones.

        Args:
            output: What the network gave; not taught here.
            batch: What is true.

        Returns:
            The discriminator's loss, 0-dim; 0 where the batch shows no picture.
        """
        valid = seen(batch)
        if not bool(valid.any()):
            return output.optical.new_zeros(())
        self.discriminator.requires_grad_(True)
        with torch.enable_grad(), torch.autocast(output.optical.device.type, enabled=False):
            true = self._score(batch.optical[:, :3], batch)
            false = self._score(output.optical.detach().float(), batch)
            loss = discriminator_loss(true, false, valid, batch.weight_optical)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.detach()

    def judge(self, output: Output, batch: Batch) -> Tensor:
        """Scores reconstructed pictures, (B, 1, H / 8, W / 8); only the pictures learn from it."""
        self.discriminator.requires_grad_(False)
        with torch.autocast(output.optical.device.type, enabled=False):
            return self._score(output.optical.float(), batch)

    def _score(self, optical: Tensor, batch: Batch) -> Tensor:
        scores: Tensor = self.discriminator(optical, seen(batch), batch.sar, batch.sar_valid)
        return scores


def seen(batch: Batch) -> Tensor:
    """Says where a picture is judged: red, green and blue are true and the radar shows something, (B, H, W)."""
    return batch.optical_valid[:, :3].all(1) & batch.sar_valid.any(1)


def vgg_features() -> Encoder:
    """Compares pictures by what VGG16 makes of them: its activations before each of the first four poolings.

    Raises:
        CheckpointError: Its weights are not there; `flora.metrics.lpips_import` brings them.

    Source: the features of LPIPS over VGG16, Zhang et al., CVPR 2018. The fifth stage sees too little of a small crop.
    """
    vgg = Lpips.load("vgg")

    def encode(picture: Tensor) -> Sequence[Tensor]:
        vgg.to(picture.device)
        return vgg.features(2 * picture - 1, stages=4)

    return encode


def teacher_features(teacher: OpticalTeacher) -> Encoder:
    """Compares pictures by what the frozen optical teacher makes of them.

    LPIPS over AlexNet is what pictures are scored with and may not train them. The teacher has learnt Sentinel-2 and
    is at hand.

    Args:
        teacher: Trained and frozen.

    Returns:
        A function from a picture, (B, 3, H, W), unit range, to its pyramid; near infrared counts as absent.
    """

    def encode(picture: Tensor) -> Sequence[Tensor]:
        optical = torch.cat([unit_to_reflectance(picture), torch.zeros_like(picture[:, :1])], 1)
        valid = torch.ones_like(optical, dtype=torch.bool)
        valid[:, 3] = False
        return teacher.encode(optical, valid)

    return encode
