"""What the documentation tells people to type exists, and the first steps of the README work as they stand."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from flora.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
INSTALLING = ("python3 -m venv", ".venv/bin/pip install", "pip download")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    text = "".join(blocks(page, "console"))
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


ALL = sorted({(page.name, command) for page in PAGES for command in commands(page)})


def exit_code(words: list[str]) -> object:
    with pytest.raises(SystemExit) as caught:
        main(words)
    return caught.value.code


@pytest.mark.parametrize(("page", "command"), ALL)
def test_documented_command_exists(page: str, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "flora":
        # Words are parsed before help is given: an unknown verb or option is still an error.
        assert not exit_code([*words[1:], "--help"])
    elif words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True, timeout=60)
    elif words[:2] == ["python", "-m"]:
        module = importlib.import_module(words[2])
        assert f"-m {words[2]}" in (module.__doc__ or ""), f"{page} runs {words[2]}, which does not say how"
    else:
        assert command.startswith(INSTALLING), f"{page} has a command that no test knows: {command}"


@pytest.mark.parametrize("words", ["nonsense", "predict a.tif --out b --nonsense", "data nonsense"])
def test_what_does_not_exist_is_noticed(words: str) -> None:
    assert exit_code([*words.split(), "--help"]) == 2


def test_first_steps_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate, predict, info; then the Python lines, in the same folder."""
    monkeypatch.chdir(tmp_path)
    steps = [text for text in blocks(README, "console") if "flora data simulate" in text]
    assert len(steps) == 1
    for line in steps[0].splitlines():
        assert not exit_code(shlex.split(line)[2:])
    named = set(re.findall(r"^\| `(\S+)` \|", README.read_text(), flags=re.MULTILINE))
    assert {path.name for path in (tmp_path / "results" / "simulated_S1").iterdir()} == named
    for code in blocks(README, "python"):
        exec(compile(code, "README.md", "exec"), {})


def test_every_option_is_told_on_some_page() -> None:
    surface = (ROOT / "tests" / "surface.txt").read_text()
    options = set(re.findall(r"--[a-z][a-z-]+", surface))
    told = set(re.findall(r"--[a-z][a-z-]+", "\n".join(page.read_text() for page in PAGES)))
    assert sorted(options - told) == []


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = [
        page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.is_relative_to(ROOT / "docs")
    ]
    assert [page for page in pages if page != "index.md" and f"]({page})" not in index] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_within_the_repository_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
