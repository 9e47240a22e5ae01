"""From a place and a date to products: scenes are found and fetched, then predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flora.products.run import run_predict
from flora.products.summary import Summary
from flora.products.write import Progress

if TYPE_CHECKING:
    from shapely.geometry import Polygon

# Beside the products, where what was fetched is kept.
SCENES: Final = "scenes"


def run_predict_place(
    areas: Sequence[Polygon],
    out: str | Path,
    *,
    start: str | None = None,
    end: str | None = None,
    date: str | None = None,
    catalog: str = "planetary-computer",
    collection: str | None = None,
    scale: str = "auto",
    limit: int = 20,
    nearest_optical: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[Summary]:
    """Fetches Sentinel-1 over areas and predicts each pass.

    Args:
        areas: Polygons in longitude and latitude; each gets products of its own.
        out: Folder of products; what was fetched goes into `scenes` inside it, and is taken from there by the next
            run over the same area.
        start: First day, ISO 8601, UTC.
        end: Last day, included.
        date: Instead of these: the pass nearest to this day.
        catalog: See `flora.scene.stac.fetch`.
        collection: Of Sentinel-1; None for the catalogue's own.
        scale: What the values are; `auto` asks the item and the file.
        limit: Largest number of passes.
        nearest_optical: Also fetch the Sentinel-2 picture nearest to each pass, and help the network with it.
        overwrite: Whether older products are replaced.
        resume: Keep finished tiles of a run that fails, and go on from those of an earlier one.
        progress: Called with the number of tiles that are done and of all tiles.
        settings: Further arguments of `run_predict`.

    Returns:
        What each product holds, in the order of time.

    Raises:
        FloraError: Nothing is found, a server does not give it, or it cannot be predicted.
    """
    from flora.scene.stac import fetch

    found = fetch(
        areas,
        start,
        end,
        Path(out).expanduser() / SCENES,
        date=date,
        catalog=catalog,
        collection=collection,
        scale=scale,
        optical=nearest_optical,
        limit=limit,
        keep=True,
    )
    common: dict[str, Any] = {"overwrite": overwrite, "resume": resume, "progress": progress}
    common |= settings or {}
    if not any(each.optical for each in found):
        return run_predict([each.path for each in found], out, **common)
    return [
        summary
        for each in found
        for summary in run_predict(
            each.path, out, **(common | {"optical": each.optical or common.get("optical")})
        )
    ]
