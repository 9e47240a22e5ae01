"""The network as tiles use it: numpy in, numpy out."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from flora.memory import keep_memory
from flora.scene.backend import Arrays, Backend, Runner, make_runner
from flora.scene.precision import Precision, choose_device

if TYPE_CHECKING:
    from flora.checkpoint import Checkpoint

# What a run gives for each pixel, in this order.
PLANES = ("water_probability", "red", "green", "blue", "red_spread", "green_spread", "blue_spread")

# On a CPU two tiles are in the network at a time, each on half of the cores. A team of all cores would wait for its
# slowest member whenever a core is busy reading or writing another tile.
CALLERS = 2
_PREPARING = threading.Lock()

# Axes (of C, H, W) that the variants of test-time augmentation flip, beside the picture as it is.
_FLIPS: tuple[tuple[int, ...], ...] = ((-1,), (-2,), (-2, -1))


@cache
def _callers(count: int) -> ThreadPoolExecutor:
    """Gives the threads of this process that call the network: always the same, each with its own team of workers."""
    share = max(1, torch.get_num_threads() // count)
    return ThreadPoolExecutor(count, "flora-network", _take_share, (torch.get_num_threads(), share))


def _take_share(whole: int, share: int) -> None:
    """Limits the calling thread to its share of the cores, and leaves threads to come what they would have had."""
    torch.get_num_threads()  # a thread's first question or layer sets its number, over what was set before it
    torch.set_num_threads(share)  # of this thread, and of all that start later
    restore = threading.Thread(target=torch.set_num_threads, args=(whole,))
    restore.start()
    restore.join()


class TileNetwork:
    """A checkpoint made ready for tiles.

    Travels to another process as the checkpoint alone; folding, tracing and device are settled there, once, at the
    first tile.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` is settled where the tile runs.
        precision: Number format of the convolutions; the same on every machine, or pixels would differ.
        tta: Average over four flips.
        backend: What runs the network; the same on every machine, for the same reason.
        callers: Windows that are in the network at a time in a process, on equal shares of the cores; 1 on a GPU.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str,
        precision: Precision,
        tta: bool = False,
        backend: Backend = "torch",
        callers: int = 1,
    ) -> None:
        self.checkpoint = checkpoint
        self.device = device
        self.precision = precision
        self.tta = tta
        self.backend = backend
        self.callers = callers
        self._ready: dict[bool, Runner] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leaves what is prepared behind: it is made anew where it arrives."""
        return self.__dict__ | {"_ready": {}}

    def prepared(self, with_optical: bool = False) -> Runner:
        """Gives the network made ready on this machine, made at the first call."""
        # Torch takes what it is given; a traced graph is of one form.
        form = with_optical and self.backend != "torch"
        with _PREPARING:
            if form not in self._ready:
                self._ready[form] = make_runner(
                    self.checkpoint, self.backend, self.device, self.precision, with_optical
                )
        return self._ready[form]

    def __call__(
        self,
        sar: NDArray[Any],
        sar_valid: NDArray[Any],
        optical: NDArray[Any] | None = None,
        optical_valid: NDArray[Any] | None = None,
        *,
        cut: int = 0,
        planes: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Runs one window.

        Args:
            sar: VV, VH, (2, H, W), dB, float32; H and W multiples of the network's grid.
            sar_valid: (2, H, W), bool.
            optical: red, green, blue, nir, (4, H, W), reflectance, float32; None for SAR alone.
            optical_valid: (4, H, W), bool.
            cut: Pixels at each side that are read and not answered, a multiple of the grid.
            planes: Where the answer goes, float32, contiguous; None for an array of its own.

        Returns:
            The answer: water probability, reflectance and its spread in the order of `PLANES`, (7, H - 2 cut,
            W - 2 cut).
        """
        if planes is None:
            planes = np.empty((len(PLANES), sar.shape[1] - 2 * cut, sar.shape[2] - 2 * cut), np.float32)
        keep_memory()  # before the caller's thread takes its first block
        # Only torch is called by two threads at once: the others keep what they compute in one place.
        several = self.backend == "torch" and choose_device(self.device) == "cpu"
        callers = _callers(self.callers if several else 1)
        callers.submit(self._run, (sar, sar_valid, optical, optical_valid), cut, planes).result()
        return planes

    def _run(self, arrays: Arrays, cut: int, planes: NDArray[np.float32]) -> None:
        run = self.prepared(arrays[2] is not None)
        run(arrays, cut, planes)
        if not self.tta:
            return
        turned = np.empty_like(planes)
        for axes in _FLIPS:
            run([None if a is None else np.ascontiguousarray(np.flip(a, axes)) for a in arrays], cut, turned)
            planes += np.flip(turned, axes)
        planes /= 1 + len(_FLIPS)
