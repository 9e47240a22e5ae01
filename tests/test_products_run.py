"""From files on disk to products: many scenes, one sentence for each fault."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine

from flora.checkpoint import Checkpoint, save
from flora.errors import CheckpointError, FloraError, InputError, OutputError
from flora.model import FLoRA, ModelConfig
from flora.products import run_predict
from flora.scene import group_scenes


def write_scene(
    path: Path, names: tuple[str, ...] = ("VV", "VH"), crs: str | None = "EPSG:32722", seed: int = 0
) -> Path:
    rng = np.random.default_rng(seed)
    values = rng.normal(-12, 3, (len(names), 90, 120)).astype(np.float32)
    profile = {
        "driver": "GTiff",
        "height": 90,
        "width": 120,
        "count": len(names),
        "dtype": "float32",
        "nodata": np.nan,
    }
    transform = Affine(10, 0, 478_000, 0, -10, 6_700_000)
    with rasterio.open(path, "w", **profile, crs=crs, transform=transform) as target:
        target.write(values)
        target.descriptions = names
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    model = FLoRA(ModelConfig(widths=(4, 4, 8, 8), head_channels=4, window=2))
    return save(tmp_path_factory.mktemp("weights") / "tiny.safetensors", Checkpoint(model, threshold=0.4))


def test_scenes_of_both_habits_in_one_run(tmp_path: Path, weights: Path) -> None:
    both = write_scene(tmp_path / "both.tif")
    vv = write_scene(tmp_path / "pair_vv.tif", ("VV",), seed=1)
    vh = write_scene(tmp_path / "pair_vh.tif", ("VH",), seed=2)
    seen: list[tuple[int, int]] = []
    summaries = run_predict(
        [vv, both, vh],
        tmp_path / "out",
        weights=weights,
        tile=64,
        precision="fp32",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [summary.scene for summary in summaries] == ["pair", "both"]
    assert {folder.name for folder in (tmp_path / "out").iterdir()} == {"pair", "both"}
    assert (seen[0], seen[-1]) == ((0, 8), (8, 8))
    told = summaries[0]
    assert told.sources == [str(vv), str(vh)]
    assert told.model["weights"] == str(weights)
    assert (told.crs, told.threshold, told.valid_share) == ("EPSG:32722", 0.4, 1.0)
    assert told.valid_km2 == pytest.approx(90 * 120 * 1e-4, rel=2e-3)
    assert all(path.is_file() for path in told.files.values())


def test_files_are_grouped_into_scenes(tmp_path: Path) -> None:
    files = {name: write_scene(tmp_path / f"{name}.tif") for name in ("one", "two")}
    bands = {
        name: write_scene(tmp_path / f"{name}.tif", ("b",))
        for name in ("a_VV", "a_VH", "b-vh", "b-vv", "left", "right")
    }
    one, two = files.values()
    pair_a, pair_b = [bands["a_VV"], bands["a_VH"]], [bands["b-vv"], bands["b-vh"]]
    assert group_scenes(one) == [[one]]
    assert group_scenes([two, one]) == [[two], [one]]
    assert group_scenes([pair_a[0], pair_b[0], one, pair_b[1], pair_a[1]]) == [pair_a, pair_b, [one]]
    assert group_scenes([bands["left"], bands["right"]]) == [[bands["left"], bands["right"]]]
    assert group_scenes([tmp_path]) == [[tmp_path]]
    with pytest.raises(InputError, match="does not exist"):
        group_scenes([one, tmp_path / "missing_vv.tif"])


def test_faults_are_told_before_anything_is_computed_or_written(tmp_path: Path, weights: Path) -> None:
    good = write_scene(tmp_path / "good.tif")
    empty = write_scene(tmp_path / "empty.tif")
    with rasterio.open(empty, "r+") as target:
        target.write(np.full((2, 90, 120), np.nan, np.float32))
    nowhere = write_scene(tmp_path / "nowhere.tif", crs=None)
    text = tmp_path / "notes.txt"
    text.write_text("not a raster")
    (tmp_path / "copy").mkdir()
    twin = write_scene(tmp_path / "copy" / "good.tif")
    out = tmp_path / "out"
    faults: list[tuple[object, dict[str, object], type[FloraError], str]] = [
        ([good, text], {}, InputError, r"notes.txt' is not a raster"),
        ([good, tmp_path / "missing.tif"], {}, InputError, r"missing.tif' does not exist"),
        ([good, empty], {}, InputError, r"'empty' has no valid pixel"),
        (nowhere, {}, InputError, r"nowhere.tif has no coordinate reference system.*--no-crs"),
        ([good, twin], {}, OutputError, r"2 scenes are named 'good'"),
        (good, {"weights": text}, CheckpointError, r"notes.txt' is not a safetensors file"),
        (good, {"tile": 100}, FloraError, r"The tile is 100 px"),
        (good, {"device": "tpu"}, FloraError, r"Device 'tpu' is unknown"),
        (good, {"optical": text}, InputError, r"notes.txt' is not a raster"),
        (good, {"optical_mask": good}, InputError, r"without the optical image that it masks"),
        (
            [good, nowhere],
            {"optical": good, "no_crs": True},
            InputError,
            r"One optical image was given for 2 scenes",
        ),
    ]
    for paths, options, kind, sentence in faults:
        with pytest.raises(kind, match=sentence):
            run_predict(paths, out, **({"weights": weights, "tile": 64} | options))  # type: ignore[arg-type]
        assert not out.exists(), sentence
    (summary,) = run_predict(nowhere, out, weights=weights, tile=64, no_crs=True)
    assert summary.crs is None
    assert "no CRS" in summary.note
    with pytest.raises(OutputError, match=r"nowhere' exists already"):
        run_predict([good, nowhere], out, weights=weights, no_crs=True)
    assert [folder.name for folder in out.iterdir()] == ["nowhere"]


def test_an_optical_image_guides_the_network(tmp_path: Path, weights: Path) -> None:
    scene = write_scene(tmp_path / "scene.tif")
    picture = tmp_path / "before.tif"
    values = np.random.default_rng(5).integers(200, 3000, (4, 90, 120)).astype(np.uint16)
    profile = {"driver": "GTiff", "height": 90, "width": 120, "count": 4, "dtype": "uint16", "nodata": 0}
    with rasterio.open(
        picture, "w", **profile, crs="EPSG:32722", transform=Affine(10, 0, 478_000, 0, -10, 6_700_000)
    ) as target:
        target.write(values)
        target.descriptions = ("red", "green", "blue", "nir")
    (alone,) = run_predict(scene, tmp_path / "alone", weights=weights, tile=64, precision="fp32")
    (guided,) = run_predict(
        scene, tmp_path / "guided", weights=weights, tile=64, precision="fp32", optical=picture
    )
    assert (alone.optical_prior, guided.optical_prior) == (False, True)
    assert alone.optical_image == {}
    assert guided.optical_image["sources"] == [str(picture)]
    assert "Divided by 10000" in guided.optical_image["read_as"]
    pixels = [rasterio.open(s.files["optical"]).read() for s in (alone, guided)]
    assert (pixels[0] != pixels[1]).mean() > 0.5
    assert guided.optical_image["usable_share"] == 1
    notes = [rasterio.open(s.files["optical"]).tags()["NOTE"] for s in (alone, guided)]
    assert "from radar, not photographed" in notes[0]
    assert "from radar and an optical image, parts of which it repeats" in notes[1]
    assert "photographed" not in notes[1]


def write_mask(path: Path, values: np.ndarray, nodata: int | None = None) -> Path:
    profile = {"driver": "GTiff", "height": 90, "width": 120, "count": 1, "dtype": "uint8", "nodata": nodata}
    place = {"crs": "EPSG:32722", "transform": Affine(10, 0, 478_000, 0, -10, 6_700_000)}
    with rasterio.open(path, "w", **profile, **place) as target:
        target.write(values.astype(np.uint8), 1)
    return path


def test_it_is_told_where_an_optical_image_can_be_used(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = write_scene(tmp_path / "scene.tif")
    picture = tmp_path / "before.tif"
    with (
        rasterio.open(scene) as source,
        rasterio.open(picture, "w", **source.profile | {"count": 3}) as target,
    ):
        target.write(np.full((3, 90, 120), 0.2, np.float32))
    cloud = np.zeros((90, 120))
    cloud[:45] = 3
    mask = write_mask(tmp_path / "cloud.tif", cloud, nodata=0)
    common = {"weights": weights, "tile": 64, "precision": "fp32", "optical": picture}
    (told,) = run_predict(scene, tmp_path / "half", optical_mask=mask, **common)  # type: ignore[arg-type]
    assert told.optical_image["usable_share"] == 0.5
    assert '"usable_share": 0.5' in (told.folder / "summary.json").read_text()
    write_mask(mask, np.full((90, 120), 4))
    with pytest.raises(InputError, match=r"can be used nowhere on the scene.*0 where the sky is clear"):
        run_predict(scene, tmp_path / "none", optical_mask=mask, **common)  # type: ignore[arg-type]
    cloud = np.full((90, 120), 4)
    cloud[17, 31] = 0  # too little to be seen on the coarser grid of a large scene
    monkeypatch.setattr("flora.products.usable.JUDGED_SIDE", 12)
    (told,) = run_predict(
        scene,
        tmp_path / "speck",
        optical_mask=write_mask(mask, cloud),
        **common,  # type: ignore[arg-type]
    )
    assert told.optical_image["usable_share"] == pytest.approx(1 / (90 * 120), rel=0.1)
    with rasterio.open(picture, "r+") as target:
        target.write(np.full((3, 90, 120), np.nan, np.float32))
    with pytest.raises(InputError, match=r"before.tif' has no valid pixel on the scene; .* radar alone"):
        run_predict(scene, tmp_path / "none", **common)  # type: ignore[arg-type]
    assert not (tmp_path / "none").exists()


def test_an_optical_image_without_crs_is_taken_with_a_scene_without_one(
    tmp_path: Path, weights: Path
) -> None:
    scene = write_scene(tmp_path / "scene.tif", crs=None)
    picture = tmp_path / "before.tif"
    profile = {"driver": "GTiff", "height": 90, "width": 120, "count": 3, "dtype": "float32"}
    with rasterio.open(picture, "w", **profile) as target:
        target.write(np.full((3, 90, 120), 0.2, np.float32))
    (told,) = run_predict(scene, tmp_path / "out", weights=weights, tile=64, no_crs=True, optical=picture)
    assert (told.optical_prior, told.optical_image["usable_share"]) == (True, 1)


def test_a_report_reads_the_radar_as_the_map_did(tmp_path: Path, weights: Path) -> None:
    from flora.products.mapframe import frame_of
    from flora.products.reportmaps import _readings, _scenes
    from flora.products.result import open_result
    from flora.products.write import scene_grid
    from flora.raster import open_sar

    path = write_scene(tmp_path / "scene.tif", ("b1", "b2"))
    with rasterio.open(path, "r+") as file:
        file.write(10 ** (file.read() / 10) * 1e4)
    given = {"bands": ["VH", "VV"], "scale": "power x 10000"}
    (told,) = run_predict(path, tmp_path / "out", weights=weights, tile=64, **given)  # type: ignore[arg-type]
    assert told.reading == given
    result = open_result(told.folder)
    used = open_sar(path, **given)  # type: ignore[arg-type]
    ((title, scene),) = _scenes(result, frame_of(scene_grid(used), 300, 300))
    assert title == "Radar"
    np.testing.assert_array_equal(scene["VV"].values, used["VV"].values)
    assert _readings({"sar_scale": {"read_as": "power"}}) == [{"scale": "power"}, {}], "of results before"


def test_a_small_clip_is_remarked(tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from flora.cli.predict import print_summaries

    path = write_scene(tmp_path / "scene.tif")
    with rasterio.open(path) as whole:
        clip, profile = whole.read(window=((0, 63), (0, 80))), whole.profile | {"height": 63, "width": 80}
        names = whole.descriptions
    with rasterio.open(tmp_path / "clip.tif", "w", **profile) as file:
        file.write(clip)
        file.descriptions = names
    for file, remarked in ((path, False), (tmp_path / "clip.tif", True)):
        summaries = run_predict(file, tmp_path / "out", weights=weights, tile=64)
        print_summaries(summaries)
        assert ("; under 64 px a side" in capsys.readouterr().err) == remarked
    assert "The scene is 63 x 80 px" in (tmp_path / "out" / "clip" / "summary.json").read_text()


def test_a_cluster_gives_the_same_files(tmp_path: Path, weights: Path) -> None:
    distributed = pytest.importorskip("distributed")
    scene = write_scene(tmp_path / "scene.tif")
    settings = {"weights": weights, "tile": 64, "precision": "fp32"}
    (here,) = run_predict(scene, tmp_path / "here", **settings)  # type: ignore[arg-type]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        (there,) = run_predict(scene, tmp_path / "there", cluster=cluster.scheduler_address, **settings)  # type: ignore[arg-type]
    for name in ("water_probability", "water", "optical", "quicklook"):
        assert here.files[name].read_bytes() == there.files[name].read_bytes()


def test_a_cluster_that_does_not_answer_is_told(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flora.products.run.CONNECT_SECONDS", 0.2)
    scene = write_scene(tmp_path / "scene.tif")
    with pytest.raises(FloraError, match=r"No dask scheduler answers at 'tcp://127.0.0.1:9'"):
        run_predict(scene, tmp_path / "out", weights=weights, tile=64, cluster="tcp://127.0.0.1:9")
    assert not (tmp_path / "out").exists()


def test_being_told_to_end_cleans_up(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`timeout`, services and batch systems send SIGTERM, which without care would leave a half-written folder."""
    from flora import cli, products

    def told_to_end(*args: object, progress: object, **options: object) -> None:
        def end(done: int, total: int) -> None:
            assert list((tmp_path / "out").iterdir()), "it has begun to write"
            if done == 1:
                signal.raise_signal(signal.SIGTERM)

        run_predict(
            write_scene(tmp_path / "scene.tif"), tmp_path / "out", weights=weights, tile=64, progress=end
        )

    monkeypatch.setattr(products, "run_predict", told_to_end)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as stop:
            cli.main(["predict", "scene.tif", "--out", str(tmp_path / "out")])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert stop.value.code == 130
    assert not (tmp_path / "out").exists()
