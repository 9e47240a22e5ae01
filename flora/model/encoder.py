"""The pyramid encoder, shared in form by radar (`SarEncoder`) and optical (the teacher's)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flora.model.blocks import ConvNorm, ResidualBlock
from flora.model.config import LEVELS, ModelConfig
from flora.model.output import Pyramid
from flora.normalize import db_to_unit


class PyramidEncoder(nn.Module):
    """Turns an image into four levels of features.

    The stride-2 stem folds 2 × 2 pixels into channels before its convolution, so no detail is lost and no work is
    done at full size.
    """

    def __init__(self, channels: int, config: ModelConfig) -> None:
        super().__init__()
        self.stem_stride = config.stem_stride
        widths = config.widths
        self.stem = ConvNorm(channels * self.stem_stride**2, widths[0])
        self.stages = nn.ModuleList(
            nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))
            for width, depth in zip(widths, config.encoder_depths, strict=False)
        )
        coarse = (ResidualBlock(widths[-1], second_kernel=1) for _ in range(config.coarse_depth))
        self.stages.append(nn.Sequential(*coarse))
        self.downs = nn.ModuleList(
            ConvNorm(widths[level], widths[level + 1], kernel=2, stride=2) for level in range(LEVELS - 1)
        )

    def forward(self, x: Tensor) -> Pyramid:
        """Encodes an image.

        Args:
            x: (B, channels, H, W) in network units; H and W multiples of the grid.

        Returns:
            Four tensors (B, C, H / stride, W / stride), finest first.
        """
        x = self.stem(F.pixel_unshuffle(x, self.stem_stride))
        levels = [self.stages[0](x)]
        for down, stage in zip(self.downs, self.stages[1:], strict=True):
            levels.append(stage(down(levels[-1])))
        return levels

    def reach(self, margins: list[int]) -> int:
        """Pixels beyond a tile that are needed for `margins` cells at each level, finest first."""
        margin = 0
        for level in range(LEVELS - 1, -1, -1):
            margin = max(margin, margins[level])
            for block in reversed(list(self.stages[level])):  # type: ignore[call-overload]
                margin = block.reach(margin)
            margin = (self.downs[level - 1] if level else self.stem).reach(margin)  # type: ignore[operator]
        return margin * self.stem_stride


class SarEncoder(PyramidEncoder):
    """Turns VV and VH into the radar pyramid *f*.

    Each band comes with its validity as a further channel, so that one polarisation alone, a border or a gap
    is seen as such and never as a backscatter of 0 dB.

    Source: FLoRA (Talreja et al., TGRS 2026). Departs from it: fixed constants for dB instead of a stretch for each
    chip, validity channels, no statistic over space.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(4, config)

    def forward(self, sar: Tensor, valid: Tensor | None = None) -> Pyramid:
        """Encodes radar.

        Args:
            sar: VV, VH, (B, 2, H, W), dB; values where `valid` is False are not looked at.
            valid: (B, 2, H, W), bool; None where all are valid.

        Returns:
            Four tensors, finest first.
        """
        if valid is None:
            valid = torch.ones_like(sar, dtype=torch.bool)
        unit = torch.where(valid, db_to_unit(sar), torch.zeros_like(sar))
        return super().forward(torch.cat([unit, valid.to(unit.dtype)], dim=1))
