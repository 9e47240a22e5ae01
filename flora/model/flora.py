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

from flora.model.blocks import fold_normalisation, trimmed
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
        cut: int = 0,
    ) -> Output:
        """Gives the picture and the water logits.

        Args:
            sar: VV, VH, (B, 2, H, W), dB; H and W multiples of `grid`.
            sar_valid: (B, 2, H, W), bool.
            optical: red, green, blue, nir of any date, (B, 4, H, W), reflectance; None for SAR alone.
            optical_valid: (B, 4, H, W), bool; where red, green or blue is False the predictor stands in.
            cut: Pixels at each side that are read and not answered, a multiple of `grid`: the margin of a tile. What
                only they would need is not computed.

        Returns:
            Optical reflectance, its spread, water logits, and the pyramids; without the pixels that are cut.

        Raises:
            ValueError: H, W or `cut` is not a multiple of `grid`.
        """
        height, width = sar.shape[-2:]
        if height % self.grid or width % self.grid:
            raise ValueError(
                f"Input is {height} × {width} px; both must be multiples of {self.grid}: pad with invalid."
            )
        if cut % self.grid or 2 * cut >= min(height, width):
            raise ValueError(
                f"{cut} px are to be cut off {height} × {width}; give a multiple of {self.grid} that leaves some."
            )
        kept, trims = self._kept(cut)
        f = self._trim(self.sar_encoder(sar, sar_valid), trims)
        predicted = (
            self.predictor(f) if self.predictor is not None else [torch.zeros_like(level) for level in f]
        )
        seen = self._trim(self._cells(sar_valid.any(dim=1, keepdim=True), whole=False), trims)
        told: list[Tensor | None] = [None] * len(seen)  # which cells of the prior are true
        if optical is None or optical_valid is None:
            prior = predicted
            shown, shown_valid = None, None
        else:
            shown, shown_valid = optical[:, :3], optical_valid[:, :3].all(dim=1, keepdim=True)
            true = self._trim(self._cells(shown_valid, whole=True), trims)
            p = self._trim(self._encode_shown(optical, optical_valid), trims)
            shown, shown_valid = trimmed(shown, cut), trimmed(shown_valid, cut)
            prior = [torch.where(t, a, b) for t, a, b in zip(true, p, predicted, strict=True)]
            seen = [a | b for a, b in zip(seen, true, strict=True)]
            told = [*true]
        r: Pyramid = [fuse(*level) for fuse, *level in zip(self.fusions, f, prior, told, seen, strict=True)]
        if self.lean:  # three pyramids less in memory while the decoders work
            f, predicted, prior = [], [], []
        reflectance, spread = self.optical_decoder(r, shown, shown_valid, kept)
        water = self.water_decoder(r, kept)
        return Output(reflectance, spread, water, latent=r, predicted=predicted, prior=prior)

    def _kept(self, cut: int) -> tuple[int, list[int]]:
        """Says what of a margin of `cut` px the parts after the encoders need.

        Returns:
            Cells of it that are kept at the finest level, and the cells that are trimmed off each level.
        """
        margins = [cut // stride for stride in self.config.strides]
        if not cut:
            return 0, margins
        window = self.config.window
        needed = [max(pair) for pair in zip(*self._reaches(), strict=True)]
        kept = [
            min(margin, -(-need // window) * window) for margin, need in zip(margins, needed, strict=True)
        ]
        return kept[0], [margin - keep for margin, keep in zip(margins, kept, strict=True)]

    @staticmethod
    def _trim(levels: Pyramid, trims: list[int]) -> Pyramid:
        return [trimmed(level, by) for level, by in zip(levels, trims, strict=True)]

    def _reaches(self) -> tuple[list[int], list[int]]:
        """Cells of each level beyond a tile that fusion needs of both pyramids, and that the predictor needs of *f*."""
        decoders = zip(self.optical_decoder.reach(), self.water_decoder.reach(), strict=True)
        fused = [fuse.reach(max(pair)) for fuse, pair in zip(self.fusions, decoders, strict=True)]  # type: ignore[operator]
        return fused, self.predictor.reach(fused) if self.predictor is not None else fused

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
        fused, predicted = self._reaches()
        reaches = [self.teacher.encoder.reach(fused)]
        # The cell masks reach a cell's own pixels, and the windows' keys are masked with them.
        reaches += [margin * stride for margin, stride in zip(fused, self.config.strides, strict=True)]
        return max(
            *reaches, self.sar_encoder.reach([max(pair) for pair in zip(fused, predicted, strict=True)])
        )

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
