"""The harness: any chip size, honest masks, intervals over events, and a report that names its protocol."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flora.chip import Batch, Chip, ChipMeta, collate
from flora.errors import CheckpointError, ConfigError, DataError, OutputError
from flora.evaluate import NetworkPredictor, Prediction, Report, evaluate
from flora.evaluate import picture as pictures
from flora.evaluate.harness import answer_chip
from flora.evaluate.predictor import require_cue
from flora.metrics import lpips as lpips_module
from flora.model.config import ModelConfig
from flora.model.flora import FLoRA
from flora.model.unet import UNET_PRESETS, UNet


def chip(
    name: str = "a", event: str = "spain", seed: int = 0, shape: tuple[int, int] = (24, 30), **meta: object
) -> Chip:
    """A chip whose water is dark in VH, with a few invalid pixels in each layer."""
    draw = np.random.default_rng(seed)
    water = draw.random(shape) < 0.3
    vh = np.where(water, -26, -15) + draw.normal(0, 4, shape)
    optical = draw.uniform(0.02, 0.3, (4, *shape)).astype(np.float32)
    return Chip(
        sar=np.stack([vh + 6, vh]).astype(np.float32),
        sar_valid=np.ones((2, *shape), bool),
        optical=optical,
        optical_valid=np.broadcast_to(draw.random(shape) < 0.999, (4, *shape)).copy(),
        prior=optical,
        prior_valid=np.ones((4, *shape), bool),
        water=water.astype(np.uint8),
        water_valid=draw.random(shape) < 0.9,
        meta=replace(
            ChipMeta("floods", event, event, name, "test", optical_radiometry="toa", water_label="strong"),
            **meta,  # type: ignore[arg-type]
        ),
    )


def truthful(batch: Batch) -> Prediction:
    """Knows the answer."""
    return Prediction(batch.water * 0.8 + 0.1, batch.optical[:, :3])


def dark(batch: Batch) -> Prediction:
    """Calls water what is dark, and paints everything grey."""
    return Prediction(torch.sigmoid((-20 - batch.sar[:, 1]) / 2), torch.full_like(batch.optical[:, :3], 0.1))


def run(predictor=dark, chips: list[Chip] | None = None, **options: object) -> Report:
    chips = chips or [chip("a"), chip("b", seed=1), chip("c", "ghana", 2, (40, 16)), chip("d", "usa", 3)]
    return evaluate(predictor, chips, 0.5, **{"lpips": False, "resamples": 100, **options})  # type: ignore[arg-type]


def test_who_knows_the_answer_scores_full_marks() -> None:
    found = run(truthful).overall.figures
    assert found["iou_micro"] == found["iou_macro"] == found["dice_micro"] == found["boundary_f1"] == 1
    assert (
        found["false_water"] == 0
        and found["brier"] == pytest.approx(0.01)
        and found["ece"] == pytest.approx(0.1)
    )
    assert found["psnr[DN/10000]"] == 100 and found["ssim[DN/3000]"] == pytest.approx(1, abs=1e-6)


def test_a_spread_is_judged_where_one_is_told() -> None:
    def telling(batch: Batch) -> Prediction:
        answer = dark(batch)
        return replace(answer, spread=torch.full_like(answer.optical, 0.1))

    report = run(telling, grid=32)
    plain = run()
    assert 0 < report.overall.figures["spread_covers_50"] < report.overall.figures["spread_covers_90"] <= 1
    assert np.isnan(plain.overall.figures["spread_covers_50"])
    assert report.error_coverage()[-1][0] == 1 and plain.error_coverage() == []
    assert "### Spread of the picture" in report.to_markdown() and "Spread of the" not in plain.to_markdown()
    with pytest.raises(DataError, match="answered with shape"):
        run(lambda batch: replace(telling(batch), spread=batch.sar[:, :, 1:]))


def test_each_table_names_the_protocol_of_its_own_figures() -> None:
    """Of two events one has a picture: there is nothing to draw an interval over, and labels judge no picture."""
    blind = chip("b", "ghana", 1).with_layers(optical=None, optical_valid=None)
    text = run(chips=[chip("a"), blind]).to_markdown()
    of_water, of_pictures = (
        text.split(f"### {name}")[1].splitlines()[4] for name in ("Water", "Optical, DN/10000")
    )
    assert of_water.endswith("| strong water labels; 95 % interval over 2 events |")
    assert of_pictures.endswith("| toa reflectance; no interval |")


def test_rows_are_everything_each_dataset_each_event() -> None:
    chips = [
        chip("a"),
        chip("b", seed=1),
        chip("c", "ghana", 2),
        chip("d", "spain", 3, dataset="other", split="val"),
    ]
    rows = run(chips=chips).rows
    assert [(row.level, row.data, row.event, row.split, row.chips, row.events) for row in rows] == [
        ("overall", "floods, other", "all", "test, val", 4, 3),
        ("dataset", "floods", "all", "test", 3, 2),
        ("dataset", "other", "all", "val", 1, 1),
        ("event", "floods", "spain", "test", 2, 1),
        ("event", "floods", "ghana", "test", 1, 1),
        ("event", "other", "spain", "val", 1, 1),
    ]
    alone = run(chips=[chips[2]]).overall
    assert rows[4].figures == pytest.approx(alone.figures, nan_ok=True)


@pytest.mark.parametrize(("grid", "margin"), [(1, 0), (32, 0), (16, 32)])
def test_padding_is_invalid_and_cropped_away(grid: int, margin: int) -> None:
    asked = []

    def predictor(batch: Batch) -> Prediction:
        asked.append(batch)
        return dark(batch)

    padded, plain = run(predictor, grid=grid, margin=margin), run()
    assert padded.overall.figures == pytest.approx(plain.overall.figures, nan_ok=True)
    for batch, one in zip(
        asked, [chip("a"), chip("b", seed=1), chip("c", "ghana", 2, (40, 16))], strict=False
    ):
        height, width = batch.sar.shape[-2:]
        assert height % grid == width % grid == 0 and height >= one.shape[0] + 2 * margin
        assert int(batch.sar_valid.sum()) == one.sar_valid.sum()
        inner = batch.sar[0, :, margin : margin + one.shape[0], margin : margin + one.shape[1]]
        assert np.array_equal(inner, one.sar)


def test_where_the_radar_saw_nothing_nothing_is_judged() -> None:
    whole = chip()
    blind = replace(whole, sar_valid=whole.sar_valid.copy(), sar=whole.sar.copy())
    blind.sar_valid[:, :12] = False
    blind.sar[:, :12] = 0
    lower = {
        name: getattr(whole, name)[..., 12:, :]
        for name in (
            "sar",
            "sar_valid",
            "optical",
            "optical_valid",
            "prior",
            "prior_valid",
            "water",
            "water_valid",
        )
    }
    found, expected = run(chips=[blind]).overall, run(chips=[Chip(meta=whole.meta, **lower)]).overall
    for name in ("iou_micro", "psnr[DN/3000]", "ece"):
        assert found.figures[name] == pytest.approx(expected.figures[name], rel=1e-6)


def test_one_band_is_enough_to_be_judged() -> None:
    single = chip()
    single.sar_valid[0] = False
    assert (
        run(chips=[single]).overall.figures["iou_micro"] == run(chips=[chip()]).overall.figures["iou_micro"]
    )


def test_a_chip_without_any_truth_changes_no_figure() -> None:
    blank = replace(chip("b"), water=None, water_valid=None, optical=None, optical_valid=None)
    both, one = run(chips=[chip(), blank]).overall, run(chips=[chip()]).overall
    assert both.figures == pytest.approx(one.figures, nan_ok=True)
    assert (both.chips, both.water_chips, both.optical_chips) == (2, 1, 1)


def test_flood_only_needs_reference_water() -> None:
    assert math.isnan(run().overall.figures["iou_flood_only"])
    left = run(reference_water=lambda one: np.indices(one.shape)[1] < 10).overall.figures
    assert 0 < left["iou_flood_only"] <= 1 and left["iou_flood_only"] != left["iou_micro"]
    nowhere = run(reference_water=lambda one: np.zeros(one.shape, bool)).overall.figures
    assert nowhere["iou_flood_only"] == nowhere["iou_micro"]


def test_intervals_are_seeded_and_hold_the_figure() -> None:
    report = run()
    for name, (low, high) in report.overall.intervals.items():
        assert low <= report.overall.figures[name] <= high, name
    assert report.overall.intervals["iou_micro"][0] < report.overall.intervals["iou_micro"][1]
    assert report.overall.intervals == run().overall.intervals
    assert report.overall.intervals != run(seed=1).overall.intervals


def test_intervals_draw_events_else_chips_else_nothing() -> None:
    overall, dataset, spain, ghana, _ = run().rows
    assert (
        overall.resampled == dataset.resampled == "events"
        and "95 % interval over 3 events" in overall.protocol
    )
    assert spain.resampled == "chips" and "over 2 chips" in spain.protocol and spain.intervals
    assert not ghana.intervals and "no interval" in ghana.protocol
    assert run(unit="chips").overall.resampled == "chips"


def test_many_chips_of_one_event_do_not_feign_certainty() -> None:
    """Copies of a chip tell nothing new: over events the interval stays as wide."""
    few = [chip("a"), chip("b", "ghana", 1)]
    many = [
        chip(f"{one.meta.chip}{copy}", one.meta.event, seed)
        for seed, one in enumerate(few)
        for copy in range(8)
    ]
    width = [run(chips=chips).overall.intervals["iou_micro"] for chips in (few, many)]
    assert width[0] == pytest.approx(width[1])
    narrow = run(chips=many, unit="chips").overall.intervals["iou_micro"]
    assert narrow[1] - narrow[0] < 0.8 * (width[1][1] - width[1][0])


def test_json_holds_protocol_and_null_for_absent() -> None:
    content = json.loads(run(name="dark").to_json())
    assert content["predictor"] == "dark" and content["bootstrap"] == {
        "level": 0.95,
        "resamples": 100,
        "seed": 0,
    }
    row = content["rows"][0]
    assert {row["data"], row["split"], row["threshold"], row["chips"]} == {"floods", "test", 0.5, 4}
    assert "strong water labels" in row["protocol"] and "toa reflectance" in row["protocol"]
    assert row["figures"]["iou_flood_only"] is None and 0 < row["figures"]["iou_micro"] < 1
    assert "any false alarm 0" in content["protocol"]["macro"]


def test_markdown_names_protocol_scaling_and_floor() -> None:
    text = run(name="dark").to_markdown()
    for words in (
        "IoU micro",
        "IoU macro",
        "### Optical, DN/10000",
        "### Optical, DN/3000",
        "PSNR of floor",
        "**macro**",
    ):
        assert words in text
    assert "flood-only |" not in text and "nan" not in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    rows = [line for line in table if line.startswith("| floods")]
    assert all(("water labels" in line) != ("reflectance" in line) for line in rows)
    widths = {line.count("|") for line in text.split("### Optical")[0].splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_markdown_says_nothing_twice() -> None:
    text = run(chips=[chip()]).to_markdown().split("### Optical")[0]
    assert sum(line.startswith("| floods") for line in text.splitlines()) == 1


def test_a_predictor_of_one_task_gets_one_table() -> None:
    water = run(lambda batch: Prediction(dark(batch).probability))
    assert "### Water" in water.to_markdown() and "Optical," not in water.to_markdown()
    colour = run(lambda batch: Prediction(None, dark(batch).optical))
    assert "### Water" not in colour.to_markdown() and "Optical, DN/10000" in colour.to_markdown()
    assert (colour.overall.water_chips, colour.overall.optical_chips) == (0, 4)


def test_lpips_enters_or_the_lack_of_weights_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    big = [chip(shape=(40, 40))]
    assert run(chips=big, lpips=True).overall.figures["lpips_alex[DN/3000]"] > 0
    assert "lpips_alex[DN/3000]" not in run(chips=big).overall.figures
    monkeypatch.setattr(lpips_module, "weights_path", lambda net: Path("absent.safetensors"))
    with pytest.raises(CheckpointError, match=r"'absent.safetensors' are missing"):
        run(chips=big, lpips=True)


def test_errors_name_what_was_found() -> None:
    with pytest.raises(DataError, match="No chip was measured"):
        evaluate(dark, [], 0.5, lpips=False)
    with pytest.raises(DataError, match=r"'a' was asked as 24 x 30 px and answered with shape \(1, 12, 30\)"):
        run(lambda batch: Prediction(dark(batch).probability[:, ::2]))
    with pytest.raises(DataError, match=r"from -.* expected 0 to 1"):
        run(lambda batch: Prediction(batch.sar[:, 0]))


def test_grid_shows_errors_in_their_colours(tmp_path: Path) -> None:
    one = chip(shape=(64, 64))
    one.water[:] = 0
    one.water[:, :32] = 1
    one.water_valid[:] = True
    one.water_valid[48:] = False

    def top(batch: Batch) -> Prediction:
        probability = torch.zeros_like(batch.water)
        probability[:, :32] = 1
        return Prediction(probability)

    run(top, [one]).grid_png(tmp_path / "grid.png")
    page = np.asarray(Image.open(tmp_path / "grid.png"))
    left = pictures.GAP + 5 * (pictures.SIDE + pictures.GAP)
    errors = page[pictures.TITLE * 2 + pictures.GAP :, left:][:: pictures.SIDE // 4, :: pictures.SIDE // 4]
    expected = [pictures.WATER, pictures.FALSE_ALARM, pictures.MISSED, pictures.LAND]
    assert [tuple(errors[row, column]) for row in (0, 2) for column in (0, 2)] == expected
    assert tuple(errors[3, 0]) == pictures.INVALID
    assert [path.name for path in tmp_path.iterdir()] == ["grid.png"]


def test_pictures_use_a_fixed_range() -> None:
    sar = np.array([[[-25.0, 0.0, -10.0]], [[-32.0, -7.0, -10.0]]], np.float32)
    valid = np.array([[[True, True, True]], [[True, True, False]]])
    found = pictures.colour_sar(sar, valid)[0]
    assert found[0].tolist() == [0, 0, 119] and found[1].tolist() == [255, 255, 119]
    assert len(set(found[2].tolist())) == 1  # one band only: grey
    dim = pictures.colour_optical(np.full((3, 1, 1), 0.03, np.float32), np.ones((1, 1), bool))
    bright = pictures.colour_optical(np.full((3, 1, 1), 0.3, np.float32), np.ones((1, 1), bool))
    assert (dim < 80).all() and (bright == 255).all()


def test_gallery_keeps_a_few_of_each_event() -> None:
    chips = [chip(f"c{index}", "ab"[index % 2], index) for index in range(8)]

    def titles(seed: int) -> list[list[str]]:
        return [
            [title for title, _ in kept]
            for kept in run(chips=chips, pictures=2, seed=seed).gallery._kept.values()
        ]

    assert [len(kept) for kept in titles(0)] == [2, 2] and titles(0) == titles(0)
    assert len({str(titles(seed)) for seed in range(3)}) > 1


def test_an_unwritable_grid_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Cannot write the picture grid"):
        run().grid_png(tmp_path / "absent" / "grid.png")
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OutputError, match=r"taken.png"):
        run().grid_png(tmp_path / "taken.png")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.png"]


@pytest.fixture(scope="module")
def network() -> FLoRA:
    torch.manual_seed(0)
    return FLoRA(ModelConfig(widths=(8, 8, 16, 16), head_channels=8))


def test_the_network_sees_only_its_cue(network: FLoRA) -> None:
    one = chip(shape=(64, 64))
    assert one.optical is not None and one.prior is not None
    other = replace(one, optical=one.optical * 0.5, water=1 - one.water)
    older = replace(one, prior=one.prior * 0.5)

    def ask(cue: str, asked: Chip) -> torch.Tensor:
        return NetworkPredictor(network, cue=cue)(collate([asked])).optical  # type: ignore[arg-type]

    assert torch.equal(ask("none", one), ask("none", other)) and torch.equal(
        ask("none", one), ask("none", older)
    )
    assert torch.equal(ask("prior", one), ask("prior", other)) and not torch.equal(
        ask("prior", one), ask("prior", older)
    )
    assert not torch.equal(ask("optical", one), ask("optical", other))
    with pytest.raises(ConfigError, match="'truth' is unknown; expected one of none, prior, optical"):
        NetworkPredictor(network, cue="truth")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="'unet-small' looks at no optical image"):
        NetworkPredictor(UNet(UNET_PRESETS["unet-small"]), cue="prior")


def test_a_cue_that_no_chip_has_is_refused() -> None:
    bare = replace(chip("bare"), optical=None, optical_valid=None)
    clouded = replace(chip("clouded"), optical_valid=np.zeros((4, 24, 30), bool))
    require_cue([bare, clouded, chip()], "optical")
    require_cue([bare], "prior")
    require_cue([bare], "none")
    with pytest.raises(
        DataError, match=r"None of the chips has the image of cue 'optical'; .* Leave out --cue"
    ):
        require_cue([bare, clouded], "optical")


def test_temperature_softens(network: FLoRA) -> None:
    batch = collate([chip(shape=(64, 64))])
    sharp, soft = (NetworkPredictor(network, temperature)(batch).probability for temperature in (1.0, 4.0))
    assert torch.allclose(torch.logit(sharp), 4 * torch.logit(soft), atol=1e-4)


def test_a_margin_gives_the_answer_of_the_plane(network: FLoRA) -> None:
    """With `model.margin` a chip's answer does not depend on how much of the empty plane was computed."""
    one = chip(shape=(64, 64))
    predictor = NetworkPredictor(network)
    near = answer_chip(predictor, one, network.grid, network.margin)
    far = answer_chip(predictor, one, network.grid, network.margin + network.grid)
    assert torch.allclose(near.probability, far.probability, atol=1e-5)
    assert torch.allclose(near.optical, far.optical, atol=1e-5)
