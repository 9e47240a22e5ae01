"""Convolutions with a fixed-statistics normalisation, and what each needs to see around a tile.

Every block answers `reach(margin)`: to be right on a region grown by `margin` cells, how far beyond the region
(in cells of its input) it has to read. The network's halo is the composition of these, so it is computed, not guessed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class ConvNorm(nn.Module):
    """Convolution, batch normalisation and an optional ReLU.

    At inference the normalisation is a fixed affine map of each channel and folds into the convolution (`fold`),
    so a pixel's answer never depends on a statistic over space.
    """

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        if kernel % 2 == 0 and kernel != stride:
            raise ValueError(
                f"kernel {kernel} with stride {stride} shifts the grid; use an odd kernel or kernel == stride."
            )
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, (kernel - 1) // 2, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(channels_out, momentum=0.03)
        self.relu = relu
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, channels_in, H, W) to (B, channels_out, H / stride, W / stride)."""
        x = self.norm(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x

    def reach(self, margin: int) -> int:
        """Cells of input beyond a tile that `margin` cells of output need."""
        return margin * self.conv.stride[0] + (self.conv.kernel_size[0] - 1) // 2

    def fold(self) -> None:
        """Merges the normalisation into the convolution, in place; only for inference."""
        if isinstance(self.norm, nn.BatchNorm2d):
            self.conv = nn.utils.fusion.fuse_conv_bn_eval(self.conv.eval(), self.norm.eval())
            self.norm = nn.Identity()


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions (or one and a 1 × 1) around a skip."""

    def __init__(self, channels: int, second_kernel: int = 3) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3)
        self.second = ConvNorm(channels, channels, second_kernel, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the same shape."""
        y = self.second(self.first(x))
        y += x  # in place, here and in ReLU: half of the time outside convolutions is moving memory
        return F.relu(y, inplace=True)

    def reach(self, margin: int) -> int:
        """Cells of input beyond a tile that `margin` cells of output need."""
        return self.first.reach(self.second.reach(margin))


class ConvStack(nn.Module):
    """`depth` 3 × 3 convolutions: a plain one if `depth` is odd, then residual blocks of two."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        if depth % 2:
            self.layers = nn.ModuleList([ConvNorm(channels, channels)])
        else:
            self.layers = nn.ModuleList()
        self.layers.extend(ResidualBlock(channels) for _ in range(depth // 2))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, C, H, W) to the same shape."""
        for layer in self.layers:
            x = layer(x)
        return x

    def reach(self, margin: int) -> int:
        """Cells of input beyond a tile that `margin` cells of output need."""
        for layer in reversed(self.layers):
            margin = layer.reach(margin)  # type: ignore[operator]
        return margin


class Raise(nn.Module):
    """Brings a coarse level to the next finer one: 1 × 1 convolution, then twice the size by bilinear weights.

    Interpolating instead of sub-pixel shuffling between levels leaves no checkerboard.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.project = ConvNorm(channels_in, channels_out, 1, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, channels_in, H, W) to (B, channels_out, 2 H, 2 W)."""
        return F.interpolate(self.project(x), scale_factor=2, mode="bilinear", align_corners=False)

    def reach(self, margin: int) -> int:
        """Coarse cells beyond a tile that `margin` fine cells need: a fine cell looks half a coarse cell outwards."""
        return margin // 2 + 1


def centred(x: Tensor, like: Tensor) -> Tensor:
    """Cuts (B, C, H, W) down to the middle that has the height and width of `like`, by the same on opposite sides."""
    top, left = ((a - b) // 2 for a, b in zip(x.shape[-2:], like.shape[-2:], strict=True))
    return x[..., top : x.shape[-2] - top, left : x.shape[-1] - left] if top or left else x


def trimmed(x: Tensor, by: int) -> Tensor:
    """Cuts `by` cells off each side of (B, C, H, W)."""
    return x[..., by:-by, by:-by] if by else x


def full_precision(x: Tensor) -> Tensor:
    """Brings half precision to float32 and leaves float32 and float64 as they are."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def fold_normalisation(module: nn.Module) -> nn.Module:
    """Folds every normalisation below `module` into its convolution, in place, and returns it in evaluation mode."""
    module.eval()
    for child in module.modules():
        if isinstance(child, ConvNorm):
            child.fold()
    return module


def fix_kernels(module: nn.Module) -> nn.Module:
    """Gets every 1 x 1 convolution below `module` the same kernel on one thread as on several, in place.

    On one thread torch gives those in float32 to a kernel that is slower and rounds otherwise, unless they are dilated;
    a single tap is the same with any dilation.

    Source: `ConvParams::use_mkldnn` in aten/src/ATen/native/Convolution.cpp of PyTorch.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and child.kernel_size == (1, 1):
            child.dilation = (2, 2)
    return module
