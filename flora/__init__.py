"""FLoRA: from one Sentinel-1 scene, the optical picture and the flood-water map.

`open_sar` reads a scene, `load` gives the network, `predict` maps the scene. Names are imported when first used,
so that `import flora` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "open_sar": "flora.raster",
    "open_optical": "flora.raster",
    "load": "flora.checkpoint",
    "predict": "flora.scene",
    "map_flood": "flora.products.flood",
    "simulate": "flora.data.simulate",
    "FloraError": "flora.errors",
}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    """Imports a public name from its module on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'flora' has no attribute '{name}'; it has {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)
