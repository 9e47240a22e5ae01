"""Scenes of any size for timing, written block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PIECE = 2048  # px, side of the simulated place that a scene is laid out of
SEED = 0


def write_scene(folder: Path, side: int) -> Path:
    """Writes a square scene of simulated radar, unless it is there already.

    Simulating takes longer than mapping, and speed does not ask what is where: one simulated place is laid out again
    and again, every second one mirrored so that borders fit.

    Args:
        folder: Where it goes; created.
        side: Rows and columns, px.

    Returns:
        A GeoTIFF with VV and VH in dB.
    """
    import rasterio
    from rasterio.windows import Window

    from flora.bands import SAR_BANDS
    from flora.data.simulate import simulate
    from flora.data.simulate.place import SceneConfig
    from flora.data.simulate.write import CRS, DB_STEPS, LEFT_M, PIXEL_M, TOP_M

    path = folder / f"simulated_{side}_S1.tif"
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    piece_side = min(PIECE, side)
    place = simulate(piece_side, piece_side, SEED, SceneConfig())
    piece = np.rint(place.sar_db * np.float32(DB_STEPS)) / np.float32(DB_STEPS)
    partial = path.with_suffix(".part.tif")
    with rasterio.open(
        partial,
        "w",
        driver="GTiff",
        height=side,
        width=side,
        count=len(SAR_BANDS),
        dtype="float32",
        nodata=np.nan,
        crs=CRS,
        transform=rasterio.transform.from_origin(LEFT_M, TOP_M, PIXEL_M, PIXEL_M),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        interleave="band",
        compress="zstd",
        zstd_level=1,
        predictor=3,
        num_threads="all_cpus",
        bigtiff="if_safer",
    ) as file:
        file.descriptions = SAR_BANDS
        file.update_tags(SIMULATED="yes", SEED=str(SEED), UNITS="dB")
        for row in range(0, side, piece_side):
            for col in range(0, side, piece_side):
                height, width = min(piece_side, side - row), min(piece_side, side - col)
                turned = mirrored(piece, row // piece_side, col // piece_side)
                file.write(turned[:, :height, :width], window=Window(col, row, width, height))
    partial.replace(path)
    return path


def mirrored(piece: NDArray[np.float32], row: int, col: int) -> NDArray[np.float32]:
    """Mirrors a piece, (bands, H, W), in odd rows and columns of the layout, so that neighbours meet alike."""
    return piece[:, :: -1 if row % 2 else 1, :: -1 if col % 2 else 1]
