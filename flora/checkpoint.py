"""Weights, configuration, constants, threshold and provenance in one safetensors file; never a pickle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from flora import normalize
from flora.bands import RGB_BANDS, SAR_BANDS
from flora.chip import Chip, grey_bands
from flora.errors import CheckpointError
from flora.model.family import Network, build, parse_sizes

DEFAULT: Final = Path(__file__).with_name("weights") / "default.safetensors"
RUN_FILE: Final = (
    "flora.safetensors"  # as a training run calls its weights, in a folder that has the run's name
)
FORMAT: Final = 1
KEY: Final = "flora"
REQUIRED: Final = ("model", "constants", "threshold", "temperature", "provenance")


@dataclass(slots=True)
class Checkpoint:
    """A network that is ready to predict, and what is known about it.

    Attributes:
        model: The network, in evaluation mode, float32.
        threshold: Probability from which a pixel is called water; chosen on validation data.
        temperature: Divides the water logits before the sigmoid, so that a probability is one.
        provenance: Data, steps, seed, machine, versions and scores of the training that made it.
        path: File it was read from, None for one in memory.
        threshold_grey: The same as `threshold` for one polarisation in grey values of unknown stretch, which leave
            more in doubt than a scene in dB; None where validation held none.
        threshold_grey_pair: The same for both polarisations in such values.
    """

    model: Network
    threshold: float = 0.5
    temperature: float = 1.0
    provenance: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None
    threshold_grey: float | None = None
    threshold_grey_pair: float | None = None

    def threshold_for(self, chips: Iterable[Chip]) -> float:
        """Gives the probability from which a pixel is called water, in chips of one source.

        They are read alike, so that the first with a valid pixel tells what the radar is.
        """
        first = next((chip for chip in chips if chip.sar_valid.any()), None)
        bands = grey_bands(first.meta, first.sar_valid) if first is not None else 0
        own = (None, self.threshold_grey, self.threshold_grey_pair)[bands]
        return self.threshold if own is None else own

    def probability(self, logits: Tensor) -> Tensor:
        """Turns water logits of any shape into a calibrated probability."""
        return torch.sigmoid(logits / self.temperature)


def constants() -> dict[str, Any]:
    """Gives the fixed scalings that weights are made for, as they are stored beside them."""
    return {
        "sar_bands": list(SAR_BANDS),
        "sar_unit": "dB",
        "sar_mean": list(normalize.SAR_MEAN),
        "sar_std": list(normalize.SAR_STD),
        "sar_clip": list(normalize.SAR_CLIP),
        "optical_bands": list(RGB_BANDS),
        "optical_unit": "reflectance",
        "unit_reflectance": normalize.UNIT_REFLECTANCE,
    }


def save(path: str | Path, checkpoint: Checkpoint, dtype: torch.dtype = torch.float16) -> Path:
    """Writes a checkpoint.

    Args:
        path: File to write; replaced as a whole.
        checkpoint: What to write.
        dtype: Stored precision of the weights. Half precision halves the file; the statistics of normalisation and
            every number that decides stay float32.

    Returns:
        The path.

    Raises:
        CheckpointError: The model has folded normalisation, so that it could not be trained further.
    """
    path = Path(path)
    state = checkpoint.model.state_dict()
    if any(name.endswith(".conv.bias") for name in state):  # folding gives a convolution its bias
        raise CheckpointError(
            "The model's normalisation is folded; expected the trainable model. Save it before `folded()`."
        )
    tensors = {
        name: tensor.detach().cpu().to(dtype).contiguous()
        if tensor.is_floating_point() and "running" not in name
        else tensor.detach().cpu().contiguous()
        for name, tensor in state.items()
    }
    header = {
        "format": FORMAT,
        "model": checkpoint.model.config.model_dump(mode="json"),
        "constants": constants(),
        "threshold": checkpoint.threshold,
        "threshold_grey": checkpoint.threshold_grey,
        "threshold_grey_pair": checkpoint.threshold_grey_pair,
        "temperature": checkpoint.temperature,
        "provenance": checkpoint.provenance,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    save_file(tensors, str(partial), metadata={KEY: json.dumps(header)})
    partial.chmod(0o644)  # safetensors makes private files
    partial.replace(path)
    return path


def read_header(path: str | Path) -> dict[str, Any]:
    """Reads what a checkpoint says of itself, without its weights.

    Raises:
        CheckpointError: The file is missing, is no safetensors file, is not one of FLoRA's, or its header is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"'{path}' is not a file; expected FLoRA weights (.safetensors). Check the path."
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"'{path}' is not a safetensors file ({error}); expected FLoRA weights. "
            "Use a file that `flora train` wrote."
        ) from error
    if KEY not in metadata:
        raise CheckpointError(f"'{path}' holds no FLoRA header; expected weights that `flora train` wrote.")
    header = _parsed(path, metadata[KEY])
    if header.get("format") != FORMAT:
        raise CheckpointError(
            f"'{path}' has checkpoint format {header.get('format')}; this version reads {FORMAT}. "
            "Update FLoRA or retrain."
        )
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise CheckpointError(
            f"The FLoRA header of '{path}' has no {' and no '.join(missing)}; expected {', '.join(REQUIRED)}. "
            "It is damaged, copy it anew or retrain it."
        )
    return header


def _parsed(path: Path, text: str) -> dict[str, Any]:
    """Reads the JSON object that a header is."""
    try:
        header = json.loads(text)
    except ValueError:
        header = None
    if not isinstance(header, dict):
        raise CheckpointError(
            f"The FLoRA header of '{path}' is no JSON object; expected weights that `flora train` wrote. "
            "It is damaged, copy it anew or retrain it."
        )
    return header


def load(path: str | Path | None = None) -> Checkpoint:
    """Reads a checkpoint.

    Args:
        path: File that `save` wrote; None for the weights that come with the package.

    Returns:
        The network in evaluation mode with its threshold, temperature and provenance.

    Raises:
        CheckpointError: The file is missing, damaged, foreign, or was made for other scalings or another network.
    """
    path = DEFAULT if path is None else Path(path)
    header = read_header(path)
    _refuse_other_constants(path, header["constants"])
    try:
        model = build(parse_sizes(header["model"]))
        with safe_open(str(path), framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
        state = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
        model.load_state_dict(state)
        threshold, temperature = float(header["threshold"]), float(header["temperature"])
        grey, grey_pair = (
            None if (value := header.get(name)) is None else float(value)
            for name in ("threshold_grey", "threshold_grey_pair")
        )
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError, SafetensorError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise CheckpointError(
            f"'{path}' does not fit the network it describes ({first}); it is damaged, retrain it."
        ) from error
    return Checkpoint(
        model.eval(),
        threshold,
        temperature,
        header["provenance"],
        path,
        grey,
        grey_pair,
    )


def _refuse_other_constants(path: Path, stored: Any) -> None:
    """Refuses weights that were made for other scalings than this version's."""
    found = stored if isinstance(stored, dict) else {}
    changed = [name for name in constants() | found if found.get(name) != constants().get(name)]
    if changed:
        raise CheckpointError(
            f"'{path}' was trained with other constants ({', '.join(changed)}) than this version uses; retrain it."
        )
