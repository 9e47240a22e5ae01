"""What runs the network changes the speed and not the map; tiles equal the whole in each backend."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import xarray as xr
from standin import StandInCheckpoint, make_scene

from flora.checkpoint import Checkpoint
from flora.errors import ConfigError
from flora.model import FLoRA, ModelConfig
from flora.scene import backend, predict
from flora.scene.backend import MEASURED, choose_backend

LAYERS = ("water_probability", "optical", "optical_spread")


def thin() -> Checkpoint:
    torch.manual_seed(3)
    model = FLoRA(ModelConfig(widths=(4, 4, 8, 8), head_channels=4, window=2))
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return Checkpoint(model.eval(), temperature=1.4)


def largest_difference(one: xr.Dataset, other: xr.Dataset) -> float:
    differences = []
    for name in LAYERS:
        a, b = one[name].values, other[name].values
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        differences.append(float(np.nanmax(np.abs(a - b))))
    return max(differences)


@pytest.mark.parametrize(("name", "module"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_tiles_equal_the_whole_and_torch(name: str, module: str) -> None:
    pytest.importorskip(module)
    checkpoint, scene = thin(), make_scene(250, 330)
    settings = {"precision": "fp32", "device": "cpu"}
    tiled = predict(scene, checkpoint, tile=64, backend=name, **settings)
    assert tiled.attrs["backend"] == name
    tiled = tiled.compute()
    whole = predict(scene, checkpoint, tile=512, backend=name, **settings).compute()
    assert largest_difference(tiled, whole) <= 1e-5
    torchs = predict(scene, checkpoint, tile=512, backend="torch", **settings).compute()
    assert largest_difference(whole, torchs) <= 1e-4


def test_auto_takes_what_was_measured_and_torch_where_that_cannot_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choose_backend("auto", "cpu", "fp32") in (MEASURED, "torch")
    assert choose_backend("auto", "cpu", "bf16") == "torch"
    assert choose_backend("auto", "cuda", "fp32") == "torch"
    monkeypatch.setattr(backend, "MEASURED", "openvino")
    monkeypatch.setitem(backend.NEEDS, "openvino", (("a_module_that_nobody_has",), "openvino"))
    assert choose_backend("auto", "cpu", "fp32") == "torch"


def test_faults_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError, match=r"Backend 'tensorrt' is unknown; expected auto, torch, onnx, openvino"
    ):
        choose_backend("tensorrt", "cpu", "fp32")
    with pytest.raises(ConfigError, match=r"'onnx' was asked for on cpu in bf16; it runs on the CPU in fp32"):
        choose_backend("onnx", "cpu", "bf16")
    monkeypatch.setitem(backend.NEEDS, "onnx", (("a_module_that_nobody_has",), "export"))
    with pytest.raises(ConfigError, match=r"Backend 'onnx' needs a_module_that_nobody_has"):
        predict(make_scene(20, 20), StandInCheckpoint(), backend="onnx", precision="fp32", device="cpu")
