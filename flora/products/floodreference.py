"""Reference water on the grid of a scene: from a mask, from an occurrence, or from a scene of before."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

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

# Numbers from 2 on and below this are taken for codes: JRC's transitions go to 10, the months of its seasonality to 12.
LEAST_OCCURRENCE: Final = 13.0
BLOCK: Final = 1024  # px


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
    mask = _is_mask(context, threshold is not None) and threshold is None
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


def _is_mask(context: Context, certain: bool) -> bool:
    """Tells a mask from an occurrence by a sample of its values.

    Args:
        context: The reference water.
        certain: Whether it is an occurrence in % for certain, so that low values are no sign of something else.
    """
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
    fractions = values[(values > 0) & (values < 1)]
    if not certain and highest <= 1 and fractions.size:
        raise InputError(
            f"The reference water holds {fractions[0]:g} and nothing above 1; expected a mask of 0 and 1 or an "
            "occurrence of 0 to 100 %. Multiply a fraction by 100, or round a mask."
        )
    if not certain and 1 < highest < LEAST_OCCURRENCE and not _reaches(context, LEAST_OCCURRENCE):
        raise InputError(
            f"The reference water holds no more than {highest:g}; expected a mask of 0 and 1 or an occurrence of 0 to "
            f"100 %. Recode classes or months to 1 water and 0 land, or say with --reference-threshold "
            f"{OCCURRENCE:g} that it is an occurrence."
        )
    return highest <= 1


def _reaches(context: Context, least: float) -> bool:
    """Tells whether a band has a value of at least `least` somewhere; a sample may have missed it."""
    height, width = context.own.shape.yx
    for top in range(0, height, BLOCK):
        for left in range(0, width, BLOCK):
            rows, cols = slice(top, min(top + BLOCK, height)), slice(left, min(left + BLOCK, width))
            values = context.source.read(rows, cols, None)
            if ((values >= least) & (values != NO_DATA)).any():
                return True
    return False
