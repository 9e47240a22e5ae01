"""Names, lazy imports and the sentences of errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from flora.data import DATASETS, find, open_dataset
from flora.data.registry import dataset_class
from flora.errors import DataError


def test_importing_the_registry_loads_nothing_heavy() -> None:
    heavy = "torch", "rasterio", "scipy", "xarray", "dask", "lightning", "numpy"
    code = f"import sys, flora.data; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", DATASETS)
def test_every_class_has_its_name_and_a_data_sheet(name: str) -> None:
    cls = dataset_class(name)
    assert cls.name == name
    sheet = cls.__doc__ or ""
    base = cls.__mro__[1].__doc__ or ""
    as_other = "As `" in sheet or "the areas" in sheet
    for word in ("SAR", "Water", "Splits", "Licence"):
        assert word in sheet or word.lower() in sheet or (as_other and word != "SAR") or word in base, word


def test_unknown_name_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"'sen1flods11'.*Did you mean 'sen1floods11'\?"):
        open_dataset("sen1flods11", ".")


def test_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"split 'valid'; expected one of train, val, test or all"):
        open_dataset("desert", tmp_path, "valid")  # type: ignore[arg-type]


def test_missing_folder_says_which(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere' is not a folder; expected the guaiba dataset there"):
        open_dataset("guaiba", tmp_path / "nowhere")


def test_missing_part_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="has no 'labels'; the published layout of dfc2024 does"):
        open_dataset("dfc2024", tmp_path)


def test_find_reports_only_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "guaiba").mkdir()
    (tmp_path / "sen1floods11").mkdir()
    assert find(tmp_path) == {"guaiba": tmp_path / "guaiba"}
    (tmp_path / "sen1floods11" / "v1.1/data/flood_events/HandLabeled").mkdir(parents=True)
    assert list(find(tmp_path)) == ["guaiba", "sen1floods11"]
