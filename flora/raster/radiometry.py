"""What SAR values mean: linear power, amplitude or dB, told by the file, and their way to dB.

Backscatter is sigma0 or gamma0 as the product has it; only its representation is brought to dB here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from flora.bands import DB_RANGE
from flora.errors import InputError
from flora.raster.file import Values
from flora.raster.polarisation import Layer

Quantity = Literal["db", "power", "amplitude"]

# Keys under which files state what their values are, in lower case.
SCALE_TAGS: Final = ("units", "unit", "sar_scale", "scale", "radiometric_scale", "backscatter_units")

# "linear power x 10000", "dB * 100": the factor by which real values were multiplied when stored. Only straight after
# the quantity, so that "dB, pixels of 10 x 10 m" has none.
FACTOR = re.compile(
    r"\b(?:db|decibels?|power|intensity|linear|amplitude|magnitude|sigma0|gamma0)\s*[x×*]\s*"
    r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)",
    re.IGNORECASE,
)

# ASF HyP3 writes six letters in the name of each RTC product, such as gpuned; the second is the scale.
# Source: HyP3 RTC Product Guide, "Naming Convention".
HYP3_CODE = re.compile(r"(?:^|_)[gs]([pad])[uw][nf][ec][dm](?:_|$)")
HYP3_SCALE: Final[dict[str, Quantity]] = {"p": "power", "a": "amplitude", "d": "db"}

# Products whose published format is linear power: OPERA RTC-S1, and the RTC collection of the Planetary Computer.
POWER_NAMES = re.compile(r"OPERA_L2_RTC-S1|\.rtc\.tiff?$", re.IGNORECASE)

WORDS: Final[tuple[tuple[Quantity, frozenset[str]], ...]] = (
    # In this order: "10*log10(power)" is dB, "linear amplitude" is amplitude.
    ("db", frozenset({"db", "decibel", "decibels", "log10"})),
    ("amplitude", frozenset({"amplitude", "amp", "magnitude"})),
    ("power", frozenset({"power", "intensity", "linear"})),
)

# What a user may say besides a quantity and its factor.
BESIDES: Final = frozenset({"linear", "sigma0", "gamma0", "beta0", "10"})


@dataclass(frozen=True)
class Radiometry:
    """What stored values are: `quantity`, multiplied by `factor`."""

    quantity: Quantity
    factor: float = 1.0

    def __str__(self) -> str:
        label = "dB" if self.quantity == "db" else self.quantity
        return label if self.factor == 1 else f"{label} x {self.factor:g}"


@dataclass(frozen=True)
class Declaration:
    """What a file declares of a band's values.

    Attributes:
        radiometry: What they are.
        place: Where it says so, for messages.
        standing: `standard` by the name of a product whose format is published (and which a copy in other units may
            keep), `stated` by a unit, tag or description, `word` by no more than a word in the file's name.
    """

    radiometry: Radiometry
    place: str
    standing: Literal["standard", "stated", "word"] = "stated"


def parse(text: str) -> Radiometry | None:
    """Reads what a text says of SAR values.

    Args:
        text: Such as `dB sigma0`, `linear power x 10000`, `Intensity_VV`, `dB`.

    Returns:
        The quantity and its factor; None where the text names none.
    """
    words = set(re.split(r"[^a-z0-9]+", text.lower()))
    for quantity, names in WORDS:
        if words & names:
            factor = FACTOR.search(text)
            return Radiometry(quantity, float(factor.group(1)) if factor else 1.0)
    return None


def asked(scale: str) -> Radiometry | None:
    """Reads the user's `scale`; None for `auto`.

    Raises:
        InputError: It names no quantity.
    """
    if scale.strip().lower() == "auto":
        return None
    radiometry = parse(scale)
    # A file may say much about its values; whoever names a scale says nothing else, so that a slip is no choice.
    words = set(re.split(r"[^a-z0-9]+", FACTOR.sub(_quantity_of, scale).lower())) - {""}
    foreign = words - BESIDES.union(*(names for _, names in WORDS))
    if radiometry is None or radiometry.factor == 0 or foreign:
        raise InputError(
            f"Scale '{scale}' is not known; expected auto, db, power or amplitude, where needed with the factor of "
            "the stored values, such as 'power x 10000'. Correct --scale."
        )
    return radiometry


def _quantity_of(found: re.Match[str]) -> str:
    """Gives the word that a factor belongs to."""
    return re.split(r"[^A-Za-z0-9]", found.group(0))[0]


def declared(layer: Layer) -> Declaration | None:
    """Gives what a file declares of a band's values.

    In this order: the band's unit, the band's tags, the file's tags, the band's description, the file's name.
    A factor in a text counts only where the band has no scale or offset of its own: that one is already applied.

    Args:
        layer: The band.

    Returns:
        The declaration; None where nothing is declared.
    """
    for place, text in _declarations(layer):
        radiometry = parse(text)
        if radiometry is not None:
            scaled = (layer.band.scale, layer.band.offset) != (1.0, 0.0)
            kept = Radiometry(radiometry.quantity) if scaled else radiometry
            return Declaration(kept, f"{place} says '{text}'")
    return _declared_by_name(layer.file.name)


def to_db(values: Values, valid: NDArray[np.bool_], radiometry: Radiometry) -> NDArray[np.float32]:
    """Brings stored values to dB, NaN where there is no measurement.

    The logarithm is taken in double precision and rounded once, so that a pixel has the same bits however the scene
    is cut into windows. Power and amplitude of 0 (the border of GRD products) and below are no measurement.

    Args:
        values: Stored values, any shape.
        valid: May be used, same shape.
        radiometry: What the values are.

    Returns:
        10 log10(power), 20 log10(amplitude) or the dB given, dB, float32, NaN where invalid or outside `DB_RANGE`.
    """
    real = values if radiometry.factor == 1 else values.astype(np.float64) / radiometry.factor
    if radiometry.quantity != "db":
        valid = valid & (real > 0)
        steps = 10.0 if radiometry.quantity == "power" else 20.0
        real = steps * np.log10(np.where(valid, real, 1.0).astype(np.float64))
    low, high = DB_RANGE
    with np.errstate(over="ignore"):
        decibel = real.astype(np.float32, copy=False)
    inside = (decibel >= low) & (decibel <= high) & valid
    return decibel if inside.all() else np.where(inside, decibel, np.float32(np.nan))


def _declarations(layer: Layer) -> Iterable[tuple[str, str]]:
    """Gives each place where a file may state its scale, the most specific first."""
    yield "the band's unit", layer.band.unit
    for owner, tags in (("the band's", dict(layer.band.tags)), ("the file's", dict(layer.file.tags))):
        yield from ((f"{owner} tag {key.upper()}", tags[key]) for key in SCALE_TAGS if key in tags)
    yield "the band's description", layer.band.description


def _declared_by_name(name: str) -> Declaration | None:
    """Reads the scale from a file name's product code or words."""
    code = HYP3_CODE.search(name.rsplit(".", 1)[0])
    if code:
        place = f"the HyP3 code in the file name '{name}' says so"
        return Declaration(Radiometry(HYP3_SCALE[code.group(1)]), place, "standard")
    if POWER_NAMES.search(name):
        return Declaration(
            Radiometry("power"), f"'{name}' is named like a product in linear power", "standard"
        )
    words = parse(name.rsplit(".", 1)[0])
    return (
        Declaration(Radiometry(words.quantity), f"the file name '{name}' says so", "word") if words else None
    )
