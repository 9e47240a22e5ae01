"""Errors that a user can act on.

Every error that FLoRA raises on purpose says what was found, what was expected and what to do, in one
sentence where one is enough. The command line prints that sentence and exits with code 1; Python callers
catch `FloraError`.
"""

from __future__ import annotations


class FloraError(Exception):
    """Something the user or the data has to change; the message says what."""


class InputError(FloraError):
    """A file, path or scene cannot be read as what it should be."""


class DataError(FloraError):
    """A dataset's folder, chip, split or label breaks its published layout."""


class ConfigError(FloraError):
    """A setting is unknown, missing or contradicts another."""


class CheckpointError(FloraError):
    """A weights file is damaged, foreign or made for another network."""


class OutputError(FloraError):
    """A result cannot be written where it was asked for."""


class RemoteError(FloraError):
    """A server refuses, does not answer, or sends something else than it announced."""
