"""Flood maps from files to folders: what is printed, recorded, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rio_cogeo.cogeo import cog_validate
from scene_files import SIZE, write_scene, write_weights

from flora.cli import main
from flora.errors import InputError
from flora.products.report import write_report


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Two scenes on one lattice, the earlier one shifted, and what is known of the place."""
    coarse = GeoBox((30, 30), Affine(30, 0, 479_950, 0, -30, 6_680_050), "EPSG:32721")
    columns = np.indices(coarse.shape)[1]
    layers = {
        "occurrence": np.where(columns < 8, 90, 10).astype(np.uint8),
        "dem": (columns * np.float32(2)),
        "cover": np.where(columns > 20, 50, 30).astype(np.uint8),
    }
    paths = {"after": write_scene(tmp_path / "after.tif"), "weights": write_weights(tmp_path)}
    paths["before"] = write_scene(tmp_path / "before.tif", value=-12.0)
    with rasterio.open(paths["before"], "r+") as file:
        file.transform = file.transform * Affine.translation(-SIZE // 2, 0)
    from flora.raster import CogSpec, write_cog

    for name, values in layers.items():
        spec = CogSpec(str(values.dtype), (name,))
        paths[name] = write_cog(tmp_path / f"{name}.tif", values, coarse, spec)
    return paths


def test_files_say_what_they_hold(files: dict[str, Path], tmp_path: Path) -> None:
    from flora.products.floodfiles import run_flood

    summary = run_flood(
        files["after"],
        tmp_path / "out",
        before=files["before"],
        reference_water=files["occurrence"],
        dem=files["dem"],
        land_cover=files["cover"],
        weights=files["weights"],
    )
    folder = tmp_path / "out" / "after"
    layers = {path.stem for path in folder.glob("*.tif")}
    assert layers == {
        *("observed_water", "likelihood", "reference_water", "observed_flood", "exclusion", "advisory"),
        *("change", "optical", "optical_display", "optical_uncertainty"),
    }
    read = {}
    for path in folder.glob("*.tif"):
        valid, faults, warnings = cog_validate(path, strict=True, quiet=True)
        assert valid, (path.name, faults, warnings)
        with rasterio.open(path) as file:
            assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert file.descriptions[0]
            assert file.tags()["REFERENCE"] == "occurrence of at least 50 %"
            assert file.tags()["BEFORE"] == "before"
            read[path.stem] = file.read(1)
            if path.stem == "exclusion":
                assert file.tags()["FLAGS"].startswith("sum of 1 no data, 2 steep slope, 4 low sensitivity")
                assert file.nodata is None
                assert file.colormap(1)[4] != file.colormap(1)[6]
            if path.stem == "likelihood":
                assert file.units == ("%",)
            if path.stem == "optical_display":
                assert [color.name for color in file.colorinterp] == ["red", "green", "blue"]
    # 8 columns of 30 m that begin 50 m west of the scene: 190 m, of which the reference is water.
    assert (read["reference_water"][:, :19] == 1).all()
    assert (read["reference_water"][:, 19:] == 0).all()
    # Columns from the 22nd on are built up: 21 x 30 m - 50 m.
    assert ((read["exclusion"][:, 58:] & 4) == 4).all()
    assert not (read["exclusion"][:, :58] & 4).any()
    assert (read["change"][:, 35:] == 255).all()
    flood = int((read["observed_flood"] == 1).sum())
    assert summary.flood_pixels == flood
    # 100 m² a pixel on the map, in a zone's middle 1 / 0.9996² of that on the ground.
    assert summary.flood_km2 == pytest.approx(flood * 1e-4 / 0.9996**2, rel=1e-3)
    stored = json.loads((folder / "summary.json").read_text())
    assert stored["flood_pixels"] == flood
    assert stored["files"]["observed_flood"] == "observed_flood.tif"
    assert (folder / "quicklook.png").stat().st_size > 1000
    assert stored["before_sources"] == [str(files["before"])]
    known = [stored[f"{name}_file"] for name in ("reference", "dem", "land_cover")]
    assert known == [str(files[name]) for name in ("occurrence", "dem", "cover")]
    assert stored["before_sar_scale"]["why"].startswith("Read as dB")
    assert stored["before_bands"]
    page = write_report(folder).read_text()
    assert [
        title for title in ("Radar before", "Radar", "Optical, reconstructed") if f"<h3>{title}" not in page
    ] == []
    assert "receded water" in page
    assert "not to be trusted" in page
    assert "occurrence.tif, occurrence of at least 50 %" in page
    files["before"].unlink()
    assert "Radar before" not in write_report(folder, overwrite=True).read_text()


def test_flood_needs_to_know_what_is_no_flood(files: dict[str, Path], tmp_path: Path) -> None:
    from flora.products.floodfiles import run_flood

    with pytest.raises(InputError, match="Pass --before or --reference-water"):
        run_flood(files["after"], tmp_path / "out", weights=files["weights"])
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="does not overlap the scene"):
        run_flood(
            files["after"],
            tmp_path / "out",
            reference_water=_elsewhere(files["occurrence"]),
            weights=files["weights"],
        )
    assert not (tmp_path / "out").exists()


