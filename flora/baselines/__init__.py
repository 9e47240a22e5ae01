"""What FLoRA is compared with, in the same harness: thresholds for water, constants and copies for the picture."""

from __future__ import annotations
