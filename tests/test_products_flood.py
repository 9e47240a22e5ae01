"""Flood maps of small scenes: names, alignment, tiles, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from standin import StandInCheckpoint, make_scene

import flora
from flora.errors import ConfigError, InputError
from flora.products.flood import map_flood

UTM = GeoBox((150, 170), Affine(10, 0, 478_000, 0, -10, 6_700_000), "EPSG:32721")


def raster(values: np.ndarray, geobox: GeoBox = UTM) -> xr.DataArray:
    return wrap_xr(values, geobox)


@pytest.fixture
def scenes() -> tuple[xr.Dataset, xr.Dataset]:
    return tuple(make_scene(150, 170, seed=seed, crs="EPSG:32721") for seed in (0, 1))  # type: ignore[return-value]


@pytest.fixture
def context() -> dict[str, xr.DataArray]:
    rng = np.random.default_rng(5)
    rows, cols = np.indices(UTM.shape)
    return {
        "reference_water": raster(rng.integers(0, 101, UTM.shape).astype(np.uint8)),
        "dem": raster((3.0 * cols * (rows > 80) + rng.random(UTM.shape)).astype(np.float32)),
        "land_cover": raster(rng.choice([10, 30, 40, 50, 70, 80], UTM.shape).astype(np.uint8)),
    }


def test_tiles_give_the_layers_of_the_whole(scenes, context) -> None:
    after, before = scenes
    options = {"weights": StandInCheckpoint(), "device": "cpu", "precision": "fp32", **context}
    whole, tiled = (
        map_flood(after, before, tile=tile, **options).compute(scheduler="synchronous") for tile in (256, 32)
    )
    for name in whole:
        if whole[name].dtype == np.uint8:
            np.testing.assert_array_equal(whole[name], tiled[name], err_msg=str(name))
    assert len(np.unique(whole["exclusion"])) > 4
    assert len(np.unique(whole["advisory"])) > 3


def test_names_flags_and_grid(scenes, context) -> None:
    after, before = scenes
    flood = flora.map_flood(after, before, weights=StandInCheckpoint(), **context)
    assert flood["observed_flood"].attrs["flag_meanings"] == "no_flood flood"
    assert flood["exclusion"].attrs["flag_masks"].tolist() == [1, 2, 4, 8]
    assert flood["change"].attrs["flag_values"].tolist() == [0, 1, 2, 3]
    assert flood["likelihood"].attrs["units"] == "percent"
    assert flood["optical"].attrs["long_name"] == "reflectance reconstructed from radar, not photographed"
    assert flood["observed_water"].encoding["_FillValue"] == 255
    assert flood["advisory"].odc.geobox == UTM
    assert flood.attrs["reference"] == "occurrence of at least 50 %"
    assert all(hasattr(layer.data, "dask") for layer in flood.data_vars.values())


def test_flood_is_water_without_reference(scenes) -> None:
    after, before = scenes
    mask = (np.indices(UTM.shape)[1] < 60).astype(np.uint8)
    flood = map_flood(
        after, before, reference_water=raster(mask), weights=StandInCheckpoint(), tile=256
    ).compute(scheduler="synchronous")
    assert flood.attrs["reference"] == "a mask"
    water, found = flood["observed_water"].values, flood["observed_flood"].values
    assert (found[:, :60][water[:, :60] != 255] == 0).all()
    np.testing.assert_array_equal(found[:, 60:], water[:, 60:])


def test_before_gives_the_reference_where_none_is_given(scenes) -> None:
    after, before = scenes
    flood = map_flood(after, before, weights=StandInCheckpoint()).compute(scheduler="synchronous")
    change, found = flood["change"].values, flood["observed_flood"].values
    known = change != 255
    np.testing.assert_array_equal(found[known] == 1, change[known] == 2)
    alone = map_flood(before, weights=StandInCheckpoint())
    assert "observed_flood" not in alone
    np.testing.assert_array_equal(alone["observed_water"], flood["reference_water"])


def test_before_on_a_shifted_lattice_is_merely_cut(scenes) -> None:
    after, before = scenes
    moved = before.isel(y=slice(20, None), x=slice(None, 160))
    flood = map_flood(after, moved, weights=StandInCheckpoint()).compute(scheduler="synchronous")
    assert (flood["change"].values[:20] == 255).all()
    assert (flood["change"].values[:, 160:] == 255).all()
    assert (flood["change"].values[20:, :160] != 255).mean() > 0.5


def test_before_elsewhere_is_refused(scenes) -> None:
    after, _ = scenes
    far = make_scene(64, 64, crs="EPSG:4326")
    far = far.assign_coords(longitude=far.longitude + 90)
    with pytest.raises(InputError, match="does not overlap the scene"):
        map_flood(after, far, weights=StandInCheckpoint())


def test_an_occurrence_of_one_percent_is_a_mask_unless_a_threshold_is_given(scenes) -> None:
    rare = raster(np.ones(UTM.shape, np.uint8))
    for threshold, told, water in ((None, "a mask", 1), (50, "occurrence of at least 50 %", 0)):
        flood = map_flood(
            scenes[0], reference_water=rare, reference_threshold=threshold, weights=StandInCheckpoint()
        )
        assert flood.attrs["reference"] == told
        assert (flood["reference_water"].compute(scheduler="synchronous") == water).all()


def test_a_reference_that_is_neither_is_refused(scenes) -> None:
    with pytest.raises(InputError, match="holds 200; expected a mask of 0 and 1"):
        map_flood(
            scenes[0],
            reference_water=raster(np.full(UTM.shape, 200, np.uint8)),
            weights=StandInCheckpoint(),
        )
    with pytest.raises(ConfigError, match="threshold is 0; expected"):
        map_flood(scenes[0], weights=StandInCheckpoint(), reference_threshold=0)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.float32([0, 0.3, 0.9]), "holds 0.3 and nothing above 1; .* Multiply a fraction by 100"),
        (np.uint8([1, 2, 2]), "holds no more than 2; .* Recode classes or months to 1 water and 0 land"),
        (np.uint8([0, 7, 12]), "holds no more than 12; expected a mask"),
    ],
)
def test_a_reference_that_never_counts_is_refused(scenes, values: np.ndarray, said: str) -> None:
    """Fractions and codes of classes lie below any threshold: every river would be flood."""
    reference = raster(values[np.indices(UTM.shape)[1] % 3])
    with pytest.raises(InputError, match=said):
        map_flood(scenes[0], reference_water=reference, weights=StandInCheckpoint())
    given = map_flood(
        scenes[0], reference_water=reference, reference_threshold=0.5, weights=StandInCheckpoint()
    )
    assert given.attrs["reference"] == "occurrence of at least 0.5 %"


@pytest.mark.parametrize("given", ["dem", "land_cover"])
def test_an_image_is_no_ground(scenes, given: str, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    profile = {
        "driver": "GTiff",
        "dtype": "float32",
        "count": 4,
        "height": UTM.shape[0],
        "width": UTM.shape[1],
    }
    with rasterio.open(path, "w", crs="EPSG:32722", transform=UTM.transform, **profile) as file:
        file.write(np.full((4, *UTM.shape), 0.1, np.float32))
    with pytest.raises(InputError, match=r"image\.tif holds 4 bands; expected one of"):
        map_flood(scenes[0], weights=StandInCheckpoint(), **{given: path})


@pytest.mark.parametrize(
    ("given", "values", "said"),
    [
        ("dem", np.float32(np.nan), "no elevation within the scene: all is NaN"),
        ("land_cover", np.uint8(7), "holds 7 within the scene and none of the codes"),
        ("land_cover", np.float32(np.nan), "holds no data within the scene"),
    ],
)
def test_ground_that_says_nothing_is_refused(scenes, given: str, values: np.generic, said: str) -> None:
    """No flag would be set, as if slopes and towns had been looked at."""
    with pytest.raises(InputError, match=said):
        map_flood(scenes[0], weights=StandInCheckpoint(), **{given: raster(np.full(UTM.shape, values))})
