"""The generator of pix2pix that FLoRA is compared with, given a second end for water."""

from __future__ import annotations

import copy
from typing import Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from flora.model.output import Output
from flora.model.unet import answer, stacked, start_at_land


class Pix2PixConfig(BaseModel):
    """Sizes of the generator; stored with its weights.

    Attributes:
        family: Tells it from other networks.
        name: Preset it came from.
        widths: Channels of each level, each half the size of the one before; the first is at half size.
        dropout: Of the two coarsest levels of the decoder, in training.
        sees_optical: An optical image, where there is one, is stacked on the radar with its validity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["pix2pix"] = "pix2pix"
    name: str = "custom"
    widths: tuple[int, ...] = Field((64, 128, 256, 512, 512, 512), min_length=2)
    dropout: float = Field(0.5, ge=0, lt=1)
    sees_optical: bool = False

    @property
    def grid(self) -> int:
        """Height and width of an input are multiples of it, px."""
        return int(2 ** len(self.widths))


class Pix2Pix(nn.Module):
    """Maps radar to a picture by strided 4 × 4 convolutions and back, with skips at every level.

    The discriminator is the training's: see the `adversarial` term and `flora.model.discriminator`.

    Source: Isola et al., CVPR 2017, arXiv 1611.07004. Departs from it: a second last layer for water; dropout in
    training only; as many levels as the crop allows.
    """

    def __init__(self, config: Pix2PixConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        before = (12 if config.sees_optical else 4, *widths)
        self.downs = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, width, 4, 2, 1, bias=level == 0),
                nn.BatchNorm2d(width) if level else nn.Identity(),
                nn.LeakyReLU(0.2),
            )
            for level, (channels, width) in enumerate(zip(before[:-1], widths, strict=True))
        )
        ups: list[nn.Module] = []
        for level in range(len(widths) - 1, 0, -1):
            joined = widths[level] * (1 if level == len(widths) - 1 else 2)
            ups.append(
                nn.Sequential(
                    nn.ConvTranspose2d(joined, widths[level - 1], 4, 2, 1, bias=False),
                    nn.BatchNorm2d(widths[level - 1]),
                    nn.Dropout(config.dropout if len(widths) - level <= 2 else 0.0),
                    nn.ReLU(),
                )
            )
        self.ups = nn.ModuleList(ups)
        self.optical = nn.ConvTranspose2d(2 * widths[0], 6, 4, 2, 1)
        self.water = nn.ConvTranspose2d(2 * widths[0], 1, 4, 2, 1)
        start_at_land(self.optical)

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
        x = stacked(sar, sar_valid, optical, optical_valid, self.config.sees_optical)
        skips = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
        skips.pop()
        for up in self.ups:
            x = torch.cat([up(x), skips.pop()], 1)
        return answer(self.optical(x), self.water(x))

    @property
    def grid(self) -> int:
        """Height and width of an input are multiples of it, px."""
        return self.config.grid

    @property
    def halo(self) -> int:
        """Receptive reach, px: a transposed convolution looks one coarse cell outwards, a strided one two fine ones."""
        margin, needed = 0, []
        for _ in self.config.widths:
            margin = margin // 2 + 1
            needed.append(margin)
        for level in reversed(range(len(needed))):
            margin = 2 * max(margin, needed[level]) + 1
        return margin

    @property
    def margin(self) -> int:
        """The halo rounded up to the grid, px: what a tile reads beyond itself."""
        return -(-self.halo // self.grid) * self.grid

    def folded(self) -> Pix2Pix:
        """Gives a copy for inference."""
        return copy.deepcopy(self).eval().requires_grad_(False)


PIX2PIX_PRESETS: Final[dict[str, Pix2PixConfig]] = {
    "pix2pix-paper": Pix2PixConfig(name="pix2pix-paper", widths=(64, 128, 256, 512, 512, 512, 512)),
    "pix2pix-default": Pix2PixConfig(name="pix2pix-default", widths=(40, 80, 160, 256, 256)),
    "pix2pix-small": Pix2PixConfig(name="pix2pix-small", widths=(28, 56, 112, 144, 144)),
}
