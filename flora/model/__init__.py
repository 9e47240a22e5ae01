"""The network: one file for each part of the paper's figure, wired in `flora.model.flora`."""

from flora.model.config import PRESETS, ModelConfig
from flora.model.flora import FLoRA
from flora.model.output import Output

__all__ = ["PRESETS", "FLoRA", "ModelConfig", "Output"]
