"""The one door to raster files: scenes and optical pictures in as lazy datasets, Cloud-Optimised GeoTIFFs out."""

from __future__ import annotations

import os

# GDAL keeps decoded blocks in up to 5 % of all memory, which on a large machine looks like a leak. A tiled file is read
# as fast with 4 MB as with 128, and what is kept lies between the network's blocks, where it costs more than its size;
# for files in strips `flora.raster.handles` allows more. MB; a value that the user has set stays the least. It must be
# there before GDAL decodes its first block.
os.environ.setdefault("GDAL_CACHEMAX", "32")

from flora.raster.cog import CogSink, write_cog
from flora.raster.geotiff import CogSpec
from flora.raster.optical import open_optical
from flora.raster.sar import open_sar, require_valid

__all__ = ["CogSink", "CogSpec", "open_optical", "open_sar", "require_valid", "write_cog"]
