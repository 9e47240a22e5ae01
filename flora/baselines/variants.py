"""Trains what is compared, alike and resumably, and scores each run as it ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from flora import checkpoint
from flora.baselines.comparison import Record
from flora.baselines.quality import Protocol
from flora.baselines.rivals import RIVALS, score_rivals
from flora.baselines.testbed import PublicSources
from flora.errors import ConfigError
from flora.train.experiment import Experiment
from flora.train.record import WEIGHTS, is_done
from flora.train.run import run

# Comparisons on a network of another size stand in a file of their own, `quality_PRESET.json`, and those with a name in
# `quality_PRESET_NAME.json`.
VARIANTS: Final = "quality.json"
SMALL: Final = "small"
FLORA: Final = "flora"
COMPARED_CUES: Final = ("none", "before", "wrong_place")
# What is trained without --full, the most telling first.
MAIN: Final = (
    FLORA,
    "unet",
    "published",
    "pix2pix",
    "predictor_untrained",
    "predictor_removed",
    "distillation_off",
    "unet_stacked",
)


@dataclass(frozen=True, slots=True)
class Budget:
    """What every variant is given.

    Attributes:
        steps: Of the joint stage, or of the only one.
        seeds: Runs of each variant.
        preset: Size of the network.
        crop: Side of a training crop, px.
        batch: Crops a step.
        comparison: What a comparison is called that stands apart from others on networks of its size, as one with later
            packs has to; an identifier.

    Raises:
        ConfigError: The comparison's name is no identifier.
    """

    steps: int
    seeds: int
    preset: str
    crop: int
    batch: int
    comparison: str | None = None

    def __post_init__(self) -> None:
        """Refuses a name that is not fit for a file."""
        if self.comparison is not None and not self.comparison.isidentifier():
            raise ConfigError(
                f"The comparison is called '{self.comparison}'; use letters, digits and underscores, a letter first."
            )

    @property
    def teacher_steps(self) -> int:
        """Steps of the teacher stage, where a variant has one."""
        return max(1, self.steps // 5)


def compare_variants(
    names: Sequence[str] | None,
    full: bool,
    budget: Budget,
    packed: Path,
    configs: Path,
    load: Callable[[Path], Experiment],
    runs: Path,
    sources: PublicSources,
    out: Path,
    protocol: Protocol,
    argv: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Trains and scores variants, all with one seed before any with the next.

    Args:
        names: Variants; None for the main ones.
        full: Every variant under `configs`.
        budget: What each is given.
        packed: Packs that all train on.
        configs: Folder of `small.yaml`, `baselines/` and `ablations/`.
        load: Reads one experiment.
        runs: Folder of runs; a finished one is not trained again, a stopped one goes on.
        sources: What to score on.
        out: Folder of results.
        protocol: How.
        argv: The command, for the record.
        say: Told what is being done.

    Raises:
        ConfigError: A variant is unknown, a finished or stopped run was started with other settings, or the results
            that stand in `out` are of another budget. More or fewer seeds are no other budget.
    """
    files = variant_files(configs)
    chosen = list(names or (files if full else MAIN))
    unknown = [name for name in chosen if name not in files]
    if unknown:
        raise ConfigError(
            f"Found no variant '{unknown[0]}' under '{configs}'; use some of {', '.join(files)}."
        )
    results = out / results_name(budget.preset, budget.comparison)
    _refuse_other_budget(results, budget)
    score_rivals(sources, out / RIVALS, protocol, argv, say)
    for seed in range(budget.seeds):
        for name in chosen:
            experiment = budgeted(load(files[name]), name, seed, budget, packed)
            folder = runs / experiment.name
            if not is_done(experiment, runs):
                say(f"Training {name}, seed {seed}, {budget.steps} steps")
                run(experiment, runs, resume=folder.exists(), progress=False)
            record = Record(results, protocol, argv)
            record.content["budget"] = _as_recorded(budget)
            title = experiment.about or name
            loaded = checkpoint.load(folder / WEIGHTS)
            record.score(
                f"{name}-{seed}", loaded, sources, say, cues=COMPARED_CUES, variant=name, title=title
            )


def _as_recorded(budget: Budget) -> dict[str, Any]:
    """Gives a budget as it stands beside results."""
    return asdict(budget) | {"teacher_steps": budget.teacher_steps}


def _refuse_other_budget(results: Path, budget: Budget) -> None:
    """Refuses results of runs that were given something else: in one table they would pass for alike."""
    found = json.loads(results.read_text()).get("budget", {}) if results.is_file() else {}
    asked = _as_recorded(budget)
    other = [name for name in found if name != "seeds" and found[name] != asked.get(name)]
    if other:
        name = other[0]
        raise ConfigError(
            f"'{results}' holds results of {name} {found[name]}; {asked.get(name)} is asked for. Name this "
            "comparison with --comparison, or choose another --out."
        )


def results_name(preset: str, comparison: str | None = None) -> str:
    """Gives the name of the results file of a comparison on networks of one size."""
    stem = Path(VARIANTS).stem
    if comparison:
        return f"{stem}_{preset}_{comparison}.json"
    return VARIANTS if preset == SMALL else f"{stem}_{preset}.json"


def variant_files(configs: Path) -> dict[str, Path]:
    """Gives every variant's file by its name: `small.yaml` is `flora`.

    Raises:
        ConfigError: The folder does not hold `small.yaml`.
    """
    small = configs / "small.yaml"
    if not small.is_file():
        raise ConfigError(f"'{configs}' holds no small.yaml; give the folder of experiments with --configs.")
    folders = (configs / "baselines", configs / "ablations")
    return {FLORA: small} | {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def budgeted(experiment: Experiment, name: str, seed: int, budget: Budget, packed: Path) -> Experiment:
    """Gives an experiment the budget of the comparison; what makes the variant stays.

    Args:
        experiment: The variant's file.
        name: Of the variant.
        seed: Of the run.
        budget: What every variant is given.
        packed: Packs.

    Returns:
        The experiment to run, called `NAME-SEED`.
    """
    tree = experiment.model_dump()
    if isinstance(experiment.model, str):
        family, dash, _ = experiment.model.rpartition("-")
        tree["model"] = f"{family}{dash}{budget.preset}"
    # Crops that are cut apart come out at half the side.
    side = 2 * budget.crop if experiment.faults.independent_crops else budget.crop
    tree["data"] |= {"packed": packed, "size": side, "batch_size": budget.batch}
    tree["joint"]["steps"] = budget.steps
    if tree["pretraining"] is not None:  # one budget for both, as each step costs the same
        tree["pretraining"]["steps"] = budget.steps // 2
        tree["joint"]["steps"] = budget.steps - budget.steps // 2
    if tree["teacher"] is not None:
        tree["teacher"]["steps"] = budget.teacher_steps
    tree |= {"name": f"{name}-{seed}", "seed": seed, "validate_every": budget.steps + 1}
    return Experiment.model_validate(tree)
