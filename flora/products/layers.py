"""The layers of a product as they are stored: whole numbers with a scale, and what each file says of itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from flora.bands import RGB_BANDS
from flora.raster import CogSpec

STEP = 1e-4  # of a stored probability or reflectance
WHOLE = round(1 / STEP)

NO_PROBABILITY = 65535
NO_REFLECTANCE = 0
DARKEST = 1  # a valid black pixel, so that it is not taken for no data

LAND, WATER, NO_DATA = 0, 1, 255
WATER_CLASSES = {"land": LAND, "water": WATER, "no_data": NO_DATA}
WATER_COLORS = {LAND: (236, 232, 222, 255), WATER: (24, 92, 196, 255), NO_DATA: (0, 0, 0, 0)}


@dataclass(frozen=True)
class Layer:
    """One file of a product.

    Attributes:
        name: File name without suffix.
        data: Values as stored, (y, x) or (band, y, x), lazy, one chunk a tile.
        spec: What the file says of itself.
    """

    name: str
    data: da.Array
    spec: CogSpec


def encode_probability(probability: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Stores a probability in steps of 0.0001; NaN becomes 65535."""
    return _stored(np.rint(probability * np.float32(WHOLE)), NO_PROBABILITY)


def decide_water(stored: NDArray[np.uint16], threshold: float) -> NDArray[np.uint8]:
    """Calls water what reaches the threshold: 1 water, 0 land, 255 no data.

    Decided on the stored probability, so that the two files never contradict each other.

    Args:
        stored: Probability as `encode_probability` gives it, any shape.
        threshold: Probability from which a pixel is water.

    Returns:
        Classes, same shape.
    """
    least = math.ceil(threshold * WHOLE - 1e-6)
    water = np.where(stored >= least, np.uint8(WATER), np.uint8(LAND))
    np.copyto(water, NO_DATA, where=stored == NO_PROBABILITY)
    return water


def encode_reflectance(reflectance: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Stores reflectance in steps of 0.0001; NaN becomes 0, and a valid pixel is at least 1."""
    steps = reflectance * np.float32(WHOLE)
    np.rint(steps, out=steps)
    return _stored(np.clip(steps, DARKEST, 65535, out=steps), NO_REFLECTANCE)


def _stored(steps: NDArray[np.float32], absent: int) -> NDArray[np.uint16]:
    """Gives whole steps as they are stored, `absent` where they are NaN."""
    missing = np.isnan(steps)
    if missing.any():
        np.copyto(steps, absent, where=missing)
    return steps.astype(np.uint16)


def layers_of(
    prediction: xr.Dataset,
    *,
    float_probability: bool = False,
    uncertainty: bool = False,
    tags: dict[str, str],
) -> list[Layer]:
    """Gives the layers of a product.

    Args:
        prediction: As `flora.scene.predict` gives it.
        float_probability: Store the probability as float32 instead of uint16 steps.
        uncertainty: Add the spread of the optical picture.
        tags: What every file says of its making.

    Returns:
        `water_probability`, `water`, `optical`, and `optical_uncertainty` where it is asked for.
    """
    probability = prediction["water_probability"].data
    stored = _each(encode_probability, probability, np.uint16)
    water = _each(decide_water, stored, np.uint8, threshold=float(prediction.attrs["threshold"]))
    if float_probability:
        first = Layer("water_probability", probability, _probability_spec(tags, stored_as_float=True))
    else:
        first = Layer("water_probability", stored, _probability_spec(tags, stored_as_float=False))
    layers = [
        first,
        Layer("water", water, _water_spec(tags)),
        reflectance_layer(
            "optical", prediction["optical"], tags, optical_given=bool(prediction.attrs.get("optical_prior"))
        ),
    ]
    if uncertainty:
        layers.append(reflectance_layer("optical_uncertainty", prediction["optical_spread"], tags))
    return layers


def _each(encode: Any, data: da.Array, dtype: type[np.generic], **settings: Any) -> da.Array:
    meta = np.empty((0,) * data.ndim, dtype)
    encoded: da.Array = data.map_blocks(encode, dtype=dtype, meta=meta, **settings)
    return encoded


def _probability_spec(tags: dict[str, str], stored_as_float: bool) -> CogSpec:
    names = ("probability of water",)
    if stored_as_float:
        return CogSpec("float32", names, nodata=math.nan, unit="1", tags=tags)
    return CogSpec("uint16", names, nodata=NO_PROBABILITY, unit="1", scale=STEP, tags=tags)


def _water_spec(tags: dict[str, str]) -> CogSpec:
    legend = {"CLASSES": "0 land, 1 water, 255 no data"}
    colors = WATER_COLORS
    return CogSpec(
        "uint8", ("water",), nodata=NO_DATA, colors=colors, overviews="nearest", tags=tags | legend
    )


def origin_words(optical_given: bool) -> str:
    """Says where the optical picture comes from.

    Args:
        optical_given: Whether the network saw an optical image beside the radar; where nothing changed, it repeats it.

    Returns:
        Words that follow "reconstructed" or stand alone.
    """
    return (
        "from radar and an optical image, parts of which it repeats"
        if optical_given
        else "from radar, not photographed"
    )


def reflectance_layer(
    name: str, layer: xr.DataArray, tags: dict[str, str], *, optical_given: bool = False
) -> Layer:
    """Gives the file of the optical picture, or of its spread.

    Args:
        name: `optical`, or another name for the spread.
        layer: Reflectance, (band, y, x), NaN where invalid.
        tags: What the file says of its making.
        optical_given: Whether the network saw an optical image beside the radar.

    Returns:
        The file, in steps of 0.0001.
    """
    picture = name == "optical"
    bands = RGB_BANDS if picture else tuple(f"{band} spread" for band in RGB_BANDS)
    note = (
        f"red, green, blue as a satellite would have seen them; reconstructed {origin_words(optical_given)}"
        if picture
        else "Laplace scale of the reconstructed reflectance: how far off it may be"
    )
    spec = CogSpec(
        "uint16",
        bands,
        nodata=NO_REFLECTANCE,
        unit="reflectance",
        scale=STEP,
        rgb=picture,
        tags=tags | {"NOTE": note},
    )
    return Layer(name, _each(encode_reflectance, layer.data, np.uint16), spec)
