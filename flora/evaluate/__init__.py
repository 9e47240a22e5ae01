"""One harness for the network and all it is compared with: chips in, a report with intervals and pictures out.

predictor (Batch -> Prediction), chips, threshold ──▶ evaluate ──▶ Report ──▶ JSON, Markdown, PNG grid
"""

from __future__ import annotations

from flora.evaluate.harness import evaluate
from flora.evaluate.predictor import NetworkPredictor, Prediction, Predictor
from flora.evaluate.report import Report, Row
from flora.evaluate.turns import TurnedPredictor

__all__ = ["NetworkPredictor", "Prediction", "Predictor", "Report", "Row", "TurnedPredictor", "evaluate"]
