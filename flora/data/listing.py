"""Which files of a dataset exist."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class Listing:
    """Knows the files of the folders it is asked about; reads each folder once.

    An index asks for thousands of files; one by one that is slow, on a network disk very.
    """

    def __init__(self) -> None:
        self._names: dict[Path, frozenset[str]] = {}

    def has(self, path: Path) -> bool:
        """Says whether a file exists."""
        folder = path.parent
        if folder not in self._names:
            inside = folder.iterdir() if folder.is_dir() else ()
            self._names[folder] = frozenset(found.name for found in inside)
        return path.name in self._names[folder]

    def picture(self, stem: Path) -> Path:
        """Gives the picture of a name without ending: the JPEG where there is one, else the PNG as published."""
        jpeg = stem.with_name(f"{stem.name}.jpg")
        return jpeg if self.has(jpeg) else stem.with_name(f"{stem.name}.png")

    def missing(self, files: Mapping[str, Path]) -> str:
        """Names a chip's files that do not exist, as `missing 'folder/name'`; empty if all do."""
        absent = [f"'{path.parent.name}/{path.name}'" for path in files.values() if not self.has(path)]
        return f"missing {', '.join(absent)}" if absent else ""
