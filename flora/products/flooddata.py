"""What a flood map in memory says of itself: names, codes and meanings after CF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import dask.array as da
import numpy as np
import xarray as xr

from flora.products.layers import NO_DATA, origin_words
from flora.products.layerstyle import BITS, CLASSES
from flora.raster.context import grid_of

CONVENTIONS: Final = "CF-1.10"
LONG_NAMES: Final = {
    "observed_water": "all water seen",
    "observed_flood": "observed water that is no reference water",
    "change": "water of two dates",
    "exclusion": "where the map must not be relied on",
    "advisory": "where the map should be read with care",
    "likelihood": "calibrated probability of water",
    "water_probability": "calibrated probability of water",
    "optical_uncertainty": "Laplace scale of the reconstructed reflectance",
}
DEGREES: Final = {"latitude": "degrees_north", "longitude": "degrees_east"}
UNITS: Final = {
    "likelihood": "percent",
    "water_probability": "1",
    "optical": "1",
    "optical_uncertainty": "1",
}


def flood_dataset(
    layers: Mapping[str, da.Array],
    prediction: xr.Dataset,
    scene: xr.Dataset,
    earlier: xr.Dataset | None,
    reference: str,
    files: Mapping[str, str],
) -> xr.Dataset:
    """Puts the layers of a flood map beside the optical picture, with the attributes that CF asks for.

    Args:
        layers: uint8, (y, x), by name.
        prediction: As `flora.predict` gives it.
        scene: The scene with the flood.
        earlier: The scene from before, on the same grid; None without one.
        reference: Where the reference water comes from.
        files: What was given besides, each `reference_water`, `dem` and `land_cover`; empty where nothing was.

    Returns:
        The flood map; `grid_mapping` and `_FillValue` stand in the encoding, from where xarray writes them.
    """
    flood = prediction.drop_dims("polarisation").rename(optical_spread="optical_uncertainty")
    for name, data in layers.items():
        flood[name] = (scene["VV"].dims, data)
        # Each value of the exclusion means something; in the others 255 is no data.
        fill = {} if name == "exclusion" else {"_FillValue": NO_DATA}
        flood[name].encoding.update(fill | {"dtype": "uint8"})
    for dim, told in _axes(scene).items():
        flood[dim] = flood[dim].assign_attrs(told)
    mapping = scene["VV"].encoding.get("grid_mapping") or _crs_variable(scene)
    origin = origin_words(bool(prediction.attrs["optical_prior"]))
    for key, layer in flood.data_vars.items():
        layer.attrs.update(_attributes(str(key), reference, origin))
        if mapping:
            layer.encoding["grid_mapping"] = mapping
    about: dict[str, Any] = {"Conventions": CONVENTIONS, "reference": reference}
    about |= {f"{name}_source": file for name, file in files.items()}
    if earlier is not None:
        about |= {
            "before": str(earlier.attrs.get("name", "")),
            "before_time": str(earlier.attrs.get("time") or ""),
            "before_source": [str(source) for source in earlier.attrs.get("source", [])],
            "before_sar_scale": str(earlier.attrs.get("sar_scale", "dB")),
            "before_sar_scale_reason": str(earlier.attrs.get("sar_scale_reason", "")),
            "before_band_reason": str(earlier.attrs.get("band_reason", "")),
        }
    return flood.assign_attrs(about)


def _axes(scene: xr.Dataset) -> dict[Any, dict[str, str]]:
    """Gives the standard name and the unit of the coordinates that the grid has."""
    crs = grid_of(scene["VV"]).crs
    if crs is None:
        return {}
    if crs.geographic:
        told = [{"standard_name": name, "units": unit} for name, unit in DEGREES.items()]
    else:
        unit = str(crs.units[0])
        told = [{"standard_name": f"projection_{axis}_coordinate", "units": unit} for axis in "yx"]
    return {dim: attrs for dim, attrs in zip(scene["VV"].dims, told, strict=True) if dim in scene.coords}


def _crs_variable(scene: xr.Dataset) -> str | None:
    """Gives the name of the coordinate that holds the CRS; None without one."""
    holding = (str(name) for name, variable in scene.coords.items() if "crs_wkt" in variable.attrs)
    return next(holding, None)


def _attributes(name: str, reference: str, origin: str) -> dict[str, Any]:
    """Gives long name, unit and flags of a layer."""
    names = LONG_NAMES | {
        "reference_water": f"reference water: {reference}",
        "optical": f"reflectance reconstructed {origin}",
    }
    long_name = names.get(name)
    told: dict[str, Any] = {"long_name": long_name} if long_name else {}
    if name in UNITS:
        told["units"] = UNITS[name]
    if name in CLASSES:
        told["flag_values"] = np.array([c.value for c in CLASSES[name]], np.uint8)
        told["flag_meanings"] = " ".join(c.name for c in CLASSES[name])
    if name in BITS:
        told["flag_masks"] = np.array([flag.bit for flag in BITS[name]], np.uint8)
        told["flag_meanings"] = " ".join(flag.name for flag in BITS[name])
    return told
