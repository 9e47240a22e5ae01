"""The guide to adding a dataset is true: its module, its line and its test work as they stand on the page."""

from __future__ import annotations

import sys
from pathlib import Path

import guides
import pytest
from guides import module_of

from flora.data import registry


def blocks() -> dict[str, str]:
    return guides.blocks("adding-a-dataset.md")


def test_guide_works_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = blocks()
    assert sorted(code) == ["flora/data/puddles.py", "flora/data/registry.py", "tests/test_data_puddles.py"]
    module = module_of("flora.data.puddles", code["flora/data/puddles.py"])
    monkeypatch.setitem(sys.modules, "flora.data.puddles", module)
    line = eval("{" + code["flora/data/registry.py"] + "}", {"Entry": registry.Entry})
    monkeypatch.setattr(registry, "DATASETS", {**registry.DATASETS, **line})
    module_of("test_data_puddles", code["tests/test_data_puddles.py"]).test_puddles(tmp_path)


def test_code_of_the_guide_passes_the_checks() -> None:
    """Whoever copies it has a `make check` without complaint."""
    whole = [(name, source) for name, source in blocks().items() if not name.endswith("registry.py")]
    assert len(whole) == 2
    assert [guides.complaints(name, source) for name, source in whole] == ["", ""]


def test_example_finds_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A label that nobody explained is a fault by the same check."""
    from PIL import Image

    code = blocks()
    module = module_of("flora.data.puddles", code["flora/data/puddles.py"])
    monkeypatch.setitem(sys.modules, "flora.data.puddles", module)
    entry = registry.Entry("flora.data.puddles", "Puddles", "puddles")
    monkeypatch.setattr(registry, "DATASETS", {**registry.DATASETS, "puddles": entry})
    root = module_of("test_data_puddles", code["tests/test_data_puddles.py"]).write_puddles(tmp_path)
    label = root / "upper" / "1_label.png"
    Image.open(label).point(lambda value: 7 if value == 1 else value).save(label)
    from flora.data.check import check

    report = check("puddles", root)
    assert not report.ok and any("7" in fault for fault in report.faults)
