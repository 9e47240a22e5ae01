"""The network takes in the same number to the last bit by every door: the dataset, its file, and a search."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from data_trees import write_sen1floods11
from shapely.geometry import box
from stac_files import footprint, sar_item, serve_api
from test_fetch import DAYS, TIME
from web_server import Web, serving

from flora import transfer
from flora.checkpoint import Checkpoint
from flora.chip import collate
from flora.data import open_dataset
from flora.model import FLoRA
from flora.raster import open_sar
from flora.scene import predict
from flora.scene.network import TileNetwork
from flora.scene.stac import fetch


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(transfer, "BACKOFF", 0.01)
    with serving() as server:
        yield server


def bits(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, np.float32).view(np.uint32)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Keeps what prediction hands to the network, instead of running it."""
    windows: list[np.ndarray] = []

    def keep(self: TileNetwork, sar: np.ndarray, sar_valid: np.ndarray, *, cut: int) -> np.ndarray:
        windows.append(np.where(sar_valid, sar, np.float32(-99)))
        return np.zeros((7, *(side - 2 * cut for side in sar.shape[1:])), np.float32)

    monkeypatch.setattr(TileNetwork, "__call__", keep)
    return windows


def test_three_doors_give_the_network_the_same_bits(
    web: Web, tmp_path: Path, taken: list[np.ndarray]
) -> None:
    root = write_sen1floods11(tmp_path / "data", {"train": ("Ghana_1", "Spain_2")}, side=128)
    chips = open_dataset("sen1floods11", root, "train")
    source = chips.records[0].files["sar"]
    web.files["/chip.tif"] = source.read_bytes()
    west, south, east, north = footprint(source)
    item = sar_item("chip", TIME, {"data": f"{web.url}/chip.tif"}, (west, south, east, north))
    inner = box(*(np.array([west, south, east, north]) * 0.6 + np.array([east, north, west, south]) * 0.4))
    (found,) = fetch([inner], *DAYS, tmp_path / "out", catalog=serve_api(web, [item]))
    with rasterio.open(source) as whole, rasterio.open(found.path) as part:
        left, top = (round(number) for number in ~whole.transform * (part.transform.c, part.transform.f))
        height, width = part.shape
    assert 0 < height < 128 and 0 < width < 128

    batch = collate([chips[0]])
    by_dataset = torch.where(batch.sar_valid, batch.sar, -99.0)[0].numpy()
    checkpoint = Checkpoint(FLoRA("small"))
    margin = checkpoint.model.margin
    for scene in (open_sar(source), open_sar(found.path)):
        predict(scene, checkpoint)["water_probability"].compute(scheduler="synchronous")
    by_file = taken[0][:, margin : margin + 128, margin : margin + 128]
    by_search = taken[1][:, margin : margin + height, margin : margin + width]
    np.testing.assert_array_equal(bits(by_file), bits(by_dataset))
    np.testing.assert_array_equal(
        bits(by_search), bits(by_dataset[:, top : top + height, left : left + width])
    )
    assert np.unique(by_search).size > 500 and (by_dataset == -99).any()
