"""Who multiplies: torch, ONNX Runtime or OpenVINO, behind one call from arrays to arrays."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flora.errors import ConfigError
from flora.model import FLoRA
from flora.model.blocks import fix_kernels
from flora.scene.precision import Precision, choose_device

if TYPE_CHECKING:
    from flora.checkpoint import Checkpoint

Backend = Literal["torch", "onnx", "openvino"]
# What `auto` takes on a CPU; measured, see docs/decisions/0004.
MEASURED: Backend = "torch"
# Rows of cells that are fused at a time on a CPU: a few MB, which stay in its cache. A GPU wants all at once.
STRIP = 32
# What each needs: modules, and the extra that brings them.
NEEDS = {
    "torch": ((), ""),
    "onnx": (("onnx", "onnxscript", "onnxruntime"), "export"),
    "openvino": (("openvino",), "openvino"),
}

# Where water, picture and its spread lie among the planes.
_WATER, _OPTICAL, _SPREAD = slice(0, 1), slice(1, 4), slice(4, 7)

Arrays = Sequence[NDArray[Any] | None]


class Runner(Protocol):
    """A network made ready on one machine."""

    def __call__(self, arrays: Arrays, cut: int, planes: NDArray[np.float32]) -> None:
        """Runs a window.

        Args:
            arrays: sar, sar_valid, optical, optical_valid, each (band, H, W) or None.
            cut: Pixels at each side that are not answered.
            planes: Filled with the answer, (7, H - 2 cut, W - 2 cut).
        """


def choose_backend(backend: str, device: str, precision: Precision) -> Backend:
    """Gives the backend.

    Args:
        backend: `auto`, `torch`, `onnx` or `openvino`.
        device: As from `choose_device`; only torch runs on a GPU here.
        precision: Only torch runs in bf16 here.

    Returns:
        `torch`, `onnx` or `openvino`.

    Raises:
        ConfigError: The name is none of these, what it needs is not installed, or it cannot do what is asked.
    """
    if backend == "auto":
        return MEASURED if device == "cpu" and precision == "fp32" and _installed(MEASURED) else "torch"
    if backend not in get_args(Backend):
        raise ConfigError(f"Backend '{backend}' is unknown; expected auto, {', '.join(get_args(Backend))}.")
    chosen: Backend = backend  # type: ignore[assignment]
    if chosen != "torch" and (device != "cpu" or precision != "fp32"):
        raise ConfigError(
            f"Backend '{backend}' was asked for on {device} in {precision}; it runs on the CPU in fp32. Leave out "
            "--backend, or add --device cpu --precision fp32."
        )
    if not _installed(chosen):
        modules, extra = NEEDS[chosen]
        raise ConfigError(
            f"Backend '{backend}' needs {', '.join(modules)}, which is not installed; expected it. Install "
            f"'flora-sar[{extra}]', or leave out --backend."
        )
    return chosen


def _installed(backend: Backend) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in NEEDS[backend][0])


def make_runner(
    checkpoint: Checkpoint, backend: Backend, device: str, precision: Precision, with_optical: bool
) -> Runner:
    """Makes the network ready on this machine.

    Args:
        checkpoint: The network.
        backend: As from `choose_backend`.
        device: For torch; `auto` is settled here.
        precision: For torch.
        with_optical: Whether an optical image will come with the radar.

    Returns:
        What runs it.
    """
    if backend == "torch":
        return TorchRunner(checkpoint, choose_device(device), precision)
    if backend == "onnx":
        return OnnxRunner(checkpoint, with_optical)
    return OpenVinoRunner(checkpoint, with_optical)


class TorchRunner:
    """The folded network, channels-last, in torch."""

    def __init__(self, checkpoint: Checkpoint, device: str, precision: Precision) -> None:
        self._checkpoint = checkpoint
        self._device = torch.device(device)
        self._precision = precision
        folded = checkpoint.model.folded()
        if self._device.type == "cpu":
            fix_kernels(folded)
            if isinstance(folded, FLoRA):
                folded.save_memory(STRIP)
        self._model = folded.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, arrays: Arrays, cut: int, planes: NDArray[np.float32]) -> None:
        """Runs one window; see `Runner`."""
        kind, half = self._device.type, self._precision == "bf16"
        with torch.inference_mode(), torch.autocast(kind, dtype=torch.bfloat16, enabled=half):
            tensors = [None if array is None else self._tensor(array) for array in arrays]
            inside = cut if isinstance(self._model, FLoRA) else 0
            out = self._model(*tensors, cut=inside) if inside else self._model(*tensors)
            probability = self._checkpoint.probability(out.water_logits.float())
            # One copy from any format and layout into ordinary planes: ten times as fast as a step for each.
            filled = torch.from_numpy(planes)
            for span, part in (
                (_WATER, probability),
                (_OPTICAL, out.optical[0]),
                (_SPREAD, out.optical_spread[0]),
            ):
                filled[span].copy_(_without(part, cut - inside))
            filled[_OPTICAL].clamp_min_(0)

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(array)[None]
        pinned = self._device.type == "cuda"
        if pinned:
            tensor = tensor.pin_memory()
        tensor = tensor.to(self._device, non_blocking=pinned)
        return tensor.contiguous(memory_format=torch.channels_last)


class OnnxRunner:
    """The exported graph in ONNX Runtime."""

    def __init__(self, checkpoint: Checkpoint, with_optical: bool) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Freed between tiles of different shapes, or it would keep the largest of each.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        with tempfile.TemporaryDirectory(prefix="flora-") as folder:
            graph = _graph(checkpoint, Path(folder), with_optical)
            self._session = onnxruntime.InferenceSession(
                str(graph), options, providers=["CPUExecutionProvider"]
            )

    def __call__(self, arrays: Arrays, cut: int, planes: NDArray[np.float32]) -> None:
        """Runs one window; see `Runner`."""
        names = (entry.name for entry in self._session.get_inputs())
        given = [array[None] for array in arrays if array is not None]
        _fill(planes, self._session.run(None, dict(zip(names, given, strict=True))), cut)


class OpenVinoRunner:
    """The traced network in OpenVINO."""

    def __init__(self, checkpoint: Checkpoint, with_optical: bool) -> None:
        import openvino

        from flora.export.portable import Portable, trace

        core = openvino.Core()
        program = trace(Portable(checkpoint), checkpoint.model.grid, with_optical)
        # Left to itself it would take bf16 on some processors, and pixels would depend on the machine.
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
        }
        self._compiled = core.compile_model(openvino.convert_model(program), "CPU", settings)

    def __call__(self, arrays: Arrays, cut: int, planes: NDArray[np.float32]) -> None:
        """Runs one window; see `Runner`."""
        given = [array[None] for array in arrays if array is not None]
        found = self._compiled(given, share_inputs=True)
        _fill(planes, [found[port] for port in range(len(self._compiled.outputs))], cut)


def _fill(planes: NDArray[np.float32], outputs: Sequence[NDArray[Any]], cut: int) -> None:
    """Copies a graph's water, picture and spread, each (1, band, H, W)."""
    for span, part in zip((_WATER, _OPTICAL, _SPREAD), outputs, strict=True):
        planes[span] = _without(part[0], cut)


def _without(part: Any, cut: int) -> Any:
    """Cuts pixels off each side of (band, H, W)."""
    return part[..., cut:-cut, cut:-cut] if cut else part


def _graph(checkpoint: Checkpoint, folder: Path, with_optical: bool) -> Path:
    """Writes the graph; tracing takes some seconds, once a process."""
    from flora.export import facts_of
    from flora.export.portable import Portable, trace
    from flora.export.write import write_graph

    program = trace(Portable(checkpoint), checkpoint.model.grid, with_optical)
    path = folder / f"{os.getpid()}.onnx"
    write_graph(program, path, facts_of(checkpoint, with_optical))
    return path
