"""The optical teacher: sees the true picture, knows colour and water, and is imitated."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from flora.model.config import ModelConfig
from flora.model.decoders import OpticalDecoder, WaterDecoder
from flora.model.encoder import PyramidEncoder
from flora.model.output import Output, Pyramid
from flora.normalize import reflectance_to_unit


class OpticalTeacher(nn.Module):
    """Encodes red, green, blue and NDVI into the pyramid *p*; trained first, then frozen.

    In its own stage it reconstructs its (spoilt) input and maps water from it, so that *p* holds what both tasks
    need. NDVI stands beside colour because vegetation tells land from brown water; where there is no NIR, its
    validity says so.

    Source: FLoRA (Talreja et al., TGRS 2026). Departs from it: the published code's teacher saw NDVI alone and was
    never trained for itself.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.ndvi = config.ndvi
        self.encoder = PyramidEncoder(8, config)
        # Standardised features: channels of one size whatever the width, so that they can be imitated and mixed.
        self.standards = nn.ModuleList(
            nn.BatchNorm2d(width, affine=False, momentum=0.03) for width in config.widths
        )
        self.optical_decoder = OpticalDecoder(config)
        self.water_decoder = WaterDecoder(config)

    def encode(self, optical: Tensor, valid: Tensor) -> Pyramid:
        """Encodes an optical image.

        Args:
            optical: red, green, blue, nir, (B, 4, H, W), reflectance; not looked at where invalid.
            valid: (B, 4, H, W), bool.

        Returns:
            *p*, four tensors (B, C, H, W), finest first; standardised for each channel.
        """
        clean = torch.where(valid, optical, torch.zeros_like(optical))
        red, nir = clean[:, 0:1], clean[:, 3:4]
        ndvi_valid = valid[:, 0:1] & valid[:, 3:4] & (red + nir > 0.01)
        if not self.ndvi:
            ndvi_valid = torch.zeros_like(ndvi_valid)
        ndvi = torch.where(ndvi_valid, (nir - red) / (nir + red).clamp(min=0.01), torch.zeros_like(red))
        unit = reflectance_to_unit(clean[:, :3]).clamp(0, 3)
        flags = torch.cat([valid[:, :3], ndvi_valid], dim=1).to(unit.dtype)
        levels = self.encoder(torch.cat([unit, ndvi, flags], dim=1))
        return [standard(level) for standard, level in zip(self.standards, levels, strict=True)]

    def decode(self, levels: Pyramid) -> Output:
        """Decodes a pyramid with the teacher's own heads."""
        optical, spread = self.optical_decoder(levels)
        return Output(optical, spread, self.water_decoder(levels), latent=levels)

    def forward(self, optical: Tensor, valid: Tensor) -> Output:
        """Encodes and decodes; see `encode` for shapes."""
        return self.decode(self.encode(optical, valid))
