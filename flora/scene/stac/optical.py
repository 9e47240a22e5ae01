"""The Sentinel-2 picture nearest in time to a pass, on its grid, without cloud."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from shapely.geometry import Polygon, shape
from shapely.ops import unary_union

from flora.bands import SENTINEL2_OFFSET
from flora.scene.stac.catalog import time_of
from flora.scene.stac.mosaic import CHUNK
from flora.scene.stac.remote import prepare, sign

if TYPE_CHECKING:
    from pystac import Item

# Days before and after the pass in which a picture is looked for; Sentinel-2 comes every five.
DAYS: Final = 15
# A tile with more cloud shows too little, per cent.
MOST_CLOUD: Final = 60.0
# A date counts where its tiles cover this much of the area.
LEAST_COVER: Final = 0.5

# What catalogues call the bands red, green, blue, nir and the scene classification.
NAMES: Final = (
    ("red", "green", "blue", "nir", "scl"),
    ("B04", "B03", "B02", "B08", "SCL"),
    ("B04_10m", "B03_10m", "B02_10m", "B08_10m", "SCL_20m"),
)
# Scene classification of Sen2Cor: no data, saturated, cloud shadow, medium and high cloud, cirrus.
UNUSABLE: Final = (0, 1, 3, 8, 9, 10)


def nearest_date(items: Sequence[Item], time: datetime, area: Polygon) -> list[Item]:
    """Chooses the tiles of the day nearest to a time that cover the area and are not all cloud.

    Args:
        items: Sentinel-2 items.
        time: UTC.
        area: In longitude and latitude.

    Returns:
        Tiles of one day; none where no day will do.
    """
    days: dict[date, list[Item]] = defaultdict(list)
    for item in items:
        cloudy = float(item.properties.get("eo:cloud_cover") or 0) > MOST_CLOUD
        if not cloudy and item.geometry is not None and _names(item) is not None:
            days[time_of(item).date()].append(item)
    for day in sorted(days, key=lambda day: min(abs(time_of(item) - time) for item in days[day])):
        ground = unary_union([shape(item.geometry) for item in days[day] if item.geometry is not None])
        if ground.intersection(area).area >= LEAST_COVER * area.area:
            return days[day]
    return []


def window_of(time: datetime, until: datetime | None = None) -> tuple[datetime, datetime]:
    """Gives the span in which a picture for a pass is looked for, no later than `until`."""
    last = time + timedelta(days=DAYS)
    return time - timedelta(days=DAYS), last if until is None else min(last, until)


def read_picture(items: Sequence[Item], canvas: GeoBox) -> da.Array:
    """Reads tiles of one day onto a grid, lazily; cloud and its shadow are left out.

    Args:
        items: As `nearest_date` gives them.
        canvas: The grid.

    Returns:
        Red, green, blue, nir, reflectance x 10000, uint16, 0 where absent, (4, H, W).

    Raises:
        RemoteError: A tile's server does not give it.
    """
    from odc.stac import load

    layers = [_layer(item, load, canvas) for item in items]
    # The tiles overlap at their edges; the first that sees the ground counts.
    merged = layers[0]
    for layer in layers[1:]:
        merged = da.where(merged == 0, layer, merged)
    return merged


def _layer(item: Item, load: Any, canvas: GeoBox) -> da.Array:
    """Reads one tile; its offset is its own."""
    names = _names(item) or NAMES[0]
    wanted = item.clone()
    wanted.assets = {name: item.assets[name].clone() for name in names}
    for name in names:
        wanted.assets[name].href = sign(item.assets[name].get_absolute_href() or item.assets[name].href)
    prepare([asset.href for asset in wanted.assets.values()])
    data: xr.Dataset = load(
        [wanted],
        bands=names,
        geobox=canvas,
        chunks={"x": CHUNK, "y": CHUNK},
        dtype="uint16",
        nodata=0,
        resampling={"*": "bilinear", names[-1]: "nearest"},
    ).isel(time=0)
    numbers = da.stack([data[name].data for name in names[:-1]])  # type: ignore[no-untyped-call]
    clear = ~da.isin(data[names[-1]].data, UNUSABLE)
    present = (numbers > 0).any(axis=0) & clear
    reflectance = da.maximum(numbers.astype(np.int32) - offset_of(item.properties), 1)
    layer: da.Array = da.where(present, reflectance, 0).astype(np.uint16)
    return layer


def offset_of(properties: Mapping[str, Any]) -> int:
    """Gives what has to be taken off an item's numbers.

    Args:
        properties: Of the item.

    Returns:
        1000 from processing baseline 04.00, unless the catalogue has taken it off; else 0.
    """
    if properties.get("earthsearch:boa_offset_applied"):
        return 0
    baseline = str(properties.get("s2:processing_baseline") or properties.get("processing:version") or "0")
    try:
        return SENTINEL2_OFFSET if float(baseline) >= 4 else 0
    except ValueError:
        return 0


def _names(item: Item) -> tuple[str, ...] | None:
    return next((names for names in NAMES if all(name in item.assets for name in names)), None)
