"""The simulated scene: windows, pages, dates, water, chips."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from flora.data.simulate import Kind, SceneConfig, SimulatedScene, chips, simulate, simulate_blocks
from flora.data.simulate.place import draw_place
from flora.data.simulate.scene import ARRAYS, PAGE, make_part
from flora.errors import ConfigError, FloraError


@pytest.fixture(scope="module")
def scene() -> SimulatedScene:
    """Four pages with a wedge and cloud."""
    config = SceneConfig(wedge_px=100, cloud=(0.3, 0.3), flood_stage_m=(0.8, 0.8))
    return simulate(600, 700, seed=5, config=config)


def equal(one: SimulatedScene, two: SimulatedScene) -> bool:
    return all(
        np.array_equal(getattr(one, n), getattr(two, n), equal_nan=n.startswith("sar")) for n in ARRAYS
    )


def crop(scene: SimulatedScene, rows: slice, cols: slice) -> SimulatedScene:
    return replace(scene, **{name: getattr(scene, name)[..., rows, cols] for name in ARRAYS})


@pytest.mark.parametrize(
    ("row", "col", "height", "width"), [(0, 0, 70, 90), (480, 497, 101, 133), (599, 3, 1, 600)]
)
def test_window_equals_crop_of_whole(
    scene: SimulatedScene, row: int, col: int, height: int, width: int
) -> None:
    config = SceneConfig(wedge_px=100, cloud=(0.3, 0.3), flood_stage_m=(0.8, 0.8))
    window = simulate(height, width, seed=5, config=config, origin=(row, col))
    assert equal(window, crop(scene, slice(row, row + height), slice(col, col + width)))


def test_window_across_the_origin_of_the_plane() -> None:
    whole = simulate(40, 40, seed=2, origin=(-20, -20))
    assert equal(simulate(20, 20, seed=2), crop(whole, slice(20, 40), slice(20, 40)))


def test_pages_meet_without_a_seam() -> None:
    """A part laid across the corner of four pages shows what the pages show, up to rounding."""
    place = draw_place(4, SceneConfig())
    half = PAGE // 2
    across = make_part(place, half, half)
    pages = simulate(PAGE, PAGE, seed=4, origin=(half, half))
    assert np.mean(across.water != pages.water) < 1e-4
    assert np.mean(across.kind != pages.kind) < 1e-3
    for name in ("sar_db", "sar_before_db", "optical", "optical_before"):
        apart = np.abs(getattr(across, name) - getattr(pages, name))
        assert np.mean(apart > 0.05) < 2e-3, name


def test_same_seed_same_scene_and_threads_do_not_matter() -> None:
    one = simulate(PAGE, PAGE + 9, seed=9)
    assert equal(one, simulate(PAGE, PAGE + 9, seed=9, workers=2))
    other = simulate(PAGE, PAGE + 9, seed=10)
    assert not np.array_equal(one.water, other.water)
    assert np.mean(one.sar_db == other.sar_db) < 0.01


def test_blocks_tile_the_scene() -> None:
    whole = simulate(300, 650, seed=6)
    blocks = list(simulate_blocks(300, 650, seed=6, block=PAGE, workers=2))
    assert [block.origin for block in blocks] == [(0, 0), (0, PAGE)]
    assert [block.shape for block in blocks] == [(300, PAGE), (300, 650 - PAGE)]
    for block in blocks:
        row, col = block.origin
        assert equal(block, crop(whole, slice(row, row + block.shape[0]), slice(col, col + block.shape[1])))


def test_shapes_types_and_ranges(scene: SimulatedScene) -> None:
    assert scene.sar_db.shape == scene.sar_before_db.shape == (2, 600, 700)
    assert scene.optical.shape == scene.optical_before.shape == (4, 600, 700)
    assert scene.sar_db.dtype == scene.optical.dtype == np.float32
    assert scene.water.dtype == np.uint8 and set(np.unique(scene.water)) <= {0, 1}
    seen = scene.sar_db[:, scene.valid]
    assert np.isfinite(seen).all() and seen.min() > -60 and seen.max() < 40
    assert scene.optical.min() > 0 and scene.optical.max() <= 1
    assert set(np.unique(scene.kind)) <= {kind.value for kind in Kind}


def test_wedge_is_where_it_was_asked_for(scene: SimulatedScene) -> None:
    """100 px wide at row 0, narrower by 0.2 px a row: by hand, none is left at row 500."""
    assert not scene.valid[0, 99] and scene.valid[0, 100]
    assert not scene.valid[250, 49] and scene.valid[250, 50]
    assert scene.valid[500:, 0].all()
    assert np.array_equal(np.isnan(scene.sar_db), np.broadcast_to(~scene.valid, scene.sar_db.shape))
    assert np.array_equal(np.isnan(scene.sar_before_db[0]), ~scene.valid)


def test_water_is_told_apart(scene: SimulatedScene) -> None:
    assert scene.water[scene.water_before == 1].all(), "permanent water is water on the date of the flood"
    assert scene.water[scene.flooded_vegetation].all()
    assert not (scene.flooded_vegetation & (scene.water_before == 1)).any()
    assert np.array_equal(scene.flood, (scene.water == 1) & (scene.water_before == 0))
    houses = scene.ambiguous & (scene.kind == Kind.BUILDING)
    assert not scene.water[houses].any()


def test_higher_water_floods_more_and_no_flood_leaves_the_rivers() -> None:
    def water(stage: float) -> SimulatedScene:
        return simulate(PAGE, PAGE, seed=11, config=SceneConfig(flood_stage_m=(stage, stage)))

    dry, low, high = water(-30), water(0.0), water(1.0)
    assert np.array_equal(dry.water, dry.water_before) and not dry.flooded_vegetation.any()
    assert np.array_equal(dry.water_before, high.water_before)
    assert dry.water.mean() < low.water.mean() < high.water.mean()
    # Houses move away from the higher flood, so a few pixels may change sides.
    assert np.mean((low.water == 1) & (high.water == 0)) < 0.003


def test_cloud_hides_about_its_share(scene: SimulatedScene) -> None:
    hidden = 1 - simulate(PAGE, 2 * PAGE, seed=8, config=SceneConfig(cloud=(0.5, 0.5))).optical_valid.mean()
    assert 0.2 < hidden < 0.8
    bright = scene.optical[:, ~scene.optical_valid].mean()
    assert bright > scene.optical[:, scene.optical_valid].mean() + 0.1
    assert simulate(64, 64, seed=8).optical_valid.all()


def test_before_has_other_speckle_on_the_same_land() -> None:
    dry = simulate(PAGE, PAGE, seed=12, config=SceneConfig(flood_stage_m=(-30, -30)))
    apart = dry.sar_db[0] - dry.sar_before_db[0]
    assert apart.std() > 2.5, "speckle of about 4.4 looks on both dates differs by about 3 dB"
    blocks = [x[0].reshape(32, 16, 32, 16).mean((1, 3)).ravel() for x in (dry.sar_db, dry.sar_before_db)]
    assert np.corrcoef(blocks)[0, 1] > 0.6, "the land beneath is the same"


def test_flood_water_is_brown_and_still_water_is_dark() -> None:
    config = SceneConfig(flood_stage_m=(1.0, 1.0), turbidity=(0.9, 0.9))
    place = simulate(PAGE, 2 * PAGE, seed=7, config=config)
    open_flood = place.flood & ~place.flooded_vegetation & place.optical_valid
    red, _, blue, nir = (band[open_flood].mean() for band in place.optical)
    assert red > 1.3 * blue and red > nir
    green_before, nir_before = (place.optical_before[i][place.water_before == 1].mean() for i in (1, 3))
    assert nir_before < green_before < 0.12


def test_wide_lakes_keep_their_colour_where_no_flood_fills_them() -> None:
    def of(lakes: float, stage: float) -> SimulatedScene:
        config = SceneConfig(
            lakes=(lakes, lakes), flood_stage_m=(stage, stage), turbidity=(0.9, 0.9), silt_before=(0.2, 0.2)
        )
        return simulate(PAGE, PAGE, seed=77, config=config)

    few, dry, high = of(0.0, -30), of(1.0, -30), of(1.0, 1.0)
    assert dry.water_before.mean() > 2 * few.water_before.mean()
    assert np.all(dry.water_before >= few.water_before), "lakes grow where they are"
    old = dry.water_before == 1

    def apart(scene: SimulatedScene) -> np.ndarray:
        return np.abs(scene.optical[:3] - scene.optical_before[:3]).mean(0)[old]

    assert np.mean(apart(dry) < 0.01) > 0.95, "neither lakes nor rivers change"
    assert np.mean(apart(high) > 0.03) > 0.2, "the flood makes them brown"


def test_places_differ_in_the_hue_of_their_lakes() -> None:
    config = SceneConfig(lakes=(1, 1), flood_stage_m=(-30, -30))
    bluish = []
    for seed in range(6):
        place = simulate(PAGE // 2, PAGE // 2, seed=seed, config=config)
        lake = place.water_before == 1
        if lake.mean() > 0.02:
            bluish.append(float(place.optical[2][lake].mean() / place.optical[1][lake].mean()))
    assert len(bluish) > 3 and max(bluish) > 1.3 * min(bluish)


def test_chip_carries_both_dates_and_masks(scene: SimulatedScene) -> None:
    chip = scene.to_chip(np.s_[0:256, 64:320], split="val")
    assert chip.meta.simulated and chip.meta.dataset == "simulated" and chip.meta.split == "val"
    assert chip.shape == (256, 256) and np.isfinite(chip.sar).all()
    window = np.s_[0:256, 64:320]
    assert np.array_equal(chip.sar_valid[1], scene.valid[window])
    assert chip.sar[:, ~scene.valid[window]].max() == 0
    assert chip.prior is not None and np.array_equal(chip.prior, scene.optical_before[:, 0:256, 64:320])
    assert chip.optical_valid is not None and np.array_equal(
        chip.optical_valid[2], scene.optical_valid[window]
    )
    assert chip.water_valid is not None
    assert np.array_equal(chip.water_valid, scene.valid[window] & ~scene.ambiguous[window])


def test_chips_stream() -> None:
    stream = list(chips(3, size=256, seed=1))
    assert [chip.shape for chip in stream] == [(256, 256)] * 3
    assert len({chip.meta.chip for chip in stream}) == 3
    assert len({chip.meta.group for chip in stream}) == 1, "four chips of this size a place"
    for other in (next(chips(1, size=256, seed=2)), next(chips(1, size=256, seed=1, split="val"))):
        assert other.meta.group != stream[0].meta.group and not np.array_equal(other.sar, stream[0].sar)
    assert stream[0].meta.split == "train" and other.meta.split == "val"


def test_chips_go_on_from_place_to_place(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []

    def small(height: int, width: int, seed: int, *rest: object) -> SimulatedScene:
        drawn.append((height, width, seed))
        return replace(simulate(32, 32), seed=seed)

    monkeypatch.setattr("flora.data.simulate.stream.simulate", small)
    assert len(list(chips(9, size=256, seed=1))) == 9
    assert [size[:2] for size in drawn] == [(512, 512)] * 3
    assert len({seed for *_, seed in drawn}) == 3
    first, drawn[:] = drawn.copy(), []
    assert list(chips(9, size=256, seed=1)) and drawn == first, "a stream is named by its seed"


def test_frost_takes_vh_from_fields_and_nothing_from_water() -> None:
    moist, frozen = (
        simulate(PAGE, PAGE, seed=11, config=SceneConfig(flood_stage_m=(-30, -30), frost=(frost, frost)))
        for frost in (-1.0, 1.0)
    )
    assert np.array_equal(moist.kind, frozen.kind) and np.array_equal(moist.optical, frozen.optical)
    lost = moist.sar_db - frozen.sar_db
    bare = np.isin(moist.kind, (Kind.BARE, Kind.STUBBLE)) & (moist.water == 0)
    assert bare.any()
    vv, vh = (float(np.median(band[bare])) for band in lost)
    assert 1.0 < vv < 2.0 and 3.5 < vh < 5.5
    assert np.median(np.abs(lost[:, moist.water == 1])) == 0, "only shores see fields beside them"


def test_config_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"relief_m is \(5, 1\); expected \(low, high\)"):
        SceneConfig(relief_m=(5, 1))
    with pytest.raises(ConfigError, match="field_px"):
        SceneConfig(field_px=(0, 3))
    with pytest.raises(FloraError, match="0 x 5 px has no pixels"):
        simulate(0, 5)
    with pytest.raises(ConfigError, match="blocks of 0"):
        next(simulate_blocks(5, 5, block=0))


def test_place_keeps_what_a_changed_range_does_not_touch() -> None:
    one, two = draw_place(3, SceneConfig()), draw_place(3, SceneConfig(forest=(0.5, 0.5)))
    changed = [item.name for item in fields(one) if getattr(one, item.name) != getattr(two, item.name)]
    assert changed == ["forest"]
