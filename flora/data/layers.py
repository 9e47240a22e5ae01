"""Makes a chip's layers from what files hold: numbers become dB or reflectance, no-data becomes `valid = False`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.atmosphere import surface_reflectance
from flora.bands import DB_RANGE, DISPLAY_GAIN, OPTICAL_BANDS, PAINTED_WHITE, SAR_BANDS, SENTINEL2_DN

Float = NDArray[np.float32]
Bool = NDArray[np.bool_]
Byte = NDArray[np.uint8]
Numbers = NDArray[np.integer]

# Pseudo dB of 8-bit grey: its 255 steps are taken for these 30 dB, since the true stretch is unknown.
GREY_RANGE_DB: Final = 30.0
# Three quarters of a scene are darker than this, dB: about the same in calibrated scenes of farms, woods and towns.
BRIGHT_DB: Final = {"VV": -9.0, "VH": -15.5}


def sar_layer(
    bands: Mapping[str, NDArray[np.floating]], valid: Bool | None = None, zero_absent: bool = False
) -> tuple[Float, Bool]:
    """Puts bands in dB in the order VV, VH; a band that is absent is invalid everywhere.

    The rules are those of the scene reader, `flora.raster.open_sar`, so that a pixel is the same by either door.

    Args:
        bands: `VV` and `VH`, or one of them, (H, W), dB; NaN and what lies outside `DB_RANGE` are no-data.
        valid: Further condition for validity, (H, W) or (2, H, W).
        zero_absent: The files declare no no-data value: 0 in both bands at once is absent.

    Returns:
        Values (2, H, W) in dB, 0 where invalid, and their validity (2, H, W).
    """
    measured = {
        name: np.where((band >= DB_RANGE[0]) & (band <= DB_RANGE[1]), band, np.nan)
        for name, band in bands.items()
    }
    present = None if not zero_absent else np.any([band != 0 for band in bands.values()], axis=0)
    if present is not None:
        valid = present if valid is None else valid & present
    return _stack(measured, SAR_BANDS, valid)


def optical_layer(bands: Mapping[str, NDArray[np.floating]], valid: Bool | None = None) -> tuple[Float, Bool]:
    """Puts bands in reflectance in the order red, green, blue, nir; an absent band is invalid everywhere.

    Args:
        bands: Any of `red`, `green`, `blue`, `nir`, (H, W), reflectance; NaN is no-data.
        valid: Further condition for validity, (H, W).

    Returns:
        Values (4, H, W), 0 where invalid, and their validity (4, H, W).
    """
    return _stack(bands, OPTICAL_BANDS, valid)


def _stack(
    bands: Mapping[str, NDArray[np.floating]], order: tuple[str, ...], valid: Bool | None
) -> tuple[Float, Bool]:
    shape = next(iter(bands.values())).shape
    layer = np.full((len(order), *shape), np.nan, np.float32)
    for position, name in enumerate(order):
        if name in bands:
            layer[position] = bands[name]
    usable = np.isfinite(layer)
    if valid is not None:
        usable &= valid
    return np.where(usable, layer, np.float32(0)), usable


def decibel(power: NDArray[np.floating]) -> Float:
    """Turns linear power into dB, 10 log10(power); NaN where power is not positive.

    Double precision inside, as the scene reader has it, so that both give the same number to the last bit.

    Args:
        power: Backscatter as linear power, any shape.
    """
    positive = power > 0
    level = 10 * np.log10(np.where(positive, power, 1).astype(np.float64))
    return np.where(positive, level, np.nan).astype(np.float32)


def bright_grey(grey: Byte, valid: Bool | None = None) -> float:
    """Gives the grey level that three quarters of an image are darker than.

    Args:
        grey: 0 to 255, any shape; a whole image, or many tiles of one, so that water does not rule it.
        valid: May be used, same shape; all of it by default.

    Returns:
        The upper quartile, or 128, the middle, where nothing is valid.
    """
    used = grey if valid is None else grey[valid]
    return float(np.percentile(used, 75)) if used.size else 128.0


def pseudo_decibel(grey: Byte, band: str, bright: float) -> Float:
    """Maps 8-bit grey of unknown stretch to pseudo dB that lie about where a calibrated scene's do.

    Each product is stretched in its own way: in one the brighter quarter of VV begins at grey 145, in another at 190.
    So the level at which it begins is set to that of calibrated scenes, one shift for all pixels of an image.

    Args:
        grey: 0 to 255, any shape.
        band: `VV` or `VH`.
        bright: As from `bright_grey`, of the image that shares one stretch.

    Returns:
        Pseudo dB, same shape; chips that carry it say `sar_radiometry="stretched"`.
    """
    step = GREY_RANGE_DB / 255
    return (BRIGHT_DB[band] + step * (grey.astype(np.float32) - np.float32(bright))).astype(np.float32)


def sentinel2_layer(
    bands: Mapping[str, Numbers], valid: Bool | None = None, *, toa: bool = False
) -> tuple[Float, Bool]:
    """Turns Sentinel-2 digital numbers (reflectance x 10000) into an optical layer.

    Where all bands are 0 there is no data; a single 0 is a dark band, such as nir over a lake.

    Args:
        bands: Any of `red`, `green`, `blue`, `nir`, (H, W), digital numbers.
        valid: Further condition for validity, (H, W).
        toa: The numbers are of the top of the atmosphere (L1C) and are brought to the surface.
    """
    present = np.any([numbers != 0 for numbers in bands.values()], axis=0)
    reflectance = {name: _scaled(numbers, SENTINEL2_DN) for name, numbers in bands.items()}
    if toa:
        reflectance = {name: surface_reflectance(values, name) for name, values in reflectance.items()}
    return optical_layer(reflectance, present if valid is None else present & valid)


def display_layer(rgb: Byte, valid: Bool | None = None) -> tuple[Float, Bool]:
    """Turns an 8-bit true-colour picture into an optical layer without nir, DN / 255 / 3.5.

    Black in all bands is no data; white in all bands is painted cloud or saturated, so that its reflectance is
    unknown.

    Args:
        rgb: (H, W, 3), red, green, blue.
        valid: Further condition for validity, (H, W).
    """
    known = (rgb.max(axis=-1) > 0) & (rgb.min(axis=-1) < PAINTED_WHITE)
    planes = {
        name: _scaled(rgb[..., plane], 255 * DISPLAY_GAIN) for plane, name in enumerate(OPTICAL_BANDS[:3])
    }
    return optical_layer(planes, known if valid is None else known & valid)


def _scaled(numbers: Numbers, divisor: float) -> Float:
    """Divides in double precision and rounds once, as the scene reader does."""
    return (numbers.astype(np.float64) / divisor).astype(np.float32)


def water_layer(
    label: Numbers, water: tuple[int, ...] = (1,), land: tuple[int, ...] = (0,)
) -> tuple[Byte, Bool]:
    """Turns label codes into water 0/1 and validity; any code that is neither water nor land is invalid.

    Args:
        label: Codes, (H, W).
        water: Codes that mean water.
        land: Codes that mean no water.
    """
    wet = np.isin(label, water)
    return wet.astype(np.uint8), wet | np.isin(label, land)
