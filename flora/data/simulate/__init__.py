"""A seeded simulator of floods: radar and optical pictures before and during, with the truth beside them.

    from flora.data.simulate import simulate
    scene = simulate(1024, 1024, seed=3)

Simulated data teach and test; they are marked as simulated wherever they go and are never reported as results.
"""

from __future__ import annotations

from flora.data.simulate.cover import Kind
from flora.data.simulate.place import SceneConfig
from flora.data.simulate.scene import SimulatedScene, chips, simulate, simulate_blocks

__all__ = ["Kind", "SceneConfig", "SimulatedScene", "chips", "simulate", "simulate_blocks"]
