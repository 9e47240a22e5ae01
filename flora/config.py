"""Settings from a YAML file, checked against a typed model.

A misspelt key that is silently ignored costs a night of training, so an unknown key is an error that names the
nearest known one, and a key given twice is an error too.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from flora.errors import ConfigError

Settings = TypeVar("Settings")


class _OnceLoader(yaml.SafeLoader):
    """The safe YAML loader, refusing a key that a mapping gives twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Builds the mapping of a node.

        Raises:
            ConfigError: A key stands in it twice.
        """
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                line = key_node.start_mark.line + 1
                raise ConfigError(f"'{key}' is set a second time on line {line}; keep one of the two.")
            seen.add(key)
        return super().construct_mapping(node, deep)


def load_yaml(path: str | Path, settings: type[Settings], overrides: Sequence[str] = ()) -> Settings:
    """Reads a YAML file into a typed model.

    A file that says `base: other.yaml` (beside it, or by a relative path) sets only what differs from that one. Where
    the model names top-level keys in `BESIDE`, a relative path to a YAML file under them is of the file that sets it,
    and comes out relative to the one that is read.

    Args:
        path: The file.
        settings: The pydantic model, or the dataclass, that it has to fit.
        overrides: Words of the form `key=value`, dotted for nested keys, such as `model.base=32`; the value is
            read as YAML. They win over the file.

    Returns:
        The settings, defaults filled in.

    Raises:
        ConfigError: The file is missing or no YAML mapping; a key is unknown, missing or given twice; a value does
            not fit.
    """
    source = Path(path)
    tree = _read_with_base(source, getattr(settings, "BESIDE", ()))
    for word in overrides:
        _override(tree, word)
    return parse(tree, settings, source=f"'{source}'")


def parse(tree: Mapping[str, Any], settings: type[Settings], source: str = "the settings") -> Settings:
    """Checks a tree of plain values against a typed model.

    Args:
        tree: Nested mappings as YAML or JSON give them.
        settings: The pydantic model, or the dataclass, that it has to fit.
        source: How error messages call where the tree comes from.

    Returns:
        The settings, defaults filled in.

    Raises:
        ConfigError: A key is unknown or missing, or a value does not fit.
    """
    refuse_unknown(tree, settings, source)
    try:
        return TypeAdapter(settings).validate_python(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        found = "" if first["type"] == "missing" else f" (found {first['input']!r})"
        raise ConfigError(f"{source} does not fit at '{key}': {reason}{found}; correct it there.") from error


def refuse_unknown(tree: Mapping[str, Any], settings: Any, source: str, inside: str = "") -> None:
    """Refuses a key that the model does not have, naming the nearest one that it has.

    Args:
        tree: Nested mappings.
        settings: The model, or an annotation such as `Stage | None` or `list[Stage]`.
        source: How the message calls where the tree comes from.
        inside: Dotted keys that lead to this tree.

    Raises:
        ConfigError: A key is unknown.
    """
    known = _keys(settings)
    if known is None:
        return
    for key, value in tree.items():
        if key not in known:
            raise ConfigError(
                f"{source} sets '{inside}{key}', which is no setting; {_nearest(str(key), known)}"
            )
        for nested in value if isinstance(value, list) else [value]:
            if isinstance(nested, Mapping):
                refuse_unknown(nested, known[key], source, f"{inside}{key}.")


def _nearest(key: str, known: Iterable[str]) -> str:
    """Says which known key was probably meant, or else which there are."""
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.6)
    return f"did you mean '{near[0]}'?" if near else f"choose from {', '.join(names)}."


def _keys(settings: Any) -> dict[str, Any] | None:
    """Gives the keys of a model and the annotation behind each; None where any key goes."""
    if isinstance(settings, type) and issubclass(settings, BaseModel):
        return {field.alias or name: field.annotation for name, field in settings.model_fields.items()}
    if isinstance(settings, type) and dataclasses.is_dataclass(settings):
        hints = get_type_hints(settings)
        return {field.name: hints[field.name] for field in dataclasses.fields(settings)}
    models = [keys for part in get_args(settings) if (keys := _keys(part)) is not None]
    return {name: annotation for keys in models for name, annotation in keys.items()} or None


def _read_with_base(path: Path, beside: Sequence[str], above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Reads a file and, under it, the file that its `base` names: what it sets wins, mapping by mapping.

    Args:
        path: The file.
        beside: Keys that name YAML files by paths relative to the file that sets them.
        above: The files that build on it.

    Raises:
        ConfigError: A file is its own base, directly or through others.
    """
    tree = _read(path)
    if "base" not in tree:
        return tree
    base = path.parent / str(tree.pop("base"))
    if base.resolve() in (path.resolve(), *above):
        raise ConfigError(f"'{path}' names '{base}' as its base, which builds on it; take one of them out.")
    under = _read_with_base(base, beside, (*above, path.resolve()))
    for key in beside:
        value = under.get(key)
        if isinstance(value, str) and value.endswith((".yaml", ".yml")) and base.parent != path.parent:
            under[key] = os.path.relpath(base.parent / value, path.parent)
    return _merged(under, tree)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lays one tree over another: mappings are joined, everything else is replaced."""
    joined = dict(under)
    for key, value in over.items():
        below = joined.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            joined[key] = _merged(below, value)
        else:
            joined[key] = value
    return joined


def _read(path: Path) -> dict[str, Any]:
    """Reads the mapping in a YAML file."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _OnceLoader)
    except FileNotFoundError as error:
        raise ConfigError(f"'{path}' does not exist; give the path of a YAML file.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"'{path}' cannot be read as text ({error}); give a YAML file.") from error
    except yaml.YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"'{path}' is not valid YAML: {reason}; correct it there.") from error
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"'{path}' holds a {type(tree).__name__}; expected 'key: value' lines.")
    return tree


def _override(tree: dict[str, Any], word: str) -> None:
    """Sets one dotted key from a word `key=value`."""
    key, separator, text = word.partition("=")
    steps = key.strip().split(".")
    if not separator or not all(steps):
        raise ConfigError(f"'{word}' sets nothing; write key=value, such as model.base=32.")
    for step in steps[:-1]:
        branch = tree.setdefault(step, {})
        if not isinstance(branch, dict):
            raise ConfigError(
                f"'{word}' goes through '{step}', which is the value {branch!r}; set a key above it."
            )
        tree = branch
    try:
        tree[steps[-1]] = yaml.load(text, _OnceLoader)
    except yaml.YAMLError as error:
        raise ConfigError(f"'{word}' has a value that is not valid YAML; quote it.") from error
