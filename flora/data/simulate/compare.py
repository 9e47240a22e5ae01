"""How near simulated backscatter is to real backscatter, band by band, over water and over land."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from flora.bands import SAR_BANDS
from flora.errors import DataError


def histogram_distances(
    simulated_db: NDArray[np.float32],
    simulated_water: NDArray[np.generic],
    real_db: NDArray[np.float32],
    real_water: NDArray[np.generic],
) -> dict[str, float]:
    """Measures by how many dB simulated and real values differ in distribution.

    The 1-Wasserstein distance is the mean distance between the sorted values: 0 for equal histograms, d for one that
    is shifted by d dB.

    Args:
        simulated_db: VV, VH, (2, ...), dB; NaN is left out.
        simulated_water: 1 water, 0 land, anything else left out, (...).
        real_db: VV, VH, (2, ...), dB; its shape may differ from the simulated.
        real_water: As `simulated_water`.

    Returns:
        `VV water`, `VV land`, `VH water`, `VH land`, each in dB.

    Raises:
        DataError: One of the two has no valid value of a class.

    Source: Ramdas et al., Entropy 2017, doi 10.3390/e19020047, as computed by SciPy.
    """
    distances = {}
    for band, name in enumerate(SAR_BANDS):
        for value, cover in ((1, "water"), (0, "land")):
            samples = []
            for side, values, water in (
                ("simulated", simulated_db, simulated_water),
                ("real", real_db, real_water),
            ):
                chosen = values[band][water == value]
                chosen = chosen[np.isfinite(chosen)]
                if chosen.size == 0:
                    raise DataError(
                        f"The {side} sample has no valid {name} over {cover}; expected some. Add chips."
                    )
                samples.append(chosen)
            distances[f"{name} {cover}"] = float(wasserstein_distance(*samples))
    return distances
