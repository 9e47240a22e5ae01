"""Simulated backscatter beside real backscatter of training and validation chips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from flora.data.simulate import SceneConfig, histogram_distances, simulate
from flora.errors import DataError

BOUND_DB = 1.5  # for twelve places; 48 places come within 0.75 dB
KEYS = {"VV water", "VV land", "VH water", "VH land"}
PER_CHIP = 20_000

Sample = tuple[NDArray[np.float32], NDArray[np.uint8]]


def thin(sar_db: NDArray[np.float32], water: NDArray[np.generic], count: int = PER_CHIP) -> Sample:
    """Draws pixels that are valid and labelled 0 or 1."""
    flat, label = sar_db.reshape(2, -1), water.ravel()
    usable = np.flatnonzero(np.isfinite(flat).all(axis=0) & ((label == 0) | (label == 1)))
    chosen = np.random.default_rng(0).choice(usable, min(count, len(usable)), replace=False)
    return flat[:, chosen], label[chosen].astype(np.uint8)


def pool(samples: list[Sample]) -> Sample:
    return np.concatenate([sar for sar, _ in samples], axis=1), np.concatenate(
        [water for _, water in samples]
    )


def read(path: Path, *bands: int) -> NDArray[np.float32]:
    with rasterio.open(path) as file:
        return file.read(list(bands) or None).astype(np.float32)


def real_sample(root: Path) -> Sample:
    """Pools real chips: the training rows of Guaíba on both dates, and all others of train and val with labels."""
    samples = []
    for date in ("after", "before"):
        sar = read(root / "guaiba" / f"guaiba_{date}_S1.tif")[:, 1152:3712]
        water = read(root / "guaiba" / f"guaiba_{date}_water_weak.tif", 1)[0, 1152:3712]
        samples.append(thin(sar, water, 3 * PER_CHIP))
    for chip in ("jja10", "pxs10"):
        sar = np.concatenate([read(root / "stac_overflow" / f"{chip}_{band}.tif") for band in ("vv", "vh")])
        samples.append(
            thin(np.where(sar == 0, np.nan, sar), read(root / "stac_overflow" / f"{chip}_label.tif"))
        )
    for chip in (0, 1, 2, 4, 7, 9):
        power = read(root / "dfc2024" / "images" / f"{chip}.tif", 1, 2) / 1e4
        sar = 10 * np.log10(np.where(power > 0, power, np.nan))
        samples.append(thin(sar, read(root / "dfc2024" / "labels" / f"{chip}.png")))
    hand = root / "sen1floods11" / "v1.1" / "data" / "flood_events" / "HandLabeled" / "S1Hand"
    ghana = read(hand / "Ghana_7496_S1Hand.tif")
    return pool([*samples, thin(ghana, np.zeros(ghana.shape[1:]))])


@pytest.fixture(scope="module")
def simulated() -> Sample:
    """Twelve places that are neither frozen nor parched: so are the real chips that they are held against."""
    samples = []
    moist = SceneConfig(frost=(0, 0))
    for place in range(12):
        corner = (512 * (7 * place % 23), 512 * (place % 8))
        scene = simulate(512, 512, seed=5000 + place, config=moist, origin=corner)
        samples.append(thin(scene.sar_db, np.where(scene.ambiguous, 255, scene.water)))
    return pool(samples)


@pytest.mark.real
def test_backscatter_is_near_real_backscatter(simulated: Sample, real_data: Path) -> None:
    distances = histogram_distances(*simulated, *real_sample(real_data))
    assert set(distances) == KEYS
    assert max(distances.values()) < BOUND_DB, distances


def test_backscatter_by_published_statistics(simulated: Sample) -> None:
    """Sen1Floods11 as published: VV −10.18 dB (std 4.26), VH −16.90 dB (std 5.29), 9.5 % of it water."""
    sar, water = simulated
    share = 0.095 / 0.905 * np.count_nonzero(water == 0) / np.count_nonzero(water == 1)
    chosen = np.random.default_rng(0).random(water.size) < np.where(water == 1, share, 1)
    mean, std = sar[:, chosen].mean(axis=1), sar[:, chosen].std(axis=1)
    assert mean == pytest.approx([-10.18, -16.90], abs=1.0)
    assert std == pytest.approx([4.26, 5.29], abs=1.2)
    vv, vh = (np.median(band[water == 1]) for band in sar)
    assert -25 < vv < -18 and -30 < vh < -25
    assert 0.05 < (water == 1).mean() < 0.4, "neither drowned nor dry"


def test_distance_of_a_shift_is_the_shift() -> None:
    rng = np.random.default_rng(0)
    sar = rng.normal(-12, 3, (2, 40, 50)).astype(np.float32)
    water = (rng.random((40, 50)) < 0.4).astype(np.uint8)
    shifted = sar + np.float32([1.5, -0.5])[:, None, None]
    distances = histogram_distances(shifted, water, sar, water)
    assert distances == pytest.approx(
        {"VV water": 1.5, "VV land": 1.5, "VH water": 0.5, "VH land": 0.5}, abs=1e-3
    )


def test_distance_leaves_out_what_is_absent() -> None:
    sar = np.full((2, 4, 4), -10, np.float32)
    water = np.array([[0, 1, 255, 255]] * 4)
    spoilt = sar.copy()
    spoilt[:, :, 2], spoilt[:, 0, 0] = 99, np.nan
    assert set(histogram_distances(spoilt, water, sar, water).values()) == {0.0}
    with pytest.raises(DataError, match="simulated sample has no valid VV over water"):
        histogram_distances(sar, np.zeros((4, 4)), sar, water)
