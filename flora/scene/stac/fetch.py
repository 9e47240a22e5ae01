"""From a place and dates to files: what `flora fetch` does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dask.array as da
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from shapely.geometry import Polygon

from flora.bands import OPTICAL_BANDS, SAR_BANDS
from flora.data.transfer import bare
from flora.errors import InputError, OutputError
from flora.raster import CogSpec, open_sar, write_cog
from flora.scene.stac.area import union
from flora.scene.stac.item import SarItem, read_item
from flora.scene.stac.mosaic import mosaic
from flora.scene.stac.passes import Pass, group_passes, latest_of_each_orbit
from flora.scene.stac.remote import prepare, sign

if TYPE_CHECKING:
    from pystac import Item

    from flora.scene.stac.catalog import Catalog

Progress = Callable[[int, int], None]

# Before the event, how far back an earlier pass is looked for: two or three repeats of an orbit.
BACK: Final = timedelta(days=37)
DEFAULT_LIMIT: Final = 20
# Dask reads whole chunks: those of one stored tile bring in no tile that the area does not touch, px.
BLOCK: Final = 512


@dataclass(frozen=True)
class Fetched:
    """What was written of one pass over one area.

    Attributes:
        path: VV and VH in dB.
        time: Start of the acquisition, ISO 8601, UTC.
        orbit: Relative orbit, else direction; empty where neither is said.
        items: Items it is made of.
        before: Taken before the event.
        valid_share: Of the area's bounds.
        optical: Sentinel-2 picture on the same grid; None where none was asked for or found.
    """

    path: Path
    time: str
    orbit: str
    items: tuple[str, ...]
    before: bool
    valid_share: float
    optical: Path | None = None


def fetch(
    areas: Sequence[Polygon],
    start: str,
    end: str,
    out: str | Path,
    *,
    catalog: str = "planetary-computer",
    collection: str | None = None,
    scale: str = "auto",
    optical: bool = False,
    before: str | None = None,
    limit: int = DEFAULT_LIMIT,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Fetched]:
    """Finds Sentinel-1 passes over areas and writes each, over each area, as one COG of VV and VH in dB.

    Products of one pass are put together; only the areas' bounds are read of them. Values come by the way that
    `flora.open_sar` reads files, so that a pixel has the same bits by either door.

    Args:
        areas: Polygons in longitude and latitude; each gets files of its own.
        start: First day or moment, ISO 8601, UTC.
        end: Last day or moment, included.
        out: Folder; created where it is missing.
        catalog: A key of `SERVICES`, or the address or path of a STAC API or static catalogue.
        collection: Of Sentinel-1; None for the service's own, or all that have VV and VH.
        scale: What the values are; `auto` asks the item and the file. See `flora.open_sar`.
        optical: Also write the nearest Sentinel-2 picture of each pass.
        before: A day before the event; for each orbit the latest pass until then is written as well.
        limit: Largest number of passes; more are an error.
        overwrite: Whether earlier files are replaced.
        progress: Called with the number of files that are done and of all files.

    Returns:
        What was written, in the order of time.

    Raises:
        InputError: Nothing is found, or what is found cannot be read as VV and VH.
        OutputError: A file is there already, or cannot be written.
        RemoteError: A server refuses, does not answer, or has not what it lists.
    """
    from flora.scene.stac.catalog import Catalog

    span = _moment(start, "start"), _moment(end, "end", last=True)
    if span[0] > span[1]:
        raise InputError(
            f"The start {start} is after the end {end}; expected the earlier first. Exchange them."
        )
    source = Catalog(catalog)
    collections = _collections(collection, source.service.sar if source.service else ())
    passes = _find(source, areas, span, collections)
    if not passes:
        raise InputError(
            f"'{catalog}' has no Sentinel-1 scene with VV and VH ({', '.join(collections) or 'any collection'}) over "
            f"the area from {start} to {end}; Sentinel-1 passes every 6 to 12 days. Widen the dates, or try another "
            "--catalog."
        )
    if before is not None:
        last = _moment(before, "before", last=True)
        passes = latest_of_each_orbit(_find(source, areas, (last - BACK, last), collections), passes) + passes
    if len(passes) > limit:
        raise InputError(
            f"{len(passes)} passes lie over the area in that time; --limit allows {limit}. Narrow the dates, or raise "
            "--limit."
        )
    works = _works(passes, areas, Path(out).expanduser(), overwrite)
    results = []
    for place, (flight, area, path) in enumerate(works):
        found = _write_sar(flight, area, path, scale, catalog, overwrite)
        if found is not None and optical:
            until = last if flight.before and before is not None else None
            found = _with_optical(found, source, flight, area, until, overwrite)
        results += [found] if found is not None else []
        if progress is not None:
            progress(place + 1, len(works))
    if not results:
        raise InputError(
            f"The {len(passes)} passes found hold no valid pixel over the area, which lies at their edge. "
            "Widen the dates."
        )
    return results


def _moment(text: str, option: str, last: bool = False) -> datetime:
    """Reads a day, or a moment, as UTC; a day stands for its first or its last moment."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"'{text}' is not a date; expected one such as 2024-05-06, or 2024-05-06T08:45:00. Correct --{option}."
        ) from error
    if last and len(text.strip()) <= len("2024-05-06"):
        moment = datetime.combine(moment, time.max.replace(microsecond=0))
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _collections(asked: str | None, known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.strip() for name in asked.split(",")) if asked else known


