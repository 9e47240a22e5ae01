"""From a pyramid to the optical picture and to the water map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flora.model.blocks import ConvNorm, ConvStack, Raise, full_precision
from flora.model.config import LEVELS, ModelConfig
from flora.model.output import Pyramid
from flora.normalize import unit_to_reflectance


class PyramidDecoder(nn.Module):
    """Walks the pyramid from coarse to fine and ends in `channels` planes at full size.

    All work is done at the stem's stride; the last map gives each pixel of a cell its own channels. These start
    equal for all pixels of a cell, so the head begins without a checkerboard.
    """

    def __init__(self, channels: int, depth: int, config: ModelConfig) -> None:
        super().__init__()
        widths = config.widths
        self.stem_stride = config.stem_stride
        self.raises = nn.ModuleList(Raise(widths[level + 1], widths[level]) for level in range(LEVELS - 1))
        self.stacks = nn.ModuleList(ConvStack(widths[level], depth) for level in range(LEVELS - 1))
        self.head = ConvNorm(widths[0], widths[0])
        self.last = nn.Conv2d(widths[0], channels * self.stem_stride**2, 1)
        with torch.no_grad():
            same = self.last.weight[:: self.stem_stride**2].repeat_interleave(self.stem_stride**2, dim=0)
            self.last.weight.copy_(same)
            self.last.bias.zero_()  # type: ignore[union-attr]

    def forward(self, levels: Pyramid) -> Tensor:
        """Decodes.

        Args:
            levels: Four tensors (B, C, H / stride, W / stride), finest first.

        Returns:
            (B, channels, H, W).
        """
        x = levels[-1]
        for level in range(LEVELS - 2, -1, -1):
            x = self.stacks[level](F.relu(levels[level] + self.raises[level](x), inplace=True))
        return F.pixel_shuffle(self.last(self.head(x)), self.stem_stride)

    def reach(self) -> list[int]:
        """Cells of each level beyond a tile that the tile's output needs, finest first."""
        needed, margin = [], self.head.reach(0)
        for level in range(LEVELS - 1):
            margin = self.stacks[level].reach(margin)  # type: ignore[operator]
            needed.append(margin)
            margin = self.raises[level].reach(margin)  # type: ignore[operator]
        return [*needed, margin]


class OpticalDecoder(PyramidDecoder):
    """Turns a latent into reflectance and how far off it may be.

    The spread is the scale of a Laplace distribution about the reflectance (its mean absolute error).
    """

    # Mean colour of land in surface reflectance and a common error: where training starts from.
    START = (0.10, 0.10, 0.08)
    START_SPREAD = 0.03

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(6, config.optical_depth, config)
        with torch.no_grad():
            start = torch.tensor([value / unit_to_reflectance(torch.ones(())).item() for value in self.START])
            self.last.bias[: 3 * self.stem_stride**2] = start.repeat_interleave(self.stem_stride**2)  # type: ignore[index]

    def forward(self, levels: Pyramid) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Decodes the optical picture.

        Args:
            levels: Four tensors, finest first.

        Returns:
            Reflectance of red, green, blue, and its spread, each (B, 3, H, W), reflectance.
        """
        unit, spread = full_precision(super().forward(levels)).chunk(2, dim=1)
        # Softplus would bend dark colours; water needs them straight down to 0.
        return unit_to_reflectance(F.leaky_relu(unit, 0.01)), self.START_SPREAD * torch.exp(
            spread.clamp(-5, 4)
        )


class WaterDecoder(PyramidDecoder):
    """Turns a latent into water logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(1, config.water_depth, config)

    def forward(self, levels: Pyramid) -> Tensor:
        """Decodes (B, H, W) logits of water."""
        return full_precision(super().forward(levels)[:, 0])
