"""Measures how many augmented training chips a second the loader gives, alone, from packed chips in the page cache.

    python benchmarks/loader.py                     # made-up chips with every layer: the heaviest case
    python benchmarks/loader.py --packed packed     # chips that you packed

Each rate is wall time from the first batch asked for after a warm-up to the last one collated into tensors in the
main process, workers included; median, least and greatest of several rounds. Writes JSON with machine and versions.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
import torch

import flora
from flora.chip import Chip, ChipMeta
from flora.data.augment import AugmentConfig
from flora.data.loader import MixtureConfig, training_loader
from flora.data.pack import PackedDataset, pack

TARGET = 300.0  # chips of 256 x 256 px a second, on 2 cores with 2 workers


def made_up(kind: str, count: int, side: int = 512) -> Iterator[Chip]:
    """Yields chips with plausible values: `full` has every layer, `radar` has SAR and water."""
    rng = np.random.default_rng(0)
    for number in range(count):
        meta = ChipMeta(
            kind, "made-up", f"place-{number}", f"{kind}-{number}", "train", "calibrated", "surface", "strong"
        )
        sar = rng.normal(-14, 4, (2, side, side)).astype(np.float32)
        seen = np.ones((4, side, side), np.bool_)
        # A border, as scenes have one: a quarter of the chips has mixed validity.
        seen[:, :, : 40 * (number % 4 == 0)] = False
        chip = Chip(sar, seen[:2], meta, water=(sar[0] < -18).astype(np.uint8), water_valid=seen[0])
        if kind == "full":
            optical = rng.uniform(0, 0.4, (4, side, side)).astype(np.float32)
            chip = chip.with_layers(
                optical=optical, optical_valid=seen, prior=optical[::-1], prior_valid=seen
            )
        yield chip


def measure(packed: Path, datasets: list[str], args: argparse.Namespace) -> dict[str, object]:
    """Gives the rate of one loader over `args.rounds` rounds, and what a chip costs in CPU time."""
    loader = training_loader(
        packed,
        MixtureConfig(weights=dict.fromkeys(datasets, 1.0)),
        AugmentConfig(),
        batch_size=args.batch_size,
        size=args.size,
        seed=0,
        workers=args.workers,
    )
    cpu = cpu_seconds()
    batches = iter(loader)
    # The warm-up fills the page cache, the speckle tables and the prefetch queue.
    seen = sum(len(batch) for batch in islice(batches, args.warm_up))
    rates = []
    for _ in range(args.rounds):
        started = time.perf_counter()
        count = sum(len(batch) for batch in islice(batches, args.batches))
        rates.append(count / (time.perf_counter() - started))
        seen += count
    del batches, loader  # ends the workers, so that their time is counted
    return {
        "datasets": datasets,
        "chips_per_s": {"median": median(rates), "least": min(rates), "greatest": max(rates)},
        # Of all processes, with the batches that were prefetched and not used; less touched by what else runs.
        "cpu_ms_per_chip": (cpu_seconds() - cpu) / seen * 1e3,
    }


def cpu_seconds() -> float:
    """Gives the CPU time of this process and of its children that have ended."""
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


def machine() -> dict[str, object]:
    """Describes the machine and what else it was doing."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        cpu = names[0] if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load_1min": os.getloadavg()[0],
    }


def commit() -> str:
    """Gives the commit that is measured, with a + where files differ from it."""
    run = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False
    )
    return run.stdout.strip()


def main() -> None:
    """Runs the cases and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packed", type=Path, help="folder of packs to use instead of made-up chips")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batches", type=int, default=40, help="batches a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warm-up", type=int, default=20, help="batches before the first round")
    parser.add_argument("--out", type=Path, help="JSON file to write; standard output otherwise")
    args = parser.parse_args()
    before = machine()
    with tempfile.TemporaryDirectory() as scratch:
        packed = args.packed or Path(scratch)
        if args.packed is None:
            for kind in ("full", "radar"):
                pack(made_up(kind, 24), packed / kind)
            cases = [["full"], ["radar"], ["full", "radar"]]
        else:
            cases = [sorted({chip.meta.dataset for chip in PackedDataset(packed, split="train").chips})]
        results = [measure(packed, case, args) for case in cases]
    report = {
        "benchmark": "loader",
        "what": "augmented training chips a second, loader alone, from the page cache",
        "target_chips_per_s": TARGET,
        "settings": {key: value for key, value in vars(args).items() if key not in ("out", "packed")},
        "chips": "made-up" if args.packed is None else "packed",
        "results": results,
        "machine": before,
        "versions": {
            "flora": flora.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
        },
        "commit": commit(),
    }
    text = json.dumps(report, indent=2) + "\n"
    if args.out is None:
        sys.stdout.write(text)
    else:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