def _elsewhere(path: Path) -> Path:
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.transform = file.transform * Affine.translation(10_000, 0)
    return path


def rewritten(path: Path, values: np.ndarray, like: Path, nodata: float | None = None) -> Path:
    """Writes a plain raster on the grid of another."""
    bands = values[None] if values.ndim == 2 else values
    with rasterio.open(like) as file:
        profile = {"crs": file.crs, "transform": file.transform, "nodata": nodata, "driver": "GTiff"}
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", count=count, height=height, width=width, dtype=bands.dtype, **profile
    ) as out:
        out.write(bands)
    return path


def test_water_of_unknown_reference_is_told(
    files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mask whose 0 is no-data says nothing of land: without a word there would seem to be no flood."""
    mask = np.zeros((70, 70), np.uint8)
    mask[:, :10] = 1
    write_scene(files["after"], value=-25.0)
    reference = rewritten(tmp_path / "mask.tif", mask, files["after"], nodata=0)
    out = tmp_path / "out"
    arguments = ["flood", str(files["after"]), "--reference-water", str(reference), "--out", str(out)]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert not end.value.code
    said = capsys.readouterr()
    told = json.loads((out / "after" / "summary.json").read_text())
    layers = {}
    for name in ("observed_water", "observed_flood", "reference_water"):
        with rasterio.open(out / "after" / f"{name}.tif") as file:
            layers[name] = file.read(1)
    unknown = int(((layers["observed_water"] == 1) & (layers["observed_flood"] == 255)).sum())
    assert told["reference_unknown_pixels"] == unknown > 0.1 * told["water_pixels"]
    assert told["reference_unknown_km2"] == pytest.approx(unknown * 1e-4 / 0.9996**2, rel=1e-3)
    assert told["reference_water_pixels"] == 700
    assert f"{told['reference_unknown_km2']:.2f} km²" in said.out
    assert f"{told['reference_water_km2']:.2f} km²: a mask" in said.out
    assert "The reference is unknown for" in said.err
    assert "-a_nodata none" in said.err
    assert "read as" in said.out
    assert "bands" in said.out
    lacking = "not checked: steep slopes (no elevation model), towns and dense plants (no land cover)"
    assert lacking in said.out
    page = write_report(out / "after").read_text()
    for words in (
        lacking,
        "The reference is unknown for",
        "of it, reference unknown",
        "water, reference unknown",
    ):
        assert words in page
    from flora.products.floodpicture import unknown_reference

    water = np.array([1, 1, 0, np.nan], np.float32)
    np.testing.assert_array_equal(
        unknown_reference(water, np.array([1, np.nan, 0, np.nan], np.float32)), [0, 1, 0, np.nan]
    )


def test_bands_are_named_for_both_scenes(files: dict[str, Path], tmp_path: Path) -> None:
    for name, value in (("after", -25.0), ("before", -12.0)):
        write_scene(files[name], bands=("a", "b", "c"), value=value)
    arguments = [
        "flood",
        str(files["after"]),
        "--before",
        str(files["before"]),
        "--out",
        str(tmp_path / "out"),
    ]
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 1
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--bands", "VH,VV,angle"])
    assert not end.value.code
    assert "VH" in json.loads((tmp_path / "out" / "after" / "summary.json").read_text())["bands"]


def test_a_report_reads_both_scenes_as_the_flood_map_did(files: dict[str, Path], tmp_path: Path) -> None:
    from flora.products.floodfiles import run_flood
    from flora.products.mapframe import frame_of
    from flora.products.reportmaps import _scenes
    from flora.products.result import open_result
    from flora.products.write import scene_grid
    from flora.raster import open_sar

    given = {"bands": ["VH", "VV"], "scale": "power x 10000"}
    for name in ("after", "before"):
        with rasterio.open(files[name], "r+") as file:
            file.write(10 ** (file.read()[::-1] / 10) * 1e4)
            file.descriptions = ("b1", "b2")
            file.update_tags(UNITS="")
    summary = run_flood(
        files["after"],
        tmp_path / "out",
        before=files["before"],
        weights=files["weights"],
        **given,  # type: ignore[arg-type]
    )
    assert summary.reading == given
    used = open_sar(files["after"], **given)  # type: ignore[arg-type]
    shown = dict(_scenes(open_result(summary.folder), frame_of(scene_grid(used), 300, 300)))
    assert list(shown) == ["Radar before", "Radar"]
    np.testing.assert_array_equal(shown["Radar"]["VV"].values, used["VV"].values)


def test_an_optical_mask_goes_with_its_image(files: dict[str, Path], tmp_path: Path) -> None:
    from flora.products.floodfiles import run_flood

    image = rewritten(tmp_path / "rgb.tif", np.full((3, 70, 70), 900, np.uint16), files["after"])
    half = np.ones((70, 70), np.uint8)
    all_of_it = rewritten(tmp_path / "all.tif", half, files["after"])
    half[:35] = 0
    cloud = rewritten(tmp_path / "cloud.tif", half, files["after"])
    options = {"reference_water": files["occurrence"], "weights": files["weights"], "optical_mask": cloud}
    with pytest.raises(InputError, match="give both or neither"):
        run_flood(files["after"], tmp_path / "out", **options)
    summary = run_flood(files["after"], tmp_path / "out", optical=image, **options)
    assert summary.optical_image["sources"] == [str(image)]
    assert summary.optical_image["usable_share"] == 0.5
    with rasterio.open(tmp_path / "out" / "after" / "optical_display.tif") as file:
        assert (
            "reconstructed from radar and an optical image, parts of which it repeats" in file.tags()["NOTE"]
        )
    with pytest.raises(InputError, match="can be used nowhere"):
        run_flood(files["after"], tmp_path / "other", optical=image, **options | {"optical_mask": all_of_it})
    (tmp_path / "out" / "after" / "report.html").write_text("of the map before")
    again = run_flood(files["after"], tmp_path / "out", optical=image, overwrite=True, **options)
    assert any("Removed, as they told of the map before: report.html" in words for words in again.remarks)
    with pytest.raises(InputError, match="grid"):
        run_flood(
            files["after"], tmp_path / "other", optical=image, **options | {"optical_mask": files["cover"]}
        )


@pytest.mark.parametrize(
    ("then", "now", "refused"),
    [
        ("20240606T084511", "20240506T084511", True),
        ("20240506T084511", "20240506T084511", True),
        ("20240506T084510", "20240506T084511", False),
        ("20240506", "20240506T084511", False),
        ("20240507", "20240506T084511", True),
    ],
)
def test_dates_that_are_swapped_are_refused(
    files: dict[str, Path], tmp_path: Path, then: str, now: str, refused: bool
) -> None:
    """Swapped, the flood would be called receded water, and what dried out a flood."""
    from flora.products.floodfiles import run_flood

    before, after = (
        write_scene(tmp_path / f"S1A_{name}_{when}.tif", value=-12.0)
        for name, when in (("b", then), ("a", now))
    )
    if not refused:
        assert run_flood(after, tmp_path / "out", before=before, weights=files["weights"]).before_time
        return
    with pytest.raises(InputError, match=r"expected an earlier one\. Swap them"):
        run_flood(after, tmp_path / "out", before=before, weights=files["weights"])
