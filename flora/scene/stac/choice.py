"""Which passes are wanted: those of a span of days, or the one nearest to a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Final

from shapely.geometry import Polygon
from shapely.ops import unary_union

from flora.errors import InputError
from flora.scene.stac.area import union
from flora.scene.stac.catalog import Catalog, Span
from flora.scene.stac.item import SarItem, read_item
from flora.scene.stac.passes import Pass, group_passes, latest_of_each_orbit

# Before the event, how far back an earlier pass is looked for: two or three repeats of an orbit.
BACK: Final = timedelta(days=37)
# Around a day, how far the nearest pass is looked for: one satellite comes back to an orbit after twelve days.
AROUND: Final = timedelta(days=12)
# A pass that shows less of the area is taken only where no other is found.
LEAST_COVER: Final = 0.5

Work = tuple[Pass, Polygon]


def choose(
    source: Catalog,
    areas: Sequence[Polygon],
    span: Span,
    *,
    nearest: bool = False,
    collection: str | None = None,
    before: str | None = None,
    limit: int,
) -> list[Work]:
    """Finds passes over areas.

    Args:
        source: Where to look.
        areas: In longitude and latitude.
        span: First and last moment, UTC.
        nearest: Only the pass nearest to the span, for each area, and up to `AROUND` beside it.
        collection: Names, separated by commas; None for the service's own.
        before: For each orbit also its latest pass until this day.
        limit: Largest number of passes.

    Returns:
        Each pass with each area that it meets, in the order of time; of a pass, the items that meet it.

    Raises:
        InputError: There is none, or there are more than the limit.
        RemoteError: The catalogue does not answer.
    """
    known = source.service.sar if source.service else ()
    collections = tuple(name.strip() for name in collection.split(",")) if collection else known
    wide = (span[0] - AROUND, span[1] + AROUND) if nearest else span
    works = _over(areas, _find(source, areas, wide, collections))
    if nearest:
        chosen = [_nearest([work for work in works if work[1] is area], span) for area in _areas(works)]
        works = sorted(chosen, key=lambda work: work[0].time)
    if not works:
        listed = ", ".join(collections) or "any collection"
        raise InputError(
            f"'{source.name}' has no Sentinel-1 scene with VV and VH ({listed}) over the area from "
            f"{wide[0]:%Y-%m-%d} to {wide[1]:%Y-%m-%d}; Sentinel-1 passes every 6 to 12 days. Widen the dates, or "
            "try another --catalog."
        )
    if before is not None:
        last = moment(before, "before", last=True)
        earlier = _find(source, areas, (last - BACK, last), collections)
        works = _over(areas, latest_of_each_orbit(earlier, [flight for flight, _ in works])) + works
    count = len({(flight.name, flight.before) for flight, _ in works})
    if count > limit:
        raise InputError(
            f"{count} passes lie over the area in that time; --limit allows {limit}. Narrow the dates, or raise "
            "--limit."
        )
    return works


def span_of(start: str | None, end: str | None, date: str | None) -> tuple[Span, bool]:
    """Reads the days that are asked for.

    Returns:
        First and last moment, UTC, and whether the pass nearest to them is meant.

    Raises:
        InputError: They are no dates, too many, too few, or the wrong way round.
    """
    if date is not None and start is None and end is None:
        return (moment(date, "date"), moment(date, "date", last=True)), True
    if date is not None or start is None or end is None:
        given = [
            f"--{name}" for name, day in (("date", date), ("start", start), ("end", end)) if day is not None
        ]
        raise InputError(
            f"Found {' and '.join(given) or 'no date'}; expected either --date, for the pass nearest to a day, or "
            "--start and --end. Say when."
        )
    span = moment(start, "start"), moment(end, "end", last=True)
    if span[0] > span[1]:
        raise InputError(
            f"The start {start} is after the end {end}; expected the earlier first. Exchange them."
        )
    return span, False


def moment(text: str, option: str, last: bool = False) -> datetime:
    """Reads a day, or a moment, as UTC; a day stands for its first or its last moment.

    Args:
        text: Such as 2024-05-06, or 2024-05-06T08:45:00; without an offset it is UTC.
        option: Name of the option it came by, for the error.
        last: A day stands for its last second.

    Raises:
        InputError: It is no date.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"'{text}' is not a date; expected one such as 2024-05-06, or 2024-05-06T08:45:00. Correct --{option}."
        ) from error
    if last and len(text.strip()) <= len("2024-05-06"):
        found = datetime.combine(found, time.max.replace(microsecond=0))
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)


def _find(source: Catalog, areas: Sequence[Polygon], span: Span, collections: tuple[str, ...]) -> list[Pass]:
    """Searches passes with VV and VH."""
    found = source.search(union(areas), span, collections)
    items = [
        read_item(item.to_dict(transform_hrefs=False), item.get_self_href() or source.url) for item in found
    ]
    return group_passes(item for item in items if item is not None)


def _over(areas: Sequence[Polygon], passes: Sequence[Pass]) -> list[Work]:
    """Gives each pass with each area that it meets."""
    works = []
    for flight in passes:
        for area in areas:
            over = tuple(item for item in flight.items if _meets(item, area))
            if over:
                works.append((Pass(over, flight.before), area))
    return works


def _meets(item: SarItem, area: Polygon) -> bool:
    return item.footprint is None or bool(item.footprint.intersects(area))


def _areas(works: Sequence[Work]) -> list[Polygon]:
    """Gives the areas that anything meets, each once."""
    return list({id(area): area for _, area in works}.values())


def _nearest(works: Sequence[Work], span: Span) -> Work:
    """Chooses the pass nearest in time among those that show most of an area, else among all."""
    covering = [work for work in works if _cover(*work) >= LEAST_COVER]

    def apart(work: Work) -> tuple[timedelta, float]:
        flight, area = work
        distance = max(span[0] - flight.time, flight.time - span[1], timedelta(0))
        return distance, -_cover(flight, area)

    return min(covering or works, key=apart)


def _cover(flight: Pass, area: Polygon) -> float:
    """Gives the share of an area that a pass shows; all of it where a product does not say."""
    grounds = [item.footprint for item in flight.items]
    known = [ground for ground in grounds if ground is not None]
    if len(known) < len(grounds):
        return 1.0
    return float(unary_union(known).intersection(area).area / area.area)
