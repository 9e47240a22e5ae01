"""Prediction on several worker processes: the same pixels, also when one of them dies."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from standin import make_scene

from flora.checkpoint import Checkpoint
from flora.model import FLoRA, ModelConfig
from flora.products import write_prediction
from flora.scene import predict

distributed = pytest.importorskip("distributed")


@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    torch.manual_seed(0)
    checkpoint = Checkpoint(FLoRA(ModelConfig(widths=(4, 4, 8, 8), head_channels=4, window=2)).eval())
    scene = make_scene(400, 400).assign_attrs(name="toy")
    prediction = predict(scene, checkpoint, tile=32, precision="fp32")
    here = write_prediction(prediction, scene, tmp_path / "here")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with cluster, distributed.Client(cluster) as client:
        workers = client.run(os.getpid)
        victim = next(iter(workers.values()))

        def kill(done: int, total: int) -> None:
            if done == 20:
                os.kill(victim, signal.SIGKILL)

        there = write_prediction(prediction, scene, tmp_path / "there", progress=kill)
        survivors = client.run(os.getpid)
    assert victim not in survivors.values()
    for name in ("water_probability", "water", "optical"):
        assert here.files[name].read_bytes() == there.files[name].read_bytes()
    assert np.isclose(here.water_km2, there.water_km2)
