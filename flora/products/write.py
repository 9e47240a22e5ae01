"""Writing a prediction as a product: one pass over the tiles, all files or none."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import dask.array as da
import numpy as np
import odc.geo.xr  # noqa: F401  (gives datasets their .odc)
import xarray as xr
from odc.geo.geobox import GeoBox

import flora
from flora.memory import give_back
from flora.products.area import AreaTally
from flora.products.finished import FinishedTiles, fingerprint_of
from flora.products.folder import SUMMARY_FILE, derived_words, staged
from flora.products.layers import WATER_CLASSES, Layer, layers_of
from flora.products.quicklook import radar_thumbnail, thinned_radar, write_quicklook
from flora.products.stream import Blocks, Index, stream
from flora.products.summary import NOTICE, Summary, note_of, summarize
from flora.products.usage import Usage
from flora.raster import CogSink, CogSpec
from flora.raster.blocks import Block, prepare

Progress = Callable[[int, int], None]
Count = Callable[[slice, slice, Blocks], None]

QUICKLOOK_FILE = "quicklook.png"
TILES_FOLDER = "tiles"
FILES_FOLDER = "files"
RADAR = "radar"  # name of its thinned blocks beside those of the files
COUNTED = frozenset({"water", RADAR})  # names of the blocks that are counted or drawn as they come
CLOSERS = 2  # files that are laid out as COGs at a time


def write_prediction(
    prediction: xr.Dataset,
    scene: xr.Dataset,
    out_dir: str | Path,
    *,
    name: str | None = None,
    overwrite: bool = False,
    float_probability: bool = False,
    uncertainty: bool = False,
    resume: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Computes a prediction and writes its product into `out_dir/name/`.

    The folder holds `water_probability.tif`, `water.tif`, `optical.tif` (Cloud-Optimised GeoTIFFs), `quicklook.png`
    and `summary.json`. It appears when all of them are whole. Memory does not grow with the scene.

    Args:
        prediction: As `flora.predict` gives it.
        scene: What it was predicted from, as `flora.open_sar` gives it.
        out_dir: Folder of products; created where it is missing.
        name: Folder of this product; None for the scene's name.
        overwrite: Whether an older product of this name is replaced; what else lies in its folder is kept.
        float_probability: Store the probability as float32 instead of steps of 0.0001.
        uncertainty: Also write `optical_uncertainty.tif`.
        resume: Keep finished tiles of a run that fails, and go on from those of an earlier one.
        progress: Called with the number of tiles that are done and of all tiles.

    Returns:
        What the product holds.

    Raises:
        OutputError: The product cannot be written there; nothing of it is left.
        InputError: The scene is damaged at some place.
    """
    geobox = scene_grid(scene)
    target = Path(out_dir).expanduser() / (name or str(scene.attrs.get("name") or "scene"))
    tags = tags_of(prediction, scene, geobox)
    layers = layers_of(prediction, float_probability=float_probability, uncertainty=uncertainty, tags=tags)
    tally = AreaTally(geobox, WATER_CLASSES)
    thumbnail = radar_thumbnail(prediction, geobox)
    beside = {RADAR: thumbnail.blocks} if thumbnail else {}

    def count(rows: slice, cols: slice, blocks: Blocks) -> None:
        tally.add(rows, cols, blocks["water"].astype(np.uint8, copy=False))
        if thumbnail:
            thumbnail.add(rows, cols, blocks[RADAR].astype(np.float32, copy=False))

    with staged(target, overwrite=overwrite, keep=resume) as hidden:
        with Usage() as usage:
            folder = _fresh(hidden / FILES_FOLDER) if resume else hidden
            finished = None
            if resume:
                identity = fingerprint_of(
                    _identity(prediction), [layer.name for layer in layers], sorted(beside)
                )
                finished = FinishedTiles(hidden / TILES_FOLDER, identity)
            with open_sinks(layers, folder, geobox) as sinks:
                fill(layers, sinks, count, finished, progress, beside, COUNTED)
            numbers = summarize(scene, prediction, geobox, tally, usage.seconds, usage.peak_bytes)
            radar = thumbnail.planes if thumbnail else thinned_radar(scene, geobox)
            write_quicklook(folder / QUICKLOOK_FILE, radar, geobox, folder, numbers)
        summary = summarize(scene, prediction, geobox, tally, usage.seconds, usage.peak_bytes)
        names = [f"{layer.name}.tif" for layer in layers] + [QUICKLOOK_FILE, SUMMARY_FILE]
        files = {Path(file).stem: target / file for file in names}
        remarks = [*summary.remarks, derived_words(target, names)]
        summary = replace(summary, folder=target, files=files, remarks=[each for each in remarks if each])
        summary.write(folder)
        if resume:
            _unpack(folder, hidden)
    return summary


def scene_grid(scene: xr.Dataset) -> GeoBox:
    """Gives the grid of a scene as `flora.open_sar` gives it."""
    geobox = scene["VV"].odc.geobox
    assert isinstance(geobox, GeoBox), "open_sar gives every scene a grid"
    return geobox


