"""Draws the figures of the README from real data: `python docs/figures.py --root data --out docs/img`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import xarray as xr
from PIL import Image

import flora
from flora.products.colors import optical_colors, radar_colors
from flora.products.figure import Panel, Words, draw_sheet
from flora.products.ground import ground_of
from flora.products.summary import NOTICE

# Fields and streets at the river, in the rows of the Guaiba scene that nothing was trained or chosen on.
ROWS, COLS = slice(160, 800), slice(320, 960)


def panel(title: str, note: str, picture: np.ndarray) -> Panel:
    """Makes a panel of a picture, (H, W, 3), uint8."""
    return Panel(title, note, Image.fromarray(picture))


def colors(optical: xr.Dataset | xr.DataArray) -> np.ndarray:
    """Shows red, green and blue reflectance, (H, W, 3), uint8."""
    bands = (
        optical.sel(band=["red", "green", "blue"])
        if "band" in optical.dims
        else optical[["red", "green", "blue"]].to_array()
    )
    return optical_colors(bands.values.astype(np.float32))


def guaiba(root: Path, out: Path) -> Path:
    """Draws the flood of May 2024 near Porto Alegre: before, radar, our picture, and the truth."""
    folder = root / "guaiba"
    scene = _part(folder)
    geobox = scene.odc.geobox
    before, after = (
        flora.open_optical(folder / f"guaiba_{date}_S2.tif", geobox) for date in ("before", "after")
    )
    today = flora.predict(scene, optical=before).compute()
    panels = [
        panel("Image before the flood", "Sentinel-2, weeks earlier", colors(before)),
        panel(
            "Radar of the flood",
            "Sentinel-1: red VV, green VH, blue VV/VH",
            radar_colors(scene[["VV", "VH"]].to_array().values),
        ),
        panel(
            "What FLoRA makes of the two",
            "reconstructed; parts repeat the first image",
            colors(today["optical"]),
        ),
        panel("Image of the flood", "Sentinel-2, not shown to the network", colors(after)),
    ]
    words = Words(
        title="Guaíba, Brazil, May 2024",
        subtitle="Rows of the scene that nothing was trained or chosen on",
        alert="",
        legend=[],
        credit=f"FLoRA {flora.__version__}  ·  {NOTICE}",
    )
    path = out / "guaiba.jpg"
    out.mkdir(parents=True, exist_ok=True)
    draw_sheet(panels, words, ground_of(geobox), thinned=1).save(path, quality=85)
    return path


def _part(folder: Path) -> xr.Dataset:
    scene = flora.open_sar(folder / "guaiba_after_S1.tif")
    rows, cols = scene["VV"].dims
    return scene.isel({rows: ROWS, cols: COLS})


def main() -> None:
    """Draws all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder with the datasets")
    parser.add_argument("--out", type=Path, default=Path("docs/img"))
    given = parser.parse_args()
    print(guaiba(given.root, given.out))  # noqa: T201


if __name__ == "__main__":
    main()
