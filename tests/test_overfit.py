"""A network that cannot learn two chips by heart has a broken path somewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from flora.chip import Batch, Chip, collate
from flora.data import open_dataset
from flora.losses.objective import Objective, ObjectiveConfig, Weights
from flora.model import FLoRA

SIZE = 128
STEPS = 300


def two_chips(root: Path) -> Batch:
    """Two crops of Guaíba's training rows, each half water, with a clear picture."""
    crops: list[Chip] = []
    for chip in open_dataset("guaiba", root / "guaiba", "train"):
        if (
            chip.water is None
            or chip.optical_valid is None
            or chip.optical is None
            or chip.water_valid is None
        ):
            continue
        for row in range(0, chip.shape[0] - SIZE + 1, SIZE):
            window = np.s_[..., row : row + SIZE, row : row + SIZE]
            if 0.3 < chip.water[window].mean() < 0.7 and chip.optical_valid[:3][window].all():
                crops.append(
                    chip.with_layers(
                        sar=chip.sar[window],
                        sar_valid=chip.sar_valid[window],
                        optical=chip.optical[window],
                        optical_valid=chip.optical_valid[window],
                        prior=None,
                        prior_valid=None,
                        water=chip.water[window],
                        water_valid=chip.water_valid[window],
                    )
                )
                break
        if len(crops) == 2:
            return collate(crops)
    raise AssertionError("Guaíba's training rows hold no two such crops")


@pytest.mark.slow
def test_two_real_chips_are_learnt_by_heart(real_data: Path) -> None:
    torch.manual_seed(0)
    batch = two_chips(real_data)
    model = FLoRA("default").to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    objective = Objective(
        ObjectiveConfig(weights=Weights(charbonnier=2.0, ssim=0.1, bce=1.0, dice=0.5)), "joint"
    )
    learns = [p for n, p in model.named_parameters() if not n.startswith("teacher.")]
    optimizer = torch.optim.AdamW(learns, lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=STEPS, pct_start=0.1)
    for _ in range(STEPS):
        loss = objective(model(batch.sar, batch.sar_valid), batch)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        out = model.eval()(batch.sar, batch.sar_valid)
    said, true = out.water_logits > 0, batch.water > 0.5
    valid = batch.water_valid
    iou = float((said & true & valid).sum() / ((said | true) & valid).sum())
    seen = batch.optical_valid[:, :3]
    error = ((out.optical - batch.optical[:, :3]).square() * seen).sum() / seen.sum()
    psnr = float(-10 * torch.log10(error))  # of reflectance, scaling DN/10000
    assert iou > 0.95
    assert psnr > 30
    # The same under the display scaling DN/3000, in which a constant picture cannot score so high.
    assert psnr - 20 * np.log10(1 / 0.3) > 22
