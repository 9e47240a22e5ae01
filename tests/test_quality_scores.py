"""What `flora bench quality` measures and writes: turns undone, parts of a picture by hand, honest tables, resuming."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from data_trees import (
    write_deepflood_area,
    write_sen1floods11,
    write_sen1floods11_weak,
    write_sen12ms,
)
from lakes import made_chip

from flora import checkpoint
from flora.baselines import archive, comparison, variants
from flora.baselines.chart import line_chart
from flora.baselines.comparison import WEIGHTS
from flora.baselines.contests import gap
from flora.baselines.quality import Protocol, refuse_other_limit
from flora.baselines.results import write_page
from flora.baselines.tables import spread
from flora.baselines.testbed import PublicSources
from flora.baselines.variants import MAIN, Budget, budgeted, results_name, variant_files
from flora.baselines.verdicts import verdicts
from flora.chip import Batch, collate
from flora.cli import main
from flora.config import load_yaml
from flora.data import open_dataset
from flora.data.augment import AugmentConfig
from flora.data.loader import MixtureConfig, training_loader
from flora.data.pack import pack
from flora.errors import ConfigError, DataError
from flora.evaluate import Prediction, TurnedPredictor
from flora.evaluate.turns import turn, turn_back
from flora.model import FLoRA, ModelConfig
from flora.train import Experiment
from flora.train.module import JointModule, TeacherModule

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
TINY = ModelConfig(name="tiny", widths=(8, 8, 8, 8), head_channels=8)


def test_turns_are_eight_and_undone() -> None:
    image = torch.arange(12.0).view(1, 3, 4)
    turned = [turn(image, number) for number in range(8)]
    assert len({tuple(t.shape) + tuple(t.flatten().tolist()) for t in turned}) == 8
    assert all(torch.equal(turn_back(t, number), image) for number, t in enumerate(turned))


def test_the_mean_of_turns_is_the_answer_of_who_minds_no_direction_and_halves_a_bias() -> None:
    batch = collate([made_chip(0, 64)])

    def pointwise(asked: Batch, /) -> Prediction:
        return Prediction(torch.sigmoid(-asked.sar[:, 1] - 18), asked.optical[:, :3])

    def leaning(asked: Batch, /) -> Prediction:
        return Prediction(torch.linspace(0, 1, 64).expand(1, 64, 64))

    plain, mean = pointwise(batch), TurnedPredictor(pointwise)(batch)
    torch.testing.assert_close(mean.probability, plain.probability)
    torch.testing.assert_close(mean.optical, plain.optical)
    level = TurnedPredictor(leaning)(batch)
    torch.testing.assert_close(level.probability, torch.full((1, 64, 64), 0.5))
    assert level.optical is None


def test_psnr_of_a_part_by_hand() -> None:
    chip = made_chip(0, 64)
    assert chip.optical is not None
    flooded = {chip.meta.chip: chip.water == 1}
    wrong = torch.from_numpy(chip.optical[:3] + 0.03 * (chip.water == 1))[None]  # 0.1 of the range of DN/3000
    answers = {chip.meta.chip: Prediction(None, wrong)}
    parts = {"all": None, "flooded": flooded, "other": {chip.meta.chip: chip.water == 0}}
    found = archive.pooled_psnr(answers, [chip], parts, 20)
    assert found["flooded[DN/3000]"]["psnr"] == pytest.approx(20, abs=0.01)
    assert found["other[DN/3000]"]["psnr"] == 100
    share = float((chip.water == 1).mean())
    assert found["all[DN/3000]"]["psnr"] == pytest.approx(20 - 10 * math.log10(share), abs=0.01)
    assert found["flooded[DN/3000]"]["pixels"] == (chip.water == 1).sum()


def test_cues_show_what_they_say_and_leave_the_truth() -> None:
    chips = [made_chip(n, 64) for n in range(4)]
    chips = [c.with_layers(prior=c.prior + 0.01 * n) for n, c in enumerate(chips)]
    shown = {cue: archive.shown(chips[0], cue) for cue in archive.CUES if cue != "wrong_place"}
    shown["wrong_place"] = archive.elsewhere(chips[0], chips, 0)
    assert all(np.array_equal(s.optical, chips[0].optical) for s in shown.values())
    assert not shown["none"].prior_valid.any()
    assert np.array_equal(shown["before"].prior, chips[0].prior)
    assert np.array_equal(shown["same_day"].prior, chips[0].optical)
    assert np.array_equal(shown["wrong_place"].prior, chips[2].prior)
    assert shown["half_cloud"].prior_valid.mean() == pytest.approx(0.5, abs=0.1)
    hidden = ~shown["half_cloud"].prior_valid[0]
    assert (shown["unmasked_cloud"].prior[:, hidden] == np.float32(archive.CLOUD_REFLECTANCE)).all()
    assert shown["unmasked_cloud"].prior_valid.all()
    whole = shown["whole_cloud"].prior
    assert whole.min() > 0.9 * archive.THIN_CLOUD - 0.01 and len(np.unique(whole[0].round(1))) > 1
    assert shown["whole_cloud"].prior_valid.all()


def test_an_image_that_was_not_asked_for_before_is_scored_alone(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def study(*_: object, cues: list[str], **__: object) -> dict[str, object]:
        asked.append(cues)
        return {cue: {} for cue in cues}

    monkeypatch.setattr(archive, "study", study)
    path = checkpoint.save(tmp_path / "w.safetensors", checkpoint.Checkpoint(FLoRA(TINY)))
    record = comparison.Record(tmp_path / "quality_weights.json", quick(), ["flora"])
    sources = PublicSources(tree, ["sen1floods11"])
    entry = record.score("w", checkpoint.load(path), sources, lambda _: None, cues=())
    entry["sources"]["guaiba"] = {"chips": 3}  # stands for a source with images of two dates
    for cues in (("none", "before"), ("none", "before", "whole_cloud"), ("none", "whole_cloud")):
        record.score("w", checkpoint.load(path), sources, lambda _: None, cues=cues)
    assert asked == [["none", "before"], ["whole_cloud"]]
    assert set(entry["cues"]) == {"none", "before", "whole_cloud"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    write_sen1floods11(root / "sen1floods11", {"test": ("Spain_1", "USA_2")}, 64)
    return root


def quick() -> Protocol:
    return Protocol(resamples=10, margin=0, lpips=None)


def test_weights_are_scored_once_and_again_when_they_change(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    path = checkpoint.save(tmp_path / "w.safetensors", checkpoint.Checkpoint(FLoRA(TINY)))
    sources = PublicSources(tree, ["sen1floods11"])
    record = comparison.Record(tmp_path / "quality_weights.json", quick(), ["flora"])
    entry = record.score("w", checkpoint.load(path), sources, lambda _: None)
    scores = entry["sources"]["sen1floods11"]
    assert scores["chips"] == 2
    assert set(scores["figures"]) >= {
        "iou_micro",
        "iou_macro",
        "ece",
        "brier",
        "psnr[DN/3000]",
        "psnr_floor[DN/3000]",
    }
    assert scores["risk_coverage"][-1][0] == 1
    json.loads((tmp_path / "quality_weights.json").read_text())

    asked: list[str] = []
    real = comparison.score_source

    def counted(*words: object, **options: object) -> object:
        asked.append("again")
        return real(*words, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(comparison, "score_source", counted)
    again = comparison.Record(tmp_path / "quality_weights.json", quick(), ["flora"])
    again.score("w", checkpoint.load(path), sources, lambda _: None)
    assert not asked
    checkpoint.save(path, checkpoint.Checkpoint(FLoRA(TINY)))
    again.score("w", checkpoint.load(path), sources, lambda _: None)
    assert asked == ["again"]
    page = write_page(tmp_path, tmp_path / "docs" / "results.md")[0].read_text()
    assert "**FLoRA, w**" in page
    assert "2 chips; strong water labels; " in page


def test_weights_of_two_runs_are_called_by_their_runs(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "score_rivals", lambda *_: None)
    torch.manual_seed(0)
    made = [
        checkpoint.save(tmp_path / run / checkpoint.RUN_FILE, checkpoint.Checkpoint(FLoRA(TINY)))
        for run in ("one", "two")
    ]
    sources, out = PublicSources(tree, ["sen1floods11"]), tmp_path / "out"
    comparison.compare_weights([str(path) for path in made], sources, out, quick(), [], lambda _: None)
    entries = json.loads((out / comparison.WEIGHTS).read_text())["entries"]
    assert set(entries) == {"one", "two"} and entries["one"]["sha256"] != entries["two"]["sha256"]
    with pytest.raises(ConfigError, match="would both be called 'one'"):
        comparison.compare_weights([str(made[0])] * 2, sources, out, quick(), [], lambda _: None)


def test_a_quick_look_takes_the_place_of_no_table(tmp_path: Path) -> None:
    look = Protocol(lpips=None, limit=1)
    refuse_other_limit(tmp_path / "none", look)
    (tmp_path / "quality.json").write_text(json.dumps({"protocol": quick().words()}))
    refuse_other_limit(tmp_path, quick())
    with pytest.raises(ConfigError, match="all chips, not of at most 1 chips a source; give another --out"):
        refuse_other_limit(tmp_path, look)
    (tmp_path / "quality.json").write_text(json.dumps({"protocol": look.words()}))
    with pytest.raises(ConfigError, match="not of all chips"):
        refuse_other_limit(tmp_path, quick())


def test_sources_that_are_not_there_are_named(tree: Path, tmp_path: Path) -> None:
    assert [s.entry.name for s in PublicSources(tree).sources] == ["sen1floods11"]
    assert len(PublicSources(tree, limit=1).sources[0].chips) == 1
    with pytest.raises(DataError, match="no test chips of guaiba"):
        PublicSources(tree, ["guaiba"])
    with pytest.raises(DataError, match="'mars'; use some of sen1floods11"):
        PublicSources(tree, ["mars"])
    with pytest.raises(DataError, match="no quality"):
        write_page(tmp_path, tmp_path / "results.md")


def scored(**figures: float) -> dict[str, object]:
    return {"sources": {"sen1floods11": {"figures": figures}}, "cues": {}}


def test_verdicts_name_losses_as_wins() -> None:
    rivals = {"entries": {"threshold": scored(iou_micro=0.6, iou_macro=0.5)}}
    text = verdicts(rivals, {"entries": {"default": scored(iou_micro=0.64, iou_macro=0.5, ece=0.05)}})
    lines = [line for line in text.splitlines() if "sen1floods11" in line]
    assert "≥ 0.650 | 0.640 | **no**" in lines[0]
    assert "≥ 0.500 | 0.500 | yes" in lines[1]
    assert "≤ 0.05 | 0.050 | yes" in lines[2]
    assert verdicts(rivals, {"entries": {"other": scored()}}) == ""


def test_verdicts_show_other_seeds_beside_the_shipped_weights() -> None:
    rivals = {"entries": {"threshold": scored(iou_micro=0.6, iou_macro=0.5)}}
    entries = {
        "default": scored(iou_micro=0.66, ece=0.05),
        "seed_1": scored(iou_micro=0.64),
        "tried": scored(),
    }
    lines = verdicts(rivals, {"entries": entries}).splitlines()
    assert lines[2] == "| claim | wanted | found | holds | first run, seed 1 |"
    assert lines[4].endswith("| ≥ 0.650 | 0.660 | yes | 0.640, **no** |")
    assert lines[5].endswith("| ≤ 0.05 | 0.050 | yes | – |")  # what was not measured of it


def test_verdicts_give_the_mean_and_the_spread_over_runs_of_the_shipped_recipe() -> None:
    rivals = {"entries": {"threshold": scored(iou_micro=0.6, iou_macro=0.5)}}
    entries = {
        "default": scored(iou_micro=0.66, ece=0.05),
        "again_1": scored(iou_micro=0.64),
        "again_2": scored(iou_micro=0.68),
    }
    text = verdicts(rivals, {"entries": entries})
    lines = text.splitlines()
    assert lines[2] == "| claim | wanted | found | holds | 3 runs, mean ± std |"
    assert lines[4].endswith("| ≥ 0.650 | 0.660 | yes | 0.660 ± 0.020 (held by 2) |")
    assert lines[5].endswith("| ≤ 0.05 | 0.050 | yes | 0.050 (held by 1) |")  # one of three has it: no spread
    assert "`again_1` and `again_2`" in text


def test_verdicts_hold_networks_of_the_same_training_against_flora() -> None:
    unet = scored(iou_micro=0.7) | {"network": "unet-default"}
    unet["sources"]["guaiba"] = {"figures": {"ssim[DN/3000]": 0.5, "lpips_alex[DN/3000]": 0.6}}  # type: ignore[index]
    ours = scored(iou_micro=0.7)
    ours["sources"]["guaiba"] = {"figures": {"ssim[DN/3000]": 0.5, "lpips_alex[DN/3000]": 0.5}}  # type: ignore[index]
    lines = verdicts({}, {"entries": {"default": ours, "unet": unet}}).splitlines()
    assert "| sen1floods11: IoU micro not below U-Net | ≥ 0.700 | 0.700 | yes |" in lines
    assert "| guaiba: SSIM above U-Net | > 0.500 | 0.500 | **no** |" in lines
    assert "| guaiba: LPIPS-Alex below U-Net | < 0.600 | 0.500 | yes |" in lines


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        ([], "quality"),
        (["--preset", "default"], "quality_default"),
        (["--comparison", "later"], "quality_small_later"),
        (["--comparison", "later", "--runs", "mine"], None),
    ],
)
def test_no_comparison_takes_the_runs_of_another(
    options: list[str], folder: str | None, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []
    monkeypatch.setattr("flora.baselines.variants.compare_variants", lambda *given: taken.append(given[6]))
    monkeypatch.setattr("flora.baselines.results.write_page", lambda *_: [])
    with pytest.raises(SystemExit) as caught:
        main(["bench", "quality", "--root", str(tree), "--out", str(tmp_path), *options])
    assert caught.value.code in (None, 0)
    assert taken == [Path("runs", folder) if folder else Path("mine")]


def test_comparisons_on_networks_of_two_sizes_stand_one_after_the_other(tmp_path: Path) -> None:
    for preset, ours in (("small", 0.5), ("default", 0.7)):
        entries = {
            f"{name}-{seed}": scored(iou_micro=value + 0.01 * seed)
            | {"variant": name, "parameters": 600_000, "seconds": 60}
            for name, value in (("flora", ours), ("unet", 0.4), ("no_gate", 0.3))
            for seed in (0, 1)
        }
        content = {"protocol": {"word": "meaning"}, "entries": entries, "budget": {"preset": preset}}
        (tmp_path / results_name(preset)).write_text(json.dumps(content))
    text = write_page(tmp_path, tmp_path / "results.md")[0].read_text()
    larger, smaller = text.split("## Methods trained alike, network `")[1:]
    assert larger.startswith("default`") and smaller.startswith("small`")
    assert "| unet | **+0.300 [0.014]** |" in larger and "| no_gate | **+0.400 [0.014]** |" in larger
    assert "| unet | **+0.100 [0.014]** |" in smaller
    assert "0.705 ± 0.007" in larger
    later = content | {"budget": {"preset": "small", "comparison": "later"}}
    (tmp_path / results_name("small", "later")).write_text(json.dumps(later))
    again = write_page(tmp_path, tmp_path / "results.md")[0].read_text()
    assert "## Methods trained alike, network `small`, comparison `later`" in again
    assert "## Methods trained alike, network `small`\n" in again  # the other one still stands


def test_a_comparison_that_is_no_name_for_a_file_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"called '\.\./x'; use letters"):
        Budget(steps=1, seeds=1, preset="small", crop=64, batch=1, comparison="../x")


def test_an_untrained_head_has_no_figures(tmp_path: Path) -> None:
    entries = {
        f"{name}-0": scored(**{"iou_micro": 0.5, "psnr[DN/3000]": 15.0})
        | {"variant": name, "parameters": 600_000, "seconds": 60}
        for name in ("flora", "water_only", "picture_only")
    }
    content = {"protocol": {"word": "meaning"}, "entries": entries, "budget": {"preset": "small"}}
    (tmp_path / results_name("small")).write_text(json.dumps(content))
    text = write_page(tmp_path, tmp_path / "results.md")[0].read_text()
    of_water, of_pictures = (
        text.split(heading)[1].split("###")[0] for heading in ("### IoU micro", "### PSNR DN")
    )
    assert "| water_only | 0.500 |" in of_water and "picture_only" not in of_water
    assert "| picture_only | 15.00 |" in of_pictures and "water_only" not in of_pictures
    assert "| water_only | +0.000 |" in text and "| picture_only | +0.000 |" in text


def test_the_spread_has_a_table_and_a_chart_of_those_it_was_measured_of(tmp_path: Path) -> None:
    told = {
        "spread_covers_50": 0.6,
        "spread_covers_90": 0.95,
        "spread_miscalibration": 0.08,
        "error_of_sure_half": 0.7,
    }
    ours, earlier = scored(**told, iou_micro=0.5), scored(iou_micro=0.5)
    for entry in (ours, earlier):
        entry["sources"]["sen1floods11"]["risk_coverage"] = []
    ours["sources"]["sen1floods11"]["error_coverage"] = [[0.5, 0.01], [1.0, 0.02]]
    ours["cues"] = {"before": {"figures": told | {"spread_covers_90": 0.85}, "pooled": {}}}
    content = {"protocol": {"word": "meaning"}, "entries": {"again_1": earlier, "default": ours}}
    (tmp_path / WEIGHTS).write_text(json.dumps(content))
    page = write_page(tmp_path, tmp_path / "results.md")[0].read_text()
    section = page.split("### The spread of the picture")[1].split("##")[0]
    rows = [line for line in section.splitlines() if line.startswith("| **")]
    assert rows == [
        "| **default** | Sen1Floods11, test (Spain, USA) | 60.0 | 95.0 | 0.080 | 0.70 |",
        "| **default** | Guaíba after the flood, with the image before the flood | 60.0 | 85.0 | 0.080 | 0.70 |",
    ]
    assert "<polyline" in (tmp_path / "charts/error_coverage.svg").read_text()
    (tmp_path / WEIGHTS).write_text(json.dumps(content | {"entries": {"again_1": earlier}}))
    assert "spread of the picture" not in write_page(tmp_path, tmp_path / "results.md")[0].read_text()


def test_each_table_says_on_how_many_chips_and_by_which_truth(tmp_path: Path) -> None:
    protocol = "strong water labels; surface reflectance; 95 % interval over 2 events"
    counts = {"chips": 2, "water_chips": 2, "optical_chips": 1, "protocol": protocol, "risk_coverage": []}
    figures = {"iou_micro": 0.5, "false_water": 0.1, "psnr[DN/3000]": 15.0}
    entry = scored()
    entry["sources"] = {"sen1floods11": counts | {"figures": figures, "intervals": {"iou_micro": [0.4, 0.6]}}}
    (tmp_path / WEIGHTS).write_text(
        json.dumps({"protocol": {"word": "meaning"}, "entries": {"default": entry}})
    )
    page = write_page(tmp_path, tmp_path / "results.md")[0].read_text()
    of_water, of_pictures = page.split("## The optical picture from radar alone")
    assert "2 chips; strong water labels; 95 % interval over 2 events." in of_water
    assert "1 chip; surface reflectance; no interval." in of_pictures


def test_each_source_has_a_curve_of_its_own(tmp_path: Path) -> None:
    entry = scored(iou_micro=0.5)
    curve = {"risk_coverage": [[0.005, 0.9], [0.5, 0.01], [1.0, 0.02]]}
    entry["sources"] = {
        name: {"water_chips": 1, "protocol": "strong water labels", "figures": {"iou_micro": 0.5}} | curve
        for name in ("etci_nebraska", "etci_dry")
    }
    (tmp_path / WEIGHTS).write_text(
        json.dumps({"protocol": {"word": "meaning"}, "entries": {"default": entry}})
    )
    write_page(tmp_path, tmp_path / "results.md")
    chart = (tmp_path / "charts/risk_coverage.svg").read_text()
    assert chart.count("<polyline") == 2 and "dry date" in chart
    assert ">0.9<" not in chart, "a curve starts where enough pixels are answered"


def test_spread_over_seeds_by_hand() -> None:
    entries = [scored(iou_micro=value) for value in (0.5, 0.6, 0.7)]
    column = ("iou_micro", "IoU micro", 1, 3)
    assert spread(entries, "sen1floods11", column) == "0.600 ± 0.100"
    assert spread(entries[:1], "sen1floods11", column) == "0.500"
    assert spread(entries, "guaiba", column) == "–"


def test_a_chart_is_svg_with_a_curve_a_name() -> None:
    text = line_chart("Errors", "share", "rate", {"a & b": [(0, 0), (1, 0.03)], "c": [(0.5, 0.01)]})
    assert text.count("<polyline") == 2
    assert "a &amp; b" in text
    assert "64.0," in text
    assert ">0.04<" in text, "the axis ends above the highest point"


def test_a_budget_changes_no_more_than_it_says() -> None:
    budget = Budget(steps=30, seeds=1, preset="default", crop=128, batch=4)
    files = variant_files(CONFIGS)
    assert set(MAIN) <= set(files)
    for name in ("flora", "unet", "published", "no_film"):
        experiment = load_yaml(files[name], Experiment)
        given = budgeted(experiment, name, 2, budget, Path("p"))
        assert (given.joint.steps, given.seed, given.name) == (30, 2, f"{name}-2")
        assert given.data.size == (256 if name == "published" else 128)
        assert given.changes == experiment.changes
        assert given.faults == experiment.faults
        assert given.joint.objective == experiment.joint.objective
        assert given.teacher is None or given.teacher.steps == 6
    halves = budgeted(
        load_yaml(files["pretrained"], Experiment), "pretrained", 0, replace(budget, steps=31), Path("p")
    )
    assert halves.pretraining is not None
    assert (halves.pretraining.steps, halves.joint.steps) == (15, 16)
    assert (
        budgeted(load_yaml(files["unet"], Experiment), "unet", 0, budget, Path("p")).model == "unet-default"
    )


def test_a_finished_run_of_another_budget_is_not_passed_off_as_this_one(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variants, "score_rivals", lambda *_: None)
    asked: list[str] = []
    monkeypatch.setattr(variants, "run", lambda given, *_, **__: asked.append(given.name))
    monkeypatch.setattr(comparison.Record, "score", lambda *_, **__: None)
    monkeypatch.setattr(checkpoint, "load", lambda _: None)
    runs, results = tmp_path / "runs", tmp_path / "quality.json"

    def compare(steps: int, seeds: int = 1) -> None:
        variants.compare_variants(
            ["unet"], False, Budget(steps, seeds, "small", 64, 2), tmp_path / "packed", CONFIGS,
            lambda path: load_yaml(path, Experiment), runs, PublicSources(tree), tmp_path, quick(), [], lambda _: None,
        )  # fmt: skip

    done = budgeted(
        load_yaml(variant_files(CONFIGS)["unet"], Experiment),
        "unet",
        0,
        Budget(200, 1, "small", 64, 2),
        tmp_path / "packed",
    )
    (runs / "unet-0").mkdir(parents=True)
    (runs / "unet-0" / "flora.safetensors").touch()
    (runs / "unet-0" / "experiment.yaml").write_text(yaml.safe_dump(done.model_dump(mode="json")))
    compare(200)
    assert not asked, "it is there"
    with pytest.raises(ConfigError, match=r"unet-0' was started with other settings"):
        compare(400)
    budget = {"steps": 200, "seeds": 1, "preset": "small", "crop": 64, "batch": 2, "teacher_steps": 40}
    results.write_text(json.dumps({"entries": {}, "budget": budget}))
    with pytest.raises(
        ConfigError, match=r"holds results of steps 200; 400 is asked for\. Name this .*--comp"
    ):
        compare(400)
    compare(200, seeds=2)
    assert asked == ["unet-1"], "more seeds are no other budget"


def published_tree(name: str, root: Path) -> list[str]:
    """Writes a tiny tree in the published layout and names the datasets that are packed of it."""
    if name == "sen1floods11":
        write_sen1floods11(root, {"train": ("Ghana_1", "Spain_2")}, 128)
        write_sen1floods11_weak(root, {"Ghana_3": "S2IndexLabelWeak"})
        return ["sen1floods11", "sen1floods11_weak"]
    if name == "sen12ms":
        write_sen12ms(root, (("ROIs1158_spring", 1, 30), ("ROIs1158_spring", 8, 5)))
        return ["sen12ms"]
    codes = np.repeat(np.repeat(np.array([[0, 1], [2, 3]], np.uint8), 320, 0), 320, 1)
    for number, place in enumerate(("Elizabeth", "Kinston", "Lumberton", "Wilson")):
        write_deepflood_area(root, f"{place}_Florence_14_09_18_01", codes, 700000.0 + 5000 * number)
    return ["deepflood"]


@pytest.mark.parametrize("name", ["sen1floods11", "sen12ms", "deepflood"])
def test_full_size_experiments_take_a_step_on_the_published_layout(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    datasets = published_tree(name, tmp_path / "data")
    pack([c for d in datasets for c in open_dataset(d, tmp_path / "data", "train")], tmp_path / "packed")
    experiment = load_yaml(CONFIGS / f"{name}.yaml", Experiment)
    loader = training_loader(
        tmp_path / "packed",
        MixtureConfig(weights=experiment.data.mixture),
        AugmentConfig(**experiment.augment.model_dump()),
        batch_size=2,
        size=64,
        seed=0,
        workers=0,
    )
    batch = next(iter(loader))
    model = FLoRA(TINY)
    for stage in (lambda: TeacherModule(model.teacher, experiment), lambda: JointModule(model, experiment)):
        module = stage()
        module.log_terms = lambda *_: None  # type: ignore[method-assign]
        loss = module.training_step(replace(batch), 0)
        loss.backward()
        assert torch.isfinite(loss)


def test_the_verb_says_what_is_missing_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(
            [
                "bench",
                "quality",
                "--root",
                str(tmp_path),
                "--weights",
                "default",
                "--out",
                str(tmp_path / "out"),
            ]
        )
    assert left.value.code == 1
    assert "holds no test chips of" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_methods_are_told_apart_by_twice_the_standard_error() -> None:
    # Means 0.70 and 0.60; variances 0.0001 and 0.0004 over 2 and 4 seeds: 2 sqrt(0.00005 + 0.0001) = 0.0245.
    ours, theirs = [0.69293, 0.70707], [0.58268, 0.58268, 0.61732, 0.61732]
    found = gap(ours, theirs)
    assert found.mean == pytest.approx(0.1, abs=1e-4)
    assert found.margin == pytest.approx(0.0245, abs=1e-4)
    assert str(found) == "**+0.100 [0.024]**"
    assert str(gap(ours, theirs, more_is_better=False)) == "**-0.100 [0.024]**"
    assert str(gap([0.7, 0.6], [0.62, 0.7])) == "-0.010 [0.128]"
    assert str(gap([0.7], [0.6])) == "+0.100", "one seed tells nothing apart"
