"""A product's folder: filled under a hidden name and shown when it is whole, or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from flora.errors import OutputError

# What marks a folder as a product of ours, that `--overwrite` may replace.
SUMMARY_FILE = "summary.json"


def require_free(target: Path, overwrite: bool) -> None:
    """Checks that a product may be written.

    Args:
        target: Folder of the product to be.
        overwrite: Whether an older product there may be replaced.

    Raises:
        OutputError: Something is there, and it may not be replaced or is not a product.
    """
    if not target.exists():
        return
    if not overwrite:
        raise OutputError(
            f"'{target}' exists already; nothing is overwritten unasked. Pass --overwrite, or choose another --out."
        )
    if not target.is_dir() or (any(target.iterdir()) and not (target / SUMMARY_FILE).is_file()):
        raise OutputError(
            f"'{target}' is no product of FLoRA (it has no {SUMMARY_FILE}), so it is not replaced; "
            "choose another --out."
        )


@contextlib.contextmanager
def staged(target: Path, *, overwrite: bool = False, keep: bool = False) -> Iterator[Path]:
    """Gives a hidden folder beside `target` that becomes `target` when the block ends well.

    Args:
        target: Folder of the product to be.
        overwrite: Whether an older product there may be replaced; it stays until the new one is whole.
        keep: The hidden folder has a fixed name and outlives a failure, so that a later run can go on from it.

    Yields:
        The hidden folder.

    Raises:
        OutputError: The place cannot be written, or is taken.
    """
    require_free(target, overwrite)
    hidden = target.with_name(
        f".{target.name}.partial" if keep else f".{target.name}.partial-{uuid4().hex[:8]}"
    )
    created = _make(hidden)
    try:
        yield hidden
        _show(hidden, target, overwrite)
    except BaseException:  # also when interrupted
        if not keep:
            shutil.rmtree(hidden, ignore_errors=True)
            _remove_empty(created)
        raise


def _make(hidden: Path) -> list[Path]:
    """Creates the folder, and gives the parents that had to be created for it, innermost first."""
    parents = [folder for folder in hidden.parents if not folder.exists()]
    try:
        hidden.mkdir(parents=True, exist_ok=True)
        # Being allowed to create is not being allowed to write, on some network drives.
        probe = hidden / ".probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        shutil.rmtree(hidden, ignore_errors=True)
        _remove_empty(parents)
        raise OutputError(
            f"'{hidden.parent}' cannot be written ({error.strerror or error}); expected a folder where files can be "
            "created. Choose another --out."
        ) from error
    return parents


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):  # not empty: somebody else uses it by now
            folder.rmdir()


def _show(hidden: Path, target: Path, overwrite: bool) -> None:
    """Renames the finished folder, after moving an older one aside."""
    require_free(target, overwrite)
    old = target.with_name(f".{target.name}.old-{uuid4().hex[:8]}")
    try:
        if target.exists():
            target.rename(old)
        hidden.rename(target)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise OutputError(
            f"'{target}' could not be put in place ({error.strerror or error}); expected that folders can be renamed "
            f"in '{target.parent}'. Choose another --out."
        ) from error
    shutil.rmtree(old, ignore_errors=True)
