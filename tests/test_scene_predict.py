"""Prediction over a scene: exact at every seam, one network call a tile, lazy, and blind to what is invalid."""

from __future__ import annotations

from pathlib import Path

import cloudpickle
import dask
import numpy as np
import pytest
import torch
import xarray as xr
from affine import Affine
from raster_files import GRID, backscatter, write
from standin import StandIn, StandInCheckpoint, make_scene

from flora.bands import RGB_BANDS, SAR_BANDS
from flora.checkpoint import Checkpoint
from flora.errors import ConfigError, InputError
from flora.model import FLoRA, ModelConfig
from flora.model.unet import UNET_PRESETS, UNet
from flora.raster import open_optical, open_sar
from flora.scene import predict
from flora.scene.precision import choose_device, choose_precision
from flora.scene.predict import needed_part
from flora.scene.tiling import Tiling

LAYERS = ("water_probability", "optical", "optical_spread")


def largest_difference(one: xr.Dataset, other: xr.Dataset) -> float:
    differences = []
    for name in LAYERS:
        a, b = one[name].values, other[name].values
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        differences.append(float(np.nanmax(np.abs(a - b))) if np.isfinite(a).any() else 0.0)
    return max(differences)


def tiny_model() -> FLoRA:
    """The real network, thin, with statistics as after training."""
    torch.manual_seed(3)
    config = ModelConfig(widths=(4, 4, 8, 8), head_channels=4, window=2)
    model = FLoRA(config)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.normal_(0, 0.3)
    return model.eval()


@pytest.mark.parametrize("seed", range(20))
def test_tiled_equals_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(1, 230, 2))
    tile = 8 * int(rng.integers(2, 9))
    scene = make_scene(height, width, seed=seed)
    checkpoint = StandInCheckpoint()
    tiled = predict(scene, checkpoint, tile=tile, precision="fp32").compute()
    whole = predict(scene, checkpoint, tile=1024, precision="fp32").compute()
    assert largest_difference(tiled, whole) <= 1e-5


