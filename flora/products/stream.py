"""Computing layers tile by tile and handing each tile on as soon as it is there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import dask
import dask.array as da
import numpy as np
from dask.delayed import Delayed, delayed
from numpy.typing import NDArray

Index = tuple[int, int]
Blocks = dict[str, NDArray[np.generic]]
Prepare = Callable[[Index, Blocks], Any]
Write = Callable[[Index, Any], None]

# One thread is in the network while another reads the next tile or writes the last; more would only hold memory.
THREADS = 2


def stream(
    layers: Mapping[str, da.Array], prepare: Prepare, write: Write, skip: frozenset[Index] = frozenset()
) -> None:
    """Computes all layers of a tile together and writes them, tile after tile, in no fixed order.

    In a `dask.distributed` client the tiles are computed by its workers and written here; else by threads here.

    Args:
        layers: Arrays (…, y, x) with the same chunks in y and x; what they share is computed once a tile.
        prepare: Called with the tile's row and column among the tiles and its blocks, where they were computed.
        write: Called with the same row and column and what `prepare` gave; here, from several threads.
        skip: Tiles that are not computed.
    """
    tasks = {
        index: delayed(prepare, pure=False, traverse=False)(index, task)
        for index, task in _tasks(layers)
        if index not in skip
    }
    client = _client()
    if client is None:
        writes = [delayed(write, pure=False, traverse=False)(index, task) for index, task in tasks.items()]
        dask.compute(writes, scheduler="threads", num_workers=THREADS)  # type: ignore[attr-defined, no-untyped-call]
        return
    from distributed import as_completed

    futures = dict(zip(client.compute(list(tasks.values())), tasks, strict=True))
    try:
        for future in as_completed(list(futures)):  # type: ignore[no-untyped-call]
            # Out of the table and out of the loop, nothing holds the tile any longer, and its worker lets go of it.
            write(futures.pop(future), future.result())
            del future
    finally:
        client.cancel(list(futures))


def _tasks(layers: Mapping[str, da.Array]) -> Iterator[tuple[Index, Delayed]]:
    """Gives one task a tile, whose result is the block of each layer by its name."""
    grids = {name: array.to_delayed(optimize_graph=False) for name, array in layers.items()}  # type: ignore[no-untyped-call]
    # A layer with bands keeps them in one chunk: its grid of tasks is (1, rows, columns) of tiles.
    grids = {name: grid.reshape(grid.shape[-2:]) for name, grid in grids.items()}
    shape = next(iter(grids.values())).shape
    for index in np.ndindex(shape):
        yield (index[0], index[1]), delayed({name: grid[index] for name, grid in grids.items()})


def _client() -> Any:
    """Gives the `dask.distributed` client in force, None without one."""
    distributed = sys.modules.get("distributed")
    if distributed is None:  # nobody has imported it, so nobody has a client
        return None
    try:
        return distributed.get_client()
    except ValueError:
        return None
