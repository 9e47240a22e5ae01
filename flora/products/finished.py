"""Tiles that are finished, kept on disk so that an interrupted scene can go on where it stopped."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from flora.products.stream import Blocks, Index

MANIFEST = "manifest.jsonl"


class FinishedTiles:
    """Keeps the blocks of each finished tile beside the output, with a checksum.

    A tile counts as finished once its line stands in the manifest and its file has the checksum of that line. Blocks
    of another scene, other weights or other settings (another `fingerprint`) are thrown away.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """Finds what an earlier run has finished.

        Args:
            folder: Where tiles are kept; created.
            fingerprint: As from `fingerprint_of`.
        """
        self.folder = folder
        self._lock = threading.Lock()
        self._sums = self._earlier(fingerprint)
        if not self._sums:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        self._write_manifest(fingerprint)

    def __contains__(self, index: Index) -> bool:
        return index in self._sums

    def indices(self) -> frozenset[Index]:
        """Gives the row and column of each finished tile."""
        return frozenset(self._sums)

    def add(self, index: Index, blocks: Blocks) -> None:
        """Keeps one tile."""
        file = self._file(index)
        partial = file.with_suffix(".partial")
        with partial.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **blocks)
        checksum = _checksum(partial)
        partial.replace(file)
        with self._lock, (self.folder / MANIFEST).open("a") as manifest:
            manifest.write(json.dumps(_entry(index, checksum)) + "\n")
            self._sums[index] = checksum

    def read(self, index: Index) -> Blocks:
        """Gives the blocks of a finished tile."""
        with np.load(self._file(index), allow_pickle=False) as stored:
            return dict(stored)

    def _write_manifest(self, fingerprint: str) -> None:
        """Writes what is known anew: a line that was cut off would swallow the next one."""
        lines = [{"fingerprint": fingerprint}, *(_entry(index, found) for index, found in self._sums.items())]
        partial = (self.folder / MANIFEST).with_suffix(".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in lines))
        partial.replace(self.folder / MANIFEST)

    def _earlier(self, fingerprint: str) -> dict[Index, int]:
        lines = _lines(self.folder / MANIFEST)
        if not lines or lines[0].get("fingerprint") != fingerprint:
            return {}
        sums = {(line["tile"][0], line["tile"][1]): int(line["crc32"]) for line in lines[1:]}
        return {index: found for index, found in sums.items() if self._whole(index, found)}

    def _whole(self, index: Index, checksum: int) -> bool:
        file = self._file(index)
        return file.is_file() and _checksum(file) == checksum

    def _file(self, index: Index) -> Path:
        return self.folder / f"{index[0]}_{index[1]}.npz"


def fingerprint_of(*facts: Any) -> str:
    """Gives one text for everything that decides the pixels."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _entry(index: Index, checksum: int) -> dict[str, Any]:
    return {"tile": index, "crc32": checksum}


def _lines(manifest: Path) -> list[dict[str, Any]]:
    """Reads the whole lines of a manifest; the last one may have been cut off in mid-writing."""
    if not manifest.is_file():
        return []
    lines = []
    for text in manifest.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            break
    return lines


def _checksum(file: Path) -> int:
    checksum = 0
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            checksum = zlib.crc32(piece, checksum)
    return checksum
