"""On how much of a scene an optical image can be used: clouds, masks and no data may leave nothing of it."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Final

import dask.array as da
import xarray as xr
from odc.geo.geobox import GeoBox

from flora.errors import InputError
from flora.raster import open_optical

# A larger scene is judged on a grid of about this many pixels a side, which takes seconds.
JUDGED_SIDE: Final = 2048
THREADS: Final = 2


def open_usable(
    path: str | Path, geobox: GeoBox, *, mask: str | Path | None = None, crs_required: bool = True
) -> xr.Dataset:
    """Opens the optical image of a scene, and tells on how much of the scene it can be used.

    It is read block by block, of a large scene thinned: neither memory nor time grow with the scene.

    Args:
        path: The image.
        geobox: Grid of the scene.
        mask: A raster on the image's grid that is not 0 where the image must not be used.
        crs_required: Whether an image without CRS is an error.

    Returns:
        As `open_optical` gives it; its attribute `usable_share` is the share of the scene's pixels that it covers in
        at least one band, 0 to 1.

    Raises:
        InputError: The image cannot be read, or can be used nowhere on the scene.
    """

    def opened(grid: GeoBox) -> xr.Dataset:
        picture: xr.Dataset = open_optical(path, grid, mask=mask, crs_required=crs_required)
        return picture

    picture = opened(geobox)
    factor = ceil(max(geobox.shape.yx) / JUDGED_SIDE)
    share = _share(opened(geobox.zoom_out(factor))) if factor > 1 and geobox.crs else 0.0
    share = share or _share(picture)  # what is smaller than a thinned pixel counts, too
    if not share:
        raise InputError(_nothing(path, mask))
    return picture.assign_attrs(usable_share=round(share, 4) or share)


def _share(picture: xr.Dataset) -> float:
    bands = da.stack([band.data for band in picture.data_vars.values()])  # type: ignore[no-untyped-call]
    seen = da.isfinite(bands).any(axis=0)
    return float(seen.mean().compute(scheduler="threads", num_workers=THREADS))


def _nothing(path: str | Path, mask: str | Path | None) -> str:
    if mask is None:
        return (
            f"The optical image '{path}' has no valid pixel on the scene; expected some. Give another image, or leave "
            "out --optical to map from radar alone."
        )
    return (
        f"The optical image '{path}' can be used nowhere on the scene, as it has no data or the mask '{mask}' is not 0 "
        "there; expected a mask with 0 where the sky is clear, and another number only under cloud or shadow. Make "
        "such a mask, or leave out --optical-mask."
    )
