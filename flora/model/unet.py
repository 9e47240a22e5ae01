"""The U-Net that FLoRA is compared with: one encoder, one decoder, a head for colour and one for water."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Final, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from flora.model.blocks import ConvNorm, fold_normalisation, full_precision
from flora.model.decoders import OpticalDecoder
from flora.model.output import Output
from flora.normalize import db_to_unit, reflectance_to_unit, unit_to_reflectance

STAGES: Final = 4


class UNetConfig(BaseModel):
    """Sizes of the U-Net; stored with its weights.

    Attributes:
        family: Tells it from other networks.
        name: Preset it came from.
        stem: Channels at half size.
        widths: Channels of the four stages, at a quarter of the size and coarser.
        depths: Residual blocks of each stage.
        sees_optical: An optical image, where there is one, is stacked on the radar with its validity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["unet"] = "unet"
    name: str = "custom"
    stem: int = Field(64, ge=1)
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    depths: tuple[int, int, int, int] = (3, 4, 6, 3)
    sees_optical: bool = False

    @property
    def grid(self) -> int:
        """Height and width of an input are multiples of it, px."""
        return int(4 * 2 ** (STAGES - 1))


class StridedBlock(nn.Module):
    """ResNet's basic block: two 3 × 3 convolutions around a skip, the first may halve the size."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = ConvNorm(channels_in, channels_out, 3, stride)
        self.second = ConvNorm(channels_out, channels_out, 3, relu=False)
        same = stride == 1 and channels_in == channels_out
        self.skip = None if same else ConvNorm(channels_in, channels_out, 1, stride, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, channels_in, H, W) to (B, channels_out, H / stride, W / stride)."""
        return F.relu(self.second(self.first(x)) + (x if self.skip is None else self.skip(x)))

    def reach(self, margin: int) -> int:
        """Cells of input beyond a tile that `margin` cells of output need."""
        return self.first.reach(self.second.reach(margin))


class UpBlock(nn.Module):
    """Doubles the size by bilinear weights, joins the encoder's features of that size, and convolves twice."""

    def __init__(self, channels_in: int, channels_skip: int, channels_out: int) -> None:
        super().__init__()
        self.first = ConvNorm(channels_in + channels_skip, channels_out)
        self.second = ConvNorm(channels_out, channels_out)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        """Maps (B, C, H, W) and (B, channels_skip, 2 H, 2 W) to (B, channels_out, 2 H, 2 W)."""
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.second(self.first(x if skip is None else torch.cat([x, skip], 1)))  # type: ignore[no-any-return]

    def reach(self, margin: int) -> tuple[int, int]:
        """Cells of the skip, and of the coarser input, that `margin` cells of output need."""
        fine = self.first.reach(self.second.reach(margin))
        return fine, fine // 2 + 1


