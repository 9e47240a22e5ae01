"""Where datasets are published, and which files there are with their sizes and checksums.

Adding a source is one entry in `SOURCES`. None of the servers is ours: a source says only how its listing is asked for.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import requests

from flora.data.sen1floods11 import EVENT_OF_PREFIX, EVENTS_FOLDER, SPLITS_FOLDER
from flora.errors import DataError, RemoteError
from flora.transfer import bare, get_json


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        path: Where it belongs in the dataset's folder, with forward slashes.
        url: Where it is.
        size: Bytes; None where the source does not say.
        md5: Checksum in hexadecimal digits; empty where the source does not say.
    """

    path: str
    url: str
    size: int | None = None
    md5: str = ""


class Source(Protocol):
    """A place that publishes a dataset."""

    @property
    def base(self) -> str:
        """Address that the source's paths begin with."""
        ...

    def files(
        self, session: requests.Session, base: str, events: Sequence[str], layers: Sequence[str]
    ) -> list[RemoteFile]:
        """Lists the files of some events and layers; an empty choice stands for all.

        Raises:
            DataError: An event or layer is not known.
            RemoteError: The source cannot be asked.
        """
        ...


@dataclass(frozen=True)
class Bucket:
    """A public bucket of Google Cloud Storage, listed by its JSON interface, which publishes size and MD5.

    Source: Cloud Storage JSON API, "Objects: list".

    Attributes:
        bucket: Its name.
        layers: Layer name to the folder that its files lie in.
        always: Folders that every choice needs.
        base: Address of the interface and of the files.
    """

    bucket: str
    layers: Mapping[str, str]
    always: tuple[str, ...] = ()
    base: str = "https://storage.googleapis.com"

    def files(
        self, session: requests.Session, base: str, events: Sequence[str], layers: Sequence[str]
    ) -> list[RemoteFile]:
        """Lists by prefix, so that a small choice takes few questions."""
        folders = [self.layers[name] for name in chosen(layers, self.layers, "layer")]
        prefixes = [f"{folder}/" for folder in folders]
        if events:
            spelt = {event: prefix for prefix, event in EVENT_OF_PREFIX.items()}
            prefixes = [f"{folder}{spelt.get(event, event)}_" for folder in prefixes for event in events]
        found = {prefix: list(self._listed(session, base, prefix)) for prefix in prefixes}
        for event in events:
            name = spelt.get(event, event)
            if not any(files for prefix, files in found.items() if prefix.endswith(f"/{name}_")):
                raise DataError(
                    f"'{bare(base)}' has no file of event '{event}'; expected one. Correct --events."
                )
        rest = [file for folder in self.always for file in self._listed(session, base, f"{folder}/")]
        return [*rest, *(file for files in found.values() for file in files)]

    def _listed(self, session: requests.Session, base: str, prefix: str) -> Iterator[RemoteFile]:
        token = ""
        while True:
            query = {"prefix": prefix, "fields": "items(name,size,md5Hash),nextPageToken", "pageToken": token}
            words = urlencode({key: value for key, value in query.items() if value})
            page = _mapping(get_json(session, f"{base}/storage/v1/b/{self.bucket}/o?{words}"), base)
            for entry in page.get("items", ()):
                if not entry["name"].endswith("/"):
                    yield self._file(base, entry)
            token = page.get("nextPageToken", "")
            if not token:
                return

    def _file(self, base: str, entry: Mapping[str, str]) -> RemoteFile:
        digest = base64.b64decode(entry.get("md5Hash", "")).hex()
        size = int(entry["size"]) if "size" in entry else None
        return RemoteFile(entry["name"], f"{base}/{self.bucket}/{quote(entry['name'])}", size, digest)


@dataclass(frozen=True)
class Figshare:
    """An article of figshare, whose interface publishes size and MD5; files are chosen by words in their names.

    Source: figshare API v2, "List article files".

    Attributes:
        article: Its number.
        base: Address of the interface.
    """

    article: int
    base: str = "https://api.figshare.com/v2"

    def files(
        self, session: requests.Session, base: str, events: Sequence[str], layers: Sequence[str]
    ) -> list[RemoteFile]:
        """Asks page by page."""
        listed: list[RemoteFile] = []
        for page in range(1, 101):
            entries = get_json(
                session, f"{base}/articles/{self.article}/files?page={page}&page_size={PAGE_SIZE}"
            )
            if not isinstance(entries, list):
                raise _not_a_listing(base)
            listed += [
                RemoteFile(
                    entry["name"],
                    entry["download_url"],
                    entry["size"],
                    entry.get("computed_md5") or entry.get("supplied_md5") or "",
                )
                for entry in entries
                if not entry.get("is_link_only")
            ]
            if len(entries) < PAGE_SIZE:
                break
        return by_words(by_words(listed, events, "event"), layers, "layer")


