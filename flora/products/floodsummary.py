"""A flood map in numbers: areas of flood, of water, of what is excluded and of what changed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import xarray as xr
from odc.geo.geobox import GeoBox

from flora.products.area import AreaTally
from flora.products.layers import NO_DATA, WATER, WATER_CLASSES
from flora.products.layerstyle import CLASSES
from flora.products.stream import Blocks
from flora.products.summary import Summary, summarize
from flora.products.usage import Usage


@dataclass(frozen=True)
class FloodSummary(Summary):
    """A flood map in numbers: those of its water, and these.

    Attributes:
        reference: Where the reference water comes from.
        before: Name of the earlier scene; empty without one.
        before_sources: Files it was read from.
        before_time: When it was taken, ISO 8601; empty where unknown.
        flood_pixels: Number of flood pixels.
        flood_km2: Ground area of the flood; None without CRS.
        flood_outside_exclusion_km2: The part of it that no exclusion flag covers.
        excluded_km2: Ground area with data that an exclusion flag covers.
        change_km2: Ground area of unchanged, new and receded water; empty without an earlier scene.
    """

    reference: str = ""
    before: str = ""
    before_sources: list[str] = field(default_factory=list)
    before_time: str = ""
    flood_pixels: int = 0
    flood_km2: float | None = None
    flood_outside_exclusion_km2: float | None = None
    excluded_km2: float | None = None
    change_km2: dict[str, float] = field(default_factory=dict)


class FloodTally:
    """Adds up the classes of a flood map over its tiles."""

    def __init__(self, geobox: GeoBox, with_change: bool) -> None:
        """Starts at 0.

        Args:
            geobox: Grid of the scene.
            with_change: Whether there is a layer `change`.
        """
        changes = {c.name: c.value for c in CLASSES["change"]}
        self.water = AreaTally(geobox, WATER_CLASSES)
        self.flood = AreaTally(geobox, {"flood": WATER})
        self.sure = AreaTally(geobox, {"flood": WATER})
        self.excluded = AreaTally(geobox, {"excluded": 1})
        self.change = AreaTally(geobox, changes) if with_change else None

    def add(self, rows: slice, cols: slice, blocks: Blocks) -> None:
        """Counts one tile."""
        water, flood, flags = (
            blocks[name].astype("uint8", copy=False)
            for name in ("observed_water", "observed_flood", "exclusion")
        )
        self.water.add(rows, cols, water)
        self.flood.add(rows, cols, flood)
        self.sure.add(rows, cols, flood * (flags == 0))
        self.excluded.add(rows, cols, ((flags > 0) & (water != NO_DATA)).astype("uint8"))
        if self.change is not None:
            self.change.add(rows, cols, blocks["change"].astype("uint8", copy=False))


def summarize_flood(scene: xr.Dataset, flood: xr.Dataset, tallies: FloodTally, usage: Usage) -> FloodSummary:
    """Gathers the numbers; folder and files are told later, by `dataclasses.replace`.

    Args:
        scene: The scene with the flood.
        flood: As `flora.map_flood` gives it.
        tallies: Of all its tiles.
        usage: What it took.

    Returns:
        The summary.
    """
    base = summarize(scene, flood, tallies.water.geobox, tallies.water, usage.seconds, usage.peak_bytes)
    change = tallies.change.square_km if tallies.change is not None else None
    return FloodSummary(
        **{item.name: getattr(base, item.name) for item in fields(Summary)},
        reference=str(flood.attrs["reference"]),
        before=str(flood.attrs.get("before", "")),
        before_sources=list(flood.attrs.get("before_source", [])),
        before_time=str(flood.attrs.get("before_time", "")),
        flood_pixels=tallies.flood.pixels["flood"],
        flood_km2=_area(tallies.flood, "flood"),
        flood_outside_exclusion_km2=_area(tallies.sure, "flood"),
        excluded_km2=_area(tallies.excluded, "excluded"),
        change_km2={key: value for key, value in (change or {}).items() if key != "land"},
    )


def _area(tally: AreaTally, name: str) -> float | None:
    return tally.square_km[name] if tally.square_km is not None else None


def flood_words(summary: FloodSummary) -> str:
    """Says in a line how much is flooded, beside what, and when."""
    if summary.flood_km2 is None:
        return f"{summary.flood_pixels:,} px of flood, area unknown"
    words = f"{summary.flood_km2:,.1f} km² of flood, {summary.water_km2 or 0:,.1f} km² of water"
    when = (summary.time or "").replace("T", " ").replace("Z", " UTC")
    return "  ·  ".join(part for part in (words, f"reference: {summary.reference}", when) if part)
