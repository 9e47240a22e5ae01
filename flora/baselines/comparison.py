"""Measures weights that are there on the public test sources, and keeps what was measured beside how."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from flora import checkpoint
from flora.baselines import archive
from flora.baselines.quality import Protocol, Scores, circumstances, score_source, write_json
from flora.baselines.rivals import RIVALS, score_rivals
from flora.baselines.testbed import PublicSources
from flora.checkpoint import RUN_FILE, Checkpoint
from flora.errors import ConfigError
from flora.evaluate import NetworkPredictor, TurnedPredictor

Say = Callable[[str], None]

SHIPPED: Final = "default"
WEIGHTS: Final = "quality_weights.json"


def compare_weights(
    words: Sequence[str],
    sources: PublicSources,
    out: Path,
    protocol: Protocol,
    argv: Sequence[str],
    say: Say,
    *,
    tta: bool = False,
) -> None:
    """Scores weights files and the rivals that need no training.

    Args:
        words: Weights files; `default` are those shipped.
        sources: What to score on.
        out: Folder of results; what stands there for the same weights is not measured again.
        protocol: How.
        argv: The command, for the record.
        say: Told what is being done.
        tta: Score the mean of eight turns as an entry more.

    Raises:
        ConfigError: Two weights files have one name.
    """
    names = entry_names(words)
    score_rivals(sources, out / RIVALS, protocol, argv, say)
    record = Record(out / WEIGHTS, protocol, argv)
    for word, name in zip(words, names, strict=True):
        loaded = checkpoint.load(None if word == SHIPPED else word)
        record.score(name, loaded, sources, say)
        if tta:
            record.score(f"{name} (mean of 8 turns)", loaded, sources, say, True)


def entry_names(words: Sequence[str]) -> list[str]:
    """Gives the names of weights in results.

    Raises:
        ConfigError: Two have one name.
    """
    names = [entry_name(word) for word in words]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ConfigError(
            f"Two weights files would both be called '{min(twice)}' in the results; give files of different names."
        )
    return names


def entry_name(word: str) -> str:
    """Gives the name of weights in results: the file's, or the run's where the file is called as in every run."""
    path = Path(word)
    return path.resolve().parent.name if path.name == RUN_FILE else path.stem


class Record:
    """One results file: an entry for each weights file, complete source by source.

    Args:
        path: The file.
        protocol: How its figures are measured.
        argv: The command.
    """

    def __init__(self, path: Path, protocol: Protocol, argv: Sequence[str]) -> None:
        self.path, self.protocol, self.argv = path, protocol, argv
        self.content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {"entries": {}}

    def score(
        self,
        name: str,
        loaded: Checkpoint,
        sources: PublicSources,
        say: Say,
        tta: bool = False,
        cues: Sequence[str] = tuple(archive.CUES),
        **facts: object,
    ) -> Scores:
        """Scores weights on every source and with every kind of image; writes after each, so that it can be stopped.

        Args:
            name: Of the entry.
            loaded: The weights.
            sources: What to score on.
            say: Told what is being done.
            tta: Score the mean of eight turns, radar alone only.
            cues: Kinds of image beside the radar to score; a network that sees none is scored on radar alone.
            facts: What else is recorded of the entry.

        Returns:
            The entry.
        """
        entry = self._entry(name, loaded, facts | {"tta": tta})
        network = NetworkPredictor(loaded.model.folded(), loaded.temperature)
        predictor = TurnedPredictor(network) if tta else network
        grid = loaded.model.grid
        margin = loaded.model.margin if self.protocol.margin is None else self.protocol.margin
        for source in sources.sources:
            known = entry["sources"].get(source.entry.name)
            if known and known["chips"] == len(source.chips):
                continue
            say(f"{name}: {source.entry.title}, {len(source.chips)} chips")
            entry["sources"][source.entry.name] = score_source(
                predictor, source, self.protocol, loaded.threshold_for(source.chips), grid, margin
            )
            write_json(self.path, self.content)
        guaiba = entry["sources"].get("guaiba", {}).get("chips")
        sees = loaded.model.config.sees_optical
        known_cues = entry["cues"] if entry.get("cue_chips") == guaiba else {}
        missing = [cue for cue in (cues if sees else ("none",)) if cue not in known_cues]
        if guaiba and not tta and missing:
            entry["cues"] = known_cues | archive.study(
                sources,
                network,
                self.protocol,
                loaded.threshold,
                say,
                grid=grid,
                margin=margin,
                limit=guaiba,
                cues=missing,
            )
            entry["cue_chips"] = guaiba
            write_json(self.path, self.content)
        return entry

    def _entry(self, name: str, loaded: Checkpoint, facts: Scores) -> Scores:
        """Gives what stands there of these very weights, or an empty entry, with what is recorded of it."""
        assert loaded.path is not None
        digest = hashlib.sha256(loaded.path.read_bytes()).hexdigest()[:16]
        entry: Scores = self.content["entries"].get(name, {})
        if entry.get("sha256") != digest:
            entry = {"sha256": digest, "sources": {}, "cues": {}}
        entry |= _facts(loaded) | facts
        self.content |= circumstances(self.argv) | {"protocol": self.protocol.words()}
        self.content["entries"][name] = entry
        return entry


def _facts(loaded: Checkpoint) -> Scores:
    """Gives what the weights say of themselves."""
    experiment = loaded.provenance.get("experiment", {})
    parameters = sum(p.numel() for n, p in loaded.model.named_parameters() if not n.startswith("teacher."))
    return {
        "threshold": loaded.threshold,
        "threshold_grey": loaded.threshold_grey,
        "threshold_grey_pair": loaded.threshold_grey_pair,
        "temperature": loaded.temperature,
        "parameters": parameters,
        "network": loaded.model.config.name,
        "steps": experiment.get("joint", {}).get("steps"),
        "seed": experiment.get("seed"),
        "seconds": loaded.provenance.get("seconds"),
        "validation": loaded.provenance.get("validation", {}),
    }
