"""From two scenes and what is known of the ground to a folder of flood layers: what `flora flood` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import xarray as xr

from flora.checkpoint import load
from flora.errors import InputError
from flora.products.flood import map_flood
from flora.products.floodlayers import flood_layers
from flora.products.floodpicture import write_flood_quicklook
from flora.products.floodsummary import FloodSummary, FloodTally, flood_words, summarize_flood
from flora.products.folder import SUMMARY_FILE, derived_words, require_free, staged
from flora.products.usable import open_usable
from flora.products.usage import Usage
from flora.products.write import QUICKLOOK_FILE, Progress, fill, open_sinks, scene_grid, tags_of
from flora.raster import open_sar, require_valid
from flora.raster.align import align_scene
from flora.scene import DEFAULT_TILE

Files = str | Path | Sequence[str | Path]


def run_flood(
    after: Files,
    out: str | Path,
    *,
    before: Files | None = None,
    reference_water: str | Path | None = None,
    reference_threshold: float | None = None,
    dem: str | Path | None = None,
    land_cover: str | Path | None = None,
    optical: str | Path | None = None,
    optical_mask: str | Path | None = None,
    weights: str | Path | None = None,
    tile: int = DEFAULT_TILE,
    precision: str = "auto",
    device: str = "auto",
    tta: bool = False,
    bands: Sequence[str] | None = None,
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
        optical: An optical picture from the same days as the radar, or from before the event.
        optical_mask: A raster on that picture's grid, not 0 where it must not be used (cloud, shadow).
        weights: Checkpoint; None for the one that comes with FLoRA.
        tile: Side of a tile, px.
        precision: `auto`, `fp32` or `bf16`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        tta: Average over four flips.
        bands: Names of the bands of both scenes in their order; see `flora.open_sar`.
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
    if optical_mask is not None and optical is None:
        raise InputError("A mask was given without the optical image that it masks; give both or neither.")
    options = {"bands": bands, "scale": scale, "crs_required": not no_crs}
    reading = {"bands": list(bands) if bands else None, "scale": scale}
    scene = open_sar(after, **options).assign_attrs(reading=reading)  # type: ignore[arg-type]
    require_free(Path(out).expanduser() / str(scene.attrs["name"]), overwrite)
    earlier = None
    if before is not None:
        older = open_sar(before, **options)  # type: ignore[arg-type]
        _require_older(older, scene)
        earlier = align_scene(older, scene)
    for opened in [scene] if earlier is None else [earlier, scene]:
        require_valid(opened)
    picture = None
    if optical is not None:
        picture = open_usable(optical, scene_grid(scene), mask=optical_mask, crs_required=not no_crs)
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


def _require_older(before: xr.Dataset, after: xr.Dataset) -> None:
    """Checks that the scenes were not swapped, where both say when they were taken.

    Raises:
        InputError: The one from before is later, or of the same time.
    """
    then, now = (str(scene.attrs.get("time") or "") for scene in (before, after))
    # Where one names the day alone, two of one day cannot be ordered.
    shared = min(len(then), len(now))
    if (
        not shared
        or then[:shared] < now[:shared]
        or (len(then) != len(now) and then[:shared] == now[:shared])
    ):
        return
    raise InputError(
        f"The scene from before is of {then}, the one with the flood of {now}; expected an earlier one. Swap them, or "
        "give another scene for --before."
    )


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
    tallies = FloodTally(geobox, with_change="change" in flood)
    with staged(target, overwrite=overwrite) as hidden:
        with Usage() as usage:
            with open_sinks(layers, hidden, geobox) as sinks:
                fill(layers, sinks, tallies.add, progress=progress)
            summary = summarize_flood(scene, flood, tallies, usage)
            write_flood_quicklook(
                hidden / QUICKLOOK_FILE, scene, before, geobox, hidden, summary, flood_words(summary)
            )
        summary = summarize_flood(scene, flood, tallies, usage)
        names = [f"{layer.name}.tif" for layer in layers] + [QUICKLOOK_FILE, SUMMARY_FILE]
        remarks = [*summary.remarks, *filter(None, [derived_words(target, names)])]
        files = {Path(file).stem: target / file for file in names}
        summary = replace(summary, folder=target, files=files, remarks=remarks)
        summary.write(hidden)
    return summary
