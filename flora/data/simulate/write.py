"""Writes a simulated scene of any size as GeoTIFFs, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from flora.bands import OPTICAL_BANDS, SAR_BANDS
from flora.data.simulate.noise import Field
from flora.data.simulate.place import SceneConfig
from flora.data.simulate.scene import SimulatedScene
from flora.data.simulate.stream import simulate_blocks
from flora.errors import OutputError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

# A plain between rivers, in a UTM zone where a pixel is 10 m square; the place itself is invented.
CRS: Final = "EPSG:32634"
LEFT_M: Final = 400_000.0
TOP_M: Final = 5_200_000.0
PIXEL_M: Final = 10.0

REFLECTANCE_SCALE: Final = 10_000
DB_STEPS: Final = 64  # steps per dB: far below speckle, and a third of the bytes of full float32
WATER_NODATA: Final = 255


@dataclass(frozen=True, slots=True)
class Layer:
    """One file of a simulated scene.

    Attributes:
        bands: Descriptions of its bands.
        dtype: Type of its values.
        nodata: Value of what is absent.
        units: Unit of its values, as a tag.
        values: Takes them from a block, (bands, H, W).
    """

    bands: tuple[str, ...]
    dtype: DTypeLike
    nodata: float
    units: str
    values: Callable[[SimulatedScene], NDArray[Any]]


def _decibels(sar_db: Field) -> Field:
    steps: Field = np.rint(sar_db * np.float32(DB_STEPS))
    steps /= np.float32(DB_STEPS)
    return steps


def _counts(reflectance: Field, seen: NDArray[np.bool_] | None) -> NDArray[np.uint16]:
    scaled = np.rint(reflectance * np.float32(REFLECTANCE_SCALE))
    counts: NDArray[np.uint16] = np.clip(scaled, 1, 65535).astype(np.uint16)
    if seen is not None:
        counts[:, ~seen] = 0
    return counts


def _classes(water: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(valid, water, np.uint8(WATER_NODATA))[None]


LAYERS: Final[dict[str, Layer]] = {
    "simulated_S1": Layer(SAR_BANDS, "float32", np.nan, "dB", lambda s: _decibels(s.sar_db)),
    "simulated_S2": Layer(
        OPTICAL_BANDS, "uint16", 0, "reflectance x 10000", lambda s: _counts(s.optical, s.optical_valid)
    ),
    "simulated_water": Layer(
        ("water",), "uint8", WATER_NODATA, "class", lambda s: _classes(s.water, s.valid & ~s.ambiguous)
    ),
    "simulated_before_S1": Layer(SAR_BANDS, "float32", np.nan, "dB", lambda s: _decibels(s.sar_before_db)),
    "simulated_before_S2": Layer(
        OPTICAL_BANDS, "uint16", 0, "reflectance x 10000", lambda s: _counts(s.optical_before, None)
    ),
    "simulated_before_water": Layer(
        ("water",), "uint8", WATER_NODATA, "class", lambda s: _classes(s.water_before, s.valid)
    ),
}


def write_scene(
    out_dir: Path | str,
    height: int = 2048,
    width: int = 2048,
    seed: int = 0,
    config: SceneConfig | None = None,
    block: int = 1024,
    workers: int = 1,
    overwrite: bool = False,
) -> dict[str, Path]:
    """Writes a simulated flood as tiled, georeferenced GeoTIFFs, each tagged `SIMULATED=yes`.

    Blocks are written as they are made: memory holds a few blocks, however large the scene. A file has its name only
    once it is whole.

    Args:
        out_dir: Folder to write to; made if it is not there.
        height: Rows, px.
        width: Columns, px.
        seed: The place and its weather.
        config: Ranges that places are drawn from; None for the default with an invalid wedge left of the swath.
        block: Side of a block, px; 1024 keeps writes aligned with the files' tiles.
        workers: Threads.
        overwrite: Whether files of these names may be replaced.

    Returns:
        Layer name (`simulated_S1`, ...) to its file.

    Raises:
        OutputError: A file is there already, or the folder cannot be written to.
        ConfigError: A size is not positive.
    """
    from rasterio.errors import RasterioError

    folder = Path(out_dir)
    paths = {name: folder / f"{name}.tif" for name in LAYERS}
    there = [path for path in paths.values() if path.exists()]
    if there and not overwrite:
        raise OutputError(f"'{there[0]}' is there already. Choose another folder, or pass --overwrite.")
    if config is None:
        config = SceneConfig(wedge_px=width // 14)
    blocks = simulate_blocks(height, width, seed, config, block, workers)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_blocks(blocks, paths, height, width, seed)
        for path in paths.values():
            _unfinished(path).replace(path)
    except (OSError, RasterioError) as error:
        raise OutputError(
            f"Cannot write the simulated scene to '{folder}': {error}. Choose another folder."
        ) from error
    finally:
        for path in paths.values():
            if folder.is_dir():
                _unfinished(path).unlink(missing_ok=True)
    return paths


def _write_blocks(
    blocks: Iterable[SimulatedScene], paths: dict[str, Path], height: int, width: int, seed: int
) -> None:
    """Writes blocks as they come into files that have their unfinished names."""
    import rasterio
    from rasterio.windows import Window

    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=128 << 20))
        files = {
            name: stack.enter_context(_create(path, LAYERS[name], height, width, seed))
            for name, path in paths.items()
        }
        for part in blocks:
            window = Window(part.origin[1], part.origin[0], part.shape[1], part.shape[0])
            for name, file in files.items():
                file.write(LAYERS[name].values(part), window=window)


def _unfinished(path: Path) -> Path:
    return path.with_suffix(".part.tif")


def _create(path: Path, layer: Layer, height: int, width: int, seed: int) -> Any:
    """Opens one file for writing under its unfinished name, with its georeference and tags."""
    import rasterio
    from rasterio.transform import from_origin

    file = rasterio.open(
        _unfinished(path),
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=len(layer.bands),
        dtype=layer.dtype,
        nodata=layer.nodata,
        crs=CRS,
        transform=from_origin(LEFT_M, TOP_M, PIXEL_M, PIXEL_M),
        tiled=True,
        blockxsize=512,
        blockysize=512,
        interleave="band",
        compress="zstd",
        zstd_level=1,
        predictor=3 if layer.dtype == "float32" else 2,
        bigtiff="if_safer",
    )
    file.descriptions = layer.bands
    file.update_tags(SIMULATED="yes", SEED=str(seed), UNITS=layer.units)
    return file
