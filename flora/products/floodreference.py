"""Reference water on the grid of a scene: from a mask, from an occurrence, or from a scene of before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from flora.errors import InputError
from flora.products.layers import NO_DATA
from flora.products.water import LARGEST_OCCURRENCE, OCCURRENCE, reference_water
from flora.raster.context import Context, FileBand, open_context
from flora.raster.polarisation import Layer
from flora.raster.sampled import sample_of

FROM_BEFORE = "water of the scene from before"


def find_reference(
    given: xr.DataArray | str | Path | None,
    older: da.Array | None,
    geobox: GeoBox,
    like: da.Array,
    threshold: float | None,
) -> tuple[da.Array | None, str]:
    """Gives the reference water, lazily.

    Args:
        given: A mask of 0 and 1, or occurrence in %, on any grid; it goes before the earlier scene.
        older: Water observed in an earlier scene, (y, x), on the scene's grid.
        geobox: Grid of the scene.
        like: A layer of the scene whose tiles are taken, (y, x).
        threshold: Occurrence from which water counts as reference, %; None where the values are to tell whether it is
            one, then 50.

    Returns:
        1 water, 0 land, 255 unknown, (y, x), None where nothing is known; and where it comes from.

    Raises:
        InputError: The given raster cannot be read, lies elsewhere, or is neither.
    """
    if given is None:
        return older, "none" if older is None else FROM_BEFORE
    context = open_context(given, geobox, "classes")
    mask = _is_mask(context) and threshold is None
    least = OCCURRENCE if threshold is None else threshold
    reference: da.Array = da.map_blocks(  # type: ignore[no-untyped-call]
        _read,
        context=context,
        threshold=None if mask else least,
        chunks=like.chunks,
        dtype=np.uint8,
        meta=np.empty((0, 0), np.uint8),
    )
    return reference, "a mask" if mask else f"occurrence of at least {least:g} %"


def _read(context: Context, threshold: float | None, block_info: Any = None) -> Any:
    rows, cols = (slice(*span) for span in block_info[None]["array-location"])
    return reference_water(context.read(rows, cols), threshold)


def _is_mask(context: Context) -> bool:
    """Tells a mask from an occurrence by a sample of its values."""
    source = context.source
    if isinstance(source, FileBand):
        if source.file.bands[0].unit == "%":
            # Land that is seldom wet has no value above 1 % either.
            return False
        values = sample_of(Layer(source.file, source.file.bands[0]))
    else:
        rows, cols = (slice(0, length) for length in context.own.shape.yx)
        values = np.asarray(source.read(rows, cols, None), np.float64)
        values = values[np.isfinite(values) & (values != 0)]
    values = values[values != NO_DATA]
    highest = float(values.max()) if values.size else 0.0
    if highest > LARGEST_OCCURRENCE or (values.size and float(values.min()) < 0):
        worst = highest if highest > LARGEST_OCCURRENCE else float(values.min())
        raise InputError(
            f"The reference water holds {worst:g}; expected a mask of 0 and 1 or an occurrence of 0 to 100 % (255 for "
            "no data). Convert it, or give a scene from before the flood."
        )
    return highest <= 1
