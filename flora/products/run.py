"""From files to products: what `flora predict` does."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flora.checkpoint import load
from flora.errors import FloraError, InputError, OutputError
from flora.products.folder import require_free
from flora.products.summary import Summary
from flora.products.usable import open_usable
from flora.products.write import Progress, scene_grid, write_prediction
from flora.raster import open_sar, require_valid
from flora.scene import DEFAULT_TILE, group_scenes, predict

if TYPE_CHECKING:
    import xarray as xr


CONNECT_SECONDS = 10


def run_predict(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    weights: str | Path | None = None,
    tile: int = DEFAULT_TILE,
    precision: str = "auto",
    device: str = "auto",
    overwrite: bool = False,
    bands: Sequence[str] | None = None,
    scale: str = "auto",
    no_crs: bool = False,
    optical: str | Path | None = None,
    optical_mask: str | Path | None = None,
    tta: bool = False,
    backend: str = "auto",
    float_probability: bool = False,
    uncertainty: bool = False,
    resume: bool = False,
    cluster: str | None = None,
    progress: Progress | None = None,
) -> list[Summary]:
    """Predicts scenes and writes a product of each into a folder of its name under `out`.

    All scenes are opened and all places checked before the first is computed.

    Args:
        paths: Files with both bands, pairs of files with one band each, or folders; see `group_scenes`.
        out: Folder of products; created where it is missing.
        weights: Checkpoint; None for the one that comes with FLoRA.
        tile: Side of a tile, px, a multiple of the network's grid.
        precision: `auto`, `fp32` or `bf16`.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        overwrite: Whether older products are replaced.
        bands: Names of the bands in their order; see `flora.open_sar`.
        scale: What the values are: `auto`, `db`, `power` or `amplitude`; see `flora.open_sar`.
        no_crs: Take scenes without CRS, in pixels.
        optical: An optical image from the same days or from before the event, for one scene; None for radar alone.
        optical_mask: A raster on the optical image's grid, not 0 where it must not be used (cloud, shadow).
        tta: Average over four flips, at four times the cost.
        backend: `auto`, `torch`, `onnx` or `openvino`.
        float_probability: Store the probability as float32.
        uncertainty: Also write `optical_uncertainty.tif`.
        resume: Keep finished tiles of a run that fails, and go on from those of an earlier one.
        cluster: Address of a dask scheduler whose workers compute the tiles; None for this process.
        progress: Called with the number of tiles that are done and of all tiles, over all scenes.

    Returns:
        What each product holds, in the order of the scenes.

    Raises:
        FloraError: A scene cannot be read, the weights cannot be loaded, or a product cannot be written. Products of
            scenes before the faulty one stay; of that one nothing is left.
    """
    options = {"bands": bands, "scale": scale, "crs_required": not no_crs}
    reading = {"bands": list(bands) if bands else None, "scale": scale}
    scenes = [
        open_sar(group, **options).assign_attrs(reading=reading)  # type: ignore[arg-type]
        for group in group_scenes(paths)
    ]
    _check_places(scenes, Path(out).expanduser(), overwrite)
    if optical_mask is not None and optical is None:
        raise InputError("A mask was given without the optical image that it masks; give both or neither.")
    if optical is not None and len(scenes) > 1:
        raise InputError(
            f"One optical image was given for {len(scenes)} scenes; expected one scene. Run them one by one."
        )
    for scene in scenes:
        require_valid(scene)
    checkpoint = load(weights)
    picture = None
    if optical is not None:
        picture = open_usable(optical, scene_grid(scenes[0]), mask=optical_mask, crs_required=not no_crs)
    predictions = [
        predict(
            s,
            checkpoint,
            optical=picture,
            tile=tile,
            device=device,
            precision=precision,
            tta=tta,
            backend=backend,
        )
        for s in scenes
    ]
    sizes = [p["water_probability"].data.npartitions for p in predictions]
    summaries = []
    with _client(cluster):
        for place, (scene, prediction) in enumerate(zip(scenes, predictions, strict=True)):
            summaries.append(
                write_prediction(
                    prediction,
                    scene,
                    out,
                    overwrite=overwrite,
                    float_probability=float_probability,
                    uncertainty=uncertainty,
                    resume=resume,
                    progress=_shifted(progress, sum(sizes[:place]), sum(sizes)),
                )
            )
    return summaries


def _check_places(scenes: Sequence[xr.Dataset], out: Path, overwrite: bool) -> None:
    """Checks that each product has a place of its own that is free."""
    names = [str(scene.attrs["name"]) for scene in scenes]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise OutputError(
            f"{Counter(names)[twice[0]]} scenes are named '{twice[0]}'; each product needs a folder of its own. "
            "Rename the files, or run them with different --out."
        )
    for name in names:
        require_free(out / name, overwrite)


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Counts on from the scenes before."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)


@contextlib.contextmanager
def _client(address: str | None) -> Iterator[None]:
    """Puts a cluster in force while the block runs."""
    if address is None:
        yield
        return
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise FloraError(
            f"No dask scheduler answers at '{address}'; expected one. Start it with 'dask scheduler', or leave out "
            "--cluster."
        ) from error
    with client:
        yield
