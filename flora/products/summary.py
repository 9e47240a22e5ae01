"""What a product holds, in numbers: areas, shares, model, settings, cost."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
import xarray as xr
from odc.geo.geobox import GeoBox

import flora
from flora.products.area import AreaTally
from flora.products.folder import SUMMARY_FILE

MIB = 2**20
LEAST_SIDE = 64  # px; of smaller clips even open water is called land
NO_CRS = "The scene has no CRS: outputs are in pixels and areas are unknown."
NOTICE = "Contains modified Copernicus Sentinel data."


@dataclass(frozen=True)
class Summary:
    """A product in numbers; stored as `summary.json` in its folder.

    Attributes:
        scene: Name of the scene.
        sources: Files it was read from.
        time: When it was taken, ISO 8601; None where unknown.
        sar_scale: How its values were read, and why.
        bands: How VV and VH were told apart.
        crs: EPSG code or WKT; None without one.
        note: What a user has to know; empty for nothing.
        height: Rows, px.
        width: Columns, px.
        valid_share: Share of pixels with a measurement in either band.
        water_share: Share of the valid pixels that are water.
        water_pixels: Number of water pixels.
        land_pixels: Number of land pixels.
        water_km2: Ground area of water; None without CRS.
        valid_km2: Ground area of the valid pixels; None without CRS.
        threshold: Probability from which a pixel is water.
        model: Weights file, its checksum and what is known of its training.
        optical_prior: An optical image was given beside the radar.
        optical_image: Its files, its time, how it was read and, from the command line, the `usable_share` of the
            scene where it has data and is not masked; empty without one.
        tile: Side of a tile, px.
        margin: What a tile read around its core, px.
        precision: Number format of the convolutions.
        device: Where the network ran.
        tta: Averaged over four flips.
        seconds: From the first tile to the last file.
        mpx_per_s: Million pixels of the scene a second, reading and writing included.
        peak_mib: Highest memory of the process and its children, MiB.
        machine: Processor threads, system.
        versions: Of FLoRA and what it stands on.
        created: When the product was made, ISO 8601, UTC.
        folder: Where the product is.
        files: Path of each file by its name.
        remarks: Sentences about this run that a person should read.
        reading: The `bands` and `scale` that the scene was opened with; empty where they are not known.
    """

    scene: str
    sources: list[str]
    time: str | None
    sar_scale: dict[str, str]
    bands: str
    crs: str | None
    note: str
    height: int
    width: int
    valid_share: float
    water_share: float
    water_pixels: int
    land_pixels: int
    water_km2: float | None
    valid_km2: float | None
    threshold: float
    model: dict[str, Any]
    optical_prior: bool
    optical_image: dict[str, Any]
    tile: int
    margin: int
    precision: str
    device: str
    tta: bool
    seconds: float
    mpx_per_s: float
    peak_mib: float
    machine: dict[str, Any]
    versions: dict[str, str]
    created: str
    folder: Path = field(default_factory=Path)
    files: dict[str, Path] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    reading: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Gives the summary with paths as text, as `--json` prints it."""
        plain = asdict(self)
        plain["folder"] = str(self.folder)
        plain["files"] = {name: str(path) for name, path in self.files.items()}
        return plain

    def write(self, folder: Path) -> Path:
        """Writes `summary.json` into a folder; files are named relative to it, so that it may be moved."""
        stored = self.to_dict() | {"files": {name: path.name for name, path in self.files.items()}}
        del stored["folder"]
        path = folder / SUMMARY_FILE
        text = json.dumps(stored, indent=2, ensure_ascii=False, default=str, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")
        return path


def summarize(
    scene: xr.Dataset,
    prediction: xr.Dataset,
    geobox: GeoBox,
    tally: AreaTally,
    seconds: float,
    peak_bytes: int,
) -> Summary:
    """Gathers a product's numbers; folder and files are told later, by `dataclasses.replace`.

    Args:
        scene: As `flora.open_sar` gives it.
        prediction: As `flora.scene.predict` gives it.
        geobox: Grid of the scene.
        tally: Classes of the water map, added up over the whole scene.
        seconds: How long it took.
        peak_bytes: Highest memory.

    Returns:
        The summary.
    """
    attrs = scene.attrs
    water, land = tally.pixels["water"], tally.pixels["land"]
    height, width = geobox.shape.yx
    areas = tally.square_km
    settings = prediction.attrs
    return Summary(
        scene=str(attrs.get("name", "")),
        sources=[str(source) for source in attrs.get("source", [])],
        time=attrs.get("time"),
        sar_scale={"read_as": attrs.get("sar_scale", "dB"), "why": attrs.get("sar_scale_reason", "")},
        bands=attrs.get("band_reason", ""),
        crs=_crs_name(geobox),
        note=note_of(scene, geobox),
        height=height,
        width=width,
        valid_share=(water + land) / (height * width),
        water_share=water / max(water + land, 1),
        water_pixels=water,
        land_pixels=land,
        water_km2=areas["water"] if areas else None,
        valid_km2=areas["water"] + areas["land"] if areas else None,
        threshold=float(settings["threshold"]),
        model={key: settings.get(key) for key in ("weights", "weights_sha256", "temperature", "provenance")},
        optical_prior=bool(settings["optical_prior"]),
        optical_image=dict(settings["optical_image"]),
        tile=int(settings["tile"]),
        margin=int(settings["margin"]),
        precision=str(settings["precision"]),
        device=str(settings["device"]),
        tta=bool(settings["tta"]),
        seconds=round(seconds, 2),
        mpx_per_s=round(height * width / 1e6 / max(seconds, 1e-9), 3),
        peak_mib=round(peak_bytes / MIB, 1),
        machine={"cpu_threads": os.cpu_count(), "system": platform.platform()},
        versions=_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        remarks=_remarks(height, width),
        reading=dict(attrs.get("reading", {})),
    )


def _remarks(height: int, width: int) -> list[str]:
    if min(height, width) >= LEAST_SIDE:
        return []
    return [
        f"The scene is {height} x {width} px; under {LEAST_SIDE} px a side the network sees too little around, and "
        "what it calls water or land is a guess. Give a larger window."
    ]


def _crs_name(geobox: GeoBox) -> str | None:
    if not geobox.crs:
        return None
    code = geobox.crs.to_epsg()
    return f"EPSG:{code}" if code else str(geobox.crs)


def note_of(scene: xr.Dataset, geobox: GeoBox) -> str:
    """Gives what users of the product have to know: that the scene is simulated, or lies nowhere."""
    notes = [NO_CRS] if not geobox.crs else []
    if scene.attrs.get("simulated"):
        notes.insert(0, "The scene is simulated.")
    return " ".join(notes)


def _versions() -> dict[str, str]:
    return {
        "flora": flora.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "xarray": xr.__version__,
        "rasterio": rasterio.__version__,
        "gdal": rasterio.__gdal_version__,
    }
