"""The one door to raster files: scenes and optical pictures in as lazy datasets, Cloud-Optimised GeoTIFFs out."""

from __future__ import annotations

from flora.raster.sar import open_sar, require_valid

__all__ = ["open_sar", "require_valid"]
