"""The network as a file that runs without FLoRA: ONNX, or torch's own exported program."""

from flora.export.facts import facts_of, read_facts
from flora.export.portable import Portable
from flora.export.write import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "Portable", "export", "facts_of", "read_facts"]
