"""The package as others meet it: its names, its weight, its layers, and what the README promises."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import typer

import flora
from flora.cli import app

ROOT = Path(__file__).resolve().parents[1]
SURFACE = Path(__file__).with_name("surface.txt")


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def verbs(command: Any, words: str = "flora") -> Iterator[tuple[str, list[str]]]:
    """Every verb with its arguments and options, options of the verb itself only."""
    yield (
        words,
        sorted(name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)),
    )
    for name, below in sorted(getattr(command, "commands", {}).items()):
        yield from verbs(below, f"{words} {name}")


def surface() -> str:
    """The public names of the package, and the options of every verb, as text."""
    names = [f"flora.{name}" for name in sorted(flora.__all__)]
    lines = [f"{words}: {' '.join(options)}" for words, options in verbs(typer.main.get_command(app))]
    return "\n".join([*names, "", *lines]) + "\n"


def test_surface_equals_the_list() -> None:
    """Whoever changes the surface changes the list with it: FLORA_SURFACE=write pytest tests/test_package.py."""
    if os.environ.get("FLORA_SURFACE") == "write":
        SURFACE.write_text(surface())
    assert surface() == SURFACE.read_text()


def test_every_public_name_exists() -> None:
    assert [name for name in flora.__all__ if getattr(flora, name, None) is None] == []
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        flora.nonsense  # noqa: B018


def loaded_by(statement: str) -> set[str]:
    """Names of the packages that a statement loads in a fresh interpreter."""
    program = f"{statement}\nimport sys\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import flora", {"numpy", "torch", "rasterio", "xarray", "typer"}),
        ("import flora.data", {"torch", "rasterio", "xarray", "dask"}),
        ("import flora.raster", {"torch", "lightning"}),
        (
            "import flora.model, flora.losses, flora.checkpoint",
            {"rasterio", "rioxarray", "xarray", "odc", "dask"},
        ),
        ("import flora.train, flora.data.loader", {"rasterio", "rioxarray", "xarray", "odc", "dask"}),
    ],
)
def test_imports_stay_light(statement: str, absent: set[str]) -> None:
    assert loaded_by(statement) & absent == set()


def test_layers_hold() -> None:
    """Imports run downwards only, every module stands in a layer (the contract is in pyproject.toml)."""
    linter = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(linter, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_shipped_weights_are_small_and_never_a_pickle() -> None:
    weights = [path for path in (ROOT / "flora/weights").iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in weights) <= 20 * 2**20
    assert {path.suffix for path in weights} <= {".safetensors", ".txt", ".md", ".json"}


# Packages whose import has another name than their distribution.
DISTRIBUTION = {"PIL": "pillow", "yaml": "pyyaml", "odc": "odc-geo"}


def declared() -> set[str]:
    project = pyproject()["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    return {re.split(r"[>\[]", required)[0].strip().lower() for required in chain.from_iterable(lists)}


def test_every_imported_package_is_declared() -> None:
    """What is installed by chance, because another package needs it, may be gone tomorrow."""
    imported = set()
    for path in (ROOT / "flora").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - {"flora"}
    assert {DISTRIBUTION.get(name, name).replace("_", "-") for name in foreign} - declared() == set()


def test_no_forbidden_dependency() -> None:
    """torchvision on PyPI follows a CUDA torch and breaks a CPU one; these bring it in."""
    assert declared() & {"torchvision", "timm", "segmentation-models-pytorch", "lpips", "torchgeo"} == set()


def test_every_lower_bound_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    core = text.split("dependencies = [")[1].split("\n]")[0]
    assert [line for line in core.splitlines() if line.strip() and "#" not in line] == []
