"""What a GeoTIFF of ours says of itself, and how GDAL is asked to write it."""

from __future__ import annotations

import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning

# Side of the stored tiles, px.
BLOCK = 512

Color = tuple[int, int, int, int]


@dataclass(frozen=True)
class CogSpec:
    """What a file is to say of itself.

    Attributes:
        dtype: NumPy's name of the stored type.
        names: Description of each band; there are as many bands.
        nodata: Value that stands for absent; None for none. Blocks never written hold it.
        unit: Of every band; empty for none.
        scale: Factor from stored to real value.
        offset: Added after the factor.
        colors: Red, green, blue, alpha of values 0 to 255, for a single band of uint8; None for no colour table.
        rgb: The first three bands are red, green and blue.
        overviews: `average` for quantities, `nearest` for classes.
        tags: Key and value pairs of the whole file.
    """

    dtype: str
    names: tuple[str, ...]
    nodata: float | None = None
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    colors: Mapping[int, Color] | None = None
    rgb: bool = False
    overviews: Literal["average", "nearest"] = "average"
    tags: Mapping[str, str] = field(default_factory=dict)


def create_geotiff(path: Path, geobox: GeoBox, spec: CogSpec, block: int = BLOCK) -> Any:
    """Opens a temporary GeoTIFF and writes all that is not pixels; `block` is the side of its stored tiles, px."""
    options: dict[str, Any] = {"photometric": "RGB"} if spec.rgb else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        dataset = rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=geobox.shape.y,
            width=geobox.shape.x,
            count=len(spec.names),
            dtype=spec.dtype,
            nodata=spec.nodata,
            crs=str(geobox.crs) if geobox.crs else None,
            transform=geobox.transform,
            tiled=True,
            interleave="band",  # or a band that was never written would be 0 beside one that was
            blockxsize=block,
            blockysize=block,
            # Read once more and thrown away: not worth packing.
            sparse_ok=True,
            bigtiff="IF_SAFER",
            **options,
        )
    _annotate(dataset, spec)
    return dataset


def _annotate(dataset: Any, spec: CogSpec) -> None:
    """Writes names, units, colours and tags into an open file."""
    dataset.descriptions = spec.names
    if spec.unit:
        dataset.units = [spec.unit] * len(spec.names)
    if (spec.scale, spec.offset) != (1.0, 0.0):
        dataset.scales = [spec.scale] * len(spec.names)
        dataset.offsets = [spec.offset] * len(spec.names)
    if spec.colors is not None:
        dataset.write_colormap(1, dict(spec.colors))
    elif spec.rgb:
        colors: Sequence[ColorInterp] = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        dataset.colorinterp = [*colors, *[ColorInterp.undefined] * (len(spec.names) - 3)]
    dataset.update_tags(**spec.tags)


def band_statistics(values: NDArray[np.generic], absent: float | None, sampled: bool) -> dict[str, str]:
    """Gives the statistics of a band as GDAL writes them.

    Args:
        values: (H, W) as stored.
        absent: Value that stands for absent; None for none.
        sampled: The values are an overview's.

    Returns:
        Tags; none where nothing is there.
    """
    there = np.ones(values.shape, bool) if absent is None else values != absent
    if np.issubdtype(values.dtype, np.floating):
        there &= ~np.isnan(values)
    found = values[there].astype(np.float64)
    if not found.size:
        return {}
    numbers = {
        "MINIMUM": found.min(),
        "MAXIMUM": found.max(),
        "MEAN": found.mean(),
        "STDDEV": found.std(),
        "VALID_PERCENT": 100 * found.size / values.size,
    }
    tags = {f"STATISTICS_{name}": f"{number:.10g}" for name, number in numbers.items()}
    return tags | ({"STATISTICS_APPROXIMATE": "YES"} if sampled else {})


def open_geotiff(path: Path) -> Any:
    """Opens a temporary GeoTIFF for reading; that it may lie nowhere on the ground is known."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


def join_levels(picture: Path, levels: Sequence[Path]) -> Path:
    """Makes one file of a picture and its overviews, without copying a pixel.

    Args:
        picture: A GeoTIFF.
        levels: GeoTIFFs of the same bands, the finest first.

    Returns:
        A virtual raster beside the picture, whose overviews are the levels.

    Source: GDAL's VRT driver, the element `Overview` of a band.
    """
    joined = picture.with_name(picture.name + ".vrt")
    rasterio.shutil.copy(str(picture), str(joined), driver="VRT")
    tree = ElementTree.parse(joined)
    for band in tree.getroot().iter("VRTRasterBand"):
        for level in levels:
            overview = ElementTree.SubElement(band, "Overview")
            ElementTree.SubElement(overview, "SourceFilename", relativeToVRT="1").text = level.name
            ElementTree.SubElement(overview, "SourceBand").text = band.get("band")
    tree.write(joined)
    return joined


def copy_as_cog(source: Path, target: Path, spec: CogSpec) -> None:
    """Lets GDAL lay out an empty raster and its overviews as a COG; tiles of which nothing is known take no space."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        rasterio.shutil.copy(
            str(source),
            str(target),
            driver="COG",
            blocksize=BLOCK,
            # Every reader of GeoTIFF knows DEFLATE; ZSTD would be smaller by a few per cent and strange to many.
            compress="DEFLATE",
            predictor="YES",
            overviews="FORCE_USE_EXISTING",
            overview_resampling=spec.overviews.upper(),  # what the file says of them
            statistics="AUTO",  # those that the empty raster brings are kept
            sparse_ok="YES",
            bigtiff="IF_SAFER",
        )
