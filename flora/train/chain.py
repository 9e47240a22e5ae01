"""A run that goes on from others: what has to be trained before it, in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from flora.errors import ConfigError
from flora.metrics.lpips import weights_path
from flora.train.experiment import Experiment
from flora.train.run import WEIGHTS, is_done, run

# Settings that name weights, or the experiment which leaves them.
BEFORE: Final = ("initial", "averaged_with")


def chain(config: Path, load: Callable[[Path], Experiment], out: Path) -> list[Experiment]:
    """Reads an experiment and all that it goes on from.

    Args:
        config: Its file.
        load: Reads one file.
        out: Folder of runs, where the weights of each are looked for.

    Returns:
        Every experiment once, each after those that it goes on from, the wanted one last; where `initial` or
        `averaged_with` named an experiment, the weights that it leaves stand there now.

    Raises:
        ConfigError: An experiment goes on from itself, two have one name, or one needs VGG16's weights, which are not
            there.
    """
    found: dict[Path, Experiment] = {}
    _gather(config, load, out, found, ())
    experiments = list(found.values())
    names = [experiment.name for experiment in experiments]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(
            f"Two experiments that '{config}' goes on from are called '{min(twice)}'; give each a name of its own."
        )
    for experiment in experiments:
        if not is_done(experiment, out):
            _refuse_without_vgg(experiment)
    return experiments


def _gather(
    config: Path,
    load: Callable[[Path], Experiment],
    out: Path,
    found: dict[Path, Experiment],
    above: tuple[Path, ...],
) -> Experiment:
    key = config.resolve()
    if key in above:
        raise ConfigError(f"'{config}' goes on from itself; take it out of initial or averaged_with.")
    if key not in found:
        experiment = load(config)
        weights = {}
        for setting in BEFORE:
            named: Path | None = getattr(experiment, setting)
            if named is not None and named.suffix in (".yaml", ".yml"):
                before = _gather(config.parent / named, load, out, found, (*above, key))
                weights[setting] = out / before.name / WEIGHTS
        found[key] = experiment.model_copy(update=weights)
    return found[key]


def _refuse_without_vgg(experiment: Experiment) -> None:
    """Refuses what would stop after the runs before it."""
    objective = experiment.joint.objective
    needs = objective.weights.perceptual > 0 and objective.perceptual_by == "vgg"
    if needs and not weights_path("vgg").is_file():
        raise ConfigError(
            f"'{experiment.name}' compares pictures by VGG16, whose weights are not there; bring them with "
            "`python -m flora.metrics.lpips_import`."
        )


def run_chain(
    experiments: list[Experiment],
    out: Path,
    *,
    resume: bool = False,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Trains a chain; links whose weights are there are taken as they are.

    Args:
        experiments: As `chain` gives them.
        out: Folder of runs.
        resume: Go on with links that were stopped.
        progress: Show a progress bar.
        say: Told which link of several is next.

    Returns:
        The weights of the last.

    Raises:
        OutputError: A link's folder holds a run that was stopped and `resume` is off, or the last one's is done.
        ConfigError: A link that is there was made with other settings.
    """
    *before, wanted = experiments
    todo = [experiment for experiment in before if not is_done(experiment, out)]
    for number, experiment in enumerate([*todo, wanted], 1):
        if todo:
            say(f"Training '{experiment.name}', {number} of {len(todo) + 1}, {experiment.joint.steps} steps")
        weights = run(experiment, out, resume=resume, progress=progress)
    return weights
