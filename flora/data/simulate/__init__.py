"""A seeded simulator of floods: radar and optical pictures before and during, with the truth beside them.

    from flora.data.simulate import simulate
    scene = simulate(1024, 1024, seed=3)

Simulated data teach and test; they are marked as simulated wherever they go and are never reported as results.
"""

from __future__ import annotations

from flora.data.simulate.compare import histogram_distances
from flora.data.simulate.kinds import Kind
from flora.data.simulate.place import SceneConfig
from flora.data.simulate.scene import SimulatedScene, simulate
from flora.data.simulate.stream import chips, simulate_blocks
from flora.data.simulate.write import write_scene

__all__ = [
    "Kind",
    "SceneConfig",
    "SimulatedScene",
    "chips",
    "histogram_distances",
    "simulate",
    "simulate_blocks",
    "write_scene",
]
