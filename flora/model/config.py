"""Sizes and switches of the network."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LEVELS = 4


class ModelConfig(BaseModel):
    """Everything needed to build the network; stored with the weights.

    The values below are no preset's: where sizes are given by hand, all that matter have to be. An experiment that
    differs from a preset by a switch names the preset and the switch (`model: default`, `changes: {film: false}`).

    Attributes:
        name: Preset it came from.
        stem_stride: Stride of the finest level, px: 2 for speed, 1 for the paper's full-size pyramid.
        widths: Channels at each of the four levels, finest first.
        encoder_depths: Residual blocks of each encoder at the three finer levels.
        coarse_depth: Blocks with one 3 × 3 convolution at the coarsest level, where context is dearest in halo.
        predictor_depth: Convolutions at each level of the prior predictor; 0 removes it.
        optical_depth: Convolutions at each level of the optical decoder.
        water_depth: Convolutions at each level of the water decoder.
        window: Side of an attention window, in cells of its level.
        head_channels: Channels of an attention head.
        attention: Switch of the fusion's cross-attention.
        film: Switch of the fusion's feature-wise modulation.
        gate: Switch of the fusion's gate.
        copy_shown: Switch of the optical decoder's choice to copy pixels of the image it is shown.
        ndvi: Switch of the teacher's look at NDVI, where the image brings near infrared; off, it sees colour alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "custom"
    stem_stride: Literal[1, 2] = 2
    widths: tuple[int, int, int, int] = (32, 64, 128, 192)
    encoder_depths: tuple[int, int, int] = (1, 1, 1)
    coarse_depth: int = Field(1, ge=1)
    predictor_depth: int = Field(1, ge=0)
    optical_depth: int = Field(2, ge=1)
    water_depth: int = Field(1, ge=1)
    window: int = Field(4, ge=1)
    head_channels: int = Field(32, ge=4)
    attention: bool = True
    film: bool = True
    gate: bool = True
    copy_shown: bool = False
    ndvi: bool = True

    @model_validator(mode="after")
    def _heads_divide_widths(self) -> ModelConfig:
        for width in self.widths:
            if width % min(self.head_channels, width):
                raise ValueError(
                    f"width {width} is not a multiple of head_channels {self.head_channels}; choose widths that are."
                )
        return self

    @property
    def sees_optical(self) -> bool:
        """Whether the network looks at an optical image beside the radar."""
        return True

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels a cell of each level spans, finest first."""
        return tuple(self.stem_stride * 2**level for level in range(LEVELS))

    @property
    def grid(self) -> int:
        """Side of the coarsest attention window, px: tiles start on multiples of it."""
        return self.strides[-1] * self.window


PRESETS: dict[str, ModelConfig] = {
    # Shipped: about 70 kFLOP a pixel from radar alone.
    "default": ModelConfig(name="default", widths=(24, 48, 96, 192), head_channels=24, copy_shown=True),
    # For ablations and tests that train.
    "small": ModelConfig(name="small", widths=(16, 32, 64, 96), head_channels=16, copy_shown=True),
    # Twice as wide, about 270 kFLOP a pixel, for those with a GPU.
    "large": ModelConfig(name="large", widths=(48, 96, 192, 288), head_channels=48, copy_shown=True),
    # The published size (38.9 M parameters against 39.2 M): base 64, stride-1 stem, doubling widths; for comparison.
    "paper": ModelConfig(
        name="paper",
        stem_stride=1,
        widths=(64, 128, 256, 512),
        encoder_depths=(2, 2, 3),
        coarse_depth=2,
        predictor_depth=2,
        optical_depth=4,
        water_depth=4,
        window=8,
        head_channels=32,
    ),
}
