"""The prior predictor: what the teacher would have seen, guessed from radar."""

from __future__ import annotations

from torch import Tensor, nn

from flora.model.blocks import ConvNorm, ConvStack, Raise, centred
from flora.model.config import LEVELS, ModelConfig
from flora.model.output import Pyramid


class PriorPredictor(nn.Module):
    """Turns the radar pyramid *f* into *p̂*, an imitation of the teacher's pyramid *p*.

    This is the path that runs where there is no optical image, so it is trained on the task losses through the
    fusion as well as by distillation. Coarse levels inform fine ones: colour is decided by the surroundings.

    Source: FLoRA (Talreja et al., TGRS 2026). Departs from it: gets gradients; top-down instead of a second encoder.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        widths, depth = config.widths, config.predictor_depth
        self.coarse = ConvNorm(widths[-1], widths[-1], 1)
        self.raises = nn.ModuleList(Raise(widths[level + 1], widths[level]) for level in range(LEVELS - 1))
        self.stacks = nn.ModuleList(ConvStack(widths[level], depth) for level in range(LEVELS - 1))
        # The teacher's features are standardised and signed: a last linear map lets the imitation be so, too.
        self.outs = nn.ModuleList(nn.Conv2d(width, width, 1) for width in widths)

    def forward(self, sar: Pyramid) -> Pyramid:
        """Predicts the optical pyramid.

        Args:
            sar: *f*, four tensors (B, C, H, W), finest first; a finer one may show less of the ground, about the same
                centre.

        Returns:
            *p̂*, same shapes.
        """
        x = self.coarse(sar[-1])
        levels: list[Tensor] = [self.outs[-1](x)]
        for level in range(LEVELS - 2, -1, -1):
            x = self.stacks[level](sar[level] + centred(self.raises[level](x), sar[level]))
            levels.insert(0, self.outs[level](x))
        return levels

    def reach(self, margins: list[int]) -> list[int]:
        """Cells of each level of *f* beyond a tile that `margins` cells of each level of *p̂* need."""
        needed, margin = [], 0
        for level in range(LEVELS - 1):
            margin = self.stacks[level].reach(max(margin, margins[level]))  # type: ignore[operator]
            needed.append(margin)
            margin = self.raises[level].reach(margin)  # type: ignore[operator]
        return [*needed, max(margin, margins[-1])]
