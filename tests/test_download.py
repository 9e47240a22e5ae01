"""Downloads against a server of our own: whole and verified, or not there; resumed, chosen, patient to a point."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from web_server import Web, serving

from flora import transfer
from flora.cli import main
from flora.data.download import download, fetch_file
from flora.data.sources import RemoteFile
from flora.errors import DataError, FloraError, OutputError, RemoteError

EVENTS = "v1.1/data/flood_events/HandLabeled"
SPLITS = "v1.1/splits/flood_handlabeled"
CONTENT = os.urandom(1 << 20)


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(transfer, "BACKOFF", 0.01)
    with serving() as server:
        yield server


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def bucket(web: Web, objects: dict[str, bytes], page: int = 2) -> None:
    """Serves files as Cloud Storage lists and gives them, a few names a page."""

    def listing(address: str, _: bytes) -> dict[str, object]:
        query = {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}
        names = sorted(name for name in objects if name.startswith(query["prefix"]))
        start = int(query.get("pageToken", "0"))
        entries = [
            {
                "name": name,
                "size": str(len(objects[name])),
                "md5Hash": base64.b64encode(hashlib.md5(objects[name]).digest()).decode(),
            }
            for name in names[start : start + page]
        ]
        more = {"nextPageToken": str(start + page)} if start + page < len(names) else {}
        return ({"items": entries} if entries else {}) | more

    web.pages["/storage/v1/b/sen1floods11/o"] = listing
    web.files |= {f"/sen1floods11/{name}": content for name, content in objects.items()}


def chips() -> dict[str, bytes]:
    names = [
        f"{EVENTS}/{layer}/{event}_{number}_{layer}.tif"
        for layer in ("S1Hand", "LabelHand", "S2Hand")
        for event in ("Bolivia", "Mekong")
        for number in (1, 2, 3)
    ]
    lists = [f"{SPLITS}/flood_{part}_data.csv" for part in ("train", "valid", "test", "bolivia")]
    return {name: name.encode() * 50 for name in (*names, *lists)}


def files_under(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def one(web: Web, content: bytes = CONTENT, **known: object) -> RemoteFile:
    web.files["/big.bin"] = content
    facts = {"size": len(content), "md5": md5(content)} | known
    return RemoteFile("big.bin", f"{web.url}/big.bin?signature=secret", **facts)  # type: ignore[arg-type]


def fetched(file: RemoteFile, folder: Path) -> bytes:
    with transfer.open_session() as session:
        fetch_file(session, file, folder / "big.bin")
    return (folder / "big.bin").read_bytes()


def test_chosen_part_lies_in_the_published_layout(web: Web, tmp_path: Path) -> None:
    objects = chips()
    bucket(web, objects)
    seen: list[tuple[int, int]] = []
    done = download(
        "sen1floods11",
        tmp_path,
        events=["Bolivia"],
        layers=["S1Hand", "LabelHand"],
        url=web.url,
        progress=lambda *counts: seen.append(counts),
    )
    wanted = {name for name in objects if SPLITS in name or ("Bolivia" in name and "S2Hand" not in name)}
    assert files_under(tmp_path / "sen1floods11") == wanted == set(done.fetched)
    assert all((tmp_path / "sen1floods11" / name).read_bytes() == objects[name] for name in wanted)
    assert done.unverified == done.kept == ()
    total = sum(len(objects[name]) for name in wanted)
    assert seen[-1] == (total, total) and done.size == total


def test_event_is_spelt_as_in_the_reports(web: Web, tmp_path: Path) -> None:
    bucket(web, chips())
    done = download("sen1floods11", tmp_path, events=["Cambodia"], layers=["S1Hand"], url=web.url)
    assert {Path(name).name.split("_")[0] for name in done.fetched if EVENTS in name} == {"Mekong"}


def test_second_run_fetches_only_what_is_damaged(web: Web, tmp_path: Path) -> None:
    objects = chips()
    bucket(web, objects)
    first = download("sen1floods11", tmp_path, url=web.url)
    assert set(first.fetched) == set(objects)
    damaged = f"{EVENTS}/S1Hand/Bolivia_2_S1Hand.tif"
    place = tmp_path / "sen1floods11" / damaged
    # Of the right length, so that only the checksum tells.
    place.write_bytes(b"x" * len(objects[damaged]))
    second = download("sen1floods11", tmp_path, url=web.url)
    assert second.fetched == (damaged,) and len(second.kept) == len(objects) - 1
    assert place.read_bytes() == objects[damaged]


def test_dropped_connections_resume_where_they_broke(web: Web, tmp_path: Path) -> None:
    web.breaks["/big.bin"] = [300_000, 0, 200_000]
    assert fetched(one(web), tmp_path) == CONTENT
    spans = web.requests_of("/big.bin")
    assert len(spans) == 4 and spans[0] == ""
    starts = [int(span.removeprefix("bytes=").rstrip("-")) for span in spans[1:]]
    # The client may drop the last piece that it had not written when the connection broke.
    assert 0 < starts[0] <= 300_000 and starts[0] == starts[1] < starts[2]
    assert web.sent["/big.bin"] < 1.5 * len(CONTENT)
    assert files_under(tmp_path) == {"big.bin"}


def test_interrupted_run_is_resumed_by_the_next(web: Web, tmp_path: Path) -> None:
    (tmp_path / "big.bin.part").write_bytes(CONTENT[:700_000])
    assert fetched(one(web), tmp_path) == CONTENT
    assert web.requests_of("/big.bin") == ["bytes=700000-"]


def test_file_that_changed_meanwhile_is_begun_anew(web: Web, tmp_path: Path) -> None:
    """No checksum is published here: the server's ETag alone keeps two versions from being joined."""
    old = os.urandom(len(CONTENT))
    web.breaks["/big.bin"] = [400_000, *[0] * 5]
    with pytest.raises(RemoteError, match="kept and resumed"):
        fetched(one(web, old, md5="", size=None), tmp_path)
    assert (tmp_path / "big.bin.part").stat().st_size > 0 and not (tmp_path / "big.bin").exists()
    web.breaks.clear()
    assert fetched(one(web, CONTENT, md5="", size=None), tmp_path) == CONTENT


