"""From two scenes and what is known of the ground to a folder of flood layers: what `flora flood` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import xarray as xr

from flora.checkpoint import load
from flora.errors import InputError
from flora.products.area import AreaTally
from flora.products.flood import CHANGE_MEANINGS, map_flood
from flora.products.floodlayers import flood_layers
from flora.products.floodpicture import write_flood_quicklook
from flora.products.folder import SUMMARY_FILE, require_free, staged
from flora.products.layers import NO_DATA, WATER, WATER_CLASSES
from flora.products.stream import Blocks
from flora.products.summary import Summary, summarize
from flora.products.usage import Usage
from flora.products.water import OCCURRENCE
from flora.products.write import QUICKLOOK_FILE, Progress, fill, open_sinks, scene_grid, tags_of
from flora.raster import open_optical, open_sar, require_valid
from flora.raster.align import align_scene
from flora.scene import DEFAULT_TILE

Amounts = dict[str, float]


@dataclass(frozen=True)
class FloodSummary(Summary):
    """A flood map in numbers: those of its water, and these.

    Attributes:
        reference: Where the reference water comes from.
        before: Name of the earlier scene; empty without one.
        flood_pixels: Number of flood pixels.
        flood_km2: Ground area of the flood; None without CRS.
        flood_outside_exclusion_km2: The part of it that no exclusion flag covers.
        excluded_km2: Ground area with data that an exclusion flag covers.
        change_km2: Ground area of unchanged, new and receded water; empty without an earlier scene.
    """

    reference: str = ""
    before: str = ""
    flood_pixels: int = 0
    flood_km2: float | None = None
    flood_outside_exclusion_km2: float | None = None
    excluded_km2: float | None = None
    change_km2: Amounts = field(default_factory=dict)


class _Tallies:
    """Adds up the classes of every tile."""

    def __init__(self, geobox: Any, with_change: bool) -> None:
        self.water = AreaTally(geobox, WATER_CLASSES)
        self.flood = AreaTally(geobox, {"flood": WATER})
        self.sure = AreaTally(geobox, {"flood": WATER})
        self.excluded = AreaTally(geobox, {"excluded": 1})
        self.change = AreaTally(geobox, CHANGE_MEANINGS) if with_change else None

    def add(self, rows: slice, cols: slice, blocks: Blocks) -> None:
        """Counts one tile."""
        water, flood, flags = (
            blocks[name].astype("uint8", copy=False)
            for name in ("observed_water", "observed_flood", "exclusion")
        )
        self.water.add(rows, cols, water)
        self.flood.add(rows, cols, flood)
        self.sure.add(rows, cols, flood * (flags == 0))
        self.excluded.add(rows, cols, ((flags > 0) & (water != NO_DATA)).astype("uint8"))
        if self.change is not None:
            self.change.add(rows, cols, blocks["change"].astype("uint8", copy=False))


def run_flood(
    after: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    before: str | Path | Sequence[str | Path] | None = None,
    reference_water: str | Path | None = None,
    reference_threshold: float = OCCURRENCE,
    dem: str | Path | None = None,
    land_cover: str | Path | None = None,
    optical: str | Path | None = None,
    weights: str | Path | None = None,
    tile: int = DEFAULT_TILE,
    precision: str = "auto",
    device: str = "auto",
    tta: bool = False,
    scale: str = "auto",
    no_crs: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FloodSummary:
    """Maps a flood and writes its layers into a folder of the scene's name under `out`.

    Args:
        after: The scene with the flood: a file with VV and VH, two files, or a folder.
        out: Folder of products; created where it is missing.
        before: A scene from before the flood, on any grid.
        reference_water: A mask of 0 and 1, or JRC occurrence in %.
        reference_threshold: Occurrence from which water counts as reference, %.
        dem: Elevation, m.
        land_cover: ESA WorldCover codes.
        optical: An optical picture of these days or from before.
        weights: Checkpoint; None for the one that comes with FLoRA.
        tile: Side of a tile, px.
        precision: `auto`, `fp32` or `bf16`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        tta: Average over four flips.
        scale: What the values of both scenes are; see `flora.open_sar`.
        no_crs: Take scenes without CRS, in pixels.
        overwrite: Whether an older product is replaced.
        progress: Called with the number of tiles that are done and of all tiles.

    Returns:
        What the product holds.

    Raises:
        FloraError: Something cannot be read, does not fit, or the product cannot be written; nothing of it is left.
    """
    if before is None and reference_water is None:
        raise InputError(
            "Neither a scene from before nor reference water was given; expected one, to tell flood from rivers and "
            "lakes. Pass --before or --reference-water; `flora predict` maps all water alone."
        )
    scene = open_sar(after, scale=scale, crs_required=not no_crs)
    geobox = scene_grid(scene)
    require_free(Path(out).expanduser() / str(scene.attrs["name"]), overwrite)
    earlier = None
    if before is not None:
        earlier = align_scene(open_sar(before, scale=scale, crs_required=not no_crs), scene)
        require_valid(earlier)
    require_valid(scene)
    picture = open_optical(optical, geobox, crs_required=not no_crs) if optical is not None else None
    flood = map_flood(
        scene,
        earlier,
        reference_water,
        dem,
        land_cover,
        picture,
        load(weights),
        reference_threshold=reference_threshold,
        tile=tile,
        device=device,
        precision=precision,
        tta=tta,
    )
    return write_flood(flood, scene, out, before=earlier, overwrite=overwrite, progress=progress)


def write_flood(
    flood: xr.Dataset,
    scene: xr.Dataset,
    out_dir: str | Path,
    *,
    before: xr.Dataset | None = None,
    name: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> FloodSummary:
    """Computes a flood map and writes it into `out_dir/name/`, whole or not at all.

    Args:
        flood: As `flora.map_flood` gives it, with `observed_flood`.
        scene: The scene with the flood.
        out_dir: Folder of products; created where it is missing.
        before: The scene from before, on the same grid; for the quicklook.
        name: Folder of this product; None for the scene's name.
        overwrite: Whether an older product of this name is replaced.
        progress: Called with the number of tiles that are done and of all tiles.

    Returns:
        What the product holds.

    Raises:
        OutputError: The product cannot be written there; nothing of it is left.
        InputError: A scene is damaged at some place.
    """
    geobox = scene_grid(scene)
    target = Path(out_dir).expanduser() / (name or str(scene.attrs.get("name") or "scene"))
    tags = tags_of(flood, scene, geobox) | {"REFERENCE": str(flood.attrs["reference"])}
    if flood.attrs.get("before"):
        tags["BEFORE"] = " ".join(filter(None, (flood.attrs["before"], flood.attrs["before_time"])))
    layers = flood_layers(flood, tags)
    tallies = _Tallies(geobox, with_change="change" in flood)
    with staged(target, overwrite=overwrite) as hidden:
        with Usage() as usage:
            with open_sinks(layers, hidden, geobox) as sinks:
                fill(layers, sinks, tallies.add, progress=progress)
            summary = _summary(scene, flood, tallies, usage)
            write_flood_quicklook(
                hidden / QUICKLOOK_FILE, scene, before, geobox, hidden, summary, _subtitle(summary)
            )
        summary = _summary(scene, flood, tallies, usage)
        names = [f"{layer.name}.tif" for layer in layers] + [QUICKLOOK_FILE, SUMMARY_FILE]
        summary = replace(summary, folder=target, files={Path(file).stem: target / file for file in names})
        summary.write(hidden)
    return summary


def _summary(scene: xr.Dataset, flood: xr.Dataset, tallies: _Tallies, usage: Usage) -> FloodSummary:
    base = summarize(scene, flood, tallies.water.geobox, tallies.water, usage.seconds, usage.peak_bytes)
    change = tallies.change.square_km if tallies.change is not None else None
    return FloodSummary(
        **{item.name: getattr(base, item.name) for item in fields(Summary)},
        reference=str(flood.attrs["reference"]),
        before=str(flood.attrs.get("before", "")),
        flood_pixels=tallies.flood.pixels["flood"],
        flood_km2=_area(tallies.flood, "flood"),
        flood_outside_exclusion_km2=_area(tallies.sure, "flood"),
        excluded_km2=_area(tallies.excluded, "excluded"),
        change_km2={key: value for key, value in (change or {}).items() if key != "land"},
    )


def _area(tally: AreaTally, name: str) -> float | None:
    return tally.square_km[name] if tally.square_km is not None else None


def _subtitle(summary: FloodSummary) -> str:
    if summary.flood_km2 is None:
        return f"{summary.flood_pixels:,} px of flood, area unknown"
    words = f"{summary.flood_km2:,.1f} km² of flood, {summary.water_km2 or 0:,.1f} km² of water"
    when = (summary.time or "").replace("T", " ").replace("Z", " UTC")
    return "  ·  ".join(part for part in (words, f"reference: {summary.reference}", when) if part)
