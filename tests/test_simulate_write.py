"""Simulated scenes as files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from flora.data.simulate import SceneConfig, simulate, write_scene
from flora.errors import OutputError

NAMES = {f"simulated_{name}" for name in ("S1", "S2", "water", "before_S1", "before_S2", "before_water")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scene") / "new"
    paths = write_scene(out, 300, 530, seed=4, config=SceneConfig(wedge_px=60, cloud=(0.3, 0.3)), block=512)
    assert set(paths) == NAMES and all(path.is_file() for path in paths.values())
    return out


def test_files_hold_what_simulate_gives(folder: Path) -> None:
    scene = simulate(300, 530, seed=4, config=SceneConfig(wedge_px=60, cloud=(0.3, 0.3)))
    with rasterio.open(folder / "simulated_S1.tif") as file:
        assert file.descriptions == ("VV", "VH") and file.dtypes[0] == "float32" and np.isnan(file.nodata)
        assert np.allclose(file.read(), scene.sar_db, atol=1 / 127, equal_nan=True)
        assert file.profile["tiled"] and file.block_shapes[0] == (512, 512)
    with rasterio.open(folder / "simulated_S2.tif") as file:
        assert file.descriptions == ("red", "green", "blue", "nir") and file.nodata == 0
        stored = file.read()
        assert np.array_equal(stored[0] == 0, ~scene.optical_valid)
        assert np.allclose(
            stored[:, scene.optical_valid] / 1e4, scene.optical[:, scene.optical_valid], atol=1e-4
        )
    with rasterio.open(folder / "simulated_water.tif") as file:
        assert file.nodata == 255
        labelled = scene.valid & ~scene.ambiguous
        assert (scene.valid & scene.ambiguous).any()
        assert np.array_equal(file.read(1), np.where(labelled, scene.water, 255))
    with rasterio.open(folder / "simulated_before_water.tif") as file:
        assert np.array_equal(file.read(1), np.where(scene.valid, scene.water_before, 255))
    with rasterio.open(folder / "simulated_before_S2.tif") as file:
        assert file.read().min() > 0, "no cloud before"


def test_every_file_says_that_it_is_simulated_and_where_it_lies(folder: Path) -> None:
    for name in NAMES:
        with rasterio.open(folder / f"{name}.tif") as file:
            assert file.tags()["SIMULATED"] == "yes" and file.tags()["SEED"] == "4"
            assert file.crs.to_epsg() == 32634 and file.res == (10.0, 10.0)
            assert file.transform.c == 400_000 and file.transform.f == 5_200_000
            assert file.shape == (300, 530)


def test_nothing_is_overwritten_unless_asked(folder: Path) -> None:
    with pytest.raises(OutputError, match=r"is there already\. Choose another folder, or pass --overwrite"):
        write_scene(folder, 20, 20)
    before = (folder / "simulated_S1.tif").stat().st_size
    paths = write_scene(folder.parent / "twice", 20, 20)
    assert write_scene(folder.parent / "twice", 30, 20, overwrite=True) == paths
    with rasterio.open(paths["simulated_S1"]) as file:
        assert file.shape == (30, 20)
    assert (folder / "simulated_S1.tif").stat().st_size == before


def test_default_scene_has_a_wedge(tmp_path: Path) -> None:
    with rasterio.open(write_scene(tmp_path, 40, 140)["simulated_S1"]) as file:
        assert np.isnan(file.read()[:, 0, :10]).all() and np.isfinite(file.read()[:, 0, 10:]).all()


def test_a_failure_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flora.data.simulate import write

    def broken(*_: object) -> object:
        yield simulate(8, 8)
        raise OSError("disk full")

    monkeypatch.setattr(write, "simulate_blocks", broken)
    with pytest.raises(OutputError, match="disk full"):
        write_scene(tmp_path, 8, 8)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Cannot write the simulated scene"):
        write_scene(tmp_path / "file" / "folder", 8, 8)


def test_import_needs_neither_rasterio_nor_torch() -> None:
    code = (
        "import sys, flora.data.simulate; sys.exit(bool({'rasterio', 'torch', 'xarray'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_memory_does_not_grow_with_the_scene(tmp_path: Path) -> None:
    """16 Mpx and 64 Mpx peak alike, in processes of their own."""
    code = (
        "import sys, resource; from flora.data.simulate import write_scene;"
        "write_scene(sys.argv[1], int(sys.argv[2]), 4096);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = [
        int(subprocess.check_output([sys.executable, "-c", code, str(tmp_path / str(rows)), str(rows)]))
        for rows in (1024, 4096)
    ]
    assert peaks[1] < 1.25 * peaks[0]