def test_corrupted_file_is_fetched_once_more(web: Web, tmp_path: Path) -> None:
    web.corrupt["/big.bin"] = [b"x" * len(CONTENT)]
    assert fetched(one(web), tmp_path) == CONTENT
    assert len(web.requests_of("/big.bin")) == 2


def test_file_corrupted_at_its_source_is_an_error_and_never_there(web: Web, tmp_path: Path) -> None:
    file = one(web, md5=md5(b"other"))
    with pytest.raises(RemoteError, match=r"came in twice with the MD5 .* damaged at its source") as caught:
        fetched(file, tmp_path)
    assert files_under(tmp_path) == set() and len(web.requests_of("/big.bin")) == 2
    assert "secret" not in str(caught.value)


def test_older_file_stays_until_the_new_one_is_whole(web: Web, tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(b"older")
    with pytest.raises(RemoteError):
        fetched(one(web, md5=md5(b"other")), tmp_path)
    assert (tmp_path / "big.bin").read_bytes() == b"older"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_server_is_asked_again(web: Web, tmp_path: Path, status: int) -> None:
    web.statuses["/big.bin"] = [status, status]
    assert fetched(one(web), tmp_path) == CONTENT
    assert len(web.requests_of("/big.bin")) == 3


def test_server_that_asks_for_hours_is_not_obeyed(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "LONGEST_PAUSE", 0.05)
    web.retry_after, web.statuses["/big.bin"] = "7200", [429]
    assert fetched(one(web), tmp_path) == CONTENT


@pytest.mark.parametrize(
    ("status", "tries", "sentence"),
    [
        (500, 5, "answered HTTP 500 to each of 5 tries"),
        (403, 1, r"is refused \(HTTP 403\): its signature has expired"),
        (404, 1, r"does not exist on its server \(HTTP 404\)"),
    ],
)
def test_patience_ends(web: Web, tmp_path: Path, status: int, tries: int, sentence: str) -> None:
    web.forever["/big.bin"] = status
    with pytest.raises(RemoteError, match=sentence):
        fetched(one(web), tmp_path)
    assert len(web.requests_of("/big.bin")) == tries and files_under(tmp_path) == set()


def test_server_that_does_not_answer(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", (1.0, 0.05))
    web.slow["/big.bin"] = 0.5
    with pytest.raises(RemoteError, match=r"did not answer within 0\.05 s"):
        fetched(one(web), tmp_path)


def test_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "BACKOFF", 0.01)
    with pytest.raises(RemoteError, match="cannot be reached"):
        fetched(RemoteFile("big.bin", "http://127.0.0.1:9/big.bin"), tmp_path)


def test_figshare_listing_and_choice_by_words(web: Web, tmp_path: Path) -> None:
    contents = {"Mask.zip": b"mask" * 99, "SENTINEL_1.zip": b"sar" * 99}
    web.files |= {f"/ndownloader/{name}": content for name, content in contents.items()}
    web.pages["/articles/28328339/files"] = lambda *_: [
        {
            "name": name,
            "size": len(content),
            "computed_md5": md5(content),
            "download_url": f"{web.url}/ndownloader/{name}",
            "is_link_only": False,
        }
        for name, content in contents.items()
    ]
    done = download("deepflood", tmp_path, layers=["sentinel_1"], url=web.url)
    assert done.fetched == ("SENTINEL_1.zip",)
    assert (tmp_path / "deepflood" / "SENTINEL_1.zip").read_bytes() == contents["SENTINEL_1.zip"]
    with pytest.raises(DataError, match=r"layer 'dem' in its name; there is Mask\.zip, SENTINEL_1\.zip"):
        download("deepflood", tmp_path, layers=["dem"], url=web.url)


@pytest.mark.parametrize("name", ["../escape.bin", "/etc/escape.bin", "a\\..\\b"])
def test_listing_must_not_lead_out_of_the_folder(web: Web, tmp_path: Path, name: str) -> None:
    entry = {"name": name, "size": 1, "download_url": f"{web.url}/x"}
    web.pages["/articles/28328339/files"] = lambda *_: [entry]
    with pytest.raises(DataError, match="does not lie in the dataset's folder"):
        download("deepflood", tmp_path / "data", url=web.url)
    assert files_under(tmp_path) == set()


def test_too_little_space_is_told_before_the_first_byte(web: Web, tmp_path: Path) -> None:
    entry = {"name": "huge.zip", "size": 10**16, "download_url": f"{web.url}/huge.zip"}
    web.pages["/articles/28328339/files"] = lambda *_: [entry]
    with pytest.raises(OutputError, match=r"need 10000000\.0 GB"):
        download("deepflood", tmp_path, url=web.url)
    assert web.requests_of("/huge.zip") == []


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("sen1flods11", {}, "Did you mean 'sen1floods11'"),
        ("sen1floods11", {"layers": ["S1Hnad"]}, "Did you mean 'S1Hand'"),
        ("sen1floods11", {"events": ["Atlantis"]}, "no file of event 'Atlantis'"),
        ("sen12ms", {"events": ["monsoon"]}, "event 'monsoon' in its name; there is ROIs1158"),
    ],
)
def test_unknown_names(
    web: Web, tmp_path: Path, name: str, options: dict[str, list[str]], sentence: str
) -> None:
    bucket(web, chips())
    with pytest.raises(FloraError, match=sentence):
        download(name, tmp_path, url=web.url, **options)  # type: ignore[arg-type]


