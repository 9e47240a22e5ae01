"""Code that pages of the documentation tell people to write, taken from the pages and tried."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


def blocks(page: str) -> dict[str, str]:
    """Python of a page of docs/, by the file that its first line names."""
    text = (ROOT / "docs" / page).read_text()
    return dict(re.findall(r"^```python\n# ([^\s,]+).*?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))


def module_of(name: str, source: str) -> ModuleType:
    module = ModuleType(name)
    exec(compile(source, name, "exec"), module.__dict__)
    return module


def complaints(path: str, source: str) -> str:
    """What `make check` says of the style of a file with this text."""
    said = ""
    for words in (("check", "--quiet", "--no-cache"), ("format", "--check", "--no-cache")):
        command = [sys.executable, "-m", "ruff", *words, "--stdin-filename", path, "-"]
        done = subprocess.run(command, cwd=ROOT, input=source, capture_output=True, text=True)
        said += done.stdout + done.stderr if done.returncode else ""
    return said
