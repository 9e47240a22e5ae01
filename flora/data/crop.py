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


def cut(chip: Chip, crop: Crop, origin: tuple[int, int] = (0, 0)) -> Chip:
    """Applies one crop to every layer of a chip.

    SAR is averaged in linear power, as a coarser product of the sensor would be, and optical in reflectance; both
    in blocks, then bilinearly. Water takes the nearest pixel. A resampled pixel is valid only where every pixel
    that has a weight in it is; what the crop shows outside the chip is invalid.

    Args:
        chip: A chip, or that window of it which `crop.window` names.
        crop: The geometry, in px of the whole chip.
        origin: Row and column of `chip`'s first pixel in the whole chip.

    Returns:
        A chip of size x size px that shares no memory with the one given; `pixel_m` follows the zoom.
    """
    rows, cols = (
        a._replace(start=a.start - first) for a, first in zip((crop.rows, crop.cols), origin, strict=True)
    )
    pixel_m = chip.meta.pixel_m
    meta = replace(chip.meta, pixel_m=None if pixel_m is None else pixel_m * rows.length / rows.extent)
    crop = replace(crop, rows=rows, cols=cols)
    layers: dict[str, Any] = {}
    for name in ("sar", "optical", "prior"):
        values, valid = getattr(chip, name), getattr(chip, f"{name}_valid")
        if values is not None:
            layers[name], layers[f"{name}_valid"] = _resampled(values, valid, crop, power=name == "sar")
    if chip.water is not None and chip.water_valid is not None:
        valid = _nearest(chip.water_valid, crop)
        layers |= {"water": _nearest(chip.water, crop) * valid, "water_valid": valid}
    return Chip(meta=meta, **layers)


def turned(planes: NDArray[Scalar], turn: int) -> NDArray[Scalar]:
    """Gives a view of (..., H, W) planes, transposed and flipped as `Crop.turn` says."""
    if turn & 1:
        planes = planes.swapaxes(-1, -2)
    if turn & 2:
        planes = planes[..., ::-1, :]
    return planes[..., ::-1] if turn & 4 else planes


def _placed(
    window: NDArray[Scalar], crop: Crop, into: tuple[int, ...] = (), first: int = 0
) -> NDArray[Scalar]:
    """Turns resampled planes and puts them where they belong in the crop; 0 or False everywhere else.

    Args:
        window: Resampled planes, ([bands,] height, width); a view of the chip where nothing was resampled.
        crop: Says where they belong.
        into: Number of bands of the result; empty for a single plane.
        first: Band of the result that the window's first plane becomes.

    Returns:
        Planes of ([bands,] size, size) px in C order, which share no memory with a chip.
    """
    window = turned(window, crop.turn)
    if window.shape == (*into, crop.size, crop.size):
        return np.array(window, order="C", copy=None if crop.resamples else True)
    new = np.zeros((*into, crop.size, crop.size), window.dtype)
    rows, cols = crop.written
    target = new[first : first + len(window)] if into else new
    target[..., rows.write, cols.write] = window
    return new


def _nearest(plane: NDArray[Scalar], crop: Crop) -> NDArray[Scalar]:
    """Resamples one (H, W) plane by taking the pixel under each new pixel's centre."""
    window = plane[crop.window]
    if crop.resamples:
        window = window.take(crop.rows.nearest(), axis=0).take(crop.cols.nearest(), axis=1)
    return _placed(window, crop)


def _resampled(values: Float, valid: Bool, crop: Crop, power: bool = False) -> tuple[Float, Bool]:
    """Resamples (bands, H, W) values with their validity; first and last bands without one cost nothing."""
    window, seen = values[:, *crop.window], np.ascontiguousarray(valid[:, *crop.window])
    used = [band for band, plane in enumerate(seen) if plane.any()] or [0]
    first, stop = used[0], used[-1] + 1
    window, seen = window[first:stop], seen[first:stop]
    if not seen.all():
        window = np.where(seen, window, np.float32(0))
    if crop.resamples:
        window, seen = _mixed(window, seen, crop, power)
    into = (len(values),)
    return _placed(window, crop, into, first), _placed(seen, crop, into, first)


def _mixed(window: Float, valid: Bool, crop: Crop, power: bool) -> tuple[Float, Bool]:
    """Averages and interpolates a window (bands, H, W) to the crop's extents, and its validity with it."""
    signal = torch.from_numpy(np.ascontiguousarray(window))
    invalid = None if valid.all() else torch.from_numpy(~valid)
    if power:
        signal = (signal * DB_TO_NEPER).exp_()
        signal = signal if invalid is None else signal.masked_fill_(invalid, 0.0)
    mixed = _interpolated(signal, crop)
    if power:
        mixed = mixed.clamp_min_(torch.finfo(torch.float32).tiny).log_().mul_(1 / DB_TO_NEPER)
    if invalid is None:
        return mixed.numpy(), np.ones(mixed.shape, np.bool_)
    alike = bool((invalid == invalid[:1]).all())
    # The same weights as for the values: a sum of weights that are not negative is 0 only where each is.
    weight = _interpolated((invalid[:1] if alike else invalid).float(), crop)
    new_valid = (weight == 0).expand_as(mixed)
    return mixed.masked_fill_(~new_valid, 0.0).numpy(), new_valid.numpy()


def _interpolated(planes: Tensor, crop: Crop) -> Tensor:
    """Averages blocks of (bands, H, W), then interpolates between their centres; not turned yet."""
    factor, extents = crop.factor, (crop.rows.extent, crop.cols.extent)
    if factor > 1:
        # Strided sums: several times as fast as avg_pool2d on the CPU.
        rows = reduce(torch.add, [planes[:, k::factor] for k in range(factor)])
        planes = reduce(torch.add, [rows[:, :, k::factor] for k in range(factor)]).div_(factor**2)
    if planes.shape[1:] == extents:
        return planes
    # Bands as samples of one channel: PyTorch's kernel takes three times as long for three channels.
    return functional.interpolate(planes[:, None], size=extents, mode="bilinear", align_corners=False)[:, 0]
