"""Speed and memory, measured on this machine and written down as JSON, a table and charts."""

from flora.benchmark.plan import Plan
from flora.benchmark.run import run_speed

__all__ = ["Plan", "run_speed"]
