"""`flora info`: what a file or folder is: weights, a result, a pack of chips, a scene or another raster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_rows
from flora.errors import InputError

SUMMARY, PACK = "summary.json", "index.json"


@app.command()
def info(
    file: Annotated[
        str, typer.Argument(help="Weights, a scene or another raster, or the folder of a result or pack.")
    ],
    json_: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Tell what a file or folder is."""
    kind, facts = describe(file)
    if json_:
        print_json({"kind": kind, **facts})
    else:
        print_rows(facts, title=f"{file}: {kind}")


def describe(file: str) -> tuple[str, dict[str, Any]]:
    """Finds out what a file or folder is.

    Args:
        file: A path; rasters may have an address that GDAL understands.

    Returns:
        What it is, and what it says of itself by name.

    Raises:
        FloraError: It is none of what FLoRA reads or writes, or is damaged.
    """
    path = Path(file).expanduser()
    if path.is_dir() and (path / SUMMARY).is_file():
        facts = of_result(path)
        return f"result of `flora {'flood' if 'flood_pixels' in facts else 'predict'}`", facts
    if path.is_dir() and (path / PACK).is_file():
        return "pack of chips", of_pack(path)
    if path.suffix == ".safetensors":
        return "weights", of_weights(path)
    return of_raster(file)


def of_weights(path: Path) -> dict[str, Any]:
    """Gives what a weights file says of itself."""
    from flora import checkpoint

    loaded = checkpoint.load(path)
    model = loaded.model
    provenance = {
        key: value for key, value in loaded.provenance.items() if key not in ("experiment", "before")
    }
    if before := loaded.provenance.get("before"):
        name, seconds = before.get("experiment", {}).get("name", "a run"), before.get("seconds", "unknown")
        provenance["goes on from"] = f"{name}, {seconds} s"
    return {
        "network": f"{model.config.name}, {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters",
        "widths": ", ".join(map(str, model.config.widths)),
        "grid, halo, margin": f"{model.grid}, {model.halo}, {model.margin} px",
        "threshold": f"{loaded.threshold:.3f}",
        **{
            f"threshold, {bands}": f"{own:.3f}"
            for bands, own in (
                ("one grey band", loaded.threshold_grey),
                ("two grey bands", loaded.threshold_grey_pair),
            )
            if own is not None
        },
        "temperature": f"{loaded.temperature:.3f}",
        **{key: _plain(value) for key, value in provenance.items()},
    }


def of_result(path: Path) -> dict[str, Any]:
    """Gives what a result's summary holds, with its weights' provenance left to `flora info WEIGHTS`."""
    from flora.products.result import open_result

    summary = dict(open_result(path).summary)
    model = summary.pop("model", None)
    model = model if isinstance(model, dict) else {}
    weights = {"weights": model.get("weights"), "weights_sha256": model.get("weights_sha256")}
    return {
        key: _plain(value) for key, value in (summary | weights).items() if value not in (None, "", [], {})
    }


def of_pack(path: Path) -> dict[str, Any]:
    """Gives the datasets and splits that a pack holds."""
    from collections import Counter

    from flora.data.index import read_index

    index = read_index(path)
    counts = Counter((chip.meta.dataset, chip.meta.split) for chip in index.chips)
    return {
        "chips": len(index.chips),
        **{f"{name}, {split}": count for (name, split), count in sorted(counts.items())},
        "files": len(index.shards),
        "MiB": round(sum(shard.size for shard in index.shards) / 2**20, 1),
    }


def of_raster(file: str) -> tuple[str, dict[str, Any]]:
    """Gives what a raster says of itself, and how FLoRA would read it as a scene."""
    from flora.raster import open_sar

    facts = {} if Path(file).expanduser().is_dir() else _file_facts(file)
    try:
        scene = open_sar(file, crs_required=False)
    except InputError as error:
        if not facts:
            raise
        return "raster, no scene", facts | {"why no scene": error}
    sizes, attrs = scene.sizes, scene.attrs
    seen = {
        "size": f"{sizes['y']} rows × {sizes['x']} columns",
        "read as": attrs["sar_scale_reason"].removeprefix("Read as ").rstrip("."),
        "VV and VH": attrs["band_reason"],
        "time": attrs.get("time"),
        "note": attrs["crs_note"] or None,
    }
    return "scene", facts | seen


def _file_facts(file: str) -> dict[str, Any]:
    """Gives what a raster file declares."""
    from flora.raster.file import describe as facts_of

    raster = facts_of(file)
    bands = [
        f"{band.index} {band.description or 'without name'}, {band.dtype}"
        + (f", no data {band.nodata:g}" if band.nodata is not None else "")
        for band in raster.bands
    ]
    tags = {key: value for key, value in raster.tags if key != "area_or_point"}
    return {
        "size": f"{raster.height} rows × {raster.width} columns",
        "CRS": raster.crs or "none",
        "pixel": f"{abs(raster.transform[0]):g} × {abs(raster.transform[4]):g} CRS units",
        "bands": "; ".join(bands),
        **tags,
    }


def _plain(value: Any) -> str:
    """Gives a nested value on one line, numbers short."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items() if inner is not None)
    if isinstance(value, list):
        return ", ".join(_plain(inner) for inner in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)