@pytest.mark.parametrize("seed", range(20))
def test_tiled_equals_whole_with_the_real_network(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    model = tiny_model()
    height, width = (int(n) for n in rng.integers(1, 100, 2))
    tile = model.grid * int(rng.integers(1, 4))
    scene = make_scene(height, width, seed=seed)
    optical = make_optical(scene, seed) if seed % 3 == 0 else None
    checkpoint = Checkpoint(model)
    tiled = predict(scene, checkpoint, optical=optical, tile=tile, precision="fp32").compute()
    whole = predict(scene, checkpoint, optical=optical, tile=16 * model.grid, precision="fp32").compute()
    assert largest_difference(tiled, whole) <= 1e-5


def test_a_margin_narrower_than_the_reach_shows_seams() -> None:
    """The comparison above can fail: this is what it looks like."""
    scene = make_scene(150, 150)
    checkpoint = StandInCheckpoint()
    whole = predict(scene, checkpoint, tile=1024, precision="fp32").compute()
    checkpoint.model.margin = 0
    tiled = predict(scene, checkpoint, tile=64, precision="fp32").compute()
    assert largest_difference(tiled, whole) > 1e-4


def test_bf16_tiles_equal_bf16_whole_and_differ_from_fp32() -> None:
    scene = make_scene(120, 90)
    checkpoint = Checkpoint(tiny_model())
    tiled = predict(scene, checkpoint, tile=32, precision="bf16").compute()
    whole = predict(scene, checkpoint, tile=512, precision="bf16").compute()
    assert largest_difference(tiled, whole) <= 1e-5
    exact = predict(scene, checkpoint, tile=512, precision="fp32").compute()
    assert 0 < largest_difference(whole, exact) < 0.1


def test_all_layers_come_from_one_call_a_tile() -> None:
    scene = make_scene(150, 211, holes=False)
    checkpoint = StandInCheckpoint()
    prediction = predict(scene, checkpoint, tile=64, precision="fp32")
    assert checkpoint.model.calls == 0, "building the graph computes nothing"
    dask.compute(*(prediction[name] for name in LAYERS), scheduler="threads", num_workers=2)
    assert checkpoint.model.calls == 3 * 4


def test_tiles_without_a_valid_pixel_skip_the_network() -> None:
    scene = make_scene(128, 128, holes=False)
    for name in ("VV", "VH"):
        scene[name] = scene[name].where(scene["longitude"] > scene["longitude"][100])
    checkpoint = StandInCheckpoint()
    predicted = predict(scene, checkpoint, tile=64, precision="fp32").compute()
    assert checkpoint.model.calls == 2
    # Of the 64 columns only those from 96 (the grid line before the first valid one) are run, and 16 px around them.
    assert {shape[-2:] for shape in checkpoint.model.shapes} == {(64 + 32, 32 + 32)}
    assert np.isnan(predicted["water_probability"].values[:, :101]).all()
    assert np.isfinite(predicted["optical"].values[:, :, 101:]).all()


def test_the_radar_that_comes_with_it_is_the_scenes() -> None:
    scene = make_scene(90, 70)
    predicted = predict(scene, StandInCheckpoint(), tile=32, precision="fp32")["radar"].compute()
    for name in ("VV", "VH"):
        np.testing.assert_array_equal(predicted.sel(polarisation=name).values, scene[name].values)


def test_the_needed_part_of_a_core_worked_by_hand() -> None:
    valid = np.zeros((20, 30), bool)
    valid[9, 17] = valid[19, 20] = True
    assert needed_part(valid, Tiling(100, 100, 32, 8, 8)) == (slice(8, 24), slice(16, 24))


def test_a_pixel_is_predicted_where_either_band_is_valid() -> None:
    scene = make_scene(90, 70)
    predicted = predict(scene, StandInCheckpoint(), tile=32, precision="fp32").compute()
    either = np.isfinite(scene["VV"].values) | np.isfinite(scene["VH"].values)
    assert 0 < either.mean() < 1
    for name in LAYERS:
        found = np.isfinite(predicted[name].values)
        np.testing.assert_array_equal(found, np.broadcast_to(either, found.shape))


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_what_stands_for_invalid_changes_nothing(value: float) -> None:
    scene = make_scene(90, 70)
    other = scene.map(lambda band: band.where(np.isfinite(band), value))
    checkpoint = StandInCheckpoint()
    one, two = (predict(s, checkpoint, tile=32, precision="fp32").compute() for s in (scene, other))
    assert largest_difference(one, two) == 0


def make_optical(scene: xr.Dataset, seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0, 0.3, (4, *scene["VV"].shape)).astype(np.float32)
    values[:, : scene["VV"].shape[0] // 2] = np.nan
    names = ("red", "green", "blue", "nir")
    return xr.Dataset({n: (scene["VV"].dims, v) for n, v in zip(names, values, strict=True)}).chunk(50)


def test_an_optical_image_matters_within_reach_of_its_valid_pixels_only() -> None:
    scene = make_scene(160, 60, holes=False)
    checkpoint = StandInCheckpoint()
    alone = predict(scene, checkpoint, tile=32, precision="fp32").compute()
    guided = predict(scene, checkpoint, optical=make_optical(scene), tile=32, precision="fp32").compute()
    difference = np.abs(alone["water_probability"].values - guided["water_probability"].values)
    assert difference[80:].max() > 1e-4
    assert difference[: 80 - 16].max() == 0
    assert guided.attrs["optical_prior"] is True


def test_an_optical_image_without_near_infrared_is_one_whose_near_infrared_is_invalid() -> None:
    scene = make_scene(60, 40)
    full = make_optical(scene)
    absent = full.assign(nir=full["nir"] * np.nan)
    checkpoint = StandInCheckpoint()
    pair = [full.drop_vars("nir"), absent]
    one, two = (predict(scene, checkpoint, optical=o, tile=32, precision="fp32").compute() for o in pair)
    assert largest_difference(one, two) == 0


def test_flips_average_to_an_answer_that_flips_along() -> None:
    scene = make_scene(64, 64, holes=False)
    flipped = scene.copy()
    for name in ("VV", "VH"):
        flipped[name] = (scene[name].dims, scene[name].data[:, ::-1])
    checkpoint = StandInCheckpoint()
    one, two = (predict(s, checkpoint, tile=64, precision="fp32", tta=True) for s in (scene, flipped))
    a, b = one["water_probability"].values, two["water_probability"].values[:, ::-1]
    np.testing.assert_allclose(a, b, atol=1e-6)
    plain = predict(scene, checkpoint, tile=64, precision="fp32")["water_probability"].values
    assert np.abs(plain - a).max() > 1e-5


def test_the_temperature_is_part_of_the_probability() -> None:
    scene = make_scene(40, 40, holes=False)
    logit = {}
    for temperature in (1.0, 2.0):
        p = predict(scene, StandInCheckpoint(temperature=temperature), tile=64, precision="fp32")
        p = p["water_probability"].values.astype(np.float64)
        logit[temperature] = np.log(p / (1 - p))
    np.testing.assert_allclose(logit[1.0], 2 * logit[2.0], atol=1e-4)


def test_the_graph_travels_without_the_prepared_network() -> None:
    """What a worker process gets: small, and the same answer."""
    cloudpickle.register_pickle_by_value(__import__("standin"))
    scene = make_scene(60, 50)
    prediction = predict(scene, StandInCheckpoint(), tile=32, precision="fp32")
    here = prediction.compute()
    there = cloudpickle.loads(cloudpickle.dumps(prediction)).compute(scheduler="synchronous")
    assert largest_difference(here, there) == 0


def test_the_result_keeps_the_grid_and_says_how_it_was_made() -> None:
    scene = make_scene(60, 50)
    prediction = predict(scene, StandInCheckpoint(threshold=0.4), tile=32, precision="fp32")
    for name in LAYERS:
        assert prediction[name].odc.geobox == scene["VV"].odc.geobox
        assert prediction[name].dtype == np.float32
    assert list(prediction["band"].values) == ["red", "green", "blue"]
    expected = {"threshold": 0.4, "tile": 32, "margin": StandIn.margin, "precision": "fp32", "device": "cpu"}
    assert {key: prediction.attrs[key] for key in expected} == expected


def test_weights_and_inputs_are_told_apart() -> None:
    scene, other = make_scene(20, 20, seed=1), make_scene(20, 20, seed=2)
    one = predict(scene, StandInCheckpoint(StandIn(seed=0)), tile=32).attrs
    two = predict(other, StandInCheckpoint(StandIn(seed=1)), tile=32).attrs
    assert one["weights_sha256"] != two["weights_sha256"]
    assert one["inputs"] != two["inputs"]


def test_paths_are_opened_as_by_hand(tmp_path: Path) -> None:
    radar = write(tmp_path / "a.tif", backscatter(), names=SAR_BANDS, tags={"UNITS": "dB"})
    stored = np.random.default_rng(0).integers(300, 3000, (3, 30, 40), dtype=np.uint16)
    finer = Affine(GRID.a / 1.2, 0, GRID.c, 0, GRID.e / 1.2, GRID.f)
    image = write(tmp_path / "o.tif", stored, names=RGB_BANDS, transform=finer)
    scene = open_sar(str(radar))
    optical = open_optical(image, scene.odc.geobox)
    by_hand = predict(scene, StandInCheckpoint(), optical=optical, tile=32, precision="fp32")
    by_path = predict(str(radar), StandInCheckpoint(), optical=image, tile=32, precision="fp32")
    assert largest_difference(by_path.compute(), by_hand.compute()) == 0
    assert by_path.attrs["optical_image"] == by_hand.attrs["optical_image"] != {}
    with pytest.raises(InputError, match=r"'nowhere.tif' does not exist"):
        predict("nowhere.tif", StandInCheckpoint())


def test_faults_are_told() -> None:
    scene = make_scene(20, 20)
    with pytest.raises(InputError, match=r"The scene has VV; predicting needs VV and VH"):
        predict(scene.drop_vars("VH"), StandInCheckpoint())
    with pytest.raises(InputError, match=r"The optical image lacks blue; expected red, green, blue"):
        predict(scene, StandInCheckpoint(), optical=make_optical(scene).drop_vars("blue"))
    with pytest.raises(InputError, match=r"The optical image is 30 × 20 px, the scene 20 × 20 px"):
        predict(scene, StandInCheckpoint(), optical=make_optical(make_scene(30, 20)))
    with pytest.raises(ConfigError, match=r"The tile is 100 px"):
        predict(scene, StandInCheckpoint(), tile=100)
    with pytest.raises(ConfigError, match=r"'unet-small' looks at no optical image"):
        predict(scene, Checkpoint(UNet(UNET_PRESETS["unet-small"])), optical=make_optical(scene))


def test_precision_and_device_are_settled_or_refused() -> None:
    assert choose_precision("fp32", "cpu") == "fp32"
    assert choose_precision("bf16", "cpu") == "bf16"
    assert choose_precision("auto", "cpu") in ("fp32", "bf16")
    assert choose_device("cpu") == "cpu"
    with pytest.raises(ConfigError, match=r"Precision 'fp16' is unknown; expected auto, fp32 or bf16"):
        choose_precision("fp16", "cpu")
    with pytest.raises(ConfigError, match=r"Device 'tpu' is unknown"):
        choose_device("tpu")
    with pytest.raises(ConfigError, match=r"Device 'cuda:99' was asked for, but torch finds \d+ CUDA GPUs"):
        choose_device("cuda:99")
