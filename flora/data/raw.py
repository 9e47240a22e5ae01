"""A window of a chip as it is stored: single planes with a step, and a mask only where something is invalid.

What resamples pixels works on these, so that a packed window is decoded, averaged and turned in one go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from flora.bands import OPTICAL_BANDS, SAR_BANDS
from flora.chip import Bool, Chip, ChipMeta, Float

NO_LABEL: Final = 255
Layer = Literal["sar", "optical", "prior"]
OPTICAL_COUNT: Final = len(OPTICAL_BANDS)
BAND_COUNT: Final[dict[Layer, int]] = {
    "sar": len(SAR_BANDS),
    "optical": OPTICAL_COUNT,
    "prior": OPTICAL_COUNT,
}


@dataclass(frozen=True, slots=True)
class RawPlane:
    """One band of a window.

    Attributes:
        band: Its place in the layer.
        values: Stored numbers, (H, W), integer or float32; dB or reflectance is this times the layer's step.
        valid: (H, W); None where every pixel is valid.
    """

    band: int
    values: NDArray[Any]
    valid: Bool | None


@dataclass(frozen=True, slots=True)
class RawLayer:
    """The bands of a layer that have a valid pixel in the window; the others are invalid everywhere.

    Attributes:
        planes: These bands, in rising order.
        step: What one unit of their numbers is worth, dB or reflectance.
        clean: Numbers under an invalid pixel are known to be 0.
    """

    planes: list[RawPlane]
    step: float
    clean: bool


@dataclass(frozen=True, slots=True)
class RawChip:
    """A window of a chip.

    Attributes:
        meta: Where the chip comes from.
        shape: Height and width of the window, px.
        layers: Those that exist; SAR always does.
        label: 1 water, 0 land, 255 invalid, (H, W); None where absent.
    """

    meta: ChipMeta
    shape: tuple[int, int]
    layers: dict[Layer, RawLayer] = field(default_factory=dict)
    label: NDArray[np.uint8] | None = None

    def decoded(self) -> Chip:
        """Gives the window as a chip with arrays of its own."""
        layers: dict[str, Any] = {}
        for name, layer in self.layers.items():
            layers[name], layers[f"{name}_valid"] = _decoded(layer, BAND_COUNT[name], self.shape)
        return Chip(meta=self.meta, **layers, **water_layers(self.label))


def water_layers(label: NDArray[np.uint8] | None) -> dict[str, NDArray[Any]]:
    """Gives the fields `water` and `water_valid` of a chip for a label of 1 water, 0 land, 255 invalid."""
    if label is None:
        return {}
    valid = label != NO_LABEL
    return {"water": label * valid, "water_valid": valid}


def raw_window(chip: Chip, rows: slice, cols: slice) -> RawChip:
    """Gives a window of a chip in raw form, as views of its arrays.

    Args:
        chip: Any chip.
        rows: Rows of the window, inside the chip.
        cols: Its columns.
    """
    layers: dict[Layer, RawLayer] = {}
    for name in BAND_COUNT:
        values, valid = getattr(chip, name), getattr(chip, f"{name}_valid")
        if values is not None:
            planes = []
            for band, mask in enumerate(valid[:, rows, cols]):
                if mask.any():
                    planes.append(RawPlane(band, values[band, rows, cols], None if mask.all() else mask))
            layers[name] = RawLayer(planes, 1.0, clean=False)
    shape = (rows.stop - rows.start, cols.stop - cols.start)
    label = None
    if chip.water is not None and chip.water_valid is not None:
        label = np.where(chip.water_valid[rows, cols], chip.water[rows, cols], np.uint8(NO_LABEL))
    return RawChip(chip.meta, shape, layers, label)


def _decoded(layer: RawLayer, count: int, shape: tuple[int, int]) -> tuple[Float, Bool]:
    """Gives the values (bands, H, W) and the validity of a layer."""
    make = np.empty if len(layer.planes) == count else np.zeros
    values, valid = make((count, *shape), np.float32), make((count, *shape), np.bool_)
    for plane in layer.planes:
        np.multiply(plane.values, np.float32(layer.step), out=values[plane.band], dtype=np.float32)
        if plane.valid is None:
            valid[plane.band] = True
        else:
            valid[plane.band] = plane.valid
            np.copyto(values[plane.band], 0, where=~plane.valid)
    return values, valid
