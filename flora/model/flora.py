"""The network of the paper's figure, wired.

VV, VH ──▶ SarEncoder ──▶ f ──┬───────────────▶ query ┐
                              └▶ PriorPredictor ▶ p̂ ┐  │
optical (if any) ▶ OpticalTeacher ▶ p ──────────────┴▶ FusionBlock, one a level ──▶ r ──┬▶ OpticalDecoder ◀ optical
                    (p where valid, else p̂)                                             └▶ WaterDecoder
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from flora.model.blocks import fold_normalisation
from flora.model.config import LEVELS, PRESETS, ModelConfig
from flora.model.decoders import OpticalDecoder, WaterDecoder
from flora.model.encoder import SarEncoder
from flora.model.fusion import FusionBlock
from flora.model.output import Output, Pyramid
from flora.model.predictor import PriorPredictor
from flora.model.teacher import OpticalTeacher


class FLoRA(nn.Module):
    """Maps a Sentinel-1 image, and an optical one where there is any, to the optical picture and to water.

    Physical units go in and come out; normalisation happens inside, with fixed constants. The image lies in an
    infinite plane of invalid pixels: what is outside the array is invalid, and a tile that carries `margin` pixels
    around it gives exactly the answer of the whole.

    Source: Talreja, Gebre, Hashemi-Beni, FLoRA, IEEE TGRS 2026, doi 10.1109/TGRS.2026.3701300.
    """

    def __init__(self, config: ModelConfig | str = "default") -> None:
        super().__init__()
        self.config = PRESETS[config] if isinstance(config, str) else config
        self.sar_encoder = SarEncoder(self.config)
        self.teacher = OpticalTeacher(self.config)
        self.predictor = PriorPredictor(self.config) if self.config.predictor_depth else None
        self.fusions = nn.ModuleList(FusionBlock(width, self.config) for width in self.config.widths)
        self.optical_decoder = OpticalDecoder(self.config, copies=self.config.copy_shown)
        self.water_decoder = WaterDecoder(self.config)
        self.lean = False  # see `save_memory`

    def forward(
        self,
        sar: Tensor,
        sar_valid: Tensor,
        optical: Tensor | None = None,
        optical_valid: Tensor | None = None,
    ) -> Output:
        """Sees through the cloud.

        Args:
            sar: VV, VH, (B, 2, H, W), dB; H and W multiples of `grid`.
            sar_valid: (B, 2, H, W), bool.
            optical: red, green, blue, nir of any date, (B, 4, H, W), reflectance; None for SAR alone.
            optical_valid: (B, 4, H, W), bool; where red, green or blue is False the predictor stands in.

        Returns:
            Optical reflectance, its spread, water logits, and the pyramids.

        Raises:
            ValueError: H or W is not a multiple of `grid`.
        """
        height, width = sar.shape[-2:]
        if height % self.grid or width % self.grid:
            raise ValueError(
                f"Input is {height} × {width} px; both must be multiples of {self.grid}: pad with invalid."
            )
        f = self.sar_encoder(sar, sar_valid)
        predicted = (
            self.predictor(f) if self.predictor is not None else [torch.zeros_like(level) for level in f]
        )
        seen = self._cells(sar_valid.any(dim=1, keepdim=True), whole=False)
        if optical is None or optical_valid is None:
            prior, true = predicted, [None] * len(seen)
            shown, shown_valid = None, None
        else:
            shown, shown_valid = optical[:, :3], optical_valid[:, :3].all(dim=1, keepdim=True)
            true = self._cells(shown_valid, whole=True)
            p = self._encode_shown(optical, optical_valid)
            prior = [torch.where(t, a, b) for t, a, b in zip(true, p, predicted, strict=True)]
            seen = [a | b for a, b in zip(seen, true, strict=True)]
        r: Pyramid = [fuse(*level) for fuse, *level in zip(self.fusions, f, prior, true, seen, strict=True)]
        if self.lean:  # three pyramids less in memory while the decoders work
            f, predicted, prior = [], [], []
        reflectance, spread = self.optical_decoder(r, shown, shown_valid)
        return Output(reflectance, spread, self.water_decoder(r), latent=r, predicted=predicted, prior=prior)

    def _encode_shown(self, optical: Tensor, valid: Tensor) -> Pyramid:
        """Runs the teacher on the samples that show anything; in training, many show nothing."""
        shown = valid.flatten(1).any(dim=1)
        if not self.training or shown.all() or not shown.any():
            return self.teacher.encode(optical, valid)
        levels = []
        for part in self.teacher.encode(optical[shown], valid[shown]):
            level = part.new_zeros(len(valid), *part.shape[1:])
            level[shown] = part
            levels.append(level)
        return levels

    def _cells(self, valid: Tensor, whole: bool) -> list[Tensor]:
        """Brings a (B, 1, H, W) mask to each level: cells that are valid in `whole`, or anywhere."""
        planes = (~valid if whole else valid).float()
        pooled = [F.max_pool2d(planes, stride) > 0 for stride in self.config.strides]
        return [~cells for cells in pooled] if whole else pooled

    def save_memory(self, rows: int) -> None:
        """Settles for inference: the same answer in less memory, and no pyramids in it but the latent.

        Args:
            rows: Cells that are fused at a time at each level; rounded up to whole attention windows.
        """
        self.lean = True
        for fusion in self.fusions:
            fusion.strip = -(-rows // self.config.window) * self.config.window  # type: ignore[assignment]

    @property
    def grid(self) -> int:
        """Side of the coarsest window, px: tiles start on multiples of it."""
        return self.config.grid

    @property
    def halo(self) -> int:
        """Receptive reach, px: how far beyond a tile on the grid a pixel can matter to the tile."""
        decoders = zip(self.optical_decoder.reach(), self.water_decoder.reach(), strict=True)
        margins = [fuse.reach(max(pair)) for fuse, pair in zip(self.fusions, decoders, strict=True)]  # type: ignore[operator]
        reaches = [self.teacher.encoder.reach(margins)]
        # The cell masks reach a cell's own pixels, and the windows' keys are masked with them.
        reaches += [margin * stride for margin, stride in zip(margins, self.config.strides, strict=True)]
        if self.predictor is not None:
            predicted = self.predictor.reach(margins)
            margins = [max(pair) for pair in zip(margins, predicted, strict=True)]
        return max(*reaches, self.sar_encoder.reach(margins))

    @property
    def margin(self) -> int:
        """The halo rounded up to the grid, px: what a tile reads beyond itself."""
        return -(-self.halo // self.grid) * self.grid

    def folded(self) -> FLoRA:
        """Gives a copy for inference with every normalisation folded into its convolution."""
        twin = copy.deepcopy(self)
        fold_normalisation(twin)
        return twin.requires_grad_(False)


assert LEVELS == 4, "Output, strides and widths are written for four levels"