def _find(
    source: Catalog, areas: Sequence[Polygon], span: tuple[datetime, datetime], collections: tuple[str, ...]
) -> list[Pass]:
    """Searches passes with VV and VH."""
    found = source.search(union(areas), *span, collections)
    items = [
        read_item(item.to_dict(transform_hrefs=False), item.get_self_href() or source.url) for item in found
    ]
    return group_passes(item for item in items if item is not None)


def _works(
    passes: Sequence[Pass], areas: Sequence[Polygon], out: Path, overwrite: bool
) -> list[tuple[Pass, Polygon, Path]]:
    """Says which pass is written over which area and where, after checking that the places are free."""
    works = []
    for flight in passes:
        for number, area in enumerate(areas, 1):
            over = tuple(item for item in flight.items if _meets(item, area))
            if over:
                suffix = f"_area{number}" if len(areas) > 1 else ""
                works.append((Pass(over, flight.before), area, out / f"{flight.name}{suffix}.tif"))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Folder '{out}' cannot be made ({error.strerror}). Choose another --out."
        ) from error
    there = [path for *_, path in works if path.exists()]
    if there and not overwrite:
        raise OutputError(
            f"'{there[0]}' exists already; nothing is overwritten unasked. Choose another --out, or pass --overwrite."
        )
    return works


def _meets(item: SarItem, area: Polygon) -> bool:
    return item.footprint is None or bool(item.footprint.intersects(area))


def _write_sar(
    flight: Pass, area: Polygon, path: Path, scale: str, catalog: str, overwrite: bool
) -> Fetched | None:
    """Writes one pass over one area; nothing where it has no valid pixel there."""
    files = [prepare([sign(file) for file in item.files]) for item in flight.items]
    try:
        scenes = [
            open_sar(each, scale=item.scale if scale == "auto" else scale, chunk=BLOCK)
            for each, item in zip(files, flight.items, strict=True)
        ]
        picture = mosaic(scenes, area)
        tags = _tags(flight, catalog, scenes)
        spec = CogSpec("float32", SAR_BANDS, nodata=float("nan"), unit="dB", tags=tags)
        values = da.stack([picture[name].data for name in SAR_BANDS])  # type: ignore[no-untyped-call]
        write_cog(path, values, picture["VV"].odc.geobox, spec, overwrite=overwrite)
    except (InputError, OutputError, RasterioError, OSError):
        # GDAL says little of servers: if it was one that failed, it is asked once more and its answer is told.
        prepare([file for each in files for file in each])
        raise
    share = _valid_share(path)
    if share == 0:
        path.unlink()
        return None
    return Fetched(
        path, tags["DATETIME"], flight.orbit, tuple(item.id for item in flight.items), flight.before, share
    )


def _tags(flight: Pass, catalog: str, scenes: Sequence[xr.Dataset]) -> dict[str, str]:
    """Says where a file comes from; addresses without their signatures."""
    first = flight.items[0]
    facts = {
        "DATETIME": f"{flight.time:%Y-%m-%dT%H:%M:%SZ}",
        "PLATFORM": first.platform,
        "RELATIVE_ORBIT": first.orbit,
        "ORBIT_STATE": first.direction,
        "STAC_CATALOG": bare(catalog),
        "STAC_COLLECTION": first.collection,
        "STAC_ITEMS": " ".join(item.id for item in flight.items),
        "STAC_HREFS": " ".join(bare(file) for item in flight.items for file in item.files),
        "SOURCE_SCALE": "; ".join(dict.fromkeys(str(scene.attrs["sar_scale"]) for scene in scenes)),
        "SIMULATED": "yes" if any(scene.attrs.get("simulated") for scene in scenes) else "",
    }
    return {key: value for key, value in facts.items() if value}


def _valid_share(path: Path) -> float:
    scene = open_sar(path)
    return float(da.isfinite(scene["VV"].data).mean().compute())


def _with_optical(
    found: Fetched, source: Catalog, flight: Pass, area: Polygon, until: datetime | None, overwrite: bool
) -> Fetched:
    """Writes the nearest picture beside a pass, where there is one."""
    from flora.scene.stac.optical import nearest_date, read_picture, window_of

    collections = source.service.optical if source.service else ()
    items = nearest_date(source.search(area, *window_of(flight.time, until), collections), flight.time, area)
    if not items:
        return found
    canvas: GeoBox = open_sar(found.path)["VV"].odc.geobox
    path = found.path.with_name(f"{found.path.stem}_optical.tif")
    spec = CogSpec("uint16", OPTICAL_BANDS, nodata=0, scale=1e-4, tags=_optical_tags(items, source.name))
    write_cog(path, read_picture(items, canvas), canvas, spec, overwrite=overwrite)
    return replace(found, optical=path)


def _optical_tags(items: Sequence[Item], catalog: str) -> dict[str, str]:
    from flora.scene.stac.catalog import time_of

    return {
        "DATETIME": f"{time_of(items[0]):%Y-%m-%dT%H:%M:%SZ}",
        "STAC_CATALOG": bare(catalog),
        "STAC_COLLECTION": items[0].collection_id or "",
        "STAC_ITEMS": " ".join(item.id for item in items),
        "CLOUD_COVER": ", ".join(str(item.properties.get("eo:cloud_cover", "")) for item in items),
    }
