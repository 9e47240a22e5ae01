"""Memory that tiles leave to each other."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
import threading

import numpy as np
import pytest

from flora.data import batches
from flora.memory import OF_SAMPLES, Shelf


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_memory_is_used_again_once_no_view_of_it_is_left() -> None:
    shelf = Shelf(2)
    first = shelf.empty((3, 100, 100), np.float32)
    place, view = address(first), first[1:]
    del first
    other = shelf.empty((3, 100, 100), np.float32)
    assert address(other) != place, "a view is still held"
    del view
    gc.collect()
    again = shelf.empty((3, 99, 100), np.float32)
    assert address(again) == place
    assert again.shape == (3, 99, 100)
    assert again.dtype == np.float32


def test_much_smaller_arrays_take_no_large_piece() -> None:
    shelf = Shelf(2)
    large = shelf.empty((1000, 1000), np.float32)
    place = address(large)
    del large
    assert address(shelf.empty((10, 10), np.bool_)) != place


def test_only_a_few_pieces_wait() -> None:
    shelf = Shelf(2)
    held = [shelf.empty((size,), np.uint8) for size in (1 << 16, 1 << 18, 1 << 20)]
    del held
    shelf.empty((1,), np.uint8)
    assert len(shelf._free) == 2


def test_threads_never_share_memory() -> None:
    shelf, wrong = Shelf(4), []

    def fill(mark: int) -> None:
        for _ in range(200):
            array = shelf.empty((5000,), np.uint8)
            array.fill(mark)
            if not (array == mark).all():
                wrong.append(mark)

    threads = [threading.Thread(target=fill, args=(mark,)) for mark in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
@pytest.mark.parametrize("settings", ["OF_LAYERS", "OF_SAMPLES"])
def test_glibc_is_told_to_keep_memory(settings: str) -> None:
    code = f"from flora import memory; print(memory.keep_memory(memory.{settings}))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "True"


def test_workers_of_the_loader_keep_what_samples_free(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr(batches, "keep_memory", told.append)
    batches.keep_in_worker(3)
    assert told == [OF_SAMPLES]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no processes")
def test_a_forked_process_writes_into_memory_of_its_own() -> None:
    array = Shelf(1).empty((100,), np.uint8)
    array.fill(1)
    child = os.fork()
    if not child:
        array.fill(9)
        os._exit(0)
    os.waitpid(child, 0)
    assert (array == 1).all()
