"""What a user of an exported network has to know, stored in its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import flora
from flora.bands import OPTICAL_BANDS, RGB_BANDS, SAR_BANDS
from flora.checkpoint import Checkpoint
from flora.errors import CheckpointError

KEY: Final = "flora"
PROGRAM_FILE: Final = "flora.json"  # beside the program, inside its archive
ATTRIBUTION: Final = (
    "Weights trained on, and results made from, modified Copernicus Sentinel data. Method: FLoRA, Talreja, Gebre, "
    "Hashemi-Beni, IEEE TGRS 2026, doi 10.1109/TGRS.2026.3701300."
)


def facts_of(checkpoint: Checkpoint, with_optical: bool) -> dict[str, Any]:
    """Gathers what belongs to a network.

    Args:
        checkpoint: The network.
        with_optical: Whether it takes an optical image.

    Returns:
        Facts that JSON has a form for; lengths are in px.
    """
    model = checkpoint.model
    inputs = {
        "sar": {"bands": list(SAR_BANDS), "unit": "dB", "type": "float32"},
        "sar_valid": {"bands": list(SAR_BANDS), "unit": "", "type": "bool"},
    }
    if with_optical:
        inputs["optical"] = {"bands": list(OPTICAL_BANDS), "unit": "reflectance", "type": "float32"}
        inputs["optical_valid"] = {"bands": list(OPTICAL_BANDS), "unit": "", "type": "bool"}
    return {
        "made_by": f"FLoRA {flora.__version__}",
        "preset": model.config.name,
        "inputs": inputs,
        "outputs": {
            "water_probability": {"bands": ["water"], "unit": "1"},
            "optical_reflectance": {"bands": list(RGB_BANDS), "unit": "reflectance"},
            "optical_spread": {"bands": list(RGB_BANDS), "unit": "reflectance"},
        },
        "layout": "batch of 1, band, row, column; rows and columns are multiples of `grid`; pad with invalid",
        "threshold": checkpoint.threshold,
        "temperature": checkpoint.temperature,
        "grid": model.grid,
        "halo": model.halo,
        "margin": model.margin,
        "attribution": ATTRIBUTION,
    }


def read_facts(path: str | Path) -> dict[str, Any]:
    """Reads what an exported file says of itself.

    Args:
        path: `.onnx` or `.pt2`, as `export` wrote it.

    Returns:
        As from `facts_of`.

    Raises:
        CheckpointError: The file is missing, or was not written by `flora export`.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"'{path}' is not a file; expected a network that `flora export` wrote.")
    text = _of_program(path) if path.suffix == ".pt2" else _of_graph(path)
    if text is None:
        raise CheckpointError(
            f"'{path}' holds no facts of FLoRA's; expected a file that `flora export` wrote."
        )
    facts: dict[str, Any] = json.loads(text)
    return facts


def _of_program(path: Path) -> str | None:
    import torch

    extra = {PROGRAM_FILE: ""}
    torch.export.load(path, extra_files=extra)
    return extra[PROGRAM_FILE] or None


def _of_graph(path: Path) -> str | None:
    import onnx

    graph = onnx.load(path, load_external_data=False)
    return next((entry.value for entry in graph.metadata_props if entry.key == KEY), None)
