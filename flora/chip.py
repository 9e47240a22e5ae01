"""One training sample as arrays (`Chip`) and several as tensors (`Batch`).

Absent is never a value: beside each layer stands a boolean mask, one plane a band, and values under False are 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flora.bands import OPTICAL_BANDS, SAR_BANDS
from flora.errors import DataError

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ChipMeta:
    """Where a chip comes from and how far its values can be trusted.

    Attributes:
        dataset: Name in the dataset registry, such as `sen1floods11`.
        event: Flood event or region; results are reported and resampled by it.
        group: Chips of one place (all dates, touching neighbours) share a group; no group spans two splits.
        chip: Name that is unique within the dataset.
        split: `train`, `val` or `test`.
        sar_radiometry: `calibrated` dB, or `stretched` 8-bit grey mapped to pseudo dB.
        optical_radiometry: `surface` (from L1C too, see `flora.atmosphere`), `toa` as it is, or `display`
            (enhanced true colour); empty without optical.
        water_label: `strong` (hand), `weak` (by a method), `index` (by an optical index); empty without label.
        pixel_m: Ground size of a pixel in m, None where unknown.
        simulated: True for simulated data.
    """

    dataset: str
    event: str
    group: str
    chip: str
    split: str = "train"
    sar_radiometry: Literal["calibrated", "stretched"] = "calibrated"
    optical_radiometry: Literal["surface", "toa", "display", ""] = ""
    water_label: Literal["strong", "weak", "index", ""] = ""
    pixel_m: float | None = 10.0
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Chip:
    """One sample: radar, optical picture, older optical picture, water, each with its validity.

    Attributes:
        sar: VV, VH, (2, H, W), dB.
        sar_valid: May be used, a plane a band, (2, H, W).
        meta: Where it comes from.
        optical: red, green, blue, nir of the same days, (4, H, W), reflectance; None where absent.
        optical_valid: (4, H, W).
        prior: red, green, blue, nir of another date (before the event), (4, H, W), reflectance; None where absent.
        prior_valid: (4, H, W).
        water: 1 water, 0 land, (H, W); None where absent.
        water_valid: (H, W).
    """

    sar: Float
    sar_valid: Bool
    meta: ChipMeta
    optical: Float | None = None
    optical_valid: Bool | None = None
    prior: Float | None = None
    prior_valid: Bool | None = None
    water: NDArray[np.uint8] | None = None
    water_valid: Bool | None = None

    def __post_init__(self) -> None:
        """Checks shapes and that each layer has its mask.

        Raises:
            DataError: A layer has another shape than expected, or lacks its mask.
        """
        height, width = self.sar.shape[-2:]
        expected: dict[str, tuple[int, ...]] = {
            "sar": (len(SAR_BANDS), height, width),
            "optical": (len(OPTICAL_BANDS), height, width),
            "prior": (len(OPTICAL_BANDS), height, width),
            "water": (height, width),
        }
        for name, shape in expected.items():
            layer, valid = getattr(self, name), getattr(self, f"{name}_valid")
            if (layer is None) != (valid is None):
                raise DataError(
                    f"Chip '{self.meta.chip}' has {name} without its mask, or a mask without {name}; give both."
                )
            for found in (layer, valid):
                if found is not None and found.shape != shape:
                    raise DataError(
                        f"Chip '{self.meta.chip}' has {name} of shape {found.shape}; expected {shape}."
                    )

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px."""
        return self.sar.shape[-2], self.sar.shape[-1]

    def with_layers(self, **layers: object) -> Chip:
        """Gives a copy in which the named layers are replaced."""
        return replace(self, **layers)  # type: ignore[arg-type]


