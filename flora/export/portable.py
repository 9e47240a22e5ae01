"""The network in the form in which it leaves the house: arrays in, arrays out, every constant inside."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from flora.checkpoint import Checkpoint
from flora.errors import ConfigError

RADAR = ("sar", "sar_valid")
WITH_OPTICAL = (*RADAR, "optical", "optical_valid")
# Not `optical`: that is an input, and a graph knows a name once.
OUTPUTS = ("water_probability", "optical_reflectance", "optical_spread")
# Sides that are traced, in cells of the grid; equal ones would be taken for one size. One cell is a case of its own
# to the tracer, so that two are the least: a tile with its margins has three.
TRACED_CELLS = (3, 2)
GREATEST_CELLS = 1024  # of a side; far beyond any tile


class Portable(nn.Module):
    """Maps radar, and optical where it was exported so, to probability, reflectance and its spread.

    Normalisation is folded into the convolutions, scalings and temperature are constants inside. What lies
    outside a scene has to be shown as invalid pixels, a margin of them on each side, as `flora predict` does.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network = checkpoint.model.folded()
        self.temperature = float(checkpoint.temperature)

    def forward(
        self,
        sar: Tensor,
        sar_valid: Tensor,
        optical: Tensor | None = None,
        optical_valid: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Runs the network.

        Args:
            sar: VV, VH, (1, 2, H, W), dB; H and W multiples of the grid.
            sar_valid: (1, 2, H, W), bool.
            optical: red, green, blue, nir, (1, 4, H, W), reflectance.
            optical_valid: (1, 4, H, W), bool.

        Returns:
            Water probability, (1, 1, H, W); red, green, blue, (1, 3, H, W), reflectance, not below 0; their spread,
            the Laplace scale of each, (1, 3, H, W), reflectance.
        """
        out = self.network(sar, sar_valid, optical, optical_valid)
        probability = torch.sigmoid(out.water_logits.float() / self.temperature)[:, None]
        return probability, out.optical.float().clamp_min(0), out.optical_spread.float()


def example(grid: int, with_optical: bool, cells: tuple[int, int] = TRACED_CELLS) -> tuple[Tensor, ...]:
    """Makes inputs of a size, with plausible values and a tenth of them invalid.

    Args:
        grid: Side of the network's grid, px.
        with_optical: Whether an optical image is among them.
        cells: Height and width in cells of the grid.

    Returns:
        Inputs in the order of `Portable.forward`.
    """
    draw = torch.Generator().manual_seed(0)
    height, width = cells[0] * grid, cells[1] * grid
    sar = torch.randn(1, 2, height, width, generator=draw) * 4 - 14
    tensors: list[Tensor] = [sar, torch.rand(sar.shape, generator=draw) > 0.1]
    if with_optical:
        optical = torch.rand(1, 4, height, width, generator=draw) * 0.3
        tensors += [optical, torch.rand(optical.shape, generator=draw) > 0.1]
    return tuple(tensors)


def trace(portable: Portable, grid: int, with_optical: bool) -> torch.export.ExportedProgram:
    """Traces the network with free height and width, multiples of the grid.

    Args:
        portable: The network.
        grid: Side of its grid, px.
        with_optical: Whether it takes an optical image.

    Returns:
        A program for `torch.export.save`.

    Raises:
        ConfigError: The network has a part that cannot be traced.
    """
    height = torch.export.Dim("height_cells", min=2, max=GREATEST_CELLS)
    width = torch.export.Dim("width_cells", min=2, max=GREATEST_CELLS)
    sides: dict[int, Any] = {2: grid * height, 3: grid * width}
    config = portable.network.config
    if getattr(config, "chip_stretch", False):
        raise ConfigError(
            f"The network '{config.name}' stretches each image by its own percentiles, which cannot be exported; "
            "expected one without."
        )
    names = WITH_OPTICAL if with_optical else RADAR
    shapes: dict[str, Any] = dict.fromkeys(WITH_OPTICAL) | dict.fromkeys(names, sides)
    inputs = dict(zip(names, example(grid, with_optical), strict=True))
    try:
        with torch.no_grad():
            return torch.export.export(
                portable.eval(),
                (),
                kwargs=inputs,
                dynamic_shapes={name: shapes[name] for name in names},
                strict=False,
            )
    except RuntimeError as error:  # torch's own errors of tracing are children of it
        raise ConfigError(
            f"The network cannot be exported ({str(error).splitlines()[0]}); expected one of FLoRA's. "
            "Export weights that `flora train` wrote."
        ) from error
