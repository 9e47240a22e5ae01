"""How one chip lies in a shard: integers with a fixed step, validity as bits, bands without data left out.

A shard is a safetensors file, read through a memory map, so that a window of a chip costs only its own bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flora.chip import Bool, Chip, ChipMeta
from flora.data.raw import NO_LABEL, Layer, RawChip, RawLayer, RawPlane
from flora.errors import DataError

Tensors = dict[str, NDArray[Any]]

# Value = stored integer * step. SAR reaches to +-327 dB; optical is clipped to [0, 6.5] reflectance, which
# loses the small negatives of atmospheric correction and nothing else that is real.
SAR_STEP_DB: Final = 0.01
OPTICAL_STEP: Final = 0.0001
OPTICAL_LIMIT: Final = 6.5
STEPS: Final[dict[Layer, float]] = {"sar": SAR_STEP_DB, "optical": OPTICAL_STEP, "prior": OPTICAL_STEP}
STORED: Final[dict[Layer, type[np.integer]]] = {"sar": np.int16, "optical": np.uint16, "prior": np.uint16}
DTYPES: Final[dict[str, np.dtype[np.integer]]] = {
    "I16": np.dtype("<i2"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
}


def encode(chip: Chip) -> tuple[Tensors, dict[Layer, list[int]]]:
    """Gives the tensors that stand for a chip, and which bands of each layer they hold.

    Args:
        chip: Any chip; values under False are ignored.

    Returns:
        Tensors `sar`, `optical`, `prior` (bands, H, W), their `*_valid` bits (bands, H, ceil(W / 8)) and `water`
        (H, W), those that exist; and the bands that have at least one valid pixel, for each layer that exists.

    Raises:
        DataError: A valid value is not finite.
    """
    tensors: Tensors = {}
    bands: dict[Layer, list[int]] = {}
    for name, step in STEPS.items():
        values, valid = getattr(chip, name), getattr(chip, f"{name}_valid")
        if values is None:
            continue
        bands[name] = [band for band, plane in enumerate(valid) if plane.any()]
        if not bands[name]:
            continue
        values, valid = values[bands[name]], valid[bands[name]]
        if not np.isfinite(values[valid]).all():
            raise DataError(
                f"Chip '{chip.meta.chip}' of {chip.meta.dataset} has {name} values that are not finite under "
                "valid = True; mark them invalid where the chip is read."
            )
        limits = np.iinfo(STORED[name])
        high = limits.max if name == "sar" else round(OPTICAL_LIMIT / OPTICAL_STEP)
        scaled = np.rint(np.where(valid, values, 0).astype(np.float64) / step).clip(limits.min, high)
        tensors[name] = scaled.astype(STORED[name])
        tensors[f"{name}_valid"] = np.packbits(valid, axis=-1)
    if chip.water is not None and chip.water_valid is not None:
        tensors["water"] = np.where(chip.water_valid, chip.water, NO_LABEL).astype(np.uint8)
    return tensors, bands


def window_of(
    tensors: Mapping[str, NDArray[Any]],
    bands: Mapping[Layer, list[int]],
    meta: ChipMeta,
    rows: slice,
    cols: slice,
) -> RawChip:
    """Gives a window of a chip that `encode` stored; its values are views of the tensors.

    Args:
        tensors: The tensors of one chip.
        bands: Which bands they hold.
        meta: Goes into the window.
        rows: Rows of the window, with start and stop inside the chip.
        cols: Its columns.

    Returns:
        The window; decoded, it equals the original within half a step.
    """
    layers = {}
    for name, stored in bands.items():
        planes = []
        for place, band in enumerate(stored):
            valid = _mask(tensors[f"{name}_valid"][place, rows], cols)
            planes.append(RawPlane(band, tensors[name][place, rows, cols], valid))
        layers[name] = RawLayer(planes, STEPS[name], clean=True)
    shape = (rows.stop - rows.start, cols.stop - cols.start)
    return RawChip(meta, shape, layers, tensors["water"][rows, cols] if "water" in tensors else None)


def _mask(bits: NDArray[np.uint8], cols: slice) -> Bool | None:
    """Unpacks columns of rows of bits; None where they are all set."""
    first = cols.start // 8
    octets = bits[:, first : -(-cols.stop // 8)]
    if (octets == 255).all():
        return None
    valid = np.unpackbits(octets, axis=-1).view(np.bool_)[:, cols.start - 8 * first : cols.stop - 8 * first]
    return None if valid.all() else valid


def open_shard(path: Path, in_memory: bool = False) -> Tensors:
    """Opens a safetensors file as arrays over a memory map.

    Args:
        path: A shard.
        in_memory: Read the file into memory instead of mapping it.

    Returns:
        Arrays by tensor name; read-only.

    Raises:
        DataError: The file is not whole or not a shard.

    Source: https://huggingface.co/docs/safetensors, "Format".
    """
    try:
        raw = np.fromfile(path, np.uint8) if in_memory else np.memmap(path, np.uint8, mode="r")
        (header_bytes,) = struct.unpack("<Q", raw[:8].tobytes())
        header = json.loads(raw[8 : 8 + header_bytes].tobytes())
        body = raw[8 + header_bytes :]
        tensors: Tensors = {}
        for name, entry in header.items():
            if name != "__metadata__":
                start, stop = entry["data_offsets"]
                tensors[name] = (
                    body[start:stop].view(np.ndarray).view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
                )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error, MemoryError) as error:
        raise DataError(
            f"Shard '{path}' cannot be read as a safetensors file of packed chips ({error}); it is damaged or cut "
            "short: copy it again or pack the data again."
        ) from error
    return tensors
