"""Height above the nearest drainage (HAND): how far a river would have to rise to reach a pixel.

Flow directions, upstream areas and heights are those of pyflwdir; its compiler, numba, weighs some 200 MB and is why
it is an extra.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from flora.errors import InputError

# A stream begins where this much land drains to: our choice, some 1100 cells of a 30 m model.
STREAM_KM2: Final = 1.0

NO_HEIGHT: Final = -9999.0


def height_above_drainage(
    elevation: NDArray[np.float32], geobox: GeoBox, stream_km2: float = STREAM_KM2
) -> NDArray[np.float32]:
    """Computes the height of each pixel above the stream that its water flows to.

    Streams come from the land inside the elevation model, so that it has to reach well beyond the place of interest.
    Hollows are filled to their rim.

    Args:
        elevation: m, NaN where unknown, (H, W).
        geobox: Its grid, in metres.
        stream_km2: Upstream area from which a cell is a stream, km².

    Returns:
        m, NaN where the elevation is unknown or no stream is reached, (H, W).

    Raises:
        InputError: The package is missing, or the grid is not in metres.
    """
    if geobox.crs is None or not geobox.crs.projected:
        raise InputError(f"Heights above drainage need a grid in metres; found {geobox.crs}. Use a UTM zone.")
    try:
        import pyflwdir
    except ImportError as error:
        raise InputError(
            "Heights above drainage need the package 'pyflwdir', which is not installed. Install it with "
            "pip install 'flora-sar[hand]'."
        ) from error
    known = np.isfinite(elevation)
    heights = np.where(known, elevation, NO_HEIGHT).astype(np.float32)
    flow: Any = pyflwdir.from_dem(heights, nodata=NO_HEIGHT, transform=geobox.transform, latlon=False)
    stream = flow.upstream_area(unit="km2") >= stream_km2
    # What drains to the rim without meeting a stream has no drainage here.
    reached = flow.fillnodata(np.where(stream, 1.0, 0.0), nodata=0.0, direction="up") > 0
    above = np.asarray(flow.hand(drain=stream, elevtn=heights), np.float32)
    valid = known & reached & (above > NO_HEIGHT)
    return np.where(valid, np.maximum(above, 0), np.float32(np.nan))
