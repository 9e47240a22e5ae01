"""Carries batches from the workers to the training process through memory that is shared once and used again.

Left to itself, PyTorch shares new memory for every tensor of every batch; handing out its pages and passing its file
descriptors costs more time than all that is done to the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from flora.chip import OPTICAL_TRUST, WATER_TRUST, Batch, Chip, ChipMeta, collate
from flora.memory import OF_SAMPLES, keep_memory

# Batches that each worker prepares ahead.
AHEAD: Final = 3
TENSORS: Final = tuple(field.name for field in fields(Batch) if field.name != "meta")
LAYERS: Final = tuple(name for name in TENSORS if not name.startswith("weight_"))


@dataclass(slots=True)
class Delivery:
    """Says in which shared slot a batch lies.

    Attributes:
        worker: Number of the worker that wrote it.
        slot: Number of its slot.
        meta: Of the batch's chips.
        batch: The slot itself when it is used for the first time; None when the receiver has it.
    """

    worker: int
    slot: int
    meta: list[ChipMeta]
    batch: Batch | None

    def pin_memory(self) -> Batch | None:
        """Gives the batch in page-locked memory; `DataLoader` calls this in a thread of its own."""
        return None if self.batch is None else replace(self.batch.pin_memory(), meta=self.meta)


class SlotCollate:
    """Collates into a few shared slots in turn; in the training process itself, into a new batch.

    A worker is asked for its batch number k only when its batch k - AHEAD has reached the training process, which
    copies it before it asks again. So of AHEAD + 1 slots none is written while it is read.
    """

    def __init__(self, always_send: bool) -> None:
        """Starts without slots.

        Args:
            always_send: Send the slot with every batch, for a receiver that does not keep it.
        """
        self.always_send = always_send
        self._slots: list[Batch] = []
        self._made = 0

    def __call__(self, chips: Sequence[Chip]) -> Batch | Delivery:
        """Collates chips of one size; every call has the same number of the same size."""
        info = get_worker_info()
        if info is None:
            return collate(chips)
        number = self._made % (AHEAD + 1)
        first = number == len(self._slots)
        if first:
            self._slots.append(collate(chips))
            for name in TENSORS:
                getattr(self._slots[number], name).share_memory_()
        else:
            _fill(self._slots[number], chips)
        self._made += 1
        sent = self._slots[number] if first or self.always_send else None
        return Delivery(info.id, number, [chip.meta for chip in chips], sent)


def _fill(slot: Batch, chips: Sequence[Chip]) -> None:
    """Writes into the tensors of a batch what `collate` would give for these chips."""
    for name in LAYERS:
        tensor: Tensor = getattr(slot, name)
        for target, chip in zip(tensor, chips, strict=True):
            values = getattr(chip, name)
            if values is None:
                target.zero_()
            else:
                target.copy_(torch.from_numpy(values))
    slot.weight_water.copy_(torch.tensor([WATER_TRUST[chip.meta.water_label] for chip in chips]))
    slot.weight_optical.copy_(torch.tensor([OPTICAL_TRUST[chip.meta.optical_radiometry] for chip in chips]))


def keep_in_worker(worker: int) -> None:
    """Tells a worker's allocator to use freed memory again.

    Args:
        worker: Its number; every worker does the same.
    """
    keep_memory(OF_SAMPLES)


class BatchLoader(DataLoader[Batch]):
    """Gives batches, each in memory of its own, that workers prepared ahead."""

    def __init__(self, chips: IterableDataset[Chip], batch_size: int, workers: int) -> None:
        """Sets up the workers; they start with the first iteration.

        Args:
            chips: A stream that gives each worker whole batches of its own, in the order in which they are taken.
            batch_size: Chips in a batch.
            workers: Processes; 0 for none.
        """
        pinned = torch.cuda.is_available()
        super().__init__(
            chips,  # type: ignore[arg-type]  # chips go in, the batches that are collated of them come out
            batch_size=batch_size,
            num_workers=workers,
            worker_init_fn=keep_in_worker,
            collate_fn=SlotCollate(always_send=pinned),
            pin_memory=pinned,
            prefetch_factor=AHEAD if workers else None,
        )

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """Yields batch after batch; the workers end with the iteration."""
        slots: dict[tuple[int, int], Batch] = {}
        delivered: Iterator[Batch | Delivery] = super().__iter__()
        for delivery in delivered:
            if isinstance(delivery, Batch):
                yield delivery
                continue
            place = (delivery.worker, delivery.slot)
            if delivery.batch is not None:
                slots[place] = delivery.batch
            copies: dict[str, Any] = {name: getattr(slots[place], name).clone() for name in TENSORS}
            yield Batch(**copies, meta=delivery.meta)
