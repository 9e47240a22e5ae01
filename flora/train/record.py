"""What a run's folder says of itself: the settings that it was started with, and whether its weights are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import ValidationError

from flora.checkpoint import RUN_FILE
from flora.errors import ConfigError, OutputError
from flora.train.experiment import Experiment

# In a run's folder: what it leaves, and the settings that it was started with.
WEIGHTS: Final = RUN_FILE
RECORD: Final = "experiment.yaml"


def prepare(folder: Path, resolved: dict[str, Any], resume: bool) -> None:
    """Makes a run's folder and stores the resolved settings, or checks that they are those of the run to resume.

    Args:
        folder: Of the run.
        resolved: Its settings, as JSON has them.
        resume: Whether a run may be there already.

    Raises:
        OutputError: One is there, and `resume` is off.
        ConfigError: One is there with other settings.
    """
    record = folder / RECORD
    if record.is_file():
        if not resume:
            raise OutputError(
                f"'{folder}' holds a run already; resume it with --resume or choose another --out."
            )
        _refuse_other(record, resolved, "resume with")
    folder.mkdir(parents=True, exist_ok=True)
    record.write_text(yaml.safe_dump(resolved, sort_keys=False))


def is_done(experiment: Experiment, out: Path) -> bool:
    """Says whether an experiment's weights are there.

    Args:
        experiment: Which.
        out: Folder of runs.

    Raises:
        ConfigError: They are, and were made with other settings. Weights without a record are taken as they are.
    """
    folder = out / experiment.name
    if not (folder / WEIGHTS).is_file():
        return False
    if (folder / RECORD).is_file():
        _refuse_other(folder / RECORD, experiment.model_dump(mode="json"), "use")
    return True


def _refuse_other(record: Path, resolved: dict[str, Any], what: str) -> None:
    """Refuses a run that was started with other settings than are asked for."""
    if _resolved(yaml.safe_load(record.read_text())) != resolved:
        raise ConfigError(
            f"'{record.parent}' was started with other settings; {what} those in '{record}', or another --out."
        )


def _resolved(recorded: Any) -> Any:
    """Gives recorded settings with the defaults of settings that came after them; as they are where they do not fit."""
    try:
        return Experiment.model_validate(recorded).model_dump(mode="json")
    except ValidationError:
        return recorded
