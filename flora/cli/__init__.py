"""The command line: parse, print, exit; nothing else happens here.

`flora --help` has to answer at once, so torch, rasterio and the like are imported inside the verbs.
"""

from __future__ import annotations

from flora.cli import (
    bench_quality,
    bench_speed,
    bench_validation,
    data,
    demo,
    evaluate,
    export,
    fetch,
    flood,
    info,
    predict,
    share,
    train,
)
from flora.cli.app import app, main

__all__ = [
    "app",
    "bench_quality",
    "bench_speed",
    "bench_validation",
    "data",
    "demo",
    "evaluate",
    "export",
    "fetch",
    "flood",
    "info",
    "main",
    "predict",
    "share",
    "train",
]
