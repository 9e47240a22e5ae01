"""Water where the radar is dark: the simplest rivals of the network, through the same harness.

Fixed thresholds in dB, tuned on validation, are strong: VH with a 5 x 5 median comes near published networks on
Sen1Floods11. Otsu's threshold adapts to each scene, and fails where a scene holds no water.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from flora.bands import SAR_BANDS
from flora.chip import Batch, Chip, collate
from flora.errors import ConfigError, DataError
from flora.evaluate import Prediction
from flora.evaluate.harness import answerable

Band = Literal["VV", "VH"]

GRID_DB: Final = np.round(np.arange(-35.0, -4.95, 0.1), 1)
OTSU_BINS: Final = 256


def median_filter(plane: Tensor, valid: Tensor, size: int) -> Tensor:
    """Gives the median over the valid pixels of a square window.

    Args:
        plane: (B, H, W), any unit.
        valid: (B, H, W), bool; invalid pixels and those outside enter no window.
        size: Side of the window, odd, px; 1 changes nothing.

    Returns:
        (B, H, W), the mean of the two middle values of an even number, 0 where the window holds no valid pixel.

    Raises:
        ConfigError: The size is even or not positive.
    """
    if size < 1 or size % 2 == 0:
        raise ConfigError(f"Median window of {size} px has no centre; expected an odd size such as 5.")
    if size == 1:
        return plane.masked_fill(~valid, 0)
    half = size // 2
    plane = plane.masked_fill(~valid, torch.inf)
    frame = (half, half, half, half)
    # Where a whole window is valid, scipy's running median gives the same; sorting is for rims and gaps.
    count = F.avg_pool2d(F.pad(valid.float(), frame), size, 1) * size**2
    whole, some = count.round() == size**2, count.round() > 0
    middle = torch.zeros_like(plane)
    for image, inside, result in zip(plane, whole, middle, strict=True):
        if inside.any():
            median = torch.from_numpy(ndimage.median_filter(image.cpu().numpy(), size))
            result[inside] = median.to(result)[inside]
    ragged = some & ~whole
    if ragged.any():
        windows = F.pad(plane, frame, value=torch.inf).unfold(1, size, 1).unfold(2, size, 1)
        ordered = windows[ragged].flatten(1).sort(-1).values  # (pixels, size * size); infinite ones come last
        number = ordered.isfinite().sum(-1, keepdim=True)
        low, high = ordered.gather(-1, (number - 1) // 2), ordered.gather(-1, number // 2)
        middle[ragged] = torch.where(low == high, low, (low + high) / 2).squeeze(-1)
    return middle


def _plane(batch: Batch, band: Band, median: int) -> tuple[Tensor, Tensor]:
    """Gives one band after its median, (B, H, W), dB, and its validity."""
    index = SAR_BANDS.index(band)
    valid = batch.sar_valid[:, index]
    return median_filter(batch.sar[:, index], valid, median), valid


@dataclass(frozen=True, slots=True)
class FixedThreshold:
    """Calls water what is darker than a fixed backscatter.

    Its probability is 0 or 1: a threshold knows no doubt. A pixel without the band is land.

    Attributes:
        band: `VV` or `VH`.
        threshold_db: Water is where backscatter < threshold, dB.
        median: Window of the median before it, px; 1 for none.
    """

    band: Band
    threshold_db: float
    median: int = 1

    def __call__(self, batch: Batch, /) -> Prediction:
        """Answers a batch; evaluate with a probability threshold of 0.5."""
        plane, valid = _plane(batch, self.band, self.median)
        return Prediction(((plane < self.threshold_db) & valid).float())

    @property
    def name(self) -> str:
        """How it is called in a report."""
        return f"{self.band} < {self.threshold_db:.1f} dB" + _filtered(self.median)


@dataclass(frozen=True, slots=True)
class OtsuThreshold:
    """Calls water what lies under Otsu's threshold of its own chip.

    Attributes:
        band: `VV` or `VH`.
        median: Window of the median before it, px; 1 for none.
    """

    band: Band
    median: int = 1

    def __call__(self, batch: Batch, /) -> Prediction:
        """Answers a batch, each chip by its own threshold; evaluate with a probability threshold of 0.5."""
        planes, valids = _plane(batch, self.band, self.median)
        water = torch.zeros_like(valids)
        for chip, (plane, valid) in enumerate(zip(planes, valids, strict=True)):
            if valid.any():
                water[chip] = (plane < otsu(plane[valid].cpu().numpy())) & valid
        return Prediction(water.float())

    @property
    def name(self) -> str:
        """How it is called in a report."""
        return f"Otsu of {self.band}" + _filtered(self.median)


def _filtered(median: int) -> str:
    return f", {median} x {median} median" if median > 1 else ""


def otsu(values: NDArray[np.floating], bins: int = OTSU_BINS) -> float:
    """Gives the threshold that parts a histogram into two classes furthest apart.

    Args:
        values: Any shape, at least one, finite.
        bins: Of the histogram between the smallest and the largest value.

    Returns:
        Centre of the last bin of the lower class, in the values' unit; the value itself where all are equal.

    Source: Otsu, IEEE TSMC 1979.
    """
    if values.min() == values.max():
        return float(values.flat[0])
    counts, edges = np.histogram(values, bins)
    centres = (edges[:-1] + edges[1:]) / 2
    below, moment = np.cumsum(counts), np.cumsum(counts * centres)
    above = below[-1] - below[:-1]
    distance = moment[:-1] / below[:-1] - (moment[-1] - moment[:-1]) / above
    return float(centres[np.argmax(below[:-1] * above * distance**2)])


def tune_threshold(
    chips: Iterable[Chip],
    bands: Sequence[Band] = ("VV", "VH"),
    medians: Sequence[int] = (1, 5),
    grid_db: NDArray[np.float64] = GRID_DB,
) -> FixedThreshold:
    """Finds the band, window and threshold of the highest micro IoU.

    Args:
        chips: With water labels, of training or validation; read once.
        bands: Bands to try.
        medians: Median windows to try, px; the first of equals wins.
        grid_db: Thresholds to try, rising, dB.

    Returns:
        The best of all combinations.

    Raises:
        DataError: A chip is of the test split, or no chip has a valid label.
    """
    settings: list[tuple[Band, int]] = [(band, median) for band in bands for median in medians]
    dark = np.zeros((len(settings), 2, len(grid_db)))  # land and water pixels below each threshold
    water = 0
    steps = grid_db.astype(np.float32)  # compared as the predictor compares
    for chip in chips:
        if chip.meta.split == "test":
            raise DataError(f"Chip '{chip.meta.chip}' is of the test split; tune on validation chips.")
        batch = collate([answerable(chip)])
        valid = batch.water_valid
        water += int(batch.water[valid].sum())
        for row, (band, median) in enumerate(settings):
            plane, seen = _plane(batch, band, median)
            for label in (0, 1):
                values = plane[valid & seen & (batch.water == label)].sort().values.numpy()
                dark[row, label] += np.searchsorted(values, steps, side="left")
    if not water:
        raise DataError("No chip has valid water to tune a threshold on; give validation chips with labels.")
    scores = dark[:, 1] / (water + dark[:, 0])  # TP / (TP + FN + FP)
    best, column = np.unravel_index(np.argmax(scores), scores.shape)
    band, median = settings[best]
    return FixedThreshold(band, float(grid_db[column]), median)
