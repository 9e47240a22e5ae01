"""One geometry for one sample: which window of a chip is read, how it is resampled, placed and turned.

A crop is drawn once and applied to every layer, so that radar, picture and label stay the same ground.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from flora.chip import Bool, Chip, Float
from flora.data.raw import BAND_COUNT, NO_LABEL, RawChip, RawLayer, RawPlane, water_layers

# dB = 10 log10(power), hence power = exp(dB * ln(10) / 10).
DB_TO_NEPER = math.log(10.0) / 10.0
TURNS = 8

Scalar = TypeVar("Scalar", bound=np.generic)


class Axis(NamedTuple):
    """How rows (or columns) of a chip become rows (or columns) of the crop.

    Attributes:
        start: First px of the chip that is read.
        length: Number of px read; a multiple of the crop's `factor`.
        place: Where the first resampled px goes in the crop; greater than 0 where the chip ends short of it.
        extent: Number of resampled px.
    """

    start: int
    length: int
    place: int
    extent: int

    @property
    def read(self) -> slice:
        """The px of the chip that are read."""
        return slice(self.start, self.start + self.length)

    @property
    def write(self) -> slice:
        """The px of the crop that they fill; the others are invalid."""
        return slice(self.place, self.place + self.extent)

    def nearest(self) -> NDArray[np.intp]:
        """Gives the px read under the centre of each px written, counted from `start`."""
        # The centre of px i lies (i + 1/2) * length / extent px into the window; integers keep this exact.
        return ((2 * np.arange(self.extent) + 1) * self.length) // (2 * self.extent)


@dataclass(frozen=True, slots=True)
class Crop:
    """A window of a chip and what becomes of it: it is turned, resampled, and placed in a square.

    Attributes:
        rows: From rows of the chip to rows of the crop.
        cols: From columns to columns.
        size: Height and width of the crop, px.
        factor: Blocks of factor x factor px are averaged before the bilinear step, against aliasing.
        turn: One of the 8 flips and quarter turns: bit 0 transposes, then bit 1 flips rows and bit 2 columns.
    """

    rows: Axis
    cols: Axis
    size: int
    factor: int = 1
    turn: int = 0

    @property
    def written(self) -> tuple[Axis, Axis]:
        """The axes of the chip that become rows and columns of the crop: a transposing turn swaps them."""
        return (self.cols, self.rows) if self.turn & 1 else (self.rows, self.cols)

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the chip that the crop reads."""
        return self.rows.read, self.cols.read

    @property
    def resamples(self) -> bool:
        """Whether pixels are mixed, rather than copied."""
        return any(axis.length != axis.extent for axis in (self.rows, self.cols))


def draw_crop(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    size: int,
    zoom: tuple[float, float],
    native: float,
    cover: float,
    turns: bool,
) -> Crop:
    """Draws a crop: zoom (evenly in its logarithm), place (evenly) and turn.

    Args:
        shape: Height and width of the chip, px.
        rng: Source of chance; the only one.
        size: Height and width of the result, px.
        zoom: Least and greatest magnification; 0.5 shows twice the ground at half the detail.
        native: Probability of zoom 1 exactly, which keeps the speckle of the sensor untouched.
        cover: Least part of the crop's side that the chip has to fill, where the zoom's upper end allows it.
        turns: Whether to flip and turn.

    Returns:
        The crop.
    """
    low, high = 1 / zoom[1], 1 / zoom[0]
    high = max(low, min(high, min(shape) / cover / size))
    reduction = 1.0
    if rng.random() >= native or not low <= reduction <= high:
        reduction = math.exp(rng.uniform(math.log(low), math.log(high)))
    # Bilinear interpolation leaves no px out down to half size; what is shrunk further is averaged in blocks first.
    factor = min(max(1, math.ceil(reduction / 2)), *shape)
    rows, cols = (_draw_axis(length, reduction, size, factor, rng) for length in shape)
    return Crop(rows, cols, size, factor, int(rng.integers(TURNS)) if turns else 0)


def _draw_axis(length: int, reduction: float, size: int, factor: int, rng: np.random.Generator) -> Axis:
    """Places a window of size * reduction px in a chip's axis, or the whole axis in the crop where it is shorter."""
    wanted = factor * max(1, round(size * reduction / factor))
    if wanted <= length:
        return Axis(int(rng.integers(length - wanted, endpoint=True)), wanted, 0, size)
    read = length // factor * factor
    # Rounded to whole px of the crop: zoom differs between the axes by less than half a px over the crop.
    extent = min(size, max(1, round(read * size / wanted)))
    return Axis(
        int(rng.integers(length - read, endpoint=True)),
        read,
        int(rng.integers(size - extent, endpoint=True)),
        extent,
    )


def cut(window: RawChip, crop: Crop) -> Chip:
    """Applies one crop to every layer of a chip.

    SAR is averaged in linear power, as a coarser product of the sensor would be, and optical in reflectance; both
    in blocks, then bilinearly. Water takes the nearest pixel. A resampled pixel is valid only where every pixel
    that has a weight in it is; what the crop shows outside the chip is invalid.

    Args:
        window: The window of the chip that `crop.window` names.
        crop: The geometry.

    Returns:
        A chip of size x size px that shares no memory with the one it was cut from; `pixel_m` follows the zoom.
    """
    pixel_m = window.meta.pixel_m
    zoomed = None if pixel_m is None else pixel_m * crop.rows.length / crop.rows.extent
    layers: dict[str, Any] = {}
    for name, layer in window.layers.items():
        values = np.zeros((BAND_COUNT[name], crop.size, crop.size), np.float32)
        valid = np.zeros(values.shape, np.bool_)
        if layer.planes:
            _place_masks(valid, layer.planes, crop)
            place = _place_mixed if crop.resamples else _place_copied
            place(values, valid, layer, crop, name == "sar")
        layers |= {name: values, f"{name}_valid": valid}
    label = None if window.label is None else _nearest(window.label, crop)
    return Chip(meta=replace(window.meta, pixel_m=zoomed), **layers, **water_layers(label))


