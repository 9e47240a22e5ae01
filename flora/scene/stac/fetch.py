"""From a place and dates to files: what `flora fetch` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dask.array as da
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError
from shapely.geometry import Polygon

from flora.bands import OPTICAL_BANDS, SAR_BANDS
from flora.errors import InputError, OutputError
from flora.raster import CogSpec, open_sar, write_cog
from flora.raster.file import GDAL_ERRORS
from flora.scene.stac.choice import Work, choose, moment, span_of
from flora.scene.stac.context import find_context, write_context
from flora.scene.stac.mosaic import mosaic
from flora.scene.stac.passes import Pass
from flora.scene.stac.remote import prepare, sign
from flora.transfer import bare

if TYPE_CHECKING:
    from pystac import Item

    from flora.scene.stac.catalog import Catalog

Progress = Callable[[int, int], None]

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
        context: Layers that were asked for, on the same grid, by name.
    """

    path: Path
    time: str
    orbit: str
    items: tuple[str, ...]
    before: bool
    valid_share: float
    optical: Path | None = None
    context: Mapping[str, Path] = field(default_factory=dict)


def fetch(
    areas: Sequence[Polygon],
    start: str | None,
    end: str | None,
    out: str | Path,
    *,
    date: str | None = None,
    catalog: str = "planetary-computer",
    collection: str | None = None,
    scale: str = "auto",
    optical: bool = False,
    before: str | None = None,
    context: Sequence[str] = (),
    limit: int = DEFAULT_LIMIT,
    overwrite: bool = False,
    keep: bool = False,
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
        date: Instead of start and end: for each area the pass nearest to this day that shows most of it.
        catalog: A key of `SERVICES`, or the address or path of a STAC API or static catalogue.
        collection: Of Sentinel-1; None for the service's own, or all that have VV and VH.
        scale: What the values are; `auto` asks the item and the file. See `flora.open_sar`.
        optical: Also write the nearest Sentinel-2 picture of each pass.
        before: A day before the event; for each orbit the latest pass until then is written as well.
        context: Also write these layers on the grid of each pass, keys of `flora.scene.stac.context.LAYERS`.
        limit: Largest number of passes; more are an error.
        overwrite: Whether earlier files of passes and pictures are replaced; those of the context never are, as one of
            the same items on the same grid is taken as it is and others get a number in their name.
        keep: Whether an earlier file of the same products over the same area is taken as it is.
        progress: Called with the number of files that are done and of all files.

    Returns:
        What was written, in the order of time.

    Raises:
        InputError: Nothing is found, or what is found cannot be read as VV and VH.
        OutputError: A file is there already, or cannot be written.
        RemoteError: A server refuses, does not answer, or has not what it lists.
    """
    from flora.scene.stac.catalog import Catalog

    span, nearest = span_of(start, end, date)
    source = Catalog(catalog)
    works = choose(source, areas, span, nearest=nearest, collection=collection, before=before, limit=limit)
    layers = {id(area): find_context(source, context, area) for area in areas}
    places = _places(works, areas, Path(out).expanduser(), overwrite or keep)
    last = moment(before, "before", last=True) if before is not None else None
    results = []
    for place, ((flight, area), path) in enumerate(zip(works, places, strict=True)):
        found = _kept(path, flight, area) if keep else None
        found = found or _write_sar(flight, area, path, scale, catalog, overwrite or keep)
        if found is not None and optical:
            until = last if flight.before else None
            found = _with_optical(found, source, flight, area, until, overwrite or keep)
        if found is not None and context:
            canvas: GeoBox = open_sar(found.path)["VV"].odc.geobox
            suffix = _suffix(area, areas)
            written = {
                each.name: write_context(each, canvas, path.parent, suffix) for each in layers[id(area)]
            }
            found = replace(found, context=written)
        results += [found] if found is not None else []
        if progress is not None:
            progress(place + 1, len(works))
    if not results:
        raise InputError(
            f"The {len(works)} passes found hold no valid pixel over the area, which lies at their edge. "
            "Widen the dates."
        )
    return results


def _places(works: Sequence[Work], areas: Sequence[Polygon], out: Path, replaced: bool) -> list[Path]:
    """Says where each pass over each area is written, after checking that the places are free."""
    places = [out / f"{flight.name}{_suffix(area, areas)}.tif" for flight, area in works]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Folder '{out}' cannot be made ({error.strerror}). Choose another --out."
        ) from error
    there = [path for path in places if path.exists()]
    if there and not replaced:
        raise OutputError(
            f"'{there[0]}' exists already; nothing is overwritten unasked. Choose another --out, or pass --overwrite."
        )
    return places


def _suffix(area: Polygon, areas: Sequence[Polygon]) -> str:
    """Tells the files of one area from those of another."""
    number = next(i for i, each in enumerate(areas, 1) if each is area)
    return f"_area{number}" if len(areas) > 1 else ""


def _kept(path: Path, flight: Pass, area: Polygon) -> Fetched | None:
    """Gives an earlier file of the same products over the same area; None where there is none."""
    if not path.exists():
        return None
    try:
        with rasterio.open(path) as source:
            tags = source.tags()
    except GDAL_ERRORS:
        return None
    items = " ".join(item.id for item in flight.items)
    if (tags.get("STAC_ITEMS"), tags.get("AREA")) != (items, _bounds(area)):
        return None
    return _fetched(path, flight, _valid_share(path))


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
        tags = _tags(flight, area, catalog, scenes)
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
    return _fetched(path, flight, share)


def _fetched(path: Path, flight: Pass, share: float) -> Fetched:
    items = tuple(item.id for item in flight.items)
    return Fetched(path, _stamp(flight), flight.orbit, items, flight.before, share)


def _stamp(flight: Pass) -> str:
    return f"{flight.time:%Y-%m-%dT%H:%M:%SZ}"


def _bounds(area: Polygon) -> str:
    return ",".join(f"{number:.9g}" for number in area.bounds)


def _tags(flight: Pass, area: Polygon, catalog: str, scenes: Sequence[xr.Dataset]) -> dict[str, str]:
    """Says where a file comes from; addresses without their signatures."""
    first = flight.items[0]
    facts = {
        "DATETIME": _stamp(flight),
        "AREA": _bounds(area),
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
    items = nearest_date(source.search(area, window_of(flight.time, until), collections), flight.time, area)
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
