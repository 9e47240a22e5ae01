"""What everything is compared on: the public test chips, source by source, and the chips that rivals are tuned on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flora.chip import Chip
from flora.data import find, open_dataset
from flora.errors import DataError

if TYPE_CHECKING:
    from flora.data.dataset import ChipDataset, Record, Split


@dataclass(frozen=True, slots=True)
class Entry:
    """A part of a dataset that is reported by itself.

    Attributes:
        name: Key in results.
        title: How tables call it.
        dataset: Key of the dataset registry.
        split: `test`; `train` for ground that no test set holds, and then the tables say that it was seen.
        keep: Which of its records.
        tune: Split of the same dataset that a threshold of its own is tuned on, None where there is none.
        note: What a reader of its scores has to know of its labels; tables say it.
    """

    name: str
    title: str
    dataset: str
    split: Split = "test"
    keep: Callable[[Record], bool] = lambda record: True
    tune: Split | None = None
    note: str = ""


WITNESSED: Final = (
    "The published masks are coarse and hold new flood only: their flood is water here where the radar or the false "
    "colours of the day show water too, and is left out elsewhere ([how much, and what it is worth]"
    "(where-it-fails.md))."
)


def _ombria(country: str) -> Entry:
    return Entry(
        f"ombria_{country}",
        f"OMBRIA {country.capitalize()}",
        "ombria",
        keep=lambda record: record.event.startswith(country),
        tune="val",
        note=WITNESSED,
    )


ENTRIES: Final = (
    Entry("sen1floods11", "Sen1Floods11, test (Spain, USA)", "sen1floods11"),
    Entry("guaiba", "Guaíba, test rows", "guaiba", tune="val"),
    Entry("etci_nebraska", "ETCI Nebraska", "etci2021", keep=lambda r: "water" in r.files, tune="train"),
    Entry(
        "etci_dry", "ETCI Nebraska, dry date", "etci2021", keep=lambda r: "water" not in r.files, tune="train"
    ),
    _ombria("france"),
    _ombria("timor"),
    Entry("sen12ms_cr", "SEN12MS-CR, one patch", "sen12ms_cr"),
    Entry("desert", "Desert (its chips are trained on)", "desert", "train"),
)
# Calibrated dual-polarisation chips of the validation split, which one rule for all scenes is tuned on.
CALIBRATED_VAL: Final = ("guaiba", "dfc2024", "stac_overflow")

# A threshold is one number: more chips of a split than this, evenly spread, change it by no step worth the time.
TUNING_CHIPS: Final = 64


class Chosen(Sequence[Chip]):
    """Some chips of a dataset, each read from its files when it is asked for."""

    def __init__(self, dataset: ChipDataset, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, list(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Chip:  # type: ignore[override]
        return self.dataset[self.indices[index]]

    def __iter__(self) -> Iterator[Chip]:
        return (self.dataset[index] for index in self.indices)


@dataclass(frozen=True, slots=True)
class Source:
    """Chips to score.

    Attributes:
        entry: What they are.
        chips: Read when they are asked for.
    """

    entry: Entry
    chips: Chosen

    @property
    def has_optical(self) -> bool:
        """Any of its chips may have a true-colour picture to judge."""
        return self.chips.dataset.has_optical

    @property
    def bands(self) -> tuple[str, ...]:
        """Radar bands that its chips may have."""
        return self.chips.dataset.sar_bands


class PublicSources:
    """The test sources that lie under a folder of datasets.

    Args:
        root: Folder of dataset folders; sources that are not there are left out.
        only: Names of sources; None for all.
        limit: At most so many chips a source, evenly spread; for a quick look, never for a table.

    Raises:
        DataError: None of the datasets lies there, or a name is unknown.
    """

    def __init__(self, root: Path, only: Sequence[str] | None = None, limit: int | None = None) -> None:
        known = [entry.name for entry in ENTRIES]
        unknown = sorted(set(only or ()) - set(known))
        if unknown:
            raise DataError(f"Found no test source named '{unknown[0]}'; use some of {', '.join(known)}.")
        self.root, self.folders = root, find(root)
        wanted = [entry for entry in ENTRIES if only is None or entry.name in only]
        self.sources = [
            source
            for entry in wanted
            if entry.dataset in self.folders and len((source := self._open(entry, limit)).chips)
        ]
        if not self.sources:
            names = ", ".join(dict.fromkeys(entry.dataset for entry in wanted))
            raise DataError(
                f"'{root}' holds no test chips of {names}; give the folder of datasets with --root."
            )

    def _open(self, entry: Entry, limit: int | None) -> Source:
        dataset = open_dataset(entry.dataset, self.folders[entry.dataset], entry.split)
        kept = [number for number, record in enumerate(dataset.records) if entry.keep(record)]
        if limit is not None and len(kept) > limit:
            kept = [kept[number * len(kept) // limit] for number in range(limit)]
        return Source(entry, Chosen(dataset, kept))

    def calibrated_validation(self) -> Iterator[Chip]:
        """Gives the validation chips in dB with both bands, which one rule for all scenes is tuned on."""
        names = [name for name in CALIBRATED_VAL if name in self.folders]
        return chain.from_iterable(self._spread(name, "val") for name in names)

    def tuning(self, dataset: str, split: Split) -> Iterator[Chip]:
        """Gives the chips that a rule for the sources of one dataset alone may be tuned on."""
        return iter(self._spread(dataset, split))

    def _spread(self, name: str, split: Split) -> Chosen:
        """Gives at most `TUNING_CHIPS` chips of a split, evenly spread."""
        dataset = open_dataset(name, self.folders[name], split)
        count = min(len(dataset), TUNING_CHIPS)
        return Chosen(dataset, [number * len(dataset) // count for number in range(count)])

    def training_pictures(self) -> Iterator[Chip]:
        """Gives training chips in true reflectance, for a mean colour."""
        names = [name for name in ("guaiba", "biomassters", "terramesh") if name in self.folders]
        return chain.from_iterable(open_dataset(name, self.folders[name], "train") for name in names)
