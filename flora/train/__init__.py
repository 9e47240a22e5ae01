"""Training in two stages with Lightning: `run(experiment, out)`."""

from flora.train.experiment import Experiment
from flora.train.run import run

__all__ = ["Experiment", "run"]
