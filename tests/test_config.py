"""Settings from YAML: what is misspelt, doubled or ill-typed is an error that says where and what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from flora.config import load_yaml, parse
from flora.errors import ConfigError


@dataclass
class Network:
    base: int = 48
    widths: list[int] = field(default_factory=lambda: [1, 2])


class Stage(BaseModel):
    steps: int
    learning_rate: float = 1e-3


class Run(BaseModel):
    name: str
    network: Network = Network()
    teacher: Stage | None = None
    stages: list[Stage] = []
    weights: dict[str, float] = {}


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def test_reads_values_and_fills_defaults(tmp_path: Path) -> None:
    text = "name: a\nnetwork: {base: 32}\nstages: [{steps: 5}, {steps: 7, learning_rate: 1e-4}]\nweights: {anything: 2}"
    run = load_yaml(write(tmp_path, text), Run)
    assert run.network == Network(base=32, widths=[1, 2])
    assert [(stage.steps, stage.learning_rate) for stage in run.stages] == [(5, 1e-3), (7, 1e-4)]
    assert run.weights == {"anything": 2.0}


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("name: a\nnetwrok: {}", "netwrok", "network"),
        ("name: a\nnetwork: {bsae: 3}", "network.bsae", "base"),
        ("name: a\nteacher: {steps: 1, learnig_rate: 1}", "teacher.learnig_rate", "learning_rate"),
        ("name: a\nstages: [{steps: 1}, {step: 2}]", "stages.step", "steps"),
    ],
)
def test_unknown_key_names_the_nearest(tmp_path: Path, text: str, key: str, near: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_yaml(write(tmp_path, text), Run)
    assert f"'{key}'" in str(caught.value)
    assert str(caught.value).endswith(f"did you mean '{near}'?")
    assert "run.yaml" in str(caught.value)


def test_unknown_key_like_none_lists_them_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose from name, network, stages, teacher, weights"):
        load_yaml(write(tmp_path, "name: a\nzzz: 1"), Run)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nname: b", "'name' is set a second time on line 2"),
        ("name: a\nteacher: {}", "at 'teacher.steps': Field required"),
        ("name: a\nnetwork: {base: wide}", "at 'network.base'.*found 'wide'"),
        ("name: [", "not valid YAML"),
        ("- name", "holds a list"),
        ("", "at 'name': Field required"),
    ],
)
def test_faulty_file_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_yaml(write(tmp_path, text), Run)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_yaml(tmp_path / "none.yaml", Run)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ConfigError, match="cannot be read as text"):
        load_yaml(tmp_path / "binary.yaml", Run)


@pytest.mark.parametrize(
    ("word", "path", "value"),
    [
        ("name=b", ("name",), "b"),
        ("network.base=16", ("network", "base"), 16),
        ("teacher.steps=9", ("teacher", "steps"), 9),
        ("network.widths=[4, 8]", ("network", "widths"), [4, 8]),
    ],
)
def test_overrides_win(tmp_path: Path, word: str, path: tuple[str, ...], value: Any) -> None:
    found: Any = load_yaml(write(tmp_path, "name: a\nnetwork: {base: 32}"), Run, [word])
    for step in path:
        found = getattr(found, step)
    assert found == value


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("name", "write key=value"),
        ("=3", "write key=value"),
        ("name.first=3", "goes through 'name'"),
        ("network.bas=3", "did you mean 'base'"),
        ("name=[", "quote it"),
    ],
)
def test_faulty_overrides_are_told(tmp_path: Path, word: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_yaml(write(tmp_path, "name: a"), Run, [word])


def test_parse_names_its_source() -> None:
    with pytest.raises(ConfigError, match="the weights file sets 'nmae'"):
        parse({"nmae": 1}, Run, source="the weights file")
