"""Speed of a network alone: one tile from memory, again and again. Runs as `python -m flora.benchmark.network`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flora.checkpoint import Checkpoint
from flora.model.family import NETWORKS, build
from flora.scene.network import PLANES, TileNetwork
from flora.scene.precision import Precision

LEAST_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement.

    Attributes:
        network: Preset.
        backend: `torch`, `onnx` or `openvino`, or `plain`: torch with nothing done for speed.
        precision: `fp32` or `bf16`.
        side: Of the tile, px.
        repeats: Timed calls at least; they go on for five seconds.
    """

    network: str
    backend: str
    precision: Precision
    side: int
    repeats: int

    def to_words(self) -> list[str]:
        """Gives what a child process is started with."""
        return ["-m", "flora.benchmark.network", json.dumps(asdict(self))]


def measure(case: Case) -> dict[str, Any]:
    """Times a network with random weights on one tile of speckle, all of it valid.

    Returns:
        Mpx/s: median, least and greatest; seconds of the first call, which also prepares.
    """
    torch.manual_seed(0)
    checkpoint = Checkpoint(build(NETWORKS[case.network]).eval())
    network = (
        _plain(checkpoint)
        if case.backend == "plain"
        else TileNetwork(checkpoint, "cpu", case.precision, backend=case.backend)  # type: ignore[arg-type]
    )
    rng = np.random.default_rng(0)
    sar = rng.normal(-14, 4, (2, case.side, case.side)).astype(np.float32)
    valid = np.ones(sar.shape, np.bool_)
    start = time.perf_counter()
    network(sar, valid)
    first = time.perf_counter() - start
    seconds: list[float] = []
    # A quick network is timed for longer, so that what else the machine does evens out.
    while len(seconds) < case.repeats or sum(seconds) < LEAST_SECONDS:
        start = time.perf_counter()
        network(sar, valid)
        seconds.append(time.perf_counter() - start)
    megapixels = case.side**2 / 1e6
    return {
        "mpx_per_s": megapixels / median(seconds),
        "least": megapixels / max(seconds),
        "greatest": megapixels / min(seconds),
        "first_call_s": first,
    }


def _plain(checkpoint: Checkpoint) -> Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]:
    """Runs a network as research code does: float32, the usual memory layout, normalisation as a layer of its own."""

    def run(sar: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        with torch.inference_mode():
            out = checkpoint.model(torch.from_numpy(sar)[None], torch.from_numpy(valid)[None])
            water = checkpoint.probability(out.water_logits)[:, None]
            planes: NDArray[np.float32] = torch.cat([water, out.optical, out.optical_spread], 1)[0].numpy()
        assert len(planes) == len(PLANES)
        return planes

    return run


@torch.inference_mode()
def flop_per_pixel(network: str) -> float:
    """Counts the FLOP a pixel of a network from radar alone, a multiplication and an addition being two."""
    from torch.utils.flop_counter import FlopCounterMode

    model = build(NETWORKS[network]).eval()
    side = 2 * model.grid
    sar = torch.zeros(1, 2, side, side)
    with FlopCounterMode(display=False) as counter:
        model(sar, torch.ones(sar.shape, dtype=torch.bool))
    return float(counter.get_total_flops()) / side**2


if __name__ == "__main__":
    print(json.dumps(measure(Case(**json.loads(sys.argv[1])))))  # noqa: T201  (read by the parent)
