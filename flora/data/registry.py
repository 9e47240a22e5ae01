"""The list of datasets: name, class, folder. Adding a dataset is one line here, one module, one test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flora.errors import DataError

if TYPE_CHECKING:
    from flora.data.dataset import ChipDataset, Split


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a dataset's class lives and how its folder is known.

    Attributes:
        module: Module of the class; imported only when the dataset is opened.
        cls: Name of the class.
        folder: Folder that the dataset usually lies in.
        marker: Path inside the folder that must exist for `find` to report the dataset.
    """

    module: str
    cls: str
    folder: str
    marker: str = "."


DATASETS: Final[Mapping[str, Entry]] = {
    "biomassters": Entry("flora.data.biomassters", "BioMassters", "biomassters"),
    "deepflood": Entry("flora.data.deepflood", "DeepFlood", "deepflood", "SENTINEL_1"),
    "deepflood_tiles": Entry("flora.data.deepflood_tiles", "DeepFloodTiles", "deepflood", "Tiles"),
    "desert": Entry("flora.data.desert", "Desert", "desert"),
    "dfc2024": Entry("flora.data.dfc2024", "DFC2024", "dfc2024"),
    "etci2021": Entry("flora.data.etci2021", "ETCI2021", "etci2021"),
    "guaiba": Entry("flora.data.guaiba", "Guaiba", "guaiba"),
    "ombria": Entry("flora.data.ombria", "Ombria", "ombria"),
    "sen1floods11": Entry(
        "flora.data.sen1floods11", "Sen1Floods11", "sen1floods11", "v1.1/data/flood_events/HandLabeled"
    ),
    "sen1floods11_weak": Entry(
        "flora.data.sen1floods11", "Sen1Floods11Weak", "sen1floods11", "v1.1/data/flood_events/WeaklyLabeled"
    ),
    "sen12": Entry("flora.data.sen12", "Sen12", "sen12"),
    "sen12ms": Entry("flora.data.sen12ms", "SEN12MS", "sen12ms"),
    "sen12ms_cr": Entry("flora.data.sen12ms", "SEN12MSCR", "sen12ms_cr"),
    "sih1733": Entry("flora.data.sih1733", "Sih1733", "sih1733"),
    "stac_overflow": Entry("flora.data.stac_overflow", "StacOverflow", "stac_overflow"),
    "terramesh": Entry("flora.data.terramesh", "TerraMesh", "terramesh"),
}


def _entry(name: str) -> Entry:
    if name in DATASETS:
        return DATASETS[name]
    near = get_close_matches(name, DATASETS, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Use one of {', '.join(DATASETS)}."
    raise DataError(f"Found no dataset named '{name}'; expected a name from the registry. {hint}")


def dataset_class(name: str) -> type[ChipDataset]:
    """Imports the class of a dataset.

    Raises:
        DataError: The name is unknown; the message names the nearest.
    """
    entry = _entry(name)
    cls: type[ChipDataset] = getattr(import_module(entry.module), entry.cls)
    return cls


def open_dataset(name: str, root: Path | str, split: Split = "train") -> ChipDataset:
    """Opens one split of a dataset.

    Args:
        name: A key of `DATASETS`.
        root: The dataset's own folder.
        split: `train`, `val`, `test` or `all`.

    Returns:
        The dataset: a sequence of chips, each read from its files when it is asked for.

    Raises:
        DataError: The name or split is unknown, or the folder lacks what the published layout has.
    """
    return dataset_class(name)(root, split)


def find(root: Path | str) -> dict[str, Path]:
    """Finds the datasets that lie in a folder under their usual names.

    Args:
        root: A folder of dataset folders.

    Returns:
        Dataset name to its folder, in the order of `DATASETS`.
    """
    folders = {name: Path(root) / entry.folder for name, entry in DATASETS.items()}
    return {name: folder for name, folder in folders.items() if (folder / DATASETS[name].marker).is_dir()}
