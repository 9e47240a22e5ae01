"""The files of a flood map: names, codes, colours and units of each layer."""

from __future__ import annotations

from itertools import product
from typing import Any, Final

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from flora.bands import RGB_BANDS
from flora.products.colors import optical_colors
from flora.products.layers import LAND, NO_DATA, WATER, WATER_COLORS, Layer, reflectance_layer
from flora.products.water import NEW, RECEDED, UNCHANGED
from flora.raster import CogSpec
from flora.raster.geotiff import Color

CLEAR: Final = (0, 0, 0, 0)
PALE: Final = WATER_COLORS[LAND]
FLOOD_COLOR: Final = (214, 40, 57, 255)
REFERENCE_COLOR: Final = (120, 178, 226, 255)
RECEDED_COLOR: Final = (240, 170, 60, 255)

FLOOD_COLORS: Final = {LAND: CLEAR, WATER: FLOOD_COLOR, NO_DATA: CLEAR}
REFERENCE_COLORS: Final = {LAND: CLEAR, WATER: REFERENCE_COLOR, NO_DATA: CLEAR}
CHANGE_COLORS: Final = {
    LAND: PALE,
    UNCHANGED: REFERENCE_COLOR,
    NEW: FLOOD_COLOR,
    RECEDED: RECEDED_COLOR,
    NO_DATA: CLEAR,
}

# Colour of each bit; where several are set, their mean.
EXCLUSION_COLORS: Final = {1: (150, 150, 150), 2: (140, 96, 60), 4: (60, 130, 70), 8: (200, 120, 200)}
ADVISORY_COLORS: Final = {1: (40, 160, 190), 2: (110, 110, 230), 4: (235, 190, 40), 8: (230, 110, 40)}

DISPLAY_NO_DATA: Final = 0


def flood_layers(flood: xr.Dataset, tags: dict[str, str]) -> list[Layer]:
    """Gives the files of a flood map.

    Args:
        flood: As `flora.map_flood` gives it.
        tags: What every file says of its making.

    Returns:
        Each layer that the map has, then `optical` (float reflectance in steps of 0.0001), `optical_display` (8 bits)
        and `optical_uncertainty`.
    """
    specs = {
        "observed_water": _classes(flood, "observed_water", WATER_COLORS),
        "likelihood": CogSpec(
            "uint8", ("likelihood of water",), nodata=NO_DATA, unit="%", colors=_ramp(), overviews="nearest"
        ),
        "reference_water": _classes(flood, "reference_water", REFERENCE_COLORS),
        "observed_flood": _classes(flood, "observed_flood", FLOOD_COLORS),
        "exclusion": _flags(flood, "exclusion", EXCLUSION_COLORS, None),
        "advisory": _flags(flood, "advisory", ADVISORY_COLORS, NO_DATA),
        "change": _classes(flood, "change", CHANGE_COLORS),
    }
    layers = [
        Layer(name, flood[name].data, _tagged(spec, tags)) for name, spec in specs.items() if spec is not None
    ]
    pictures = [
        reflectance_layer("optical", flood["optical"], tags),
        Layer("optical_display", _display(flood["optical"].data), _display_spec(tags)),
        reflectance_layer("optical_uncertainty", flood["optical_uncertainty"], tags),
    ]
    return layers + pictures


def encode_display(reflectance: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Turns reflectance into 8-bit true colour by a fixed gain; 0 is no data, and a valid pixel is at least 1.

    Args:
        reflectance: red, green, blue, (3, H, W), NaN where invalid.

    Returns:
        (3, H, W).
    """
    colors = np.moveaxis(optical_colors(reflectance), -1, 0)
    absent = np.isnan(reflectance).any(axis=0)
    return np.where(absent, np.uint8(DISPLAY_NO_DATA), np.maximum(colors, 1)).astype(np.uint8)


def _display(reflectance: da.Array) -> da.Array:
    meta = np.empty((0, 0, 0), np.uint8)
    whole = reflectance.rechunk({0: -1})  # type: ignore[no-untyped-call]
    display: da.Array = whole.map_blocks(encode_display, dtype=np.uint8, meta=meta)
    return display


def _display_spec(tags: dict[str, str]) -> CogSpec:
    note = "true colour for the eye, reflectance x 3.5 x 255; reconstructed from radar, not photographed"
    return CogSpec("uint8", RGB_BANDS, nodata=DISPLAY_NO_DATA, rgb=True, tags=tags | {"NOTE": note})


def _classes(flood: xr.Dataset, name: str, colors: dict[int, Color]) -> CogSpec | None:
    if name not in flood:
        return None
    attrs = flood[name].attrs
    legend = [
        f"{v} {m.replace('_', ' ')}"
        for v, m in zip(attrs["flag_values"], attrs["flag_meanings"].split(), strict=True)
    ]
    tags = {"CLASSES": ", ".join([*legend, f"{NO_DATA} no data"]), "NOTE": attrs["long_name"]}
    return CogSpec(
        "uint8",
        (name.replace("_", " "),),
        nodata=NO_DATA,
        colors=colors,
        overviews="nearest",
        tags=tags,
    )


def _flags(
    flood: xr.Dataset, name: str, colors: dict[int, tuple[int, int, int]], nodata: int | None
) -> CogSpec:
    attrs = flood[name].attrs
    bits = zip(attrs["flag_masks"], attrs["flag_meanings"].split(), strict=True)
    legend = ", ".join(f"{bit} {meaning.replace('_', ' ')}" for bit, meaning in bits)
    table: dict[int, Color] = {0: CLEAR, NO_DATA: CLEAR}
    for chosen in product((False, True), repeat=len(colors)):
        bits_set = [bit for bit, taken in zip(colors, chosen, strict=True) if taken]
        if bits_set:
            red, green, blue = np.mean([colors[bit] for bit in bits_set], axis=0).round().astype(int).tolist()
            table[sum(bits_set)] = (red, green, blue, 255)
    tags = {"FLAGS": f"sum of {legend}", "NOTE": attrs["long_name"]}
    return CogSpec("uint8", (name,), nodata=nodata, colors=table, overviews="nearest", tags=tags)


def _ramp() -> dict[int, Color]:
    """Colours 0 to 100 % from pale land to water."""
    low, high = (np.array(WATER_COLORS[value], float) for value in (LAND, WATER))
    ramp: dict[int, Color] = {NO_DATA: CLEAR}
    for percent in range(101):
        red, green, blue, alpha = np.rint(low + (high - low) * percent / 100).astype(int).tolist()
        ramp[percent] = (red, green, blue, alpha)
    return ramp


def _tagged(spec: CogSpec, tags: dict[str, str]) -> CogSpec:
    from dataclasses import replace

    settings: dict[str, Any] = {"tags": tags | dict(spec.tags)}
    return replace(spec, **settings)
