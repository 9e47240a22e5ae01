"""The network as tiles use it: numpy in, numpy out, one call at a time in a process."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flora.scene.precision import Precision, choose_device

if TYPE_CHECKING:
    from flora.checkpoint import Checkpoint
    from flora.model import FLoRA

# What a run gives for each pixel, in this order.
PLANES = ("water_probability", "red", "green", "blue", "red_spread", "green_spread", "blue_spread")

# All network calls of a process are made by one thread of its own. A call uses every core, so a second one beside it
# would only take memory; and each thread that calls would get its own team of workers and its own memory pool. The
# threads of dask read and write meanwhile.
_CALLER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="flora-network")

# Axes (of B, C, H, W) that each variant of test-time augmentation flips.
_AS_IT_IS: tuple[tuple[int, ...], ...] = ((),)
_FLIPS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))


class TileNetwork:
    """A checkpoint made ready for tiles.

    Travels to another process as the checkpoint alone; folding, number format and device are settled there,
    once, at the first tile.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` is settled where the tile runs.
        precision: Number format of the convolutions; the same on every machine, or pixels would differ.
        tta: Average over four flips.
    """

    def __init__(self, checkpoint: Checkpoint, device: str, precision: Precision, tta: bool = False) -> None:
        self.checkpoint = checkpoint
        self.device = device
        self.precision = precision
        self.tta = tta
        self._ready: tuple[FLoRA, torch.device] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leaves the prepared copy behind: it is made anew where it arrives."""
        return self.__dict__ | {"_ready": None}

    def prepared(self) -> tuple[FLoRA, torch.device]:
        """Gives the folded network on its device, made at the first call."""
        if self._ready is None:
            device = torch.device(choose_device(self.device))
            model = self.checkpoint.model.folded().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._ready = model, device
        return self._ready

    def __call__(
        self,
        sar: NDArray[Any],
        sar_valid: NDArray[Any],
        optical: NDArray[Any] | None = None,
        optical_valid: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        """Runs one window.

        Args:
            sar: VV, VH, (2, H, W), dB, float32; H and W multiples of the network's grid.
            sar_valid: (2, H, W), bool.
            optical: red, green, blue, nir, (4, H, W), reflectance, float32; None for SAR alone.
            optical_valid: (4, H, W), bool.

        Returns:
            Water probability, reflectance and its spread in the order of `PLANES`, (7, H, W).
        """
        return _CALLER.submit(self._run, (sar, sar_valid, optical, optical_valid)).result()

    def _run(self, arrays: Sequence[NDArray[Any] | None]) -> NDArray[np.float32]:
        model, device = self.prepared()
        variants = _FLIPS if self.tta else _AS_IT_IS
        on_cuda = device.type == "cuda"
        with (
            torch.inference_mode(),
            torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            tensors = [None if a is None else _to_device(a, device, pinned=on_cuda) for a in arrays]
            planes = self._planes(model, tensors, variants[0])
            for axes in variants[1:]:
                planes += self._planes(model, tensors, axes)
            result: NDArray[np.float32] = (planes / len(variants))[0].cpu().numpy()
        return result

    def _planes(self, model: FLoRA, tensors: list[Tensor | None], axes: tuple[int, ...]) -> Tensor:
        out = model(*(None if t is None else t.flip(axes) for t in tensors))
        probability = self.checkpoint.probability(out.water_logits.float())[:, None]
        planes = torch.cat([probability, out.optical.float().clamp_min(0), out.optical_spread.float()], dim=1)
        return planes.flip(axes)  # (1, 7, H, W)


def _to_device(array: NDArray[Any], device: torch.device, pinned: bool) -> Tensor:
    tensor = torch.from_numpy(array)[None]
    if pinned:
        tensor = tensor.pin_memory()
    tensor = tensor.to(device, non_blocking=pinned)
    return tensor.contiguous(memory_format=torch.channels_last)
