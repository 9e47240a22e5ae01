"""Passes: the products of one flight over an area, which belong into one picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from flora.scene.stac.item import SarItem

# Products of one pass follow each other within seconds; the next pass of the same orbit is days away.
GAP: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class Pass:
    """Products of one platform on one relative orbit that were taken one after the other.

    Attributes:
        items: In the order of time.
        before: Taken before the event, to be compared with.
    """

    items: tuple[SarItem, ...]
    before: bool = False

    @property
    def time(self) -> datetime:
        """Start of the first product, UTC."""
        return self.items[0].time

    @property
    def orbit(self) -> str:
        """Relative orbit, or, where that is not said, the direction; empty where neither is."""
        return self.items[0].orbit or self.items[0].direction

    @property
    def name(self) -> str:
        """Name for files, such as `S1A_20240506T084511_orbit063_descending`."""
        first = self.items[0]
        orbit = f"orbit{first.orbit}" if first.orbit else ""
        parts = (first.platform, f"{first.time:%Y%m%dT%H%M%S}", orbit, first.direction)
        return "_".join(part for part in (*parts, "before" if self.before else "") if part)


def group_passes(items: Iterable[SarItem]) -> list[Pass]:
    """Groups items into passes, told apart by platform, orbit and time.

    The clock decides and not the date, since a pass may begin before midnight and end after it.

    Args:
        items: In any order; one that is listed twice counts once.

    Returns:
        Passes in the order of time.
    """
    groups: list[list[SarItem]] = []
    order = sorted({item.files: item for item in items}.values(), key=lambda item: (item.time, item.id))
    for item in order:
        for group in groups:
            last = group[-1]
            same = (last.platform, last.orbit, last.direction) == (item.platform, item.orbit, item.direction)
            if same and item.time - last.time <= GAP:
                group.append(item)
                break
        else:
            groups.append([item])
    return [Pass(tuple(group)) for group in groups]


def latest_of_each_orbit(passes: Iterable[Pass], like: Iterable[Pass]) -> list[Pass]:
    """Chooses, for each orbit of the event, the latest earlier pass that looked from the same side.

    Args:
        passes: Earlier passes.
        like: Passes of the event.

    Returns:
        At most one pass an orbit, marked as from before.
    """
    orbits = {event.orbit for event in like}
    latest = {found.orbit: found for found in sorted(passes, key=lambda found: found.time)}
    return [Pass(found.items, before=True) for orbit, found in latest.items() if orbit in orbits]