@dataclass(frozen=True)
class Archives:
    """Archives whose names and checksums are known beforehand.

    Attributes:
        base: Address that an archive's quoted name is put after.
        sums: Name of each archive, with its MD5.
    """

    base: str
    sums: Mapping[str, str] = field(default_factory=dict)

    def files(
        self, session: requests.Session, base: str, events: Sequence[str], layers: Sequence[str]
    ) -> list[RemoteFile]:
        """Lists without asking."""
        listed = [RemoteFile(name, f"{base}{quote(name)}", None, md5) for name, md5 in self.sums.items()]
        return by_words(by_words(listed, events, "event"), layers, "layer")


PAGE_SIZE: Final = 100


def chosen(asked: Sequence[str], known: Iterable[str], what: str) -> list[str]:
    """Gives the names asked for, or all.

    Raises:
        DataError: One is not known; the message names the nearest.
    """
    names = list(known)
    for name in asked:
        if name not in names:
            near = get_close_matches(name, names, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Use some of {', '.join(names)}."
            raise DataError(f"Found no {what} named '{name}'; expected one that is published. {hint}")
    return list(asked) or names


def by_words(files: list[RemoteFile], words: Sequence[str], what: str) -> list[RemoteFile]:
    """Keeps files whose names hold one of some words, upper and lower case alike; no words keep all.

    Raises:
        DataError: A word is in no name.
    """
    for word in words:
        if not any(word.lower() in file.path.lower() for file in files):
            names = ", ".join(file.path for file in files[:20]) or "nothing"
            raise DataError(f"No published file has the {what} '{word}' in its name; there is {names}.")
    return [file for file in files if not words or any(word.lower() in file.path.lower() for word in words)]


def _mapping(page: Any, base: str) -> dict[str, Any]:
    if isinstance(page, dict):
        return page
    raise _not_a_listing(base)


def _not_a_listing(base: str) -> RemoteError:
    return RemoteError(f"'{bare(base)}' does not answer with a listing of files; expected one. Check --url.")


def _hand(layer: str) -> str:
    return f"{EVENTS_FOLDER}/HandLabeled/{layer}"


def _weak(layer: str) -> str:
    return f"{EVENTS_FOLDER}/WeaklyLabeled/{layer}"


HAND_LAYERS: Final = ("S1Hand", "S2Hand", "LabelHand", "JRCWaterHand", "S1OtsuLabelHand")
WEAK_LAYERS: Final = ("S1Weak", "S2Weak", "S2IndexLabelWeak", "S1OtsuLabelWeak")

SOURCES: Final[Mapping[str, Source]] = {
    "sen1floods11": Bucket("sen1floods11", {layer: _hand(layer) for layer in HAND_LAYERS}, (SPLITS_FOLDER,)),
    "sen1floods11_weak": Bucket("sen1floods11", {layer: _weak(layer) for layer in WEAK_LAYERS}),
    "deepflood": Figshare(28328339),
    "deepflood_tiles": Figshare(28328339),
    # The server publishes no sizes. MD5 as torchgeo lists them (torchgeo/datasets/sen12ms.py, MIT).
    "sen12ms": Archives(
        "https://dataserv.ub.tum.de/s/m1474000/download?path=%2F&files=",
        {
            "ROIs1158_spring_lc.tar.gz": "6e2e8fa8b8cba77ddab49fd20ff5c37b",
            "ROIs1158_spring_s1.tar.gz": "fba019bb27a08c1db96b31f718c34d79",
            "ROIs1158_spring_s2.tar.gz": "d58af2c15a16f376eb3308dc9b685af2",
            "ROIs1868_summer_lc.tar.gz": "2c5bd80244440b6f9d54957c6b1f23d4",
            "ROIs1868_summer_s1.tar.gz": "01044b7f58d33570c6b57fec28a3d449",
            "ROIs1868_summer_s2.tar.gz": "4dbaf72ecb704a4794036fe691427ff3",
            "ROIs1970_fall_lc.tar.gz": "9b126a68b0e3af260071b3139cb57cee",
            "ROIs1970_fall_s1.tar.gz": "19132e0aab9d4d6862fd42e8e6760847",
            "ROIs1970_fall_s2.tar.gz": "b8f117818878da86b5f5e06400eb1866",
            "ROIs2017_winter_lc.tar.gz": "0fa0420ef7bcfe4387c7e6fe226dc728",
            "ROIs2017_winter_s1.tar.gz": "bb8cbfc16b95a4f054a3d5380e0130ed",
            "ROIs2017_winter_s2.tar.gz": "3807545661288dcca312c9c538537b63",
        },
    ),
}
