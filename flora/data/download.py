"""Downloading datasets: resumed where it broke off, verified, and never half there under a final name.

A file comes in as `NAME.part` beside its place; only whole and verified it gets its name.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import requests

from flora import transfer
from flora.data.registry import DATASETS
from flora.data.sources import SOURCES, RemoteFile, chosen
from flora.errors import DataError, OutputError, RemoteError
from flora.transfer import bare, get, open_session, why_failed

Progress = Callable[[int, int], None]

# What a broken connection may lose, bytes.
PIECE: Final = 1 << 16
# Connections that may break while one file comes in: those that brought nothing in a row, and all together.
FRUITLESS: Final = 5
BREAKS: Final = 100


@dataclass(frozen=True)
class Downloaded:
    """What a download did.

    Attributes:
        folder: The dataset's folder.
        fetched: Files that came in, as paths in the folder.
        kept: Files that were there already, whole and verified.
        unverified: Files whose source publishes no checksum, so that only their length is known to be right.
        size: Bytes of all files.
    """

    folder: Path
    fetched: tuple[str, ...]
    kept: tuple[str, ...]
    unverified: tuple[str, ...]
    size: int


def download(
    name: str,
    root: str | Path,
    *,
    events: Sequence[str] = (),
    layers: Sequence[str] = (),
    url: str | None = None,
    progress: Progress | None = None,
) -> Downloaded:
    """Downloads a dataset, or some events and layers of it, into its usual folder under `root`.

    What is there already is verified and kept; what is there in part is resumed; a file whose checksum is wrong is
    fetched once more.

    Args:
        name: A key of `SOURCES`.
        root: Folder of dataset folders; created where it is missing.
        events: Flood events, areas or seasons; empty for all.
        layers: Layers, as the dataset's source names them; empty for all.
        url: Address that replaces the source's own, of a mirror for example.
        progress: Called with the bytes that are done and the bytes of all files, as far as known.

    Returns:
        What came in and what was kept.

    Raises:
        DataError: The dataset, an event or a layer is not known.
        OutputError: There is no place for it.
        RemoteError: The source refuses, is not there, or sends damaged files again and again.
    """
    (known,) = chosen([name], SOURCES, "source of a dataset")
    source = SOURCES[known]
    folder = Path(root).expanduser() / DATASETS[known].folder
    with open_session() as session:
        files = source.files(session, (url or source.base).rstrip("/"), events, layers)
        if not files:
            raise RemoteError(
                f"The source of '{name}' lists no file; expected some. Check --url and --layers."
            )
        places = [_place(folder, file) for file in files]
        missing = [(f, p) for f, p in zip(files, places, strict=True) if not _whole(f, p)]
        _require_space(folder, missing)
        counter = _Counter(files, progress)
        counter.add(sum(p.stat().st_size for p in places if p.is_file()) if progress else 0)
        for file, place in missing:
            fetch_file(session, file, place, counter.add)
    fetched = tuple(file.path for file, _ in missing)
    return Downloaded(
        folder,
        fetched,
        tuple(file.path for file in files if file.path not in set(fetched)),
        tuple(file.path for file in files if not file.md5),
        sum(place.stat().st_size for place in places),
    )


def fetch_file(
    session: requests.Session, file: RemoteFile, place: Path, count: Callable[[int], None] | None = None
) -> None:
    """Downloads one file to its place, resuming what is there of it.

    Args:
        session: As `open_session` gives it.
        file: What to fetch, and what is known of it.
        place: Where it goes; an older file there stays until the new one is whole.
        count: Called with the bytes of each piece that came in.

    Raises:
        OutputError: It cannot be written.
        RemoteError: It cannot be had, or is damaged at its source.
    """
    part = place.with_name(place.name + ".part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            _receive(session, file, part, count or (lambda _: None))
            fault = _fault(file, part)
            if not fault:
                part.replace(place)
                _tag(part).unlink(missing_ok=True)
                return
            part.unlink()
            _tag(part).unlink(missing_ok=True)
    except (requests.RequestException, RemoteError):
        raise
    except OSError as error:
        raise OutputError(
            f"'{place}' cannot be written ({error.strerror or error}); expected a writable folder with enough space. "
            "Free some, or choose another --root; what came in is kept."
        ) from error
    raise RemoteError(
        f"'{bare(file.url)}' came in twice with {fault}; it is damaged at its source or on the way, and was not kept. "
        "Run the command again later, or take another source with --url."
    )


def _receive(session: requests.Session, file: RemoteFile, part: Path, count: Callable[[int], None]) -> None:
    """Brings in the rest of a file, over as many connections as it takes."""
    fruitless = 0
    for _ in range(BREAKS):
        before = part.stat().st_size if part.exists() else 0
        if file.size is not None and before >= file.size:
            return
        try:
            _append(session, file, part, count)
            # Some proxies end a body early without a word.
            if file.size is None or part.stat().st_size >= file.size:
                return
            error: Exception = requests.ConnectionError("ended early")
        except requests.RequestException as broken:
            error = broken
        fruitless = 0 if part.exists() and part.stat().st_size > before else fruitless + 1
        if fruitless >= FRUITLESS:
            break
        time.sleep(transfer.BACKOFF * 2**fruitless)
    raise RemoteError(f"{why_failed(file.url, error)} What came in is kept and resumed.") from error


def _append(session: requests.Session, file: RemoteFile, part: Path, count: Callable[[int], None]) -> None:
    """Asks once for what is missing and writes what comes."""
    have = part.stat().st_size if part.exists() else 0
    tag = _tag(part)
    # Compressed on the way, bytes could not be counted.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if tag.exists():
            # Where the file has changed since, the server sends it from its beginning.
            headers["If-Range"] = tag.read_text()
    with get(session, file.url, headers=headers, stream=True) as answer:
        if answer.status_code == 416:
            # It has no such byte: all of it is here, which the checksum tells, or it is another file now.
            if file.size is None and (
                file.md5 or answer.headers.get("Content-Range", "").endswith(f"/{have}")
            ):
                return
            part.unlink()
            raise RemoteError(
                f"'{bare(file.url)}' is shorter than what is here of it ({have} bytes), so it has changed; that was "
                "removed. Run the command again."
            )
        resumed = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        if have and not resumed:
            count(-have)
        validator = answer.headers.get("ETag", "")
        # A weak validator does not promise the same bytes.
        if validator and not validator.startswith("W/"):
            tag.write_text(validator)
        with part.open("ab" if resumed else "wb") as out:
            for piece in answer.iter_content(PIECE):
                out.write(piece)
                count(len(piece))


def _fault(file: RemoteFile, path: Path) -> str:
    """Says in what a file differs from what its source publishes; empty where it does not."""
    size = path.stat().st_size
    if file.size is not None and size != file.size:
        return f"{size} bytes instead of {file.size}"
    if file.md5:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if digest != file.md5:
            return f"the MD5 {digest} instead of {file.md5}"
    return ""


def _whole(file: RemoteFile, place: Path) -> bool:
    return place.is_file() and not _fault(file, place)


def _place(folder: Path, file: RemoteFile) -> Path:
    """Gives a file's place; a listing must not lead out of the dataset's folder."""
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or "\\" in file.path or not path.name:
        raise DataError(
            f"The source lists '{file.path}', which does not lie in the dataset's folder; nothing was fetched."
        )
    return folder / path


def _tag(part: Path) -> Path:
    """Gives the small file that holds the version of the file whose beginning `part` is."""
    return part.with_name(part.name + ".etag")


def _require_space(folder: Path, missing: Sequence[tuple[RemoteFile, Path]]) -> None:
    """Checks before the first byte that all will fit."""
    needed = sum(file.size or 0 for file, _ in missing)
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise OutputError(
            f"'{folder}' has {free / 1e9:.1f} GB free; the files need {needed / 1e9:.1f} GB. Free some, choose another "
            "--root, or choose fewer with --events and --layers."
        )


class _Counter:
    """Sums bytes for the progress bar."""

    def __init__(self, files: Sequence[RemoteFile], progress: Progress | None) -> None:
        self._total = sum(file.size or 0 for file in files)
        self._done = 0
        self._progress = progress

    def add(self, count: int) -> None:
        self._done += count
        if self._progress is not None:
            self._progress(self._done, max(self._total, self._done))
