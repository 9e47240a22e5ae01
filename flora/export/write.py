"""Writing an exported network, and comparing it with the network it came from."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from flora.checkpoint import Checkpoint
from flora.errors import ConfigError, OutputError
from flora.export.facts import KEY, PROGRAM_FILE, facts_of
from flora.export.portable import OUTPUTS, RADAR, WITH_OPTICAL, Portable, example, trace

FORMATS: Final = ("onnx", "program")
AGREEMENT: Final = 1e-4  # of probability and reflectance, between the file and torch
CHECKED_CELLS: Final = (2, 5)  # another size than the one that was traced


@dataclass(frozen=True, slots=True)
class Exported:
    """A written network.

    Attributes:
        path: The file.
        format: `onnx` or `program`.
        bytes: Its size.
        difference: Greatest difference of any output from torch's, at a size that was not traced.
        facts: What it says of itself.
    """

    path: Path
    format: str
    bytes: int
    difference: float
    facts: dict[str, Any]


def export(
    checkpoint: Checkpoint,
    path: str | Path,
    *,
    format: str = "onnx",
    with_optical: bool = False,
    overwrite: bool = False,
) -> Exported:
    """Writes the network as a file that runs without FLoRA, and runs it once to compare.

    Args:
        checkpoint: The network with its temperature.
        path: File to write; replaced as a whole.
        format: `onnx`, or `program` for `torch.export.load`.
        with_optical: The file takes an optical image beside radar.
        overwrite: Whether a file at `path` may be replaced.

    Returns:
        What was written, and how far it is from torch.

    Raises:
        ConfigError: The format is unknown, or what it needs is not installed.
        OutputError: The file is there already, cannot be written, or disagrees with torch.
    """
    path = Path(path).expanduser()
    if format not in FORMATS:
        raise ConfigError(f"Format '{format}' is unknown; expected {' or '.join(FORMATS)}.")
    if path.exists() and not overwrite:
        raise OutputError(f"'{path}' exists already; nothing is overwritten unasked. Pass --overwrite.")
    if format == "onnx":
        require("onnx", "onnxscript", "onnxruntime", extra="export")
    facts = facts_of(checkpoint, with_optical)
    portable, grid = Portable(checkpoint).eval(), checkpoint.model.grid
    program = trace(portable, grid, with_optical)
    partial = path.with_name(f".{path.stem}.partial{'.onnx' if format == 'onnx' else '.pt2'}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write = write_graph if format == "onnx" else write_program
        write(program, partial, facts)
        difference = _difference(portable, partial, example(grid, with_optical, CHECKED_CELLS))
        if not difference <= AGREEMENT:
            raise OutputError(
                f"The exported network differs from torch by {difference:.1e}; expected {AGREEMENT:g} at most. "
                "Nothing was written; another version of torch or ONNX Runtime may help."
            )
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"'{path}' cannot be written ({error.strerror}); choose another place.") from error
    finally:
        partial.unlink(missing_ok=True)
    return Exported(path, format, path.stat().st_size, difference, facts)


def write_program(program: torch.export.ExportedProgram, path: Path, facts: dict[str, Any]) -> None:
    """Writes torch's exported program with its facts inside."""
    torch.export.save(program, path, extra_files={PROGRAM_FILE: json.dumps(facts)})


def write_graph(program: torch.export.ExportedProgram, path: Path, facts: dict[str, Any]) -> None:
    """Writes an ONNX graph with its facts as metadata and its weights inside."""
    names = WITH_OPTICAL if "optical" in facts["inputs"] else RADAR
    with _quiet():
        graph = torch.onnx.export(
            program, dynamo=True, input_names=list(names), output_names=list(OUTPUTS), verbose=False
        )
    assert graph is not None, "the dynamo exporter returns its graph"
    graph.model.metadata_props[KEY] = json.dumps(facts)
    for name in ("threshold", "temperature", "grid", "halo", "margin", "attribution"):
        graph.model.metadata_props[f"{KEY}.{name}"] = str(facts[name])
    graph.save(path, external_data=False)


def run_file(path: Path, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Runs an exported network once, `.onnx` with ONNX Runtime and `.pt2` with torch."""
    if path.suffix == ".pt2":
        names = WITH_OPTICAL[: len(inputs)]
        with torch.no_grad():
            found: tuple[Tensor, ...] = torch.export.load(path).module()(
                **dict(zip(names, inputs, strict=True))
            )
        return found
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feeds = {name: tensor.numpy() for name, tensor in zip(WITH_OPTICAL, inputs, strict=False)}
    return tuple(torch.from_numpy(array) for array in session.run(list(OUTPUTS), feeds))


def require(*packages: str, extra: str) -> None:
    """Checks that packages are there.

    Args:
        packages: Names as they are imported.
        extra: The extra of FLoRA's that brings them.

    Raises:
        ConfigError: One is missing.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ConfigError(
                f"Package '{package}' is not installed; it is needed here. Install it with pip install "
                f"'flora-sar[{extra}]'."
            ) from error


def _difference(portable: Portable, path: Path, inputs: tuple[Tensor, ...]) -> float:
    with torch.no_grad():
        expected = portable(*inputs)
    found = run_file(path, inputs)
    return max(float((a - b).abs().max()) for a, b in zip(expected, found, strict=True))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's talk of its own steps from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
