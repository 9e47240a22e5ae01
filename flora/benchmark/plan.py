"""What a speed benchmark measures."""

from __future__ import annotations

from dataclasses import dataclass

NETWORKS = ("paper", "unet-paper", "default")
BACKENDS = ("torch", "onnx", "openvino")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes and repetitions.

    Attributes:
        networks: Presets that are compared on the same tile.
        backends: What runs them; those that are not installed are left out and said so.
        side: Side of the tile that all of them get, px.
        window: Side of the window of a tile of a scene, margin included, px, for the default preset alone.
        repeats: Timed calls of a network, after one that warms up.
        scenes: Sides of the scenes that go from file to file, px.
        tile: Side of a scene's tiles, px.
        workers: Side of the scene that 1 and 2 workers of one thread share, px; 0 leaves it out.
        worker_tile: Side of its tiles, px: there have to be many more than workers.
    """

    networks: tuple[str, ...] = NETWORKS
    backends: tuple[str, ...] = BACKENDS
    side: int = 512
    window: int = 1792
    repeats: int = 3
    scenes: tuple[int, ...] = (2000, 5000, 20_000)
    tile: int = 1536
    workers: int = 10_000
    worker_tile: int = 1024


QUICK = Plan(
    networks=("small", "default"),
    backends=("torch",),
    side=128,
    window=128,
    repeats=2,
    scenes=(300,),
    tile=256,
    workers=0,
)
