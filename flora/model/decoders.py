"""From a pyramid to the optical picture and to the water map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flora.model.blocks import ConvNorm, ConvStack, Raise, centred, full_precision, trimmed
from flora.model.config import LEVELS, ModelConfig
from flora.model.output import Pyramid
from flora.normalize import reflectance_to_unit, unit_to_reflectance


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

    def features(self, levels: Pyramid, trim: int = 0) -> Tensor:
        """Walks up to the finest level.

        Args:
            levels: Four tensors (B, C, H / stride, W / stride), finest first; a finer one may show less of the ground,
                about the same centre.
            trim: Cells at each side of the finest level that are not answered.

        Returns:
            What the last maps see, (B, C, H / stride, W / stride) of the finest level, less what is trimmed.
        """
        x = levels[-1]
        for level in range(LEVELS - 2, -1, -1):
            raised = centred(self.raises[level](x), levels[level])
            x = self.stacks[level](F.relu(levels[level] + raised, inplace=True))
        out: Tensor = trimmed(self.head(x), trim)
        return out

    def spread_out(self, last: nn.Module, features: Tensor) -> Tensor:
        """Maps features to planes at full size, (B, channels, H, W), float32 at least.

        Each plane lies in one piece: what follows works on some planes of several, which is slow where their values
        are interleaved (channels last).
        """
        cells = last(features).contiguous(memory_format=torch.contiguous_format)
        return full_precision(F.pixel_shuffle(cells, self.stem_stride))

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

    With `copies`, the decoder may take a pixel from the image that the network was shown: for each pixel it says how
    much. Streets that did not change keep every line, and what the radar sees changed is drawn anew.

    Source: The mixture of copying and generating is that of pointer networks, See et al., ACL 2017, arXiv 1704.04368.
    """

    # Mean colour of land in surface reflectance and a common error: where training starts from.
    START = (0.10, 0.10, 0.08)
    START_SPREAD = 0.03
    START_COPY = -2.0  # logit: an eighth is copied at first

    def __init__(self, config: ModelConfig, *, copies: bool = False) -> None:
        super().__init__(6, config.optical_depth, config)
        self.copy = nn.Conv2d(config.widths[0], self.stem_stride**2, 1) if copies else None
        with torch.no_grad():
            if self.copy is not None:
                self.copy.weight.zero_()
                self.copy.bias.fill_(self.START_COPY)  # type: ignore[union-attr]
            start = torch.tensor([value / unit_to_reflectance(torch.ones(())).item() for value in self.START])
            self.last.bias[: 3 * self.stem_stride**2] = start.repeat_interleave(self.stem_stride**2)  # type: ignore[index]

    def forward(
        self,
        levels: Pyramid,
        shown: Tensor | None = None,
        shown_valid: Tensor | None = None,
        trim: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Decodes the optical picture.

        Args:
            levels: Four tensors, finest first.
            shown: Red, green, blue of the image that the network was shown, (B, 3, H, W), reflectance.
            shown_valid: Where all three are valid, (B, 1, H, W), bool; nothing is copied elsewhere.
            trim: Cells at each side of the finest level that are not answered; the image shown is without them.

        Returns:
            Reflectance of red, green, blue, and its spread, each (B, 3, H, W), reflectance.
        """
        features = self.features(levels, trim)
        unit, spread = self.spread_out(self.last, features).chunk(2, dim=1)
        if self.copy is not None and shown is not None and shown_valid is not None:
            share = torch.sigmoid(self.spread_out(self.copy, features)) * shown_valid
            there = reflectance_to_unit(torch.where(shown_valid, shown, 0.0)).clamp(0, 3)
            unit = torch.lerp(unit, there.to(unit.dtype), share)
        # Softplus would bend dark colours; water needs them straight down to 0.
        return unit_to_reflectance(F.leaky_relu(unit, 0.01)), self.START_SPREAD * torch.exp(
            spread.clamp(-5, 4)
        )


class WaterDecoder(PyramidDecoder):
    """Turns a latent into water logits."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(1, config.water_depth, config)

    def forward(self, levels: Pyramid, trim: int = 0) -> Tensor:
        """Decodes (B, H, W) logits of water, without the `trim` outer cells of the finest level."""
        return self.spread_out(self.last, self.features(levels, trim))[:, 0]
