"""A flood map in memory says of itself what CF asks for, and keeps it in a file."""

from __future__ import annotations

import numpy as np
import xarray as xr
from pyproj import CRS
from standin import StandInCheckpoint, make_scene

from flora.products.flood import map_flood
from flora.products.flooddata import CONVENTIONS

FLAGGED = {"observed_water", "observed_flood", "reference_water", "change", "exclusion", "advisory"}
QUANTITIES = {
    "likelihood": "percent",
    "water_probability": "1",
    "optical": "1",
    "optical_uncertainty": "1",
}


def encoded() -> tuple[dict[str, xr.Variable], dict[str, object]]:
    """Gives variables and attributes as xarray would write them to netCDF, nothing computed."""
    after, before = (make_scene(64, 64, seed=seed, crs="EPSG:32721") for seed in (0, 1))
    flood = map_flood(after, before, weights=StandInCheckpoint())
    return xr.conventions.encode_dataset_coordinates(flood)


def test_attributes_are_those_of_the_convention() -> None:
    variables, attrs = encoded()
    assert attrs["Conventions"] == CONVENTIONS
    for name in FLAGGED | set(QUANTITIES):
        told = xr.conventions.encode_cf_variable(variables[name], name=name).attrs
        assert told["long_name"]
        # CF 5.6: the variable names the one that holds the CRS, and that one says which.
        mapping = variables[told["grid_mapping"]]
        assert CRS.from_cf(mapping.attrs).equals(CRS(32721), ignore_axis_order=True)
        assert mapping.attrs["grid_mapping_name"] == "transverse_mercator"
    for name, unit in QUANTITIES.items():
        assert variables[name].attrs["units"] == unit
        assert "flag_meanings" not in variables[name].attrs
    for axis, standard in (("x", "projection_x_coordinate"), ("y", "projection_y_coordinate")):
        assert variables[axis].attrs["standard_name"] == standard
        assert variables[axis].attrs["units"] in ("m", "metre")


def test_flags_have_as_many_meanings_as_values() -> None:
    """CF 3.5: values or masks of the variable's own type, one word each, none twice."""
    variables, _ = encoded()
    for name in FLAGGED:
        told = xr.conventions.encode_cf_variable(variables[name], name=name)
        (key,) = {"flag_values", "flag_masks"} & set(told.attrs)
        values, meanings = told.attrs[key], told.attrs["flag_meanings"].split()
        assert values.dtype == told.dtype == np.uint8
        assert len(values) == len(meanings) == len(set(meanings)) == len(set(values.tolist()))
        if "_FillValue" in told.attrs:
            assert told.attrs["_FillValue"] not in values
        if key == "flag_masks":
            assert all(value & (value - 1) == 0 for value in values.tolist()), "each mask is one bit"