class TwoHeads(nn.Module):
    """Ends in colour with its spread and, apart from it, in water logits."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.optical = nn.Sequential(ConvNorm(channels, channels), nn.Conv2d(channels, 6, 1))
        self.water = nn.Sequential(ConvNorm(channels, channels), nn.Conv2d(channels, 1, 1))
        start_at_land(self.optical[-1])  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Output:
        """Maps (B, C, H, W) to the three answers."""
        return answer(self.optical(x), self.water(x))


def start_at_land(last: nn.Conv2d | nn.ConvTranspose2d) -> None:
    """Lets a picture's last convolution begin at the mean colour of land, as FLoRA's does."""
    assert last.bias is not None
    with torch.no_grad():
        last.bias.zero_()
        last.bias[:3] = reflectance_to_unit(torch.tensor(OpticalDecoder.START))


def answer(picture: Tensor, water: Tensor) -> Output:
    """Turns six planes of a picture and one of water into what every network gives back.

    Args:
        picture: Colour and its spread, unit range and logarithm, (B, 6, H, W).
        water: (B, 1, H, W), logits.

    Returns:
        The answer; there is no pyramid.
    """
    unit, spread = full_precision(picture).chunk(2, dim=1)
    optical = unit_to_reflectance(F.leaky_relu(unit, 0.01))
    scale = OpticalDecoder.START_SPREAD * torch.exp(spread.clamp(-5, 4))
    return Output(optical, scale, full_precision(water[:, 0]), latent=[])


def stacked(
    sar: Tensor, sar_valid: Tensor, optical: Tensor | None, optical_valid: Tensor | None, sees_optical: bool
) -> Tensor:
    """Brings radar, and an optical image where it is seen, to unit range beside their validity.

    Args:
        sar: VV, VH, (B, 2, H, W), dB.
        sar_valid: (B, 2, H, W), bool.
        optical: red, green, blue, nir, (B, 4, H, W), reflectance; None for none.
        optical_valid: (B, 4, H, W), bool.
        sees_optical: Whether the network has channels for it.

    Returns:
        (B, 4 or 12, H, W); 0 where invalid.
    """
    planes = [torch.where(sar_valid, db_to_unit(sar), 0.0), sar_valid.to(sar.dtype)]
    if sees_optical:
        if optical is None or optical_valid is None:
            planes.append(sar.new_zeros(len(sar), 8, *sar.shape[-2:]))
        else:
            planes += [
                torch.where(optical_valid, reflectance_to_unit(optical), 0.0),
                optical_valid.to(sar.dtype),
            ]
    return torch.cat(planes, 1)


class UNet(nn.Module):
    """Maps radar to the optical picture and to water, without a teacher, a prior or attention.

    Source: Ronneberger et al., MICCAI 2015, arXiv 1505.04597; encoder of He et al., CVPR 2016, arXiv 1512.03385
    (ResNet-34's plan, not its ImageNet weights).
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = ConvNorm(12 if config.sees_optical else 4, config.stem, 7, 2)
        stages = []
        for number, (width, depth) in enumerate(zip(config.widths, config.depths, strict=True)):
            before = config.stem if number == 0 else config.widths[number - 1]
            blocks = [StridedBlock(before, width, 1 if number == 0 else 2)]
            stages.append(nn.Sequential(*blocks, *(StridedBlock(width, width) for _ in range(depth - 1))))
        self.stages = nn.ModuleList(stages)
        skips = [config.stem, *config.widths]
        self.ups = nn.ModuleList(
            UpBlock(coarse, fine, fine) for fine, coarse in reversed(list(pairwise(skips)))
        )
        last = max(8, config.stem // 2)
        self.ups.append(UpBlock(config.stem, 0, last))
        self.heads = TwoHeads(last)

    def forward(
        self,
        sar: Tensor,
        sar_valid: Tensor,
        optical: Tensor | None = None,
        optical_valid: Tensor | None = None,
    ) -> Output:
        """Maps an image; arguments as FLoRA's.

        Args:
            sar: VV, VH, (B, 2, H, W), dB; H and W multiples of `grid`.
            sar_valid: (B, 2, H, W), bool.
            optical: red, green, blue, nir, (B, 4, H, W), reflectance; not looked at unless `sees_optical`.
            optical_valid: (B, 4, H, W), bool.

        Returns:
            Optical reflectance, its spread and water logits; no pyramid.
        """
        x = self.stem(stacked(sar, sar_valid, optical, optical_valid, self.config.sees_optical))
        skips: list[Tensor | None] = [None, x]
        x = F.max_pool2d(x, 3, 2, 1)
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        skips.pop()
        for up in self.ups:
            x = up(x, skips.pop())
        found: Output = self.heads(x)
        return found

    @property
    def grid(self) -> int:
        """Height and width of an input are multiples of it, px."""
        return self.config.grid

    @property
    def halo(self) -> int:
        """Receptive reach, px."""
        needed, margin = [], 1  # the heads' convolution
        for up in reversed(list(self.ups)):
            fine, margin = up.reach(margin)  # type: ignore[operator]
            needed.append(fine)
        # Finest first: full size (no skip), the stem's, the first three stages'; margin is the last stage's.
        _, stem, *stages = needed
        for stage, skip in zip(reversed(list(self.stages)), [0, *reversed(stages)], strict=True):
            margin = max(margin, skip)
            for block in reversed(list(stage)):  # type: ignore[call-overload]
                margin = block.reach(margin)
        return self.stem.reach(max(2 * margin + 1, stem))

    @property
    def margin(self) -> int:
        """The halo rounded up to the grid, px: what a tile reads beyond itself."""
        return -(-self.halo // self.grid) * self.grid

    def folded(self) -> UNet:
        """Gives a copy for inference with every normalisation folded into its convolution."""
        twin = copy.deepcopy(self)
        fold_normalisation(twin)
        return twin.requires_grad_(False)


UNET_PRESETS: Final[dict[str, UNetConfig]] = {
    # ResNet-34's plan, 24 M parameters.
    "unet-paper": UNetConfig(name="unet-paper"),
    # Near the work a pixel, radar alone, of FLoRA's presets of the same name.
    "unet-default": UNetConfig(name="unet-default", stem=28, widths=(28, 56, 112, 224)),
    "unet-small": UNetConfig(name="unet-small", stem=18, widths=(18, 36, 72, 144)),
}
