"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEFAULT_DATA = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real chips and scenes, or a skip that says where it was looked for."""
    root = Path(os.environ.get("FLORA_DATA", DEFAULT_DATA)).resolve()
    if not (root / "guaiba").is_dir():
        pytest.skip(f"real data not found at FLORA_DATA={root}")
    return root
