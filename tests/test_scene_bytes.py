"""Files do not tell with what tiles, and on how many threads, they were computed: every stored pixel is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import rasterio
import torch
from standin import make_scene

from flora.checkpoint import Checkpoint
from flora.model import FLoRA
from flora.products import write_prediction
from flora.scene import predict

FILES = ("water_probability", "water", "optical")


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def pixels(folder: Path, tile: int, count: int) -> dict[str, bytes]:
    torch.manual_seed(0)
    model = FLoRA(
        "default"
    ).eval()  # thinner ones meet other kernels, which round differently by the shape of a tile
    torch.set_num_threads(count)
    scene = make_scene(700, 1100).assign_attrs(name="scene")
    prediction = predict(scene, Checkpoint(model), tile=tile, precision="fp32", device="cpu", backend="torch")
    summary = write_prediction(prediction, scene, folder)
    found = {}
    for name in FILES:
        with rasterio.open(summary.files[name]) as file:
            found[name] = file.read().tobytes()
    return found


def test_tile_sizes_and_threads_give_identical_pixels(tmp_path: Path, threads: None) -> None:
    expected = pixels(tmp_path / "whole", 2048, 2)
    assert len(set(expected["water_probability"])) > 50, "a flat map would equal anything flat"
    for tile, count in ((512, 2), (1024, 1)):
        assert pixels(tmp_path / f"{tile}", tile, count) == expected
        assert torch.get_num_threads() == count, (
            "tiles take their share of the cores and leave the rest as it was"
        )
