"""How this process keeps memory that the network gives back between two layers, and when it lets go of it."""

from __future__ import annotations

import ctypes
import math
import mmap
import platform
import threading
import weakref
from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

# Parameters of glibc's mallopt, from malloc.h.
TRIM_THRESHOLD: Final = -1
MMAP_THRESHOLD: Final = -3
MMAP_MAX: Final = -4
ARENA_MAX: Final = -8
GREATEST: Final = 2**31 - 1

Settings = tuple[tuple[int, int], ...]
# The layers of a network, large and many: every block stays, in one arena for all threads.
OF_LAYERS: Final[Settings] = ((ARENA_MAX, 1), (MMAP_MAX, 0), (TRIM_THRESHOLD, GREATEST))
# The layers of training samples, in a process of one thread: blocks below 256 MiB stay, of free memory 1 GiB at most.
OF_SAMPLES: Final[Settings] = ((MMAP_THRESHOLD, 1 << 28), (TRIM_THRESHOLD, 1 << 30))

# Of `mmap`: a process that is forked off must not share the memory. Windows has neither forks nor this flag.
PRIVATE: Final[dict[str, int]] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
)
# A piece of the shelf serves for an array that is smaller than it by no more than this factor.
SPARE: Final = 1.25


@cache
def keep_memory(settings: Settings = OF_LAYERS) -> bool:
    """Tells glibc to keep large blocks for the next layer instead of handing each back to the system.

    The system clears every page that it hands out: on a window of 2304 px that took a third of the time, and making a
    training sample, which takes and frees dozens of layers, costs as much as all that is done to its pixels. One arena
    for all threads, as blocks of this size stay in the main one alone; threads that are there already keep the arenas
    that they have and share them with new ones, so call this before libraries that start threads are imported.
    Elsewhere than on glibc nothing is done.

    Args:
        settings: Parameters of mallopt and their values, bytes or a count: `OF_LAYERS` or `OF_SAMPLES`.

    Returns:
        Whether all of it took effect.

    Source: mallopt(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    taken = [mallopt(name, value) == 1 for name, value in settings]  # each is tried, whatever the others say
    return all(taken)


def give_back() -> bool:
    """Hands what lies free in glibc's heap back to the system.

    Taking it again costs a second for each two gigabytes: this is for the end of a task, not for each of its steps.

    Returns:
        Whether there was any.

    Source: malloc_trim(3), which since glibc 2.8 also gives back whole pages in the middle of the heap.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))


class Shelf:
    """Memory for large arrays that live as long as a tile, apart from the heap and used again.

    In the heap they would lie between the blocks of two networks, which come and go by the millisecond, and leave holes
    of no layer's size: over a scene the heap grew to twice what was ever in use.
    """

    def __init__(self, kept: int) -> None:
        """Starts empty.

        Args:
            kept: Pieces that wait to be used again at most.
        """
        self._kept = kept
        self._lock = threading.Lock()
        self._free: list[mmap.mmap] = []
        # An array may end anywhere, by the garbage collector even while the lock is held: what comes back waits here.
        self._back: deque[mmap.mmap] = deque()

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Gives an array of any content; its memory comes back when nobody holds the array or a view of it."""
        import numpy as np

        size = max(1, math.prod(shape) * np.dtype(dtype).itemsize)
        with self._lock:
            while self._back:
                self._free.append(self._back.popleft())
            fitting = [piece for piece in self._free if size <= len(piece) <= SPARE * size]
            piece = min(fitting, key=len, default=None)
            if piece is not None:
                self._free.remove(piece)
            del self._free[: -self._kept]  # unmapped, as nobody sees them
        if piece is None:
            piece = mmap.mmap(-1, size, **PRIVATE)
        whole = np.frombuffer(piece, np.uint8, size)
        weakref.finalize(whole, self._back.append, piece).atexit = False
        array: NDArray[Any] = whole.view(dtype).reshape(shape)
        return array
