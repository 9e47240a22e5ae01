"""Flood maps of simulated scenes, whose truth is known, with the weights that are shipped."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from flora.data.simulate import SimulatedScene, simulate
from flora.data.simulate.place import CALM_FLOOD, SceneConfig
from flora.products.flood import map_flood

pytestmark = pytest.mark.slow

SIDE = 512


def scene_of(radar: np.ndarray) -> xr.Dataset:
    geobox = GeoBox((SIDE, SIDE), Affine(10, 0, 478_000, 0, -10, 6_700_000), "EPSG:32721")
    bands = {
        name: (("y", "x"), band.astype(np.float32)) for name, band in zip(("VV", "VH"), radar, strict=True)
    }
    return xr.Dataset(bands, coords=xr_coords(geobox, dims=("y", "x")))


def first_flooded(config: SceneConfig) -> SimulatedScene:
    # Not every place of this size is flooded: the first that is by a twentieth.
    scenes = (simulate(SIDE, SIDE, seed, config) for seed in range(12))
    return next(scene for scene in scenes if scene.flood[scene.valid].mean() > 0.05)


@pytest.fixture(scope="module")
def truth() -> SimulatedScene:
    return first_flooded(CALM_FLOOD)


def iou(found: np.ndarray, true: np.ndarray, where: np.ndarray) -> float:
    both, either = (found & true & where).sum(), ((found | true) & where).sum()
    return float(both / either)


# Wind and plants that stand in a fifth of the flood cost what the second line says.
@pytest.mark.parametrize(
    ("config", "least"), [(CALM_FLOOD, 0.85), (SceneConfig(), 0.75)], ids=["calm", "any"]
)
def test_flood_of_a_simulated_pair(config: SceneConfig, least: float) -> None:
    truth = first_flooded(config)
    flood = map_flood(
        scene_of(truth.sar_db), scene_of(truth.sar_before_db), tile=SIDE, device="cpu", precision="fp32"
    ).compute(scheduler="synchronous")
    where = truth.valid & ~truth.ambiguous
    assert truth.flood[where].mean() > 0.02
    scores = {
        "flood": iou(flood["observed_flood"].values == 1, truth.flood, where),
        "reference": iou(flood["reference_water"].values == 1, truth.water_before == 1, where),
    }
    print(scores)
    assert scores["flood"] >= least
    assert (flood["observed_flood"].values[~truth.valid] == 255).all()


def test_no_water_and_all_water(truth: SimulatedScene) -> None:
    rng = np.random.default_rng(0)
    for level, share in (((-8.0, -14.5), (0, 0.01)), ((-21.0, -27.0), (0.99, 1))):
        radar = np.array(level)[:, None, None] + rng.normal(0, 1.2, (2, SIDE, SIDE))
        flood = map_flood(
            scene_of(radar), scene_of(truth.sar_before_db), tile=SIDE, device="cpu", precision="fp32"
        ).compute(scheduler="synchronous")
        water = (flood["observed_water"].values == 1).mean()
        assert share[0] <= water <= share[1]
        assert not (flood["exclusion"].values & 8).any()  # one class alone has no contrast to judge
