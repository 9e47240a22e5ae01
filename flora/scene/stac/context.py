"""What is known of a place besides radar: elevation, reference water, land cover, height above drainage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from shapely.geometry import Polygon

from flora.errors import InputError
from flora.raster import CogSpec, write_cog
from flora.raster.context import Context, How, open_context
from flora.raster.drainage import height_above_drainage
from flora.raster.file import GDAL_ERRORS, describe
from flora.scene.stac.catalog import Catalog, time_of
from flora.scene.stac.remote import prepare, sign
from flora.transfer import bare

if TYPE_CHECKING:
    from pystac import Item

# Where a service that FLoRA knows has not all of them, these are taken from here.
HOME: Final = "planetary-computer"

CHUNK: Final = 1024  # px
# A river's land begins far from the place: how far the elevation reaches around it for the heights above drainage, and
# how large the land may be.
AROUND_M: Final = 10_000.0
DRAINAGE_M: Final = 30.0
MOST_CELLS: Final = 50_000_000


@dataclass(frozen=True)
class Layer:
    """A layer of the context, as a catalogue has it and as it is written.

    Attributes:
        says: What it is, for messages.
        collection: Of the catalogue.
        asset: Of its items.
        how: How it is brought onto a grid; see `flora.raster.context`.
        dtype: As it is written.
        nodata: As it is written.
        unit: As it is written.
        option: Of `flora flood`, where a file of the user's own is given instead.
        drained: Is turned into the height above drainage.
    """

    says: str
    collection: str
    asset: str
    how: How
    dtype: str
    nodata: float
    unit: str
    option: str
    drained: bool = False


LAYERS: Final = {
    "dem": Layer("elevation", "cop-dem-glo-30", "data", "quantity", "float32", np.nan, "m", "--dem"),
    "water": Layer(
        "water occurrence", "jrc-gsw", "occurrence", "classes", "uint8", 255, "%", "--reference-water"
    ),
    "landcover": Layer("land cover", "esa-worldcover", "map", "classes", "uint8", 0, "", "--land-cover"),
    "hand": Layer(
        "elevation for the height above drainage",
        "cop-dem-glo-30",
        "data",
        "quantity",
        "float32",
        np.nan,
        "m",
        "",
        True,
    ),
}


@dataclass(frozen=True)
class Found:
    """A layer with the items that show it over an area.

    Attributes:
        name: A key of `LAYERS`.
        catalog: Where they are listed.
        items: The newest edition.
    """

    name: str
    catalog: str
    items: tuple[Item, ...]

    @property
    def layer(self) -> Layer:
        """What is known of the layer."""
        return LAYERS[self.name]


def parse_context(text: str) -> tuple[str, ...]:
    """Reads names of layers, separated by commas.

    Raises:
        InputError: One is not known.
    """
    names = tuple(dict.fromkeys(word.strip().lower() for word in text.split(",") if word.strip()))
    unknown = [name for name in names if name not in LAYERS]
    if unknown or not names:
        raise InputError(
            f"'{unknown[0] if unknown else text}' is no layer of the context; expected some of {', '.join(LAYERS)}. "
            "Correct --context."
        )
    return names


def find_context(source: Catalog, names: Sequence[str], area: Polygon) -> list[Found]:
    """Finds the items of layers over an area.

    Args:
        source: The catalogue that the scenes are from; for a service that has not all layers, `HOME` is asked.
        names: Keys of `LAYERS`.
        area: In longitude and latitude.

    Raises:
        InputError: A layer is not listed there.
        RemoteError: The catalogue does not answer.
    """
    if not names:
        return []
    home = source if source.service is None or source.name == HOME else Catalog(HOME)
    found = []
    for name in names:
        layer = LAYERS[name]
        ground = area.buffer(_degrees(AROUND_M)) if layer.drained else area
        listed = home.search(ground, None, (layer.collection,))
        items = [
            item for item in listed if item.collection_id == layer.collection and layer.asset in item.assets
        ]
        if not items:
            own = f", or give a file of your own to flora flood {layer.option}" if layer.option else ""
            raise InputError(
                f"'{home.name}' lists no {layer.says} over the area (collection {layer.collection}, asset "
                f"{layer.asset}); expected some. Leave '{name}' out of --context{own}."
            )
        # Of land cover there are editions by year; the newest is the last.
        newest = max(time_of(item) for item in items)
        kept = [item for item in items if layer.how == "quantity" or time_of(item) == newest]
        found.append(Found(name, home.url, tuple(sorted(kept, key=lambda item: item.id))))
    return found


def write_context(found: Found, canvas: GeoBox, folder: Path, suffix: str) -> Path:
    """Writes a layer on a scene's grid; one that was written before, on this grid from these items, is kept.

    Nothing is ever overwritten: scenes of other grids, of this call or an earlier one, go on with theirs.

    Args:
        found: The layer.
        canvas: The grid.
        folder: Where it goes.
        suffix: Of the name, such as `_area2`.

    Returns:
        The file, such as `dem.tif`; `dem_2.tif` where that is taken by another grid.

    Raises:
        RemoteError: A server does not give a file.
        OutputError: It cannot be written.
    """
    key = _key(found, canvas)
    path, number = folder / f"{found.name}{suffix}.tif", 1
    while path.exists():
        if _key_in(path) == key:
            return path
        number += 1
        path = folder / f"{found.name}{suffix}_{number}.tif"
    layer = found.layer
    files = prepare([sign(item.assets[layer.asset].get_absolute_href() or "") for item in found.items])
    tags = {
        "CONTEXT": layer.says,
        "CONTEXT_KEY": key,
        "STAC_CATALOG": bare(found.catalog),
        "STAC_COLLECTION": layer.collection,
        "STAC_ITEMS": " ".join(item.id for item in found.items),
    }
    overviews: Any = "nearest" if layer.how == "classes" else "average"
    spec = CogSpec(layer.dtype, (found.name,), layer.nodata, layer.unit, overviews=overviews, tags=tags)
    values = _drained(files, canvas) if layer.drained else _lazy(files, canvas, layer)
    return write_cog(path, values, canvas, spec)


def _lazy(files: Sequence[str], canvas: GeoBox, layer: Layer) -> da.Array:
    """Gives a layer on a grid, lazily."""
    contexts = _opened(files, canvas, layer.how)
    chunks = tuple(
        tuple(min(CHUNK, length - start) for start in range(0, length, CHUNK)) for length in canvas.shape.yx
    )
    array: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
        _read,
        contexts=contexts,
        spec=(layer.nodata, layer.dtype),
        dtype=layer.dtype,
        chunks=chunks,
        meta=np.empty((0, 0), layer.dtype),
    )
    return array


def _opened(files: Sequence[str], canvas: GeoBox, how: How) -> list[Context]:
    """Opens the tiles that meet a grid."""
    from flora.raster.grid import geobox_of
    from flora.raster.warp import meet

    near = [file for file in files if meet(geobox_of(describe(file)), canvas) > 0]
    return [open_context(file, canvas, how) for file in near]


def _read(
    contexts: Sequence[Context], spec: tuple[float, str], block_info: Any = None
) -> NDArray[np.generic]:
    """Reads one block as it is stored."""
    rows, columns = (slice(*span) for span in block_info[None]["array-location"])
    values = _merged(contexts, rows, columns)
    return np.where(np.isnan(values), np.float32(spec[0]), values).astype(spec[1])


def _merged(contexts: Sequence[Context], rows: slice, columns: slice) -> NDArray[np.float32]:
    """Reads a window; where tiles overlap, the first that has a value counts."""
    block = np.full((rows.stop - rows.start, columns.stop - columns.start), np.nan, np.float32)
    for context in contexts:
        if not np.isnan(block).any():
            break
        block = np.where(np.isnan(block), context.read(rows, columns), block)
    return block


def _drained(files: Sequence[str], canvas: GeoBox) -> NDArray[np.float32]:
    """Computes heights above drainage on a grid of its own around a scene's, and brings them over."""
    rough = canvas.geographic_extent.centroid.coords[0]
    zone = f"EPSG:{326 if rough[1] >= 0 else 327}{int((rough[0] + 180) % 360 // 6) + 1:02d}"
    box = canvas.extent.to_crs(zone).boundingbox.buffered(AROUND_M)
    wide = GeoBox.from_bbox(box, zone, resolution=DRAINAGE_M)
    if wide.shape.x * wide.shape.y > MOST_CELLS:
        raise InputError(
            f"The height above drainage would take {wide.shape.y:,} x {wide.shape.x:,} cells in memory; expected a "
            "place of up to 200 km. Leave 'hand' out of --context, or cut the area into smaller ones."
        )
    rows, columns = (slice(0, length) for length in wide.shape.yx)
    elevation = _merged(_opened(files, wide, "quantity"), rows, columns)
    heights: xr.DataArray = wrap_xr(height_above_drainage(elevation, wide), wide)
    context = open_context(heights, canvas, "quantity")
    rows, columns = (slice(0, length) for length in canvas.shape.yx)
    return context.read(rows, columns)


def _key(found: Found, canvas: GeoBox) -> str:
    """Gives what a file was made of, in short."""
    facts = (
        found.name,
        found.catalog,
        *(item.id for item in found.items),
        str(canvas.crs),
        tuple(canvas.transform)[:6],
        tuple(canvas.shape.yx),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


def _key_in(path: Path) -> str:
    """Gives what a file says that it was made of; empty where it says nothing."""
    import rasterio

    try:
        with rasterio.open(path) as source:
            return str(source.tags().get("CONTEXT_KEY", ""))
    except GDAL_ERRORS:
        return ""


def _degrees(metres: float) -> float:
    return metres / 111_000.0
