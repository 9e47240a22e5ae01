"""How this process keeps memory that the network gives back between two layers, and when it lets go of it."""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from typing import Final

# Parameters of glibc's mallopt, from malloc.h.
TRIM_THRESHOLD: Final = -1
MMAP_MAX: Final = -4
ARENA_MAX: Final = -8
GREATEST: Final = 2**31 - 1


@cache
def keep_memory() -> bool:
    """Tells glibc to keep large blocks for the next layer instead of handing each back to the system.

    The system clears every page that it hands out: on a window of 2304 px that took a third of the time. One arena
    for all threads, as blocks of this size stay in the main one alone; threads that are there already keep the arenas
    that they have and share them with new ones, so call this before libraries that start threads are imported.
    Elsewhere than on glibc nothing is done.

    Returns:
        Whether all of it took effect.

    Source: mallopt(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    settings = ((ARENA_MAX, 1), (MMAP_MAX, 0), (TRIM_THRESHOLD, GREATEST))
    taken = [mallopt(name, value) == 1 for name, value in settings]  # each is tried, whatever the others say
    return all(taken)


def give_back() -> bool:
    """Hands what lies free in glibc's heap back to the system.

    A heap that keeps everything grows with each tile: blocks that outlive one, such as those of files being written,
    come to lie between those of the network, and the next layer finds no hole of its size.

    Returns:
        Whether there was any.

    Source: malloc_trim(3), which since glibc 2.8 also gives back whole pages in the middle of the heap.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    return bool(ctypes.CDLL(None).malloc_trim(0))
