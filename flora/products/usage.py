"""What a run takes of the machine."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import psutil  # type: ignore[import-untyped]

EVERY = 0.25  # s; a sample costs milliseconds, and the network waits for the core that takes it


class Usage:
    """Measures the seconds of a block of work and the highest memory of this process and its children.

    The memory of a process is what lies in RAM (resident set); pages that children share count in each of them.

    Attributes:
        seconds: Since the block began; stands still when it has ended.
        peak_bytes: Highest memory seen, sampled four times a second.
    """

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._start = self._end = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="flora-usage", daemon=True)

    @property
    def seconds(self) -> float:
        """Seconds from the block's begin to now, or to its end."""
        return (self._end or time.perf_counter()) - self._start

    def __enter__(self) -> Usage:
        self._start = time.perf_counter()
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end = time.perf_counter()
        self._done.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._done.wait(EVERY):
            self._sample()

    def _sample(self) -> None:
        me = psutil.Process()
        total = me.memory_info().rss
        for child in me.children(recursive=True):
            try:
                total += child.memory_info().rss
            except psutil.Error:  # it has just ended
                continue
        self.peak_bytes = max(self.peak_bytes, total)
