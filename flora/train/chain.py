"""A run that goes on from others: what has to be trained before it, in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flora.errors import ConfigError
from flora.metrics.lpips import IMPORT_VGG, weights_path
from flora.train.experiment import Experiment
from flora.train.record import WEIGHTS, is_done
from flora.train.run import require_trainable, run


def chain(config: Path, load: Callable[[Path], Experiment], out: Path) -> list[Experiment]:
    """Reads an experiment and what has to be trained before it.

    Args:
        config: Its file.
        load: Reads one file.
        out: Folder of runs, where the weights of each are looked for.

    Returns:
        The experiments that are to be trained, each once and after those that it goes on from, the wanted one last.
        Those whose weights are there are left out, and with them all that they alone went on from. Where `initial` or
        `averaged_with` named an experiment, the weights that it leaves stand there now.

    Raises:
        ConfigError: An experiment goes on from itself, two have one name, one was trained with other settings, or one
            needs VGG16's weights, which are not there.
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
        _refuse_without_vgg(experiment)
    return experiments


def _gather(
    config: Path,
    load: Callable[[Path], Experiment],
    out: Path,
    found: dict[Path, Experiment],
    above: tuple[Path, ...],
) -> None:
    """Adds an experiment to those found, after those of its predecessors that are to be trained."""
    key = config.resolve()
    if key in above:
        raise ConfigError(f"'{config}' goes on from itself; take it out of initial or averaged_with.")
    if key in found:
        return
    experiment = load(config)
    before = {
        setting: config.parent / named
        for setting in Experiment.BESIDE
        if (named := getattr(experiment, setting)) is not None and named.suffix in (".yaml", ".yml")
    }
    weights = {setting: out / load(path).name / WEIGHTS for setting, path in before.items()}
    experiment = experiment.model_copy(update=weights)
    if above and is_done(experiment, out):
        return
    for path in before.values():
        _gather(path, load, out, found, (*above, key))
    found[key] = experiment


def _refuse_without_vgg(experiment: Experiment) -> None:
    """Refuses what would stop after the runs before it."""
    stages = [stage.objective for stage in (experiment.pretraining, experiment.joint) if stage is not None]
    needs = any(stage.weights.perceptual > 0 and stage.perceptual_by == "vgg" for stage in stages)
    if needs and not weights_path("vgg").is_file():
        raise ConfigError(
            f"'{experiment.name}' compares pictures by VGG16, whose weights are not there; bring them in with "
            f"{IMPORT_VGG}."
        )


def run_chain(
    experiments: list[Experiment],
    out: Path,
    *,
    resume: bool = False,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Trains a chain.

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
        ConfigError: The settings of a link do not fit together, or to the link that it goes on from; told before any
            is trained.
    """
    coming = {out / experiment.name / WEIGHTS: experiment for experiment in experiments}
    for experiment in experiments:
        require_trainable(experiment, coming)
    count = len(experiments)
    for number, experiment in enumerate(experiments, 1):
        if count > 1:
            say(f"Training '{experiment.name}', {number} of {count}, {experiment.joint.steps} steps")
        weights = run(experiment, out, resume=resume, progress=progress)
    return weights
