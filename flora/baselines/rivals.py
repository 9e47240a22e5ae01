"""Scores of what needs no training: tuned thresholds, Otsu's, the mean colour of training, and the copied old image."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from flora.baselines import archive
from flora.baselines.colour import MeanColour
from flora.baselines.quality import Protocol, Say, circumstances, score_source, write_json
from flora.baselines.testbed import PublicSources, Source
from flora.baselines.thresholds import Band, FixedThreshold, OtsuThreshold, tune_threshold
from flora.chip import Chip
from flora.evaluate import Predictor

RIVALS: Final = "quality_rivals.json"
TITLES: Final = {
    "threshold": "threshold, one rule for all sources",
    "threshold_own": "threshold, tuned on the rest of the source's dataset",
    "threshold_published": "threshold, as published for Sen1Floods11",
    "otsu_vv": "Otsu of VV per chip, 5 x 5 median",
    "otsu_vh": "Otsu of VH per chip, 5 x 5 median",
    "mean_colour": "mean colour of training",
}

# Tuned by others on Sen1Floods11: strong where a scene is in dB and has VH.
PUBLISHED_RULE: Final = FixedThreshold("VH", -23.5, 5)


def score_rivals(
    sources: PublicSources, path: Path, protocol: Protocol, argv: Sequence[str], say: Say
) -> dict[str, Any]:
    """Scores every rival on every source, and persistence on Guaíba; what was scored before is taken as it is.

    Args:
        sources: What to score on, and the chips that thresholds are tuned on.
        path: Results file, written after each source.
        protocol: How.
        argv: The command, for the record.
        say: Told what is being done.

    Returns:
        The content of the file.
    """
    content: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    content |= circumstances(argv) | {"protocol": protocol.words()}
    makers = _Makers(sources, content.setdefault("rules", {}), say)
    for name, title in TITLES.items():
        entry = content.setdefault("entries", {}).setdefault(name, {"title": title, "sources": {}})
        for source in sources.sources:
            known = entry["sources"].get(source.entry.name)
            predictor = makers.make(name, source)
            if predictor is None or (known and known["chips"] == len(source.chips)):
                continue
            say(f"{title}: {source.entry.title}, {len(source.chips)} chips")
            found = score_source(predictor, source, protocol, 0.5)
            if isinstance(predictor, FixedThreshold):
                found["rule"] = predictor.name
            entry["sources"][source.entry.name] = found
            write_json(path, content)
    guaiba = next((len(s.chips) for s in sources.sources if s.entry.name == "guaiba"), None)
    if guaiba and content.get("cue_chips") != guaiba:
        say("Guaíba, the old image copied")
        content |= {
            "persistence": archive.study(sources, None, protocol, 0.5, say, limit=guaiba),
            "cue_chips": guaiba,
        }
        write_json(path, content)
    return content


class _Makers:
    """Makes rivals, tuning and fitting what they need once, and only when it is needed."""

    def __init__(self, sources: PublicSources, rules: dict[str, Any], say: Say) -> None:
        self.sources, self.rules, self.say = sources, rules, say
        self._colour: MeanColour | None = None

    def make(self, name: str, source: Source) -> Predictor | None:
        """Gives a rival for a source, None where there is none."""
        entry = source.entry
        if name == "threshold":
            return self._rule("calibrated val", lambda: self.sources.calibrated_validation())
        if name == "threshold_own":
            split = entry.tune
            if split is None:
                return None
            return self._rule(f"{entry.dataset} {split}", lambda: self.sources.tuning(entry.dataset, split))
        if name == "threshold_published":
            return PUBLISHED_RULE if "VH" in source.bands else None
        if name == "mean_colour":
            if not source.has_optical:
                return None
            self._colour = self._colour or MeanColour.fit(self.sources.training_pictures())
            return self._colour
        band: Band = "VV" if name == "otsu_vv" else "VH"
        return OtsuThreshold(band, 5) if band in source.bands else None

    def _rule(self, key: str, chips: Callable[[], Iterable[Chip]]) -> FixedThreshold:
        if key not in self.rules:
            self.say(f"Tuning a threshold on {key}")
            tuned = tune_threshold(_labelled(chips()))
            self.rules[key] = asdict(tuned) | {"name": tuned.name}
        rule = self.rules[key]
        return FixedThreshold(rule["band"], rule["threshold_db"], rule["median"])


def _labelled(chips: Iterable[Chip]) -> Iterator[Chip]:
    return (chip for chip in chips if chip.water is not None)
