"""`flora demo`: the main job on a simulated flood, from nothing but this package, and how well it went."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_rows, progress, say
from flora.cli.predict import rows_of

SIMULATED = "The scene is SIMULATED: this shows that FLoRA works here, not how good it is on real floods."
NO_DATA = 255


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the scene and of its result.")] = Path("out/demo"),
    size: Annotated[int, typer.Option(min=1, help="Rows and columns of the scene, px.")] = 2048,
    seed: Annotated[int, typer.Option(help="Of the scene.")] = 0,
    weights: Annotated[Path | None, typer.Option(help="Weights file; left out, those shipped.")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Simulate a flood scene, map it, and compare the map with the simulated truth."""
    from flora.products import run_predict

    scene = simulated(out / f"calm-flood-{size}-{seed}", size, seed)
    with progress("Tiles") as done:
        (summary,) = run_predict(
            scene / "simulated_S1.tif", out / "result", weights=weights, overwrite=True, progress=done
        )
    iou = agreement(summary.files["water"], scene / "simulated_water.tif")
    if json_:
        print_json(summary.to_dict() | {"iou": iou})
        return
    score = "none, as there is no water" if iou is None else f"{iou:.3f} (micro, against the simulated truth)"
    place = {"scene": f"{scene / 'simulated_S1.tif'}, {size} × {size} px, seed {seed}"}
    print_rows(place | rows_of(summary) | {"water IoU": score}, title=SIMULATED)


def simulated(folder: Path, size: int, seed: int) -> Path:
    """Simulates the demo's scene, unless it is there already.

    Args:
        folder: Where it goes.
        size: Rows and columns, px.
        seed: Names the place.

    Returns:
        The folder.
    """
    from flora.data.simulate.place import CALM_FLOOD
    from flora.data.simulate.write import LAYERS, write_scene

    if not all((folder / f"{name}.tif").is_file() for name in LAYERS):
        say(f"Simulating the crest of a flood in calm weather, {size} × {size} px.")
        config = replace(CALM_FLOOD, wedge_px=size // 14)
        write_scene(folder, size, size, seed, config, workers=2, overwrite=True)
    return folder


def agreement(found: Path, truth: Path) -> float | None:
    """Compares a water map with the truth, over pixels that are valid in both.

    Args:
        found: Raster of 1 water, 0 land, 255 no data.
        truth: The same, on the same grid.

    Returns:
        Micro IoU of water; None where neither has any.
    """
    import rasterio
    import torch

    from flora.metrics.water import confusion, iou

    with rasterio.open(found) as file, rasterio.open(truth) as other:
        mapped, true = (torch.from_numpy(raster.read(1)).unsqueeze(0) for raster in (file, other))
    value = float(iou(confusion(mapped == 1, true == 1, (mapped != NO_DATA) & (true != NO_DATA)))[0])
    return None if math.isnan(value) else value
