"""The network as tiles use it: numpy in, numpy out, one call at a time in a process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flora.scene.backend import Arrays, Backend, Runner, make_runner
from flora.scene.memory import give_back, keep_memory
from flora.scene.precision import Precision

if TYPE_CHECKING:
    from flora.checkpoint import Checkpoint

# What a run gives for each pixel, in this order.
PLANES = ("water_probability", "red", "green", "blue", "red_spread", "green_spread", "blue_spread")

# All network calls of a process are made by one thread of its own. A call uses every core, so a second one beside it
# would only take memory; and each thread that calls would get its own team of workers and its own memory pool. The
# threads of dask read and write meanwhile.
_CALLER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="flora-network")

# Windows after which the heap's free memory goes back to the system: taking it again costs a fraction of a second.
WINDOWS_KEPT = 8

# Axes (of C, H, W) that the variants of test-time augmentation flip, beside the picture as it is.
_FLIPS: tuple[tuple[int, ...], ...] = ((-1,), (-2,), (-2, -1))


class TileNetwork:
    """A checkpoint made ready for tiles.

    Travels to another process as the checkpoint alone; folding, tracing and device are settled there, once, at the
    first tile.

    Attributes:
        device: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` is settled where the tile runs.
        precision: Number format of the convolutions; the same on every machine, or pixels would differ.
        tta: Average over four flips.
        backend: What runs the network; the same on every machine, for the same reason.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str,
        precision: Precision,
        tta: bool = False,
        backend: Backend = "torch",
    ) -> None:
        self.checkpoint = checkpoint
        self.device = device
        self.precision = precision
        self.tta = tta
        self.backend = backend
        self._ready: dict[bool, Runner] = {}
        self._windows = 0

    def __getstate__(self) -> dict[str, Any]:
        """Leaves what is prepared behind: it is made anew where it arrives."""
        return self.__dict__ | {"_ready": {}}

    def prepared(self, with_optical: bool = False) -> Runner:
        """Gives the network made ready on this machine, made at the first call."""
        # Torch takes what it is given; a traced graph is of one form.
        form = with_optical and self.backend != "torch"
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
        keep_memory()  # before the caller's thread takes its first block
        planes = _CALLER.submit(self._run, (sar, sar_valid, optical, optical_valid)).result()
        self._windows += 1
        if self._windows % WINDOWS_KEPT == 0:
            give_back()
        return planes

    def _run(self, arrays: Arrays) -> NDArray[np.float32]:
        run = self.prepared(arrays[2] is not None)
        if not self.tta:
            return run(arrays)
        total = run(arrays)
        for axes in _FLIPS:
            planes = run([None if a is None else np.ascontiguousarray(np.flip(a, axes)) for a in arrays])
            total += np.flip(planes, axes)
        total /= 1 + len(_FLIPS)
        return total
