"""A measurement in a process of its own: clean memory, clean thread pools, and the peak of the whole tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import psutil  # type: ignore[import-untyped]

from flora.errors import FloraError

EVERY = 0.1  # s


def run_child(words: Sequence[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Runs Python on `words` and reads the JSON that it prints.

    Args:
        words: What follows the interpreter's name.
        environment: Variables that are set beside those of this process.

    Returns:
        `result`, `seconds` from start to end, and `peak_mib`: highest resident memory of the process and all its
        children together, sampled ten times a second.

    Raises:
        FloraError: It failed.
    """
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as complained:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words], stdout=said, stderr=complained, env=os.environ | (environment or {})
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(EVERY)
        seconds = time.perf_counter() - start
        said.seek(0), complained.seek(0)
        if process.returncode:
            last = (complained.read().strip().splitlines() or ["no word"])[-1]
            raise FloraError(
                f"A measurement failed ({last}); expected it to end well. Run it alone to see more."
            )
        return {"result": json.loads(said.read()), "seconds": seconds, "peak_mib": peak / 2**20}


def tree_bytes(pid: int) -> int:
    """Adds up the resident memory of a process and all below it."""
    total = 0
    try:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.Error:  # it has just ended
                continue
    except psutil.Error:
        return total
    return total
