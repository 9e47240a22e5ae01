"""A scene's name and time of acquisition, from the names and tags of its files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from flora.errors import InputError
from flora.raster.file import RasterFile, file_name
from flora.raster.polarisation import TOKEN

RASTER_SUFFIX = re.compile(r"(\.rtc)?\.(tiff?|vrt|jp2|img|nc|h5|png|jpe?g|zarr)$", re.IGNORECASE)

# Folders and file names that every scene has, so that they name none.
GENERIC_FOLDERS = frozenset({"measurement", "vv", "vh", "sar", "s1", "data", ""})
GENERIC_NAMES = frozenset({"", "iw", "ew", "sm"})

STAMP = re.compile(r"(?<!\d)(20\d{2})-?(\d{2})-?(\d{2})[Tt_](\d{2}):?(\d{2}):?(\d{2})(?!\d)")
# What may follow a stamp in a tag: parts of a second, and how far the clock is from UTC.
CLOCK: Final = re.compile(r"(?:[.,]\d+)?\s?([+-])(\d{2}):?(\d{2})?(?!\d)")
DAY = re.compile(r"(?<!\d)(20\d{2})([-_]?)(\d{2})\2(\d{2})(?!\d)")

# Two files of one pass may be stamped on both sides of midnight.
ONE_PASS: Final = timedelta(minutes=10)

TIME_TAGS = (
    "acquisition_start_time",
    "acquisition_time",
    "start_datetime",
    "datetime",
    "sensing_time",
    "time",
)


def scene_name(path: str) -> str:
    """Names a scene after its VV file, or its only file, without the polarisation.

    Args:
        path: Path or address of the file.

    Returns:
        Such as `pxs10` for `pxs10_vv.tif`; the folder's name where the file's says nothing, as in
        `S1A_…/iw-vv.rtc.tiff`.
    """
    stem = RASTER_SUFFIX.sub("", file_name(path))
    # The separators beside the polarisation go with it, and only one stays where it stood in the middle.
    bare = re.sub(rf"[-_. ]?{TOKEN.pattern}(?=[-_. ]|$)", "", stem, flags=re.IGNORECASE).strip("-_. ")
    if bare.lower() not in GENERIC_NAMES:
        return bare
    folders = [
        part for part in re.split(r"[/\\]", path.split("?")[0])[:-1] if part.lower() not in GENERIC_FOLDERS
    ]
    return folders[-1] if folders else stem or "scene"


def acquisition_time(files: Sequence[RasterFile]) -> str:
    """Gives when the scene was taken, as its file names, else its tags, say.

    Args:
        files: The scene's files.

    Returns:
        ISO 8601 in UTC, to the second or to the day; empty where nothing is said.
    """
    names = [file.name for file in files]
    tags = [value for file in files for key, value in file.tags if key in TIME_TAGS]
    for text in [*names, *tags]:
        stamp = STAMP.search(text)
        if stamp and _real(*stamp.groups()):
            # In a name, what follows is not a clock's distance but the next field.
            clock = None if text in names else CLOCK.match(text, stamp.end())
            time = datetime(*(int(number) for number in stamp.groups()))  # type: ignore[arg-type]
            return f"{time - _ahead(clock):%Y-%m-%dT%H:%M:%SZ}"
    for text in [*names, *tags]:
        date = DAY.search(text)
        if date and _real(date.group(1), date.group(3), date.group(4)):
            return f"{date.group(1)}-{date.group(3)}-{date.group(4)}"
    return ""


def require_one_date(files: Sequence[RasterFile]) -> None:
    """Checks that the files of one scene do not name different dates.

    Args:
        files: The file of VV and that of VH; those that say nothing are passed over.

    Raises:
        InputError: They are of two dates.
    """
    said = {file.name: time for file in files if (time := acquisition_time([file]))}
    first, last = min(said.values(), default=""), max(said.values(), default="")
    exact = all(len(time) > len("2024-05-06") for time in (first, last))
    if exact and datetime.fromisoformat(last) - datetime.fromisoformat(first) <= ONE_PASS:
        return
    if first[:10] != last[:10]:
        names = " and ".join(f"{name} ({time[:10]})" for name, time in said.items())
        raise InputError(
            f"{names} are of two dates; FLoRA needs VV and VH of one pass. Give the two files of one date."
        )


def _ahead(clock: re.Match[str] | None) -> timedelta:
    """Gives how far a clock is ahead of UTC, as a text after a stamp says."""
    if clock is None:
        return timedelta()
    ahead = timedelta(hours=int(clock[2]), minutes=int(clock[3] or 0))
    return -ahead if clock[1] == "-" else ahead


def _real(*numbers: str) -> bool:
    """Tells whether digits form a date that exists."""
    try:
        datetime(*(int(number) for number in numbers))  # type: ignore[arg-type]
    except ValueError:
        return False
    return True
