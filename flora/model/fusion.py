"""Fusion of radar with the optical prior, level by level."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from flora.model.config import ModelConfig


class WindowedCrossAttention(nn.Module):
    """Lets each SAR window look at the same window of the optical prior.

    Attention inside windows keeps the cost linear in the number of pixels, and a shoreline
    needs its neighbourhood, not the whole scene.

    Source: FLoRA (Talreja et al., TGRS 2026). Departs from it: position bias, padded keys masked.
    """

    def __init__(self, channels: int, window: int, head_channels: int) -> None:
        super().__init__()
        self.window = window
        self.heads = max(1, channels // head_channels)
        self.query = nn.Conv2d(channels, channels, 1)
        self.key_value = nn.Conv2d(channels, 2 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        self.position = nn.Parameter(torch.zeros(self.heads, window**2, window**2))
        with torch.no_grad():  # start by looking at one's own place: detail passes, and neighbours are learnt
            self.position.add_(2.0 * torch.eye(window**2))

    def _windows(self, x: Tensor) -> Tensor:
        # (B, heads·C, H, W) -> (B·windows, heads, cells, C)
        return rearrange(
            x, "b (h c) (y wy) (x wx) -> (b y x) h (wy wx) c", h=self.heads, wy=self.window, wx=self.window
        )

    def forward(self, sar: Tensor, prior: Tensor, key_valid: Tensor | None = None) -> Tensor:
        """Attends from SAR features to prior features.

        Args:
            sar: Query features, (B, C, H, W); H and W multiples of the window.
            prior: Key and value features on the same grid, (B, C, H, W).
            key_valid: Cells that hold a measurement, (B, 1, H, W), bool; others are not attended to.

        Returns:
            What each cell found in the prior, (B, C, H, W).
        """
        batch, _, height, width = sar.shape
        query = self._windows(self.query(sar))
        key, value = (self._windows(part) for part in self.key_value(prior).chunk(2, dim=1))
        bias = self.position.to(query.dtype)[None]  # (1, heads, cells, cells)
        if key_valid is not None and not _surely_all(key_valid):
            mask = rearrange(
                key_valid, "b 1 (y wy) (x wx) -> (b y x) 1 1 (wy wx)", wy=self.window, wx=self.window
            )
            # Finite, so that a window without any valid key gives a mean and not NaN.
            bias = bias + torch.where(mask, 0.0, -1e4).to(query.dtype)
        # Written out: the fused kernels are made for long sequences, and six times as slow on windows of sixteen cells.
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2) + bias
        found = torch.softmax(scores, dim=-1).to(value.dtype) @ value  # (B·windows, heads, cells, C)
        found = rearrange(
            found,
            "(b y x) h (wy wx) c -> b (y wy) (x wx) (h c)",
            b=batch,
            y=height // self.window,
            x=width // self.window,
            wy=self.window,
            wx=self.window,
        )
        out: Tensor = self.out(found.permute(0, 3, 1, 2))  # channels last, as convolutions like it
        return out

    def reach(self, margin: int) -> int:
        """Cells beyond a tile that `margin` cells need: whole windows, for tiles start on the window grid."""
        return -(-margin // self.window) * self.window


def _surely_all(valid: Tensor) -> bool:
    """Says whether every cell is valid, where that can be asked: a traced graph must not depend on it."""
    return not torch.compiler.is_compiling() and valid.device.type == "cpu" and bool(valid.all())


class FusionBlock(nn.Module):
    """Fuses radar and prior at one level into the latent: attention, FiLM, gated residual `f + g · (z − f)`.

    The gate sees whether the prior is a true image or a prediction, and the radar itself: it learns that radar
    overrules an old picture where the ground has changed.

    Source: FLoRA (Talreja et al., TGRS 2026); FiLM: Perez et al., AAAI 2018.
    """

    def __init__(self, channels: int, config: ModelConfig) -> None:
        super().__init__()
        # Rows of cells that are fused at a time, a multiple of the window; None for all. Nothing here looks beyond its
        # window, so strips give the same answer in a fraction of the memory.
        self.strip: int | None = None
        self.attention = (
            WindowedCrossAttention(channels, config.window, min(config.head_channels, channels))
            if config.attention
            else None
        )
        self.film = nn.Conv2d(channels, 2 * channels, 1) if config.film else None
        self.gate = nn.Conv2d(2 * channels + 1, channels, 1) if config.gate else None
        if self.film is not None:
            nn.init.normal_(self.film.weight, std=0.02)
            nn.init.zeros_(self.film.bias)  # type: ignore[arg-type]

    def forward(self, sar: Tensor, prior: Tensor, prior_true: Tensor | None, key_valid: Tensor) -> Tensor:
        """Fuses one level.

        Args:
            sar: *f*, (B, C, H, W).
            prior: *p* or *p̂*, (B, C, H, W).
            prior_true: Cells whose prior comes from a true optical image, (B, 1, H, W), bool; None where none does.
            key_valid: Cells that hold any measurement, (B, 1, H, W), bool.

        Returns:
            The fusion latent *r*, (B, C, H, W).
        """
        if self.strip is None:
            return self._fuse(sar, prior, prior_true, key_valid)
        levels = (sar, prior, prior_true, key_valid)
        out = torch.empty_like(sar)
        for top in range(0, sar.shape[-2], self.strip):
            rows = slice(top, top + self.strip)
            out[:, :, rows] = self._fuse(*(None if level is None else level[:, :, rows] for level in levels))  # type: ignore[arg-type]
        return out

    def _fuse(self, sar: Tensor, prior: Tensor, prior_true: Tensor | None, key_valid: Tensor) -> Tensor:
        z = sar + self.attention(sar, prior, key_valid) if self.attention is not None else sar
        if self.film is not None:
            # One map a half, as halves of one result would be interleaved in memory.
            scale, shift = (
                F.conv2d(prior, *half)
                for half in zip(self.film.weight.chunk(2), self.film.bias.chunk(2), strict=True)  # type: ignore[union-attr]
            )
            z = torch.addcmul(z + shift, z, scale)
        elif self.attention is None:
            z = z + prior
        if self.gate is None:
            return z
        return torch.lerp(sar, z, torch.sigmoid(self._gated(self.gate, sar, z, prior_true)))

    def _gated(self, gate: nn.Conv2d, sar: Tensor, z: Tensor, prior_true: Tensor | None) -> Tensor:
        """Applies the gate's map to radar, fused features and the mask, without laying them out as one."""
        of_sar, of_z, of_true = torch.split(gate.weight, [sar.shape[1], z.shape[1], 1], dim=1)
        logits = F.conv2d(sar, of_sar, gate.bias) + F.conv2d(z, of_z)
        return logits if prior_true is None else logits + of_true[:, 0].to(logits.dtype)[None] * prior_true

    def reach(self, margin: int) -> int:
        """Cells beyond a tile that `margin` cells of the latent need."""
        return self.attention.reach(margin) if self.attention is not None else margin
