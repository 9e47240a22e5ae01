"""Hydrology-aware edge alignment: the shoreline lies where water begins, and where a sensor sees an edge.

With p = sigmoid(logits), y the labelled water, G a Gaussian, grad the Sobel gradient (2-D, per px):

    g = grad(G * p),  r = grad(G * y)

    A = sum_labelled |g - r|^2 / sum_labelled (|g|^2 + |r|^2)
      = 1 - 2 sum <g, r> / sum (|g|^2 + |r|^2)                  alignment with the truth's shoreline
    S = sum_seen (1 - e) |g|^2 / sum_seen |g|^2                  shoreline that nothing supports
    H = A + support * S

A is a cosine between two fields of 2-D vectors, weighted by their magnitudes: position, direction and sharpness count,
an edge of the wrong direction costs double, flat water and flat land nothing. It is 0 only if g = r. In S, e in [0, 1]
is the evidence for an edge: 1 near a labelled shoreline, else the strongest edge of any valid radar or optical band. S
needs no label, so chips without one teach too. Both are ratios of the prediction's own edge energy: neither can be
lowered by fading a right edge.

Source: named in FLoRA (Talreja et al., TGRS 2026). Departs from it: the published code takes a cosine over one
non-negative channel, which is constant, and never looks at the predicted mask.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from flora.losses.masked import chip_sum, keep, nothing, pooled_ratio
from flora.losses.stencil import dilated, eroded, gaussian, sobel, trimmed

SHORE_SIZE, SHORE_SIGMA = 7, 1.5  # px: as wide as labels are off
SENSOR_SIZE, SENSOR_SIGMA = 9, 2.0  # px: speckle of 2 dB leaves a gradient noise of 0.1 dB per px
SAR_EDGE = (0.25, 1.0)  # dB per px: no edge, a sure edge (a shore of 8 dB has 1.6)
OPTICAL_EDGE = (0.003, 0.01)  # reflectance per px
SHORE_MARGIN = (SHORE_SIZE - 1) // 2 + 1
SENSOR_MARGIN = (SENSOR_SIZE - 1) // 2 + 2
FLOOR = 1e-6  # per px^2 and pixel: edge energy below it counts as none


def hydrology_loss(
    logits: Tensor,
    water: Tensor,
    water_valid: Tensor,
    evidence: Tensor | None = None,
    seen: Tensor | None = None,
    weight: Tensor | None = None,
    support: float = 0.5,
) -> Tensor:
    """Gives A + support * S as defined above.

    Args:
        logits: (B, H, W).
        water: 1 water, 0 land, (B, H, W).
        water_valid: Has a label, (B, H, W), bool.
        evidence: Sensor edges, 0 to 1, (B, H, W), from `edge_evidence`; None leaves S out.
        seen: A sensor could have shown an edge here, (B, H, W), bool.
        weight: Trust in each chip's label, (B,), or None for 1.
        support: What S counts against A.

    Returns:
        0-dim, at least 0, 0 for a prediction that equals the label.
    """
    if min(logits.shape[-2:]) < 2 * SHORE_MARGIN + 1:
        return nothing(logits)
    known = water_valid if seen is None else water_valid | seen
    probability = keep(torch.sigmoid(keep(logits, known)), known)
    truth = keep(water.to(logits.dtype), water_valid)
    g, r = shore_gradient(probability), shore_gradient(truth)  # (B, 2, H - 8, W - 8)
    labelled = eroded(water_valid, 2 * SHORE_MARGIN + 1)
    aligned = _alignment(g, r, labelled, weight)
    if evidence is None or seen is None:
        return aligned
    shore = dilated(labelled & (r.square().sum(1) > FLOOR), 1)
    evidence = torch.where(shore, 1.0, trimmed(evidence, SHORE_MARGIN))
    counted = trimmed(seen, SHORE_MARGIN) & eroded(known, 2 * SHORE_MARGIN + 1)
    return aligned + support * _unsupported(g, evidence, counted)


def shore_gradient(probability: Tensor) -> Tensor:
    """Gives the gradient of the smoothed water map.

    Args:
        probability: (B, H, W).

    Returns:
        Change per px to the right and downwards, (B, 2, H - 8, W - 8).
    """
    return torch.cat(sobel(gaussian(probability.unsqueeze(1), SHORE_SIZE, SHORE_SIGMA)), 1)


def _alignment(g: Tensor, r: Tensor, labelled: Tensor, weight: Tensor | None) -> Tensor:
    """Gives A, 0 where neither field has an edge."""
    mask = labelled.unsqueeze(1)
    g, r = keep(g, mask), keep(r, mask)
    floor = FLOOR * chip_sum(labelled, weight)
    return pooled_ratio(chip_sum((g - r).square(), weight), chip_sum(g.square() + r.square(), weight) + floor)


def _unsupported(g: Tensor, evidence: Tensor, counted: Tensor) -> Tensor:
    """Gives S, 0 where no edge is predicted."""
    energy = keep(g.square().sum(1), counted)
    return pooled_ratio(((1 - evidence) * energy).sum(), energy.sum() + FLOOR * chip_sum(counted, None))


@torch.no_grad()
def edge_evidence(layer: Tensor, valid: Tensor, ramp: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Tells where a sensor shows an edge, from no edge (0) to a sure one (1).

    Looked at on a grid of 2 px: the smoothing is wider than that.

    Args:
        layer: (B, bands, H, W), dB or reflectance.
        valid: May be used, a plane a band, (B, bands, H, W), bool.
        ramp: Gradient of no edge and of a sure edge, the layer's unit per px.

    Returns:
        The strongest evidence of any band, (B, H, W), and where any band could have given some, (B, H, W), bool. A
        band gives none where its 13 x 13 px neighbourhood holds an invalid pixel or the chip's border.
    """
    batch, _, height, width = layer.shape
    if min(height, width) < 2 * SENSOR_MARGIN + 1:
        return layer.new_zeros(batch, height, width), valid.new_zeros(batch, height, width)
    across, down = sobel(gaussian(keep(layer, valid), SENSOR_SIZE, SENSOR_SIGMA, stride=2))
    steepness = torch.hypot(across, down) / 2  # a cell is 2 px
    strength = ((steepness - ramp[0]) / (ramp[1] - ramp[0])).clamp(0, 1)
    able = eroded(valid, 2 * SENSOR_MARGIN + 1)[..., ::2, ::2]
    evidence = keep(strength, able).amax(1)
    return _on_pixels(evidence, height, width), _on_pixels(able.any(1), height, width)


def _on_pixels(cells: Tensor, height: int, width: int) -> Tensor:
    """Spreads (B, rows, columns) cells of 2 px over (B, H, W), 0 around them."""
    pixels = cells.repeat_interleave(2, -2).repeat_interleave(2, -1)
    below, right = (
        full - SENSOR_MARGIN - size for full, size in zip((height, width), pixels.shape[-2:], strict=True)
    )
    return functional.pad(pixels, (SENSOR_MARGIN, right, SENSOR_MARGIN, below))
