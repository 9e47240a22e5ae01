"""Datasets by name: each opens its published layout and gives the same `Chip`.

    from flora.data import open_dataset
    chips = open_dataset("sen1floods11", "shared/data/sen1floods11", split="test")

Importing this package loads neither torch nor rasterio; a dataset's module is imported when it is opened.
"""

from __future__ import annotations

from flora.data.registry import DATASETS, find, open_dataset

__all__ = ["DATASETS", "find", "open_dataset"]
