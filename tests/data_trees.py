"""Builds small trees with the published folder and file names, for datasets that are too large to keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin

FLOOD = "v1.1/data/flood_events"
SPLITS = "v1.1/splits/flood_handlabeled"
DEGREE = 8.983152841195215e-05


def write_tiff(
    path: Path,
    array: NDArray[np.generic],
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    pixel: float = DEGREE,
    crs: str | None = "EPSG:4326",
    nodata: float | None = None,
    names: tuple[str, ...] = (),
) -> Path:
    """Writes (bands, H, W) or (H, W) as a GeoTIFF; `origin` is the upper left corner."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = array if array.ndim == 3 else array[None]
    profile = {
        "driver": "GTiff",
        "count": bands.shape[0],
        "height": bands.shape[1],
        "width": bands.shape[2],
        "dtype": bands.dtype.name,
        "nodata": nodata,
        "compress": "deflate",
        "zlevel": 1,
    }
    if crs is not None:
        profile |= {"crs": CRS.from_string(crs), "transform": from_origin(*origin, pixel, pixel)}
    else:
        profile |= {"transform": Affine.identity()}
    with rasterio.open(path, "w", **profile) as target:
        target.write(bands)
        if names:
            target.descriptions = names
    return path


def radar(seed: int, side: int, water: NDArray[np.bool_] | None = None) -> NDArray[np.float32]:
    """Makes VV and VH in dB with speckle, 8 dB darker over water, (2, side, side)."""
    # One small patch of speckle, repeated: quick to make and to pack.
    patch = np.random.default_rng(seed).normal(0, 1.5, (2, 32, 32))
    noise = np.tile(patch, (1, -(-side // 32), -(-side // 32)))[:, :side, :side]
    level = np.array([-10.0, -17.0])[:, None, None] + noise
    return (level - (0 if water is None else 8 * water)).astype(np.float32)


def lake(side: int) -> NDArray[np.bool_]:
    """Marks the upper left quarter."""
    rows, cols = np.ogrid[:side, :side]
    return (rows < side // 2) & (cols < side // 2)


def numbers(water: NDArray[np.bool_]) -> NDArray[np.int16]:
    """Makes 13 bands of Sentinel-2 numbers: grass with a lake, (13, side, side)."""
    grass = np.array([1200, 900, 850, 600, 1100, 2000, 2300, 2500, 2700, 800, 12, 1600, 900])
    deep = np.array([1200, 900, 800, 550, 500, 400, 380, 300, 280, 150, 10, 120, 80])
    return np.where(water, deep[:, None, None], grass[:, None, None]).astype(np.int16)


def write_sen1floods11(root: Path, lists: dict[str, tuple[str, ...]], side: int = 512) -> Path:
    """Writes hand-labelled chips with S1, S2, label and permanent water, and the official lists.

    Args:
        root: Folder to write to.
        lists: Chips by official list (`train`, `valid`, `test`, `bolivia`).
        side: Height and width, px; published are 512.
    """
    hand = root / FLOOD / "HandLabeled"
    water = lake(side)
    label = water.astype(np.int16)
    label[-1] = -1
    chips = [chip for part in ("train", "valid", "test", "bolivia") for chip in lists.get(part, ())]
    for seed, chip in enumerate(dict.fromkeys(chips)):
        origin = (seed * 0.2, 10.0)
        sar = radar(seed, side, water)
        sar[:, :, -2:] = np.nan
        names = ("VV", "VH")
        write_tiff(hand / "S1Hand" / f"{chip}_S1Hand.tif", sar, origin=origin, nodata=np.nan, names=names)
        optical = numbers(water)
        write_tiff(hand / "S2Hand" / f"{chip}_S2Hand.tif", optical, origin=origin, nodata=0)
        write_tiff(hand / "LabelHand" / f"{chip}_LabelHand.tif", label, origin=origin)
        permanent = water.astype(np.uint8)
        write_tiff(hand / "JRCWaterHand" / f"{chip}_JRCWaterHand.tif", permanent, origin=origin)
    write_lists(root, lists)
    return root


def write_lists(root: Path, lists: dict[str, tuple[str, ...]]) -> None:
    """Writes the four official CSV lists of Sen1Floods11."""
    folder = root / SPLITS
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "valid", "test", "bolivia"):
        lines = [f"{chip}_S1Hand.tif,{chip}_LabelHand.tif\n" for chip in lists.get(part, ())]
        (folder / f"flood_{part}_data.csv").write_text("".join(lines))


def write_sen1floods11_weak(root: Path, chips: dict[str, str]) -> Path:
    """Writes weakly labelled chips; the value says which label a chip has, `S2IndexLabelWeak` or `S1OtsuLabelWeak`."""
    weak = root / FLOOD / "WeaklyLabeled"
    for seed, (chip, kind) in enumerate(chips.items()):
        water = lake(512)
        write_tiff(weak / "S1Weak" / f"{chip}_S1Weak.tif", radar(seed, 512, water), nodata=np.nan)
        write_tiff(weak / kind / f"{chip}_{kind}.tif", water.astype(np.int16))
    return root


def write_sen12ms(root: Path, patches: tuple[tuple[str, int, int], ...], unpacked: bool = False) -> Path:
    """Writes triplets; `unpacked` takes the folders that the published archives unpack to."""
    for seed, (season, scene, patch) in enumerate(patches):
        water = lake(256)
        origin = (500000.0 + 2560 * scene + 100000 * seed, 4000000.0)
        land = np.stack([np.where(water, 17, 10)] * 4).astype(np.uint16)
        layers = {"s1": radar(seed, 256, water), "s2": numbers(water).astype(np.uint16), "lc": land}
        for kind, array in layers.items():
            folder = root / (f"{season}_{kind}" if unpacked else season) / f"{kind}_{scene}"
            path = folder / f"{season}_{kind}_{scene}_p{patch}.tif"
            write_tiff(path, array, origin=origin, pixel=10.0, crs="EPSG:32632")
    return root


def write_deepflood_area(root: Path, area: str, codes: NDArray[np.uint8], left: float = 700000.0) -> Path:
    """Writes one area: radar and Sentinel-2 at 10 m, and the mask at 2 m on the same ground.

    Args:
        root: Folder to write to.
        area: Such as `Elizabeth_Florence_14_09_18_01`.
        codes: Mask, (5 H, 5 W) for H x W radar pixels.
        left: Easting of the upper left corner, m.
    """
    side = codes.shape[0] // 5
    flooded = np.isin(codes[2::5, 2::5], (0, 2))
    grid = {"origin": (left, 3900000.0), "crs": "EPSG:32617"}
    seed = int(left) % 1000
    for band, values in zip(("VV", "VH"), radar(seed, side, flooded), strict=True):
        write_tiff(root / "SENTINEL_1" / f"{area}_{band}.tif", values, pixel=10.0, **grid)  # type: ignore[arg-type]
    write_tiff(root / "SENTINEL_1" / f"{area}_water_index.tif", flooded.astype(np.uint8), pixel=10.0, **grid)  # type: ignore[arg-type]
    picture = numbers(flooded)[[1, 2, 3, 7]].astype(np.uint16)
    names = ("B2", "B3", "B4", "B8")
    write_tiff(root / "SENTINEL_2" / f"{area}.tif", picture, pixel=10.0, names=names, **grid)  # type: ignore[arg-type]
    # The makers' software declares 0 as no-data although 0 is a code.
    write_tiff(root / "GEOTIFF MASK" / f"{area}.tif", codes, pixel=2.0, nodata=0, **grid)  # type: ignore[arg-type]
    return root


def write_deepflood_tiles(root: Path, names: tuple[str, ...]) -> Path:
    """Writes tiles of one name in every tile folder; the four quarters of the mask are codes 0 to 3."""
    codes = np.repeat(np.repeat(np.array([[0, 1], [2, 3]], np.uint8), 128, 0), 128, 1)
    for seed, name in enumerate(names):
        vv, vh = radar(seed, 256)
        colour = np.full((3, 256, 256), 90 + seed, np.uint8)
        layers = {"Optical": colour, "Mask": codes, "SAR VV": vv, "SAR VH": vh}
        for folder, array in layers.items():
            write_tiff(root / "Tiles" / folder / f"{name}.tif", array, crs=None)
    return root
