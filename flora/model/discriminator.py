"""A light critic of patches: does this picture belong to this radar image?"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from flora.normalize import db_to_unit, reflectance_to_unit


class PatchDiscriminator(nn.Module):
    """Scores each patch of a picture, given the radar image of the same place; used in training only.

    Spectral normalisation keeps it steady in place of a normalisation over space or batch, so a score depends on its
    patch alone. Pictures and radar are 0 where invalid, in true and reconstructed pictures alike: the mask cannot
    give a picture away.

    Source: Isola et al., CVPR 2017, arXiv 1611.07004; spectral normalisation of Miyato et al., ICLR 2018, arXiv
    1802.05957. Departs from PatchGAN: patches of 38 px instead of 70, an eighth of its channels, no batch
    normalisation, the mask is shown.
    """

    stride = 8  # px between scores

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        channels = (6, width, 2 * width, 4 * width)  # red, green, blue; VV, VH; the picture's mask
        layers: list[nn.Module] = []
        for channels_in, channels_out in pairwise(channels):
            layers += [spectral_norm(nn.Conv2d(channels_in, channels_out, 4, 2, 1)), nn.LeakyReLU(0.2)]
        layers += [spectral_norm(nn.Conv2d(channels[-1], channels[-1], 3, 1, 1)), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, spectral_norm(nn.Conv2d(channels[-1], 1, 1)))

    def forward(self, optical: Tensor, valid: Tensor, sar: Tensor, sar_valid: Tensor) -> Tensor:
        """Scores a picture.

        Args:
            optical: red, green, blue, (B, 3, H, W), reflectance; H and W multiples of 8.
            valid: The picture may be looked at, (B, H, W), bool.
            sar: VV, VH, (B, 2, H, W), dB.
            sar_valid: (B, 2, H, W), bool.

        Returns:
            Above 0 for what looks true, (B, 1, H / 8, W / 8).
        """
        shown = valid.unsqueeze(1)
        picture = torch.where(shown, reflectance_to_unit(optical), 0.0)
        radar = torch.where(sar_valid, db_to_unit(sar), 0.0)
        scores: Tensor = self.layers(torch.cat([picture, radar, shown.to(picture.dtype)], 1))
        return scores
