"""The files of a flood map: names, codes, colours and units of each layer."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from flora.bands import DISPLAY_GAIN, RGB_BANDS
from flora.products.colors import optical_colors
from flora.products.layers import LAND, NO_DATA, WATER, WATER_COLORS, Layer, origin_words, reflectance_layer
from flora.products.layerstyle import CLASSES, flag_combinations
from flora.raster import CogSpec
from flora.raster.geotiff import Color

CLEAR: Final = (0, 0, 0, 0)

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
        "observed_water": _classes(flood, "observed_water"),
        "likelihood": CogSpec(
            "uint8", ("likelihood of water",), nodata=NO_DATA, unit="%", colors=_ramp(), overviews="nearest"
        ),
        "reference_water": _classes(flood, "reference_water"),
        "observed_flood": _classes(flood, "observed_flood"),
        "exclusion": _flags(flood, "exclusion", None),
        "advisory": _flags(flood, "advisory", NO_DATA),
        "change": _classes(flood, "change"),
    }
    layers = [
        Layer(name, flood[name].data, _tagged(spec, tags)) for name, spec in specs.items() if spec is not None
    ]
    pictures = [
        reflectance_layer(
            "optical", flood["optical"], tags, optical_given=bool(flood.attrs["optical_prior"])
        ),
        Layer("optical_display", _display(flood["optical"].data), _display_spec(flood, tags)),
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


def _display_spec(flood: xr.Dataset, tags: dict[str, str]) -> CogSpec:
    origin = origin_words(bool(flood.attrs["optical_prior"]))
    note = f"true colour for the eye, reflectance x {DISPLAY_GAIN:g} x 255; reconstructed {origin}"
    return CogSpec("uint8", RGB_BANDS, nodata=DISPLAY_NO_DATA, rgb=True, tags=tags | {"NOTE": note})


def _classes(flood: xr.Dataset, name: str) -> CogSpec | None:
    if name not in flood:
        return None
    legend = [f"{c.value} {c.name.replace('_', ' ')}" for c in CLASSES[name]]
    tags = {
        "CLASSES": ", ".join([*legend, f"{NO_DATA} no data"]),
        "NOTE": str(flood[name].attrs["long_name"]),
    }
    # Land is drawn only where the layer is about nothing else: flood is to be laid over a map.
    pale = name in ("observed_water", "change")
    colors: dict[int, Color] = {c.value: (*c.color, 255) if c.shown or pale else CLEAR for c in CLASSES[name]}
    return CogSpec(
        "uint8",
        (name.replace("_", " "),),
        nodata=NO_DATA,
        colors=colors | {NO_DATA: CLEAR},
        overviews="nearest",
        tags=tags,
    )


def _flags(flood: xr.Dataset, name: str, nodata: int | None) -> CogSpec:
    attrs = flood[name].attrs
    bits = zip(attrs["flag_masks"], attrs["flag_meanings"].split(), strict=True)
    legend = ", ".join(f"{bit} {meaning.replace('_', ' ')}" for bit, meaning in bits)
    table: dict[int, Color] = {0: CLEAR, NO_DATA: CLEAR}
    table |= {value: (*color, 255) for value, (_, color) in flag_combinations(name).items()}
    tags = {"FLAGS": f"sum of {legend}", "NOTE": str(attrs["long_name"])}
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
    return replace(spec, tags=tags | dict(spec.tags))
