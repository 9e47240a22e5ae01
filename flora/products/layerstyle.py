"""What the layers of a product are called, and how each is shown: classes, colour ramps, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flora.products.layers import LAND, WATER, WATER_COLORS

Rgb = tuple[int, int, int]

FLOOD_COLOR: Final[Rgb] = (214, 39, 98)
REFERENCE_COLOR: Final[Rgb] = (120, 170, 220)


@dataclass(frozen=True)
class ClassStyle:
    """One value of a layer of classes.

    Attributes:
        value: As stored.
        name: For programs: letters and underscores.
        title: For people.
        color: Red, green, blue.
        shown: Whether it is drawn; what is not lets the map below through.
    """

    value: int
    name: str
    title: str
    color: Rgb
    shown: bool = True


_LAND: Final[Rgb] = WATER_COLORS[LAND][:3]
_WATER: Final[Rgb] = WATER_COLORS[WATER][:3]

TITLES: Final = {
    "water": "Water",
    "observed_water": "Water, all that was seen",
    "observed_flood": "Flood: water where there is none as a rule",
    "reference_water": "Reference water, permanent or seasonal",
    "water_probability": "Probability of water",
    "likelihood": "Likelihood of water, percent",
    "exclusion": "Exclusion: where the map is not to be trusted",
    "advisory": "Advisory: where to look twice",
    "change": "Change between two scenes",
    "optical": "Optical picture, reconstructed from radar",
    "optical_uncertainty": "Uncertainty of the optical picture",
}


def _two(name: str, title: str, color: Rgb, other: str) -> tuple[ClassStyle, ...]:
    rest = ClassStyle(LAND, other.replace(" ", "_"), other, _LAND, shown=False)
    return (rest, ClassStyle(WATER, name, title, color))


CLASSES: Final = {
    "water": _two("water", "Water", _WATER, "land"),
    "observed_water": _two("water", "Water", _WATER, "no water"),
    "observed_flood": _two("flood", "Flood", FLOOD_COLOR, "no flood"),
    "reference_water": _two("reference_water", "Reference water", REFERENCE_COLOR, "no reference water"),
    "change": (
        ClassStyle(LAND, "land", "Land on both dates", _LAND, shown=False),
        ClassStyle(1, "unchanged", "Water on both dates", _WATER),
        ClassStyle(2, "new", "New water", FLOOD_COLOR),
        ClassStyle(3, "receded", "Receded water", (232, 160, 40)),
    ),
}

# Layers of bit flags: name and meaning of each bit, the lowest first.
BITS: Final = {
    "exclusion": {
        "no_data": "No measurement",
        "steep_slope": "Too steep for water, or in radar layover or shadow",
        "low_sensitivity": "Buildings or dense plants hide water",
        "low_contrast": "Water and land do not differ here",
    },
    "advisory": {
        "rough_water_suspected": "Perhaps water roughened by wind",
        "wet_snow_suspected": "Perhaps wet snow",
        "small_patch": "A patch of few pixels",
        "near_edge": "Near the edge of the scene",
    },
}
FLAG_COLORS: Final[dict[str, Rgb]] = {"exclusion": (110, 110, 110), "advisory": (230, 150, 30)}

# Lowest and highest real value of layers that are quantities, and colours from low to high.
RAMPS: Final = {
    "water_probability": (0.0, 1.0),
    "likelihood": (0.0, 100.0),
}
RAMP_COLORS: Final[tuple[Rgb, ...]] = ((247, 251, 255), (158, 202, 225), (33, 113, 181), (8, 48, 107))


def classes_of(layer: str) -> tuple[ClassStyle, ...]:
    """Gives the classes of a layer; none for a quantity."""
    return CLASSES.get(layer, ())
