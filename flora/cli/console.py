"""How verbs speak: tables and progress for people on stderr and stdout, JSON for machines on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any


def print_json(result: Any) -> None:
    """Prints a result for machines, on stdout; paths and numbers that JSON has no form for become text."""
    sys.stdout.write(json.dumps(result, indent=2, default=str, allow_nan=False) + "\n")


def print_rows(rows: Mapping[str, object], title: str = "") -> None:
    """Prints names beside values, for people, on stdout.

    Args:
        rows: What is said beside each name; a list takes a line an item, None leaves the row out.
        title: A line above.
    """
    width = max((len(name) for name in rows), default=0)
    if title:
        sys.stdout.write(f"{title}\n")
    for name, value in rows.items():
        for place, line in enumerate(_lines(value)):
            sys.stdout.write(f"  {'' if place else name:<{width}}  {line}\n")


def _lines(value: object) -> list[object]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table for people, on stdout; wide enough for its words, so that paths can be copied.

    Args:
        columns: Headings.
        rows: As many cells a row as there are headings.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    wide = Console(width=max(Console().width, 100) if sys.stdout.isatty() else 200, highlight=False)
    wide.print(table)


def say(sentence: str) -> None:
    """Says a sentence to the person, on stderr, so that stdout stays for results."""
    sys.stderr.write(f"{sentence}\n")


@contextmanager
def progress(task: str, in_bytes: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Shows a progress bar on stderr while its block runs; nothing where stderr is no terminal.

    Args:
        task: What is being done.
        in_bytes: What is counted are bytes.

    Yields:
        A function to call with how much is done, and of how much.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    counter = DownloadColumn() if in_bytes else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), counter, TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        shown = bar.add_task(task, total=None)
        yield lambda done, total: bar.update(shown, completed=done, total=total)