def turned(planes: NDArray[Scalar], turn: int) -> NDArray[Scalar]:
    """Gives a view of (..., H, W) planes, transposed and flipped as `Crop.turn` says."""
    if turn & 1:
        planes = planes.swapaxes(-1, -2)
    if turn & 2:
        planes = planes[..., ::-1, :]
    return planes[..., ::-1] if turn & 4 else planes


def _target(planes: NDArray[Scalar], crop: Crop) -> NDArray[Scalar]:
    """Gives the part of (..., size, size) planes that the chip fills."""
    rows, cols = crop.written
    return planes[..., rows.write, cols.write]


def _nearest(label: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """Resamples an (H, W) label by taking the pixel under each new pixel's centre."""
    if crop.resamples:
        label = label.take(crop.rows.nearest(), axis=0).take(crop.cols.nearest(), axis=1)
    new = np.full((crop.size, crop.size), NO_LABEL, np.uint8)
    _target(new, crop)[...] = turned(label, crop.turn)
    return new


def _place_copied(values: Float, valid: Bool, layer: RawLayer, crop: Crop, power: bool) -> None:
    """Writes the planes of a layer as they are into new (bands, size, size) values."""
    for plane in layer.planes:
        source = turned(plane.values, crop.turn)
        np.multiply(source, np.float32(layer.step), out=_target(values[plane.band], crop), dtype=np.float32)
        if plane.valid is not None and not layer.clean:
            np.copyto(values[plane.band], 0, where=~valid[plane.band])


def _place_mixed(values: Float, valid: Bool, layer: RawLayer, crop: Crop, power: bool) -> None:
    """Averages and interpolates the planes of a layer into new (bands, size, size) values."""
    height, width = crop.rows.length // crop.factor, crop.cols.length // crop.factor
    signal = torch.empty(len(layer.planes), 1, height, width)
    # One plane at a time, so that it stays in the processor's cache from decoding to its block means.
    for target, plane in zip(signal[:, 0], layer.planes, strict=True):
        full = target if crop.factor == 1 else torch.empty(plane.values.shape)
        np.copyto(full.numpy(), plane.values, casting="same_kind")
        if power:
            full.mul_(layer.step * DB_TO_NEPER).exp_()
        if plane.valid is not None and not layer.clean:  # a weight of 0 does not silence a NaN
            full.masked_fill_(torch.from_numpy(~plane.valid), 0.0)
        if crop.factor > 1:
            _block_mean(full, crop.factor, target)
    mixed = _interpolated(signal, crop)
    if power:
        mixed.clamp_min_(torch.finfo(torch.float32).tiny).log_()
    unit = np.float32(1 / DB_TO_NEPER if power else layer.step)
    for source, plane in zip(mixed.numpy(), layer.planes, strict=True):
        np.multiply(turned(source, crop.turn), unit, out=_target(values[plane.band], crop))
        if plane.valid is not None:
            np.copyto(values[plane.band], 0, where=~valid[plane.band])


def _place_masks(valid: Bool, planes: list[RawPlane], crop: Crop) -> None:
    """Writes where no invalid pixel has any weight into new (bands, size, size) validity."""
    last: RawPlane | None = None
    for plane in planes:
        target = _target(valid[plane.band], crop)
        if plane.valid is None:
            target[...] = True
        elif last is not None and last.valid is not None and np.array_equal(last.valid, plane.valid):
            target[...] = _target(valid[last.band], crop)
        elif crop.resamples:
            invalid = torch.from_numpy(~plane.valid).float()
            blocks = torch.empty(plane.valid.shape[0] // crop.factor, plane.valid.shape[1] // crop.factor)
            # The same weights as for the values: a sum of weights that are not negative is 0 only where each is.
            weight = _interpolated(_block_mean(invalid, crop.factor, blocks)[None, None], crop)
            target[...] = turned((weight[0] == 0).numpy(), crop.turn)
        else:
            target[...] = turned(plane.valid, crop.turn)
        last = plane


def _block_mean(plane: Tensor, factor: int, out: Tensor) -> Tensor:
    """Averages blocks of factor x factor px of an (H, W) plane."""
    # Strided sums: several times as fast as avg_pool2d on the CPU.
    rows = reduce(torch.add, [plane[k::factor] for k in range(factor)])
    torch.mul(reduce(torch.add, [rows[:, k::factor] for k in range(factor)]), 1 / factor**2, out=out)
    return out


def _interpolated(blocks: Tensor, crop: Crop) -> Tensor:
    """Interpolates between the centres of (bands, 1, H, W) to (bands, height, width) px, not turned yet."""
    # Bands are samples of one channel: PyTorch's kernel takes three times as long for three channels.
    extents = (crop.rows.extent, crop.cols.extent)
    if blocks.shape[2:] == extents:
        return blocks[:, 0]
    return functional.interpolate(blocks, size=extents, mode="bilinear", align_corners=False)[:, 0]
