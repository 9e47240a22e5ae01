"""What is counted of a zone, and the files that keep it."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flora.errors import InputError
from flora.products.landcover import in_order

CSV_FILE, JSON_FILE = "zones.csv", "zones.json"
COVERED = ("scene_km2", "water_km2", "flood_km2")  # figures told by land cover
COMPLETE = 0.99  # share covered from which nothing is said of what is not
DIGITS = 6


@dataclass
class Figures:
    """Areas and people of one zone, inside the scene.

    Attributes:
        zone: Its name; `overall` for the whole scene.
        scene_km2: Ground area of its pixels.
        covered_share: Share of the zone that the scene covers; 1 overall.
        water_km2: What is mapped as water.
        water_low_km2: Of that, what is water with a probability of at least 90 %.
        water_high_km2: That, and what is water with at least 10 %.
        flood_km2: What is mapped as flood; None where the product does not tell flood from water.
        flood_low_km2: Of that, what is water with at least 90 %.
        flood_high_km2: That, and what is water with at least 10 % where the product knows no reference water.
        excluded_km2: With data, but flagged as unreliable; None without an exclusion layer.
        no_data_km2: Without a measurement.
        people: People that the population raster has there; None without one.
        people_share: Share of the ground that the population raster covers; None without one.
        people_in_water: Of them, on pixels mapped as water.
        people_in_flood: Of them, on pixels mapped as flood.
        land_cover: Of each class of land cover, its area inside the scene (`scene_km2`), the part of it mapped as
            water (`water_km2`) and, where the product tells it, as flood (`flood_km2`); None without land cover.
    """

    zone: str
    scene_km2: float = 0.0
    covered_share: float = 1.0
    water_km2: float = 0.0
    water_low_km2: float = 0.0
    water_high_km2: float = 0.0
    flood_km2: float | None = None
    flood_low_km2: float | None = None
    flood_high_km2: float | None = None
    excluded_km2: float | None = None
    no_data_km2: float = 0.0
    people: float | None = None
    people_share: float | None = None
    people_in_water: float | None = None
    people_in_flood: float | None = None
    land_cover: dict[str, dict[str, float]] | None = None

    @property
    def people_kind(self) -> str:
        """What `people_there` counts."""
        return "people in water" if self.flood_km2 is None else "people in flood"

    @property
    def people_there(self) -> float | None:
        """People in the flood where the product tells it from other water, else in the water."""
        return self.people_in_water if self.flood_km2 is None else self.people_in_flood

    def add(self, name: str, amount: float) -> None:
        """Adds to one of the figures; one of a class of land cover is `class/figure`."""
        kind, _, figure = name.rpartition("/")
        if kind:
            assert self.land_cover is not None, "started with land cover"
            areas = self.land_cover.setdefault(kind, {})
            areas[figure] = areas.get(figure, 0.0) + amount
            return
        setattr(self, name, (getattr(self, name) or 0.0) + amount)


def write_figures(folder: Path, figures: list[Figures]) -> None:
    """Writes `zones.csv` and `zones.json` into a folder."""
    kinds = in_order({kind for told in figures for kind in told.land_cover or {}})
    rows = [_rounded(asdict(told)) for told in figures]
    with (folder / CSV_FILE).open("w", encoding="utf-8", newline="") as file:
        flat = [_flat(row, kinds) for row in rows]
        table = csv.DictWriter(file, list(flat[0]))
        table.writeheader()
        table.writerows(flat)
    text = json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / JSON_FILE).write_text(text + "\n", encoding="utf-8")


def read_figures(folder: Path) -> list[Figures]:
    """Reads `zones.json` again.

    Raises:
        InputError: It is damaged.
    """
    path = folder / JSON_FILE
    try:
        figures = [Figures(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        raise InputError(
            f"'{path}' is damaged ({error}); expected what `flora zones` writes. Run it again with --overwrite."
        ) from error
    if not figures:
        raise InputError(f"'{path}' holds no figures; run `flora zones` again with --overwrite.")
    return figures


def _flat(row: dict[str, Any], kinds: list[str]) -> dict[str, Any]:
    """Gives a row of the table: a column for each figure of each class of land cover."""
    flat = {name: value for name, value in row.items() if name != "land_cover"}
    cover = row["land_cover"] or {}
    names = [name for name in COVERED if row.get(name) is not None]
    return flat | {f"{kind}_{name}": cover.get(kind, {}).get(name, 0.0) for kind in kinds for name in names}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return round(value, DIGITS) if isinstance(value, float) else value
