"""Runs a plan, and writes what was measured as JSON."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from flora.benchmark.files import file_to_file, over_workers
from flora.benchmark.machine import commit, machine, matrix_ceiling, versions
from flora.benchmark.plan import PRECISIONS, Plan
from flora.errors import ConfigError, FloraError

Say = Callable[[str], None]
Rows = list[dict[str, Any]]


def run_speed(
    plan: Plan,
    out: Path,
    scenes: Path,
    parts: Sequence[str] = ("network", "files", "workers"),
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Measures what a plan names and writes it.

    A file that is there keeps the parts that are not measured anew, so that a long run can be made in pieces.

    Args:
        plan: Sizes and repetitions.
        out: JSON to write.
        scenes: Folder of scenes; missing ones are simulated.
        parts: Of `network`, `files`, `workers`.
        say: Called with each result as it comes.

    Returns:
        What was written.
    """
    found: dict[str, Any] = json.loads(out.read_text()) if out.is_file() else {"benchmark": "speed"}
    work = {"network": measure_networks, "files": measure_files, "workers": measure_workers}
    for part in parts:
        stamp = {
            "machine": machine(),
            "versions": versions(),
            "commit": commit(),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "plan": asdict(plan),
        }
        found[part] = stamp | {"results": work[part](plan, scenes, say)}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return found


def measure_networks(plan: Plan, scenes: Path, say: Say) -> dict[str, Any]:
    """Measures networks alone, side by side on one tile, and the default one on a scene's window too."""
    from flora.benchmark.network import Case, flop_per_pixel

    ceiling = {precision: matrix_ceiling(precision) for precision in PRECISIONS}
    say(f"Matrix product: {', '.join(f'{name} {speed:.0f} GFLOP/s' for name, speed in ceiling.items())}.")
    pairs = [("torch", precision) for precision in PRECISIONS]
    plain = [("plain", "fp32")]
    pairs += [(backend, "fp32") for backend in plan.backends if backend != "torch"]
    cases = [
        Case(network, backend, precision, plan.side, plan.repeats)  # type: ignore[arg-type]
        for network in plan.networks
        for backend, precision in plain + pairs
    ]
    last = plan.networks[-1]
    cases += [Case(last, backend, precision, plan.window, plan.repeats) for backend, precision in pairs]  # type: ignore[arg-type]
    flop = {network: flop_per_pixel(network) for network in plan.networks}
    rows: Rows = []
    for case in cases:
        row = measured(case, flop[case.network], ceiling[case.precision])
        rows.append(row)
        told = row.get("fault") or f"{row['mpx_per_s']:.3f} Mpx/s, {row['peak_mib']:.0f} MiB"
        say(f"{case.network}, {case.backend}, {case.precision}, {case.side} px: {told}")
    return {"ceiling_gflop_per_s": ceiling, "flop_per_pixel": flop, "rows": rows}


def measured(case: Any, flop: float, ceiling: float) -> dict[str, Any]:
    """Runs one case in a process of its own; a backend that is not installed gives its fault."""
    from flora.benchmark.child import run_child

    row: dict[str, Any] = asdict(case)
    try:
        ran = run_child(case.to_words())
    except FloraError as error:
        return row | {"fault": str(error)}
    result: dict[str, Any] = ran["result"]
    share = result["mpx_per_s"] * flop / 1e3 / ceiling
    return row | result | {"peak_mib": ran["peak_mib"], "share_of_ceiling": share}


def measure_files(plan: Plan, scenes: Path, say: Say) -> dict[str, Any]:
    """Measures the command line from file to file, scene after scene, with untrained default weights."""
    from flora.benchmark.scenes import write_scene

    rows: Rows = []
    with tempfile.TemporaryDirectory(dir=_made(scenes)) as folder:
        weights = _weights(Path(folder))
        for side, precision in product(plan.scenes, PRECISIONS):
            scene = write_scene(scenes, side)
            row = {"side": side, "tile": plan.tile, "precision": precision}
            row |= file_to_file(scene, Path(folder) / "out", plan.tile, weights, precision)
            rows.append(row)
            told = f"{row['mpx_per_s']:.3f} Mpx/s, {row['seconds']:.0f} s, {row['peak_mib']:.0f} MiB"
            say(f"{side} px, {precision}: {told}")
    return {"rows": rows}


def measure_workers(plan: Plan, scenes: Path, say: Say) -> dict[str, Any]:
    """Measures one scene on one and on two worker processes of one thread."""
    from flora.benchmark.scenes import write_scene

    rows: Rows = []
    if plan.workers == 0:
        return {"rows": rows}
    scene = write_scene(scenes, plan.workers)
    with tempfile.TemporaryDirectory(dir=scenes) as folder:
        weights = _weights(Path(folder))
        for count in (1, 2):
            row = over_workers(scene, plan.worker_tile, weights, count)
            rows.append(row)
            say(f"{count} workers of one thread: {row['mpx_per_s']:.3f} Mpx/s")
    return {"rows": rows}


def _weights(folder: Path) -> Path:
    """Writes untrained weights: speed does not ask what a network knows."""
    import torch

    from flora.checkpoint import Checkpoint, save
    from flora.model import FLoRA

    torch.manual_seed(0)
    return save(folder / "untrained.safetensors", Checkpoint(FLoRA("default").eval()))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"'{folder}' cannot be made ({error.strerror}); name another --scenes.") from error
    return folder
