"""What a caller gives for a prediction, opened where it is a path, and checked to fit together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from flora.bands import RGB_BANDS, SAR_BANDS
from flora.errors import InputError
from flora.raster import open_optical, open_sar
from flora.raster.context import grid_of
from flora.raster.folder import Paths

if TYPE_CHECKING:
    from flora.checkpoint import Checkpoint

Scene = xr.Dataset | Paths
Picture = xr.Dataset | str | Path


def open_scene(scene: Scene) -> xr.Dataset:
    """Opens a scene where it is a path, and leaves it alone where it is open.

    Args:
        scene: As from `flora.open_sar`, or what that opens.

    Returns:
        `VV`, `VH`, (y, x), dB, NaN where invalid.

    Raises:
        InputError: It cannot be read as VV and VH, or is open and lacks one of them.
    """
    opened = scene if isinstance(scene, xr.Dataset) else open_sar(scene)
    if any(name not in opened for name in SAR_BANDS):
        raise InputError(
            f"The scene has {', '.join(map(str, opened.data_vars)) or 'no bands'}; predicting needs VV and VH in dB, "
            "as flora.open_sar gives them."
        )
    return opened


def open_picture(optical: Picture | None, scene: xr.Dataset) -> xr.Dataset | None:
    """Opens an optical image on the scene's grid where it is a path, and leaves it alone where it is open.

    Args:
        optical: As from `flora.open_optical` on the scene's grid, or a file on any grid; None for radar alone.
        scene: As `open_scene` gives it.

    Returns:
        `red`, `green`, `blue` and perhaps `nir`, (y, x), reflectance, NaN where invalid; None without an image.

    Raises:
        InputError: It cannot be read, lacks a colour, or is open and lies on another grid.
    """
    if optical is None:
        return None
    if not isinstance(optical, xr.Dataset):
        picture: xr.Dataset = open_optical(optical, grid_of(scene["VV"]), crs_required=False)
        return picture
    absent = [name for name in RGB_BANDS if name not in optical]
    if absent:
        raise InputError(
            f"The optical image lacks {', '.join(absent)}; expected {', '.join(RGB_BANDS)}, and nir where there is "
            "one, NaN where invalid."
        )
    found, expected = optical["red"].shape, scene["VV"].shape
    if found != expected:
        raise InputError(
            f"The optical image is {found[0]} × {found[1]} px, the scene {expected[0]} × {expected[1]} px; "
            "bring it to the scene's grid with flora.open_optical(path, scene.odc.geobox)."
        )
    return optical


def load_weights(weights: Checkpoint | Path | str | None) -> Checkpoint:
    """Loads weights where they are a path or those that come with FLoRA, and leaves loaded ones alone.

    Args:
        weights: Loaded weights, a path to them, or None for those that come with FLoRA.

    Raises:
        CheckpointError: They cannot be loaded.
    """
    if weights is None or isinstance(weights, str | Path):
        from flora.checkpoint import load

        return load(weights)
    return weights