def tags_of(prediction: xr.Dataset, scene: xr.Dataset, geobox: GeoBox) -> dict[str, str]:
    """What each file says of its making; only what is the same for the same pixels."""
    tags = {
        "TIFFTAG_SOFTWARE": f"FLoRA {flora.__version__}",
        "TIFFTAG_COPYRIGHT": "" if scene.attrs.get("simulated") else NOTICE,
        "SCENE": str(scene.attrs.get("name", "")),
        "ACQUIRED": str(scene.attrs.get("time", "")),
        "WATER_THRESHOLD": f"{prediction.attrs['threshold']:g}",
        "WEIGHTS_SHA256": str(prediction.attrs.get("weights_sha256", "")),
        "REMARK": note_of(scene, geobox),
    }
    return {key: value for key, value in tags.items() if value}


@contextlib.contextmanager
def open_sinks(layers: Sequence[Layer], folder: Path, geobox: GeoBox) -> Iterator[dict[str, CogSink]]:
    """Opens a file for each layer; they become COGs when the block ends well, and vanish when it does not.

    Two are laid out at a time: blocks come packed from where they were made, but one thread a file makes the overviews
    that are still missing, takes the statistics and copies the blocks into their order.
    """
    with contextlib.ExitStack() as stack:
        sinks = {
            layer.name: stack.enter_context(CogSink(folder / f"{layer.name}.tif", geobox, layer.spec))
            for layer in layers
        }
        yield sinks
        with ThreadPoolExecutor(CLOSERS, thread_name_prefix="flora-cog") as pool:
            for closing in [pool.submit(sink.close) for sink in sinks.values()]:
                closing.result()
        stack.pop_all()  # they are closed; a failure above leaves it to the stack to remove them


def fill(
    layers: Sequence[Layer],
    sinks: Mapping[str, CogSink],
    count: Count,
    finished: FinishedTiles | None = None,
    progress: Progress | None = None,
    beside: Mapping[str, da.Array] | None = None,
    counted: frozenset[str] | None = None,
) -> None:
    """Computes every tile and hands its blocks to the files.

    Args:
        layers: The files' layers, with the same chunks in y and x.
        sinks: The open file of each layer by its name.
        count: Called with rows, columns and blocks of each tile, one tile at a time.
        finished: Tiles of an earlier run, and where those of this one are kept.
        progress: Called with the number of tiles that are done and of all tiles.
        beside: What `count` wants besides the files' layers, with a chunk for each of theirs.
        counted: Names of the blocks that `count` wants; None for all. The others need not travel as they are.
    """
    row_spans, col_spans = (_spans(chunks) for chunks in layers[0].data.chunks[-2:])
    shape = next(iter(sinks.values())).geobox.shape.yx
    specs = {layer.name: layer.spec for layer in layers}
    # Of a tile that is kept for another run all is wanted as it is, beside what is written.
    ready_for = _Preparing(specs, shape, row_spans, col_spans, None if finished is not None else counted)
    total, done = len(row_spans) * len(col_spans), 0
    lock = threading.Lock()

    def write(index: Index, ready: Ready) -> None:
        nonlocal done
        made, blocks = ready
        for name, sink in sinks.items():
            sink.put(made[name])
        if finished is not None and index not in finished:
            finished.add(index, blocks)
        with lock:
            count(row_spans[index[0]], col_spans[index[1]], blocks)
            done += 1
            if progress is not None:
                progress(done, total)

    if progress is not None:
        progress(0, total)
    known = finished.indices() if finished is not None else frozenset()
    if finished is not None:
        for index in sorted(known):
            write(index, ready_for(index, finished.read(index)))
    stream({layer.name: layer.data for layer in layers} | dict(beside or {}), ready_for, write, skip=known)
    give_back()  # the network is done, and laying out the files needs memory of its own


Ready = tuple[dict[str, Block], Blocks]


@dataclass(frozen=True)
class _Preparing:
    """Makes a tile's blocks ready for their files, where the tile was computed; travels to other processes.

    Attributes:
        specs: What each file says of itself, by its name.
        shape: Height and width of the scene, px.
        rows: Rows of the scene in each row of tiles.
        cols: Columns likewise.
        wanted: Names of the blocks that are handed on as they are, too; None for all.
    """

    specs: Mapping[str, CogSpec]
    shape: tuple[int, int]
    rows: Sequence[slice]
    cols: Sequence[slice]
    wanted: frozenset[str] | None

    def __call__(self, index: Index, blocks: Blocks) -> Ready:
        """Gives the blocks of the files, and those that are wanted as they are."""
        rows, cols = self.rows[index[0]], self.cols[index[1]]
        made = {}
        for name, spec in self.specs.items():
            block = blocks[name]
            values = block.reshape(len(spec.names), *block.shape[-2:]).astype(spec.dtype, copy=False)
            made[name] = prepare(values, rows, cols, self.shape, spec, keep=False)
        wanted = {n: b for n, b in blocks.items() if self.wanted is None or n in self.wanted}
        return made, wanted


def _spans(chunks: Sequence[int]) -> list[slice]:
    ends = np.cumsum(chunks)
    return [slice(int(end) - size, int(end)) for end, size in zip(ends, chunks, strict=True)]


def _identity(prediction: xr.Dataset) -> dict[str, object]:
    """Everything that decides the pixels; not the device, so that another machine may go on."""
    settings = {key: value for key, value in prediction.attrs.items() if key not in ("device", "weights")}
    return settings | {"version": flora.__version__}


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _unpack(folder: Path, hidden: Path) -> None:
    """Moves the finished files up, and drops the tiles they were made of."""
    for file in folder.iterdir():
        file.rename(hidden / file.name)
    folder.rmdir()
    shutil.rmtree(hidden / TILES_FOLDER)
