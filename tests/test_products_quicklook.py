"""The sheet that people look at first."""

from __future__ import annotations

from pathlib import Path

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from PIL import Image

from flora.products.figure import length_text, round_length
from flora.products.quicklook import panel_size
from flora.products.thumbnail import RadarThumbnail, thin_file, thin_radar, thinning, thins
from flora.raster import CogSpec, write_cog


@pytest.mark.parametrize(
    ("longest", "length"), [(1, 1), (1.99, 1), (2, 2), (499, 200), (500, 500), (9_999, 5_000), (0.3, 0.2)]
)
def test_the_scale_bar_has_a_round_length(longest: float, length: float) -> None:
    assert round_length(longest) == pytest.approx(length)


def test_lengths_are_said_in_words() -> None:
    assert [length_text(200, "m"), length_text(1000, "m"), length_text(50_000, "m")] == [
        "200 m",
        "1 km",
        "50 km",
    ]
    assert length_text(5000, "px") == "5000 px"


def test_a_picture_has_the_proportions_of_the_ground_and_fits() -> None:
    assert panel_size((1000, 1000), (1000, 1000)) == (750, 750)
    assert panel_size((4660 * 10, 2048 * 8.66), (4660, 2048)) == pytest.approx((457, 1200), abs=1)
    assert panel_size((512, 512), (512, 512)) == (512, 512), "no larger than the scene"
    assert panel_size((100, 50), (100, 50)) == (120, 240), "but a small chip can be seen"
    assert panel_size((10, 30_000), (10, 30_000)) == (750, 1)
    wide, high = panel_size((17_000, 25_000), (17_000, 25_000))
    assert 3 * wide + 2 * 24 + 2 * 36 <= 2400
    assert wide / high == pytest.approx(25 / 17, rel=0.01)


def test_thinning_keeps_at_least_what_is_wanted() -> None:
    assert thinning((100, 100), (100, 100)) == 1
    assert thinning((399, 800), (100, 100)) == 2
    assert thinning((400, 800), (100, 100)) == 4
    assert thinning((50, 50), (100, 100)) == 1


def test_radar_is_averaged_in_power_over_valid_pixels() -> None:
    """-10 dB and -20 dB are 0.1 and 0.01; their mean of 0.055 is -12.6 dB."""
    vv = np.full((5, 6), -10, np.float32)
    vv[0, 0], vv[1, 0], vv[1, 1] = -20, np.nan, np.nan
    vv[2:4, 2:4] = np.nan
    scene = xr.Dataset({"VV": (("y", "x"), vv), "VH": (("y", "x"), vv - 7)}).chunk(3)
    thin = thin_radar(scene, 2)
    assert thin.shape == (2, 3, 3)
    assert thin[0, 0, 0] == pytest.approx(10 * np.log10(0.055), abs=1e-4)
    assert thin[1, 0, 0] == pytest.approx(10 * np.log10(0.055) - 7, abs=1e-4)
    assert np.isnan(thin[:, 1, 1]).all()
    np.testing.assert_allclose(thin[0, 2], -10, atol=1e-5)  # the last row has one pixel
    np.testing.assert_array_equal(thin_radar(scene, 1)[0], vv)


def test_radar_is_thinned_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(-12, 3, (2, 70, 90)).astype(np.float32)
    scene = xr.Dataset({n: (("y", "x"), v) for n, v in zip(("VV", "VH"), values, strict=True)}).chunk(32)
    whole = thin_radar(scene, 4)
    monkeypatch.setattr("flora.products.thumbnail.PIECE", 16)
    np.testing.assert_allclose(thin_radar(scene, 4), whole, atol=1e-5)


def test_radar_of_the_tiles_is_the_radar_of_the_scene() -> None:
    values = np.random.default_rng(0).normal(-12, 3, (2, 70, 90)).astype(np.float32)
    values[:, :9, :9] = np.nan
    scene = xr.Dataset({n: (("y", "x"), v) for n, v in zip(("VV", "VH"), values, strict=True)})
    tiles = da.from_array(values, chunks=(2, 32, 40))  # type: ignore[no-untyped-call]
    assert thins(tiles, 4)
    assert not thins(tiles, 16), "its pixels would be cut at column 40"
    picture = RadarThumbnail(tiles, 4)
    for row, col in np.ndindex(picture.blocks.numblocks[1:]):
        block = picture.blocks.blocks[0, row, col].compute()
        picture.add(slice(32 * row, 32 * row + 32), slice(40 * col, 40 * col + 40), block)
    np.testing.assert_allclose(picture.planes, thin_radar(scene, 4), atol=1e-5)


def test_a_file_is_read_at_its_overview(tmp_path: Path) -> None:
    values = np.full((1, 1100, 1500), 5000, np.uint16)
    values[:, :, 700:] = 1000
    values[:, 512:] = 65535
    spec = CogSpec("uint16", ("p",), nodata=65535, scale=1e-4)
    geobox = GeoBox((1100, 1500), Affine(10, 0, 500_000, 0, -10, 6_700_000), "EPSG:32722")
    write_cog(tmp_path / "p.tif", values, geobox, spec)
    thin = thin_file(tmp_path / "p.tif", 4)
    assert thin.shape == (1, 275, 375)
    np.testing.assert_allclose(thin[0, :128, :175], 0.5, atol=1e-6)
    np.testing.assert_allclose(thin[0, :128, 175:], 0.1, atol=1e-6)
    assert np.isnan(thin[0, 128:]).all()


def test_the_sheet_shows_what_is_there(tmp_path: Path) -> None:
    """Left half water, right half a grey land; colours are found where they belong."""
    from standin import StandInCheckpoint

    from flora.products import write_prediction
    from flora.scene import predict

    geobox = GeoBox((300, 300), Affine(10, 0, 500_000, 0, -10, 6_700_000), "EPSG:32722")
    shape = (300, 300)
    dark = np.where(np.arange(300) < 150, -22, -8).astype(np.float32)
    scene = xr.Dataset(
        {"VV": (("y", "x"), np.tile(dark, (300, 1))), "VH": (("y", "x"), np.tile(dark - 7, (300, 1)))},
        coords=xr_coords(geobox, dims=("y", "x")),
        attrs={"name": "halves"},
    ).chunk(128)
    prediction = predict(scene, StandInCheckpoint(), tile=128, precision="fp32")
    water = np.tile(np.where(np.arange(300) < 150, 0.9, 0.1).astype(np.float32), (300, 1))
    water[:30] = np.nan
    prediction["water_probability"] = (("y", "x"), water)
    prediction["optical"] = (("band", "y", "x"), np.full((3, *shape), 0.1, np.float32))
    prediction = prediction.chunk({"y": 128, "x": 128})
    summary = write_prediction(prediction, scene, tmp_path)
    sheet = np.asarray(Image.open(summary.files["quicklook"]).convert("RGB")).astype(int)
    assert sheet.shape[1] == 1120
    # Three pictures of 300 px and 24 px between them stand in the middle.
    left, top = (1120 - 948) // 2, 36 + 84 + 52

    def at(panel: int, x: int, y: int) -> list[int]:
        return sheet[top + y, left + panel * 324 + x].tolist()

    assert at(0, 75, 150) == [0, 0, 106]
    assert at(0, 225, 150) == [178, 166, 106]
    assert at(1, 75, 150) == [89, 89, 89]
    blue, land, absent = at(2, 75, 150), at(2, 225, 150), at(2, 75, 10)
    assert blue[2] > blue[0] + 80
    assert max(land) - min(land) <= 1
    assert absent == [214, 214, 211]
    assert 0.48 < summary.water_share < 0.52
