"""What the layers of a product are called, and how each is shown: classes, colour ramps, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flora.products.flags import ADVISORY, EXCLUSION
from flora.products.layers import LAND, WATER, WATER_COLORS
from flora.products.water import NEW, RECEDED, UNCHANGED

Rgb = tuple[int, int, int]

FLOOD_COLOR: Final[Rgb] = (214, 40, 57)
REFERENCE_COLOR: Final[Rgb] = (120, 178, 226)
RECEDED_COLOR: Final[Rgb] = (240, 170, 60)


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


@dataclass(frozen=True)
class FlagStyle:
    """One bit of a layer of flags.

    Attributes:
        bit: As stored: 1, 2, 4 or 8.
        name: For programs: letters and underscores.
        title: For people.
        color: Red, green, blue; where several are set, their mean is shown.
    """

    bit: int
    name: str
    title: str
    color: Rgb


@dataclass(frozen=True)
class Ramp:
    """How a quantity is shown.

    Attributes:
        low: Real value of the first colour.
        high: Real value of the last colour.
        colors: At equal steps between.
        unit: Said behind a value in the legend.
    """

    low: float
    high: float
    colors: tuple[Rgb, ...]
    unit: str = ""


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
    "optical": "Optical picture, reconstructed, reflectance",
    "optical_display": "Optical picture, reconstructed, for the eye",
    "optical_uncertainty": "Uncertainty of the optical picture",
}


def _two(rest: str, rest_title: str, name: str, title: str, color: Rgb) -> tuple[ClassStyle, ...]:
    return (ClassStyle(LAND, rest, rest_title, _LAND, shown=False), ClassStyle(WATER, name, title, color))


CLASSES: Final = {
    "water": _two("land", "Land", "water", "Water", _WATER),
    "observed_water": _two("land", "Land", "water", "Water", _WATER),
    "observed_flood": _two("no_flood", "No flood", "flood", "Flood", FLOOD_COLOR),
    "reference_water": _two(
        "no_reference_water",
        "No reference water",
        "reference_water",
        "Reference water",
        REFERENCE_COLOR,
    ),
    "change": (
        ClassStyle(LAND, "land", "Land on both dates", _LAND, shown=False),
        ClassStyle(UNCHANGED, "unchanged_water", "Water on both dates", REFERENCE_COLOR),
        ClassStyle(NEW, "new_water", "New water", FLOOD_COLOR),
        ClassStyle(RECEDED, "receded_water", "Receded water", RECEDED_COLOR),
    ),
}

_FLAGS: Final[dict[str, dict[str, tuple[str, Rgb]]]] = {
    "exclusion": {
        "no_data": ("No measurement", (150, 150, 150)),
        "steep_slope": ("Too steep for water, or in radar layover or shadow", (140, 96, 60)),
        "low_sensitivity": ("Buildings or dense plants hide water", (60, 130, 70)),
        "low_contrast": ("Water and land do not differ here", (200, 120, 200)),
    },
    "advisory": {
        "rough_water_suspected": ("Perhaps water roughened by wind", (40, 160, 190)),
        "wet_snow_suspected": ("Perhaps wet snow", (110, 110, 230)),
        "small_patch": ("A patch of few pixels", (235, 190, 40)),
        "near_edge": ("Near the edge of the scene", (230, 110, 40)),
    },
}

# Layers of bit flags, the lowest bit first.
BITS: Final = {
    layer: tuple(FlagStyle(bit, name, *_FLAGS[layer][name]) for name, bit in bits.items())
    for layer, bits in (("exclusion", EXCLUSION), ("advisory", ADVISORY))
}

_BLUES: Final[tuple[Rgb, ...]] = (
    (247, 251, 255),
    (189, 215, 231),
    (107, 174, 214),
    (33, 113, 181),
    (8, 48, 107),
)
_PURPLES: Final[tuple[Rgb, ...]] = (
    (252, 251, 253),
    (218, 218, 235),
    (158, 154, 200),
    (106, 81, 163),
    (63, 0, 125),
)

# Layers that are quantities; of the uncertainty its first band, the red one.
RAMPS: Final = {
    "water_probability": Ramp(0.0, 1.0, _BLUES),
    "likelihood": Ramp(0.0, 100.0, _BLUES, " %"),
    "optical_uncertainty": Ramp(0.0, 0.1, _PURPLES),
}


def classes_of(layer: str) -> tuple[ClassStyle, ...]:
    """Gives the classes of a layer; none for a quantity."""
    return CLASSES.get(layer, ())


def flag_combinations(layer: str) -> dict[int, tuple[str, Rgb]]:
    """Gives title and colour of each sum of a layer's flags, from the lowest bit alone to all of them."""
    told: dict[int, tuple[str, Rgb]] = {}
    for value in range(1, 1 << len(BITS[layer])):
        flags = [flag for flag in BITS[layer] if value & flag.bit]
        red, green, blue = (
            round(sum(part) / len(flags)) for part in zip(*(f.color for f in flags), strict=True)
        )
        told[value] = "; ".join(flag.title for flag in flags), (red, green, blue)
    return told
