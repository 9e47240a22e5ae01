"""A product's folder: filled under a hidden name and shown when it is whole, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

from flora.errors import OutputError

# What marks a folder as a product of ours, that `--overwrite` may replace.
SUMMARY_FILE = "summary.json"

# What the verbs that pass a result on make of its map; beside a newer map they would mislead.
DERIVED: Final = (
    "polygons.gpkg",
    "flood_polygons.geojson",
    "water_polygons.geojson",
    "zones.csv",
    "zones.json",
    "report.html",
    "item.json",
    "catalog.json",
)
# What GDAL and QGIS put beside a raster, and name after it.
SIDECARS: Final = (".aux.xml", ".ovr", ".msk")


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

    What else lies in the folder of an older product (notes, photos, a project) is carried over; the older product's
    own files, and what was derived from them, are not (see `outdated`).

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


def outdated(target: Path) -> list[str]:
    """Names what in the folder of an older product no longer holds once there is a newer one.

    Args:
        target: Folder of the product to be; it need not exist.

    Returns:
        The older product's own files, what GDAL put beside them, and what other verbs derived from it; sorted.
    """
    if not (target / SUMMARY_FILE).is_file():
        return []
    own = {SUMMARY_FILE, *_listed(target / SUMMARY_FILE)}
    names = own | {f"{name}{suffix}" for name in own for suffix in SIDECARS} | set(DERIVED)
    return sorted(name for name in names if (target / name).is_file())


def derived_words(target: Path, names: Collection[str]) -> str:
    """Says in a sentence what of an older product goes without being written anew.

    Args:
        target: Folder of the product to be.
        names: Files of the product to be.

    Returns:
        The sentence; empty where nothing goes.
    """
    gone = [name for name in outdated(target) if name not in names and not name.endswith(SIDECARS)]
    if not gone:
        return ""
    return f"Removed, as they told of the map before: {', '.join(gone)}; run their verbs again for this one."


def _listed(summary: Path) -> set[str]:
    """Gives the names of the files that a summary lists; none where it is damaged."""
    try:
        return {
            Path(str(name)).name for name in json.loads(summary.read_text(encoding="utf-8"))["files"].values()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return set()


def _carry_over(old: Path, new: Path) -> None:
    """Links into the new product's folder what of the old one's it neither has nor makes wrong."""
    left = {*outdated(old), *(entry.name for entry in new.iterdir())}
    for entry in old.iterdir():
        if entry.name in left:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, new / entry.name, symlinks=True, copy_function=_link)
        else:
            _link(str(entry), str(new / entry.name))


def _link(source: str, target: str) -> None:
    """Gives a file a second name, so that nothing is copied and nothing can be lost; a copy where that is not to be."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _show(hidden: Path, target: Path, overwrite: bool) -> None:
    """Renames the finished folder, after moving an older one aside."""
    require_free(target, overwrite)
    old = target.with_name(f".{target.name}.old-{uuid4().hex[:8]}")
    try:
        if target.exists():
            _carry_over(target, hidden)
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