@dataclass(slots=True)
class Batch:
    """Several chips of one size as tensors; an absent layer is zeros under a mask of False.

    Attributes:
        sar: (B, 2, H, W), dB.
        sar_valid: (B, 2, H, W), bool.
        optical: (B, 4, H, W), reflectance.
        optical_valid: (B, 4, H, W), bool.
        prior: (B, 4, H, W), reflectance, another date.
        prior_valid: (B, 4, H, W), bool.
        water: (B, H, W), 0 or 1, float32.
        water_valid: (B, H, W), bool.
        weight_water: Trust in each chip's label, (B,).
        weight_optical: Trust in each chip's optical radiometry, (B,).
        meta: One entry a chip.
    """

    sar: Tensor
    sar_valid: Tensor
    optical: Tensor
    optical_valid: Tensor
    prior: Tensor
    prior_valid: Tensor
    water: Tensor
    water_valid: Tensor
    weight_water: Tensor
    weight_optical: Tensor
    meta: list[ChipMeta] = field(default_factory=list)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Gives the batch with every tensor on `device`."""
        moved: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved = {
            k: v.to(device, non_blocking=non_blocking) if isinstance(v, Tensor) else v
            for k, v in moved.items()
        }
        return Batch(**moved)

    def pin_memory(self) -> Batch:
        """Gives the batch in page-locked memory, for asynchronous copies to a GPU."""
        pinned: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        pinned = {k: v.pin_memory() if isinstance(v, Tensor) else v for k, v in pinned.items()}
        return Batch(**pinned)

    def __len__(self) -> int:
        return int(self.sar.shape[0])


def pad(chip: Chip, height: int, width: int, margin: int = 0) -> Chip:
    """Grows a chip with invalid pixels, as if the ground beyond were unseen.

    Args:
        chip: At most `height` - `margin` rows and `width` - `margin` columns.
        height: Wanted, px.
        width: Wanted, px.
        margin: How many of the new pixels lie above it, and how many to its left, px; the rest lie below and right.

    Returns:
        The chip at the wanted size; what was added is 0 under validity False.
    """
    if chip.shape == (height, width):
        return chip
    below, right = height - chip.shape[0] - margin, width - chip.shape[1] - margin
    frame = [(margin, below), (margin, right)]
    layers = {}
    for f in fields(chip):
        layer = getattr(chip, f.name)
        if isinstance(layer, np.ndarray):
            layers[f.name] = np.pad(layer, [(0, 0)] * (layer.ndim - 2) + frame)
    return chip.with_layers(**layers)


def grey_bands(meta: ChipMeta, sar_valid: Bool) -> int:
    """Counts the polarisations that are grey values of unknown stretch: 0 for calibrated radar, else 1 or 2.

    Args:
        meta: Of the chip.
        sar_valid: A plane a band, (2, H, W).
    """
    return int(sar_valid.any(axis=(1, 2)).sum()) if meta.sar_radiometry == "stretched" else 0


# Trust in a label by how it was made, and in optical radiometry by how it was processed.
WATER_TRUST = {"strong": 1.0, "weak": 0.5, "index": 0.5, "": 0.0}
OPTICAL_TRUST = {"surface": 1.0, "toa": 1.0, "display": 0.3, "": 0.0}


def collate(chips: Sequence[Chip]) -> Batch:
    """Stacks chips of one size into a batch.

    Args:
        chips: At least one chip, all of one height and width.

    Returns:
        The batch; layers that a chip lacks are zeros with validity False.

    Raises:
        DataError: The chips differ in size.
    """
    sizes = {chip.shape for chip in chips}
    if len(sizes) != 1:
        raise DataError(f"Chips of one batch have sizes {sorted(sizes)}; expected one size. Crop them first.")
    height, width = sizes.pop()

    def stack(name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> Tensor:
        # Into new memory straight away: the copies in between cost as much as drawing the samples.
        stacked = np.empty((len(chips), *shape), dtype)
        for place, chip in zip(stacked, chips, strict=True):
            layer = getattr(chip, name)
            place[...] = 0 if layer is None else layer
        return torch.from_numpy(stacked)

    optical = (len(OPTICAL_BANDS), height, width)
    metas = [chip.meta for chip in chips]
    return Batch(
        sar=stack("sar", (len(SAR_BANDS), height, width), np.float32),
        sar_valid=stack("sar_valid", (len(SAR_BANDS), height, width), np.bool_),
        optical=stack("optical", optical, np.float32),
        optical_valid=stack("optical_valid", optical, np.bool_),
        prior=stack("prior", optical, np.float32),
        prior_valid=stack("prior_valid", optical, np.bool_),
        water=stack("water", (height, width), np.float32),
        water_valid=stack("water_valid", (height, width), np.bool_),
        weight_water=torch.tensor([WATER_TRUST[m.water_label] for m in metas]),
        weight_optical=torch.tensor([OPTICAL_TRUST[m.optical_radiometry] for m in metas]),
        meta=metas,
    )