def test_source_that_is_no_listing(web: Web, tmp_path: Path) -> None:
    web.files["/articles/28328339/files"] = b"<html>moved</html>"
    with pytest.raises(RemoteError, match="is not JSON, but begins with '<html>"):
        download("deepflood", tmp_path, url=web.url)


def test_from_the_command_line(web: Web, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bucket(web, chips())
    words = ["data", "download", "sen1floods11", "--root", str(tmp_path), "--events", "Bolivia"]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--layers", "S1Hand,LabelHand", "--url", web.url])
    assert caught.value.code == 0
    assert len(files_under(tmp_path / "sen1floods11")) == 10
    assert "10 files" in capsys.readouterr().out


@pytest.mark.real
def test_real_chips_open_as_a_dataset(web: Web, tmp_path: Path, real_data: Path) -> None:
    from flora.data import open_dataset

    source = real_data / "sen1floods11"
    lists = sorted((source / SPLITS).glob("*.csv"))
    pair = [
        sorted((source / EVENTS / layer).glob("Ghana_7496_*.tif"))[0] for layer in ("S1Hand", "LabelHand")
    ]
    bucket(web, {path.relative_to(source).as_posix(): path.read_bytes() for path in (*lists, *pair)})
    web.breaks[f"/sen1floods11/{pair[0].relative_to(source).as_posix()}"] = [1000]
    download("sen1floods11", tmp_path, events=["Ghana"], layers=["S1Hand", "LabelHand"], url=web.url)
    (chip,) = list(open_dataset("sen1floods11", tmp_path / "sen1floods11", "all"))
    assert chip.meta.event == "Ghana" and chip.water is not None
