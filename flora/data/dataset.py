"""What every dataset is: a list of records that say where a chip lies, and a way to read one into a `Chip`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from flora.chip import Chip, ChipMeta
from flora.data.listing import Listing
from flora.errors import DataError

Split = Literal["train", "val", "test", "all"]
SPLITS: Final = ("train", "val", "test")


@dataclass(frozen=True, slots=True)
class Footprint:
    """The ground that a chip covers on some grid; two chips of one grid can be tested for touching.

    Attributes:
        grid: Name of the grid (a scene or a CRS); footprints of different grids are never compared.
        left: Smaller x.
        top: Smaller y.
        right: Larger x.
        bottom: Larger y.
    """

    grid: str
    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: Footprint, slack: float = 1e-6) -> bool:
        """Says whether two footprints overlap or share an edge or a corner.

        Args:
            other: The other footprint.
            slack: Largest gap that still counts as touching, in units of the grid.
        """
        apart = (
            self.left > other.right + slack
            or other.left > self.right + slack
            or self.top > other.bottom + slack
            or other.top > self.bottom + slack
        )
        return self.grid == other.grid and not apart


@dataclass(frozen=True, slots=True)
class Record:
    """All that is needed to open one chip later.

    Attributes:
        chip: Name, unique within the dataset.
        event: Flood event or region.
        group: Place; no group spans two splits.
        split: `train`, `val` or `test`.
        files: Layer name to file.
        window: First row, first column, height and width in px of the file; None for the whole file.
        footprint: Ground covered, where it is known without opening the file.
        skip: Why the chip cannot be used; empty if it can. Skipped chips are reported, never served.
    """

    chip: str
    event: str
    group: str
    split: str
    files: Mapping[str, Path] = field(default_factory=dict)
    window: tuple[int, int, int, int] | None = None
    footprint: Footprint | None = None
    skip: str = ""


class ChipDataset(ABC):
    """A sequence of chips that are read from their files when they are asked for.

    Subclasses list their records in `_index` and read one in `_read`; their docstring is the data sheet.

    Attributes:
        name: Key in the registry.
        layout: Paths (glob patterns) that must exist inside the folder.
        size: Height and width in px of every chip, None where chips differ.
        sar_bands: Bands that can be valid; the other one is absent everywhere.
        has_optical: Chips carry (or may carry) optical layers.
        has_water: Chips carry (or may carry) water labels.
        official_split: The split is the publisher's own; neighbours across it are reported, not refused.
        aligned: All rasters of a chip lie on one grid.
        label_codes: Values that a label file may hold.
        listing: Which files exist; indices ask it instead of the disk.
    """

    name: ClassVar[str]
    layout: ClassVar[tuple[str, ...]] = ()
    size: ClassVar[tuple[int, int] | None] = None
    sar_bands: ClassVar[tuple[str, ...]] = ("VV", "VH")
    has_optical: ClassVar[bool] = False
    has_water: ClassVar[bool] = False
    official_split: ClassVar[bool] = False
    aligned: ClassVar[bool] = True
    label_codes: ClassVar[tuple[int, ...]] = ()

    def __init__(self, root: Path | str, split: Split = "train") -> None:
        """Lists the chips of one split; reads no pixel.

        Args:
            root: The dataset's own folder.
            split: `train`, `val`, `test` or `all`.

        Raises:
            DataError: The split is unknown, or the folder or a part of it is missing.
        """
        if split not in (*SPLITS, "all"):
            raise DataError(f"Found split '{split}'; expected one of {', '.join(SPLITS)} or all.")
        self.root = Path(root)
        self.split = split
        self.listing = Listing()
        self._require_layout()
        listed = [record for record in self._index() if split in ("all", record.split)]
        self.records = [record for record in listed if not record.skip]
        self.skipped = [record for record in listed if record.skip]

    @abstractmethod
    def _index(self) -> list[Record]:
        """Lists every chip of the dataset, all splits, in a fixed order."""

    @abstractmethod
    def _read(self, record: Record) -> Chip:
        """Reads one chip from its files."""

    def context(self, index: int) -> dict[str, NDArray[np.generic]]:
        """Reads what else the dataset knows of a chip's place, such as elevation or land cover.

        Args:
            index: Position in `records`.

        Returns:
            Layer name to array (H, W); empty where there is none.
        """
        return {}

    def read_label(self, record: Record) -> NDArray[np.integer] | None:
        """Reads the label as its file has it, before codes become water; None without a label file, (H, W)."""
        return None

    def remarks(self) -> list[str]:
        """Says what a reader of a check should know of this folder, such as how much of the whole is here."""
        return []

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Chip:
        return self._read(self.records[index])

    def __iter__(self) -> Iterator[Chip]:
        return (self._read(record) for record in self.records)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.root)!r}, split={self.split!r}: {len(self)} chips)"

    def _require_layout(self) -> None:
        if not self.root.is_dir():
            raise DataError(
                f"'{self.root}' is not a folder; expected the {self.name} dataset there. "
                f"Pass its folder, or get it with `flora data download {self.name}` where that is offered."
            )
        for part in self.layout:
            if next(self.root.glob(part), None) is None:
                raise DataError(
                    f"'{self.root}' has no '{part}'; the published layout of {self.name} does. "
                    "Pass the folder that holds it, or complete the download."
                )

    def _meta(self, record: Record, **radiometry: object) -> ChipMeta:
        return ChipMeta(self.name, record.event, record.group, record.chip, record.split, **radiometry)  # type: ignore[arg-type]
