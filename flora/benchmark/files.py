"""Speed from file to file: the command line in a process of its own, on one machine or over workers."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from flora.benchmark.child import run_child

MAIN = "from flora.cli import main; main()"


def file_to_file(
    scene: Path, out: Path, tile: int, weights: Path, precision: str, backend: str = "auto"
) -> dict[str, Any]:
    """Maps a scene with the command line and throws the result away.

    Args:
        scene: File with VV and VH.
        out: Folder for results.
        tile: Side of a tile, px.
        weights: Weights file.
        precision: `fp32` or `bf16`.
        backend: What runs the network.

    Returns:
        Mpx, seconds of the whole process and of the work without its start, Mpx/s of the work, and the peak memory
        of the process tree.
    """
    shutil.rmtree(out, ignore_errors=True)
    words = ["-c", MAIN, "predict", str(scene), "--out", str(out), "--tile", str(tile), "--json"]
    words += ["--weights", str(weights), "--precision", precision, "--backend", backend]
    ran = run_child(words)
    (summary,) = ran["result"]
    shutil.rmtree(out, ignore_errors=True)
    megapixels = summary["height"] * summary["width"] / 1e6
    return {
        "mpx": megapixels,
        "seconds": ran["seconds"],
        "seconds_of_work": summary["seconds"],
        "mpx_per_s": megapixels / summary["seconds"],
        "peak_mib": ran["peak_mib"],
        "valid_share": summary["valid_share"],
    }


def over_workers(scene: Path, tile: int, weights: Path, workers: int) -> dict[str, Any]:
    """Predicts a scene on local worker processes of one thread each, and times it after they are warm."""
    words = ["-m", "flora.benchmark.files", str(scene), str(tile), str(weights), str(workers)]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    ran = run_child(words, threads)
    return dict(ran["result"]) | {"peak_mib": ran["peak_mib"]}


def _over_workers(scene: Path, tile: int, weights: Path, workers: int) -> dict[str, Any]:
    import tempfile
    import time

    from distributed import Client, LocalCluster

    from flora.products import write_prediction
    from flora.raster import open_sar
    from flora.scene import predict

    opened = open_sar(scene)
    cluster = LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
    )
    with tempfile.TemporaryDirectory() as folder, cluster, Client(cluster):  # type: ignore[no-untyped-call]
        warm = opened.isel(y=slice(0, tile * 2), x=slice(0, tile * workers))
        seconds: list[float] = []
        for number, part in enumerate((warm, opened)):
            prediction = predict(part, weights, tile=tile, precision="fp32", device="cpu")
            marks: list[float] = []
            start = time.perf_counter()
            write_prediction(
                prediction,
                part,
                folder,
                name=str(number),
                progress=lambda *_, marks=marks: marks.append(time.perf_counter()),
            )
            seconds.append(time.perf_counter() - start)
    megapixels = opened.sizes["y"] * opened.sizes["x"] / 1e6
    tiles = marks[-1] - marks[0]  # the files are laid out afterwards, here and not on the workers
    return {
        "workers": workers,
        "seconds": seconds[-1],
        "mpx_per_s": megapixels / seconds[-1],
        "mpx_per_s_tiles": megapixels / tiles,
    }


if __name__ == "__main__":
    place, side, file, count = sys.argv[1:]
    found = _over_workers(Path(place), int(side), Path(file), int(count))
    print(json.dumps(found))  # noqa: T201  (read by the parent)
