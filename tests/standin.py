"""A network small enough for tests of the engine, with the contract of the real one."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from torch import Tensor, nn


class StandIn(nn.Module):
    """Two strided convolutions and a pooled window: position on the grid, reach and validity all matter."""

    grid = 8
    halo = 13
    margin = 16
    config = SimpleNamespace(name="stand-in", sees_optical=True)

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.first = nn.Conv2d(8, 6, 5, padding=2)
        self.down = nn.Conv2d(6, 6, 2, stride=2)
        self.last = nn.Conv2d(12, 7, 3, padding=1)
        self.calls = 0
        self.shapes: list[tuple[int, ...]] = []

    def folded(self) -> StandIn:
        return self.eval()

    def forward(
        self,
        sar: Tensor,
        sar_valid: Tensor,
        optical: Tensor | None = None,
        optical_valid: Tensor | None = None,
    ) -> Any:
        self.calls += 1
        self.shapes.append(tuple(sar.shape))
        assert sar.shape[-1] % self.grid == 0
        assert sar.shape[-2] % self.grid == 0
        unit = torch.where(sar_valid, sar / 10 + 1, torch.zeros_like(sar))
        if optical is None:
            seen = torch.zeros_like(unit).repeat(1, 2, 1, 1)
        else:
            assert optical_valid is not None
            seen = torch.where(optical_valid, optical, torch.zeros_like(optical))
        x = torch.relu(self.first(torch.cat([unit, sar_valid.to(unit.dtype), seen], dim=1)))
        window = F.interpolate(F.avg_pool2d(x, self.grid), scale_factor=self.grid)
        x = F.interpolate(self.down(x), scale_factor=2) + window
        y = self.last(torch.cat([x, window], dim=1))
        return SimpleNamespace(
            optical=y[:, :3] * 0.1 + 0.1, optical_spread=y[:, 3:6].abs() * 0.1, water_logits=y[:, 6]
        )


@dataclass
class StandInCheckpoint:
    """A loaded checkpoint around the stand-in."""

    model: StandIn = field(default_factory=StandIn)
    threshold: float = 0.5
    temperature: float = 1.5
    provenance: dict[str, Any] = field(default_factory=lambda: {"name": "stand-in"})
    path: Any = None

    def probability(self, logits: Tensor) -> Tensor:
        return torch.sigmoid(logits / self.temperature)


def make_scene(
    height: int, width: int, seed: int = 0, chunk: int = 64, holes: bool = True, crs: str | None = "EPSG:4326"
) -> xr.Dataset:
    """A random scene in dB over Porto Alegre with gaps, lazy in small chunks."""
    rng = np.random.default_rng(seed)
    vv = rng.normal(-10, 4, (height, width)).astype(np.float32)
    vh = (vv - 7 + rng.normal(0, 1, vv.shape)).astype(np.float32)
    if holes:
        vv[rng.random(vv.shape) < 0.01] = np.nan
        vh[: height // 3, : width // 4] = np.nan
        vv[: height // 5, : width // 4] = np.nan
    from affine import Affine
    from odc.geo.geobox import GeoBox
    from odc.geo.xr import xr_coords

    step = 8.98315e-5 if crs == "EPSG:4326" else 10.0
    corner = (-51.25, -29.83) if crs == "EPSG:4326" else (478_000.0, 6_700_000.0)
    geobox = GeoBox((height, width), Affine(step, 0, corner[0], 0, -step, corner[1]), crs)
    coords = xr_coords(geobox)
    dims = geobox.dimensions
    scene = xr.Dataset({"VV": (dims, vv), "VH": (dims, vh)}, coords=coords)
    return scene.chunk(dict.fromkeys(dims, chunk))
