"""From predictions to files that people and programs open: layers, quicklook, numbers."""

from flora.products.run import run_predict
from flora.products.summary import Summary
from flora.products.write import write_prediction

__all__ = ["Summary", "run_predict", "write_prediction"]
