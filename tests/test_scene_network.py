"""The threads that call the network: each has its share of the cores and leaves the others as they were."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import torch

from flora.scene.network import _take_share


def test_a_caller_works_on_its_share_and_leaves_the_rest_as_it_was() -> None:
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1, "caller", _take_share, (before, 1)) as caller:
        caller.submit(
            torch.relu, torch.ones(1_000_000)
        ).result()  # the first layer, which sets a thread's number
        assert caller.submit(torch.get_num_threads).result() == 1
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert found == [before]
    assert torch.get_num_threads() == before
