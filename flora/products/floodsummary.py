"""A flood map in numbers: areas of flood, of water, of what is excluded and of what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import xarray as xr
from odc.geo.geobox import GeoBox

from flora.products.area import AreaTally
from flora.products.floodreference import FROM_BEFORE
from flora.products.layers import NO_DATA, WATER, WATER_CLASSES
from flora.products.layerstyle import CLASSES
from flora.products.stream import Blocks
from flora.products.summary import Summary, summarize
from flora.products.usage import Usage

MUCH_UNKNOWN: Final = 0.1  # share of the water from which an unknown reference is a warning


@dataclass(frozen=True)
class FloodSummary(Summary):
    """A flood map in numbers: those of its water, and these.

    Attributes:
        reference: Where the reference water comes from.
        before: Name of the earlier scene; empty without one.
        before_sources: Files it was read from.
        before_time: When it was taken, ISO 8601; empty where unknown.
        before_sar_scale: How its values were read, and why; empty without one.
        before_bands: How its VV and VH were told apart.
        reference_file: File of the reference water; empty without one.
        dem_file: File of the elevation; empty without one: no slope was looked at.
        land_cover_file: File of the land cover; empty without one: towns and dense plants were not looked at.
        flood_pixels: Number of flood pixels.
        flood_km2: Ground area of the flood; None without CRS.
        flood_outside_exclusion_km2: The part of it that no exclusion flag covers.
        reference_water_pixels: Number of pixels of reference water.
        reference_water_km2: Their ground area; None without CRS.
        reference_unknown_pixels: Number of water pixels whose reference is unknown; not counted as flood.
        reference_unknown_km2: Their ground area; None without CRS.
        excluded_km2: Ground area with data that an exclusion flag covers.
        change_km2: Ground area of unchanged, new and receded water; empty without an earlier scene.
    """

    reference: str = ""
    before: str = ""
    before_sources: list[str] = field(default_factory=list)
    before_time: str = ""
    before_sar_scale: dict[str, str] = field(default_factory=dict)
    before_bands: str = ""
    reference_file: str = ""
    dem_file: str = ""
    land_cover_file: str = ""
    flood_pixels: int = 0
    flood_km2: float | None = None
    flood_outside_exclusion_km2: float | None = None
    reference_water_pixels: int = 0
    reference_water_km2: float | None = None
    reference_unknown_pixels: int = 0
    reference_unknown_km2: float | None = None
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
        self.reference = AreaTally(geobox, {"water": WATER})
        self.unknown = AreaTally(geobox, {"water": 1})
        self.change = AreaTally(geobox, changes) if with_change else None

    def add(self, rows: slice, cols: slice, blocks: Blocks) -> None:
        """Counts one tile."""
        water, flood, flags, reference = (
            blocks[name].astype("uint8", copy=False)
            for name in ("observed_water", "observed_flood", "exclusion", "reference_water")
        )
        self.water.add(rows, cols, water)
        self.flood.add(rows, cols, flood)
        self.sure.add(rows, cols, flood * (flags == 0))
        self.excluded.add(rows, cols, ((flags > 0) & (water != NO_DATA)).astype("uint8"))
        self.reference.add(rows, cols, reference)
        self.unknown.add(rows, cols, ((water == WATER) & (flood == NO_DATA)).astype("uint8"))
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
    attrs = flood.attrs
    how = {"read_as": attrs.get("before_sar_scale", ""), "why": attrs.get("before_sar_scale_reason", "")}
    change = tallies.change.square_km if tallies.change is not None else None
    summary = FloodSummary(
        **{item.name: getattr(base, item.name) for item in fields(Summary)},
        reference=str(attrs["reference"]),
        before=str(attrs.get("before", "")),
        before_sources=list(attrs.get("before_source", [])),
        before_time=str(attrs.get("before_time", "")),
        before_sar_scale=how if "before" in attrs else {},
        before_bands=str(attrs.get("before_band_reason", "")),
        reference_file=str(attrs.get("reference_water_source", "")),
        dem_file=str(attrs.get("dem_source", "")),
        land_cover_file=str(attrs.get("land_cover_source", "")),
        flood_pixels=tallies.flood.pixels["flood"],
        flood_km2=_area(tallies.flood, "flood"),
        flood_outside_exclusion_km2=_area(tallies.sure, "flood"),
        reference_water_pixels=tallies.reference.pixels["water"],
        reference_water_km2=_area(tallies.reference, "water"),
        reference_unknown_pixels=tallies.unknown.pixels["water"],
        reference_unknown_km2=_area(tallies.unknown, "water"),
        excluded_km2=_area(tallies.excluded, "excluded"),
        change_km2={key: value for key, value in (change or {}).items() if key != "land"},
    )
    notes = (summary.note, warn_of_unknown(summary.to_dict()))
    return replace(summary, note=" ".join(note for note in notes if note))


def _area(tally: AreaTally, name: str) -> float | None:
    return tally.square_km[name] if tally.square_km is not None else None


def warn_of_unknown(summary: Mapping[str, Any]) -> str:
    """Says that much of the water has an unknown reference.

    Args:
        summary: As `summary.json` holds it.

    Returns:
        A sentence; empty where it is a tenth of the water or less, or the summary does not tell.
    """
    share = summary.get("reference_unknown_pixels", 0) / max(summary.get("water_pixels", 0), 1)
    if share <= MUCH_UNKNOWN:
        return ""
    return f"The reference is unknown for {100 * share:.0f} % of the water, which is not counted as flood."


def remedy_for_unknown(summary: Mapping[str, Any]) -> str:
    """Says what to do about water whose reference is unknown; see `warn_of_unknown`."""
    if not warn_of_unknown(summary):
        return ""
    if summary.get("reference") == FROM_BEFORE:
        return "The scene from before has no data there. Give one that covers the whole scene, or --reference-water."
    return (
        "The reference water has no data there, or ends. Where its no-data means land, as a declared 0 often does, "
        "undeclare it (gdal_translate -a_nodata none); else give a file of the whole scene."
    )


def unchecked(summary: Mapping[str, Any]) -> str:
    """Says what was not excluded because nothing was known of it.

    Args:
        summary: As `summary.json` holds it.

    Returns:
        Such as "not checked: steep slopes (no elevation model)"; empty where all was, or the summary does not tell.
    """
    words = []
    if summary.get("dem_file") == "":
        words.append("steep slopes (no elevation model)")
    if summary.get("land_cover_file") == "":
        words.append("towns and dense plants (no land cover)")
    return f"not checked: {', '.join(words)}" if words else ""


def flood_words(summary: FloodSummary) -> str:
    """Says in a line how much is flooded, beside what, and when."""
    if summary.flood_km2 is None:
        return f"{summary.flood_pixels:,} px of flood, area unknown"
    words = f"{summary.flood_km2:,.1f} km² of flood, {summary.water_km2 or 0:,.1f} km² of water"
    if summary.reference_unknown_pixels:
        words += f", {summary.reference_unknown_km2 or 0:,.1f} of it with unknown reference"
    when = (summary.time or "").replace("T", " ").replace("Z", " UTC")
    return "  ·  ".join(part for part in (words, f"reference: {summary.reference}", when) if part)
