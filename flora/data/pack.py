"""Packs chips of any dataset into a few files that train without geo packages, and reads them back.

A pack is a folder: `index.json` says what each chip is and where it lies, `shard-*.safetensors` hold the pixels.
It is written beside its final place and renamed when whole, so that a folder with an index is always complete.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors.numpy import save_file
from torch.utils.data import Dataset

from flora.chip import Chip, ChipMeta
from flora.data.index import INDEX_NAME, PackedChip, PackIndex, Shard, find_packs, read_index
from flora.data.raw import Layer, RawChip
from flora.data.shard import Tensors, encode, open_shard, window_of
from flora.errors import ConfigError, DataError, OutputError

# Shards stay below what can be carried in one piece; the header and one chip of slack fit in between.
SHARD_MIB_LIMIT: Final = 58.0
MIB: Final = 1 << 20


def pack(chips: Iterable[Chip], out: Path, shard_mib: float = 48, *, overwrite: bool = False) -> PackIndex:
    """Writes chips into shards and an index.

    SAR is stored in steps of 0.01 dB and optical in steps of 0.0001 up to 6.5 reflectance, both rounded; reading
    loses at most half a step.

    Args:
        chips: Chips of any sizes and datasets; taken one at a time, so they need not fit in memory.
        out: Folder to make.
        shard_mib: Size at which a shard is closed, MiB; at most 58.
        overwrite: Replace an existing `out`.

    Returns:
        The index, as written.

    Raises:
        ConfigError: `shard_mib` is out of range.
        DataError: There is no chip; two share a name; a place spans two splits; a chip is larger than a shard.
        OutputError: `out` exists or cannot be written.
    """
    if not 0 < shard_mib <= SHARD_MIB_LIMIT:
        raise ConfigError(
            f"shard_mib is {shard_mib:g}; expected more than 0 and at most {SHARD_MIB_LIMIT:g}."
        )
    if out.exists() and not overwrite:
        raise OutputError(f"'{out}' exists already; choose another folder or allow overwriting.")
    draft = out.with_name(f".{out.name}.part-{os.getpid()}")
    try:
        draft.mkdir(parents=True)
        index = _write(chips, draft, int(shard_mib * MIB))
        (draft / INDEX_NAME).write_text(index.model_dump_json(), encoding="utf-8")
        old = out.with_name(f".{out.name}.old-{os.getpid()}")
        if out.exists():
            out.rename(old)
        draft.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"'{out}' cannot be written ({error}); check the disk and its rights.") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return index


def _write(chips: Iterable[Chip], folder: Path, shard_bytes: int) -> PackIndex:
    """Writes the shards, one whenever the next chip would not fit, and gives the index."""
    shards: list[Shard] = []
    entries: list[PackedChip] = []
    held: Tensors = {}
    for number, chip in enumerate(chips):
        tensors, bands = encode(chip)
        size = sum(tensor.nbytes for tensor in tensors.values())
        if size > shard_bytes:
            raise DataError(
                f"Chip '{chip.meta.chip}' of {chip.shape[0]} x {chip.shape[1]} px takes {size / MIB:.1f} MiB, more "
                f"than a shard of {shard_bytes / MIB:g} MiB; cut it into smaller chips or raise shard_mib."
            )
        if held and size + sum(tensor.nbytes for tensor in held.values()) > shard_bytes:
            shards.append(_close(held, folder, len(shards)))
            held = {}
        key = f"{number:06d}"
        held |= {f"{key}.{name}": tensor for name, tensor in tensors.items()}
        entries.append(_describe(chip, len(shards), key, bands))
    if not entries:
        raise DataError("There is no chip to pack; check the dataset's folder and the chosen split.")
    shards.append(_close(held, folder, len(shards)))
    _check(entries)
    return PackIndex(shards=shards, chips=entries)


def _close(tensors: Tensors, folder: Path, number: int) -> Shard:
    """Writes one shard and describes it."""
    path = folder / f"shard-{number:05d}.safetensors"
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)
    return Shard(file=path.name, size=path.stat().st_size, sha256=_sha256(path))


def _describe(chip: Chip, shard: int, key: str, bands: dict[Layer, list[int]]) -> PackedChip:
    """Gives the index entry of a chip."""
    labelled = 0 if chip.water_valid is None else int(chip.water_valid.sum())
    water = (
        0
        if chip.water is None or chip.water_valid is None
        else int((chip.water[chip.water_valid] == 1).sum())
    )
    return PackedChip.model_validate(
        {
            "meta": asdict(chip.meta),
            "shape": chip.shape,
            "shard": shard,
            "key": key,
            "bands": bands,
            "sar_share": float(chip.sar_valid.mean(axis=(1, 2)).max()),
            "water_share": water / labelled if labelled else None,
        }
    )


def _check(entries: Sequence[PackedChip]) -> None:
    """Refuses chips of one name, and a place in two splits: scores on it would be remembered, not learnt."""
    _refuse_twins([entry.meta for entry in entries])
    split_of: dict[tuple[str, str], str] = {}
    for meta in (entry.meta for entry in entries):
        split = split_of.setdefault((meta.dataset, meta.group), meta.split)
        if split != meta.split:
            raise DataError(
                f"Group '{meta.group}' of {meta.dataset} is in the splits {split} and {meta.split}; chips of one "
                "place belong to one split."
            )


def _refuse_twins(metas: Sequence[ChipMeta]) -> None:
    """Refuses two chips of one dataset and name."""
    names: set[tuple[str, str]] = set()
    for meta in metas:
        if (meta.dataset, meta.chip) in names:
            raise DataError(
                f"Two chips of {meta.dataset} are named '{meta.chip}'; give each a name of its own, and pack a "
                "dataset once."
            )
        names.add((meta.dataset, meta.chip))


class PackedDataset(Dataset[Chip]):
    """Chips of one or several packs, read through memory maps.

    Attributes:
        chips: What is known of each chip without reading it, in the order of the indices.
    """

    def __init__(
        self,
        root: Path | Sequence[Path],
        split: str | None = None,
        datasets: Collection[str] | None = None,
        in_memory: bool = False,
    ) -> None:
        """Opens the indices; pixels are read when asked for.

        Args:
            root: A pack, or a folder whose subfolders are packs, or several of either.
            split: Only chips of this split.
            datasets: Only chips of these datasets.
            in_memory: Read each shard whole when first used, for storage that is slow at random reads.

        Raises:
            DataError: There is no pack, an index or shard is damaged, or no chip is left.
        """
        roots = [root] if isinstance(root, (str, Path)) else list(root)
        self.in_memory = in_memory
        self.chips: list[PackedChip] = []
        self._shards: list[Path] = []
        self._sums: list[str] = []
        self._open: dict[int, Tensors] = {}
        for folder in (pack for one in roots for pack in find_packs(Path(one))):
            self._add(folder, split, datasets)
        _refuse_twins([chip.meta for chip in self.chips])
        if not self.chips:
            wanted = f"split '{split}'" if split else "any split"
            chosen = f" of {', '.join(sorted(datasets))}" if datasets else ""
            raise DataError(f"No chip of {wanted}{chosen} is packed in {_quoted(roots)}; pack it first.")

    def _add(self, folder: Path, split: str | None, datasets: Collection[str] | None) -> None:
        """Takes the wanted chips of one pack, with shard numbers counted over all packs."""
        index, offset = read_index(folder), len(self._shards)
        self._shards += [folder / shard.file for shard in index.shards]
        self._sums += [shard.sha256 for shard in index.shards]
        for chip in index.chips:
            if split in (None, chip.meta.split) and (datasets is None or chip.meta.dataset in datasets):
                self.chips.append(chip.model_copy(update={"shard": chip.shard + offset}))

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, i: int) -> Chip:
        height, width = self.chips[i].shape
        return self.read(i, slice(0, height), slice(0, width))

    def __getstate__(self) -> dict[str, Any]:
        """Leaves open maps behind: a worker that is started afresh opens its own."""
        return self.__dict__ | {"_open": {}}

    def read(self, i: int, rows: slice, cols: slice) -> Chip:
        """Reads a window of a chip and no more.

        Args:
            i: Position in `chips`.
            rows: Rows of the window; start and stop lie inside the chip.
            cols: Its columns.

        Returns:
            The window as a chip; its `meta` is the whole chip's.

        Raises:
            DataError: The window leaves the chip, or the shard is damaged.
        """
        return self.raw(i, rows, cols).decoded()

    def raw(self, i: int, rows: slice, cols: slice) -> RawChip:
        """Gives a window as it is stored, without decoding it; otherwise like `read`."""
        entry = self.chips[i]
        rows, cols = (
            _inside(part, side, entry) for part, side in zip((rows, cols), entry.shape, strict=True)
        )
        return window_of(self._tensors(i), entry.bands, entry.meta, rows, cols)

    def water_share(self, i: int, rows: slice, cols: slice) -> float:
        """Gives the part of a window that is labelled water, without reading the other layers; 0 without label."""
        water = self._tensors(i).get("water")
        if water is None:
            return 0.0
        window = water[rows, cols]
        return float(np.count_nonzero(window == 1)) / max(window.size, 1)

    def verify(self) -> None:
        """Compares every shard with its checksum.

        Raises:
            DataError: A shard differs from what was packed.
        """
        for path, expected in zip(self._shards, self._sums, strict=True):
            if _sha256(path) != expected:
                raise DataError(
                    f"Shard '{path}' differs from what was packed; copy it again or pack the data again."
                )

    def _tensors(self, i: int) -> Tensors:
        """Gives the stored tensors of one chip by name, and opens their shard if need be."""
        entry = self.chips[i]
        if entry.shard not in self._open:
            self._open[entry.shard] = open_shard(self._shards[entry.shard], self.in_memory)
        shard = self._open[entry.shard]
        height, width = entry.shape
        expected: dict[str, tuple[int, ...]] = {"water": (height, width)}
        for layer, bands in entry.bands.items():
            if bands:
                expected[layer] = (len(bands), height, width)
                expected[f"{layer}_valid"] = (len(bands), height, -(-width // 8))
        found = {name: shard[f"{entry.key}.{name}"] for name in expected if f"{entry.key}.{name}" in shard}
        for name, shape in expected.items():
            if found[name].shape != shape if name in found else name != "water":
                raise DataError(
                    f"Shard '{self._shards[entry.shard]}' lacks {name} of chip '{entry.meta.chip}' in the shape that "
                    "its index gives; shard and index do not belong together: copy or pack them again."
                )
        return found


def _quoted(roots: Iterable[Path | str]) -> str:
    return ", ".join(f"'{root}'" for root in roots)


def _inside(part: slice, length: int, entry: PackedChip) -> slice:
    """Gives a slice with both ends, and refuses one that leaves the chip."""
    start, stop = part.start or 0, length if part.stop is None else part.stop
    if not (0 <= start <= stop <= length) or part.step not in (None, 1):
        raise DataError(
            f"Window {start}:{stop} leaves chip '{entry.meta.chip}' of {length} px; ask for rows and columns inside it."
        )
    return slice(start, stop)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
