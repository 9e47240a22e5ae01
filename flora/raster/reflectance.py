"""Which bands of an optical file are red, green, blue and near infrared, and how its numbers become reflectance."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from flora.bands import (
    DISPLAY_GAIN,
    OPTICAL_BANDS,
    PAINTED_WHITE,
    RGB_BANDS,
    SENTINEL2_DN,
    SENTINEL2_L1C,
    SENTINEL2_NAMES,
    SENTINEL2_OFFSET,
    sentinel2_index,
)
from flora.errors import InputError
from flora.raster.file import RasterFile
from flora.raster.polarisation import Layer
from flora.raster.sampled import sample_of

# Number that stands for a reflectance of 1 in true-colour pictures of 8 bits.
DN_8_BIT: Final = 255 * DISPLAY_GAIN

# Sentinel-2's own true-colour picture, TCI: the reflectance that its 255 stands for, by level. L2A's name ends with a
# pixel size, L1C's granules have none.
# Source: Sentinel-2 MSI User Guide, Definitions: 255 counts are 3558 for L1C and 2000 for L2A.
TRUE_COLOUR: Final = re.compile(r"(?:^|_)TCI(?:_\d\dm)?(?:\.|$)")
TRUE_COLOUR_L1C: Final = re.compile(r"T\d{2}[A-Z]{3}_\d{8}T\d{6}_TCI(?:\.|$)")
TRUE_COLOUR_TOP: Final = {"L1C": 0.3558, "L2A": 0.2}

# Floating-point values with a median above this are Sentinel-2's numbers, not reflectance.
LARGEST_REFLECTANCE_MEDIAN: Final = 2.0

# Reflectance outside this is a fill value that nobody declared (-9999, 65535): shadow from which too much air was taken
# off is not so far below 0, nor is the brightest cloud, sunlit snow or glint so far above 1.
POSSIBLE: Final = (-0.2, 2.5)

# B5, B08, B8A: a description that tells which band it is.
BAND_CODE: Final = re.compile(r"\bB\d+A?\b", re.IGNORECASE)

CIRRUS: Final = "B10"  # L2A leaves it out, for it sees no ground
L1C_NAME: Final = re.compile(r"MSIL1C|S2L1C|(?<![A-Za-z0-9])L1C(?![A-Za-z0-9])")

# Names that tell of the offset: S2A_MSIL2A_20240506T132231_N0510_R081_... and T22JDM_20240506T132229_B04_10m.
OFFSET_SINCE: Final = "20220125"
BASELINE: Final = re.compile(r"MSIL[12][AC]_\d{8}T\d{6}_N(\d{4})")
GRANULE: Final = re.compile(r"T\d{2}[A-Z]{3}_(\d{8})T\d{6}")

SCALE_TAGS: Final = ("scale", "units", "unit", "reflectance_scale")
FACTORS: Final = re.compile(r"[x×*]\s*(\d+(?:\.\d+)?)")


def find_optical_bands(
    files: Sequence[RasterFile], bands: Sequence[str] | None = None
) -> tuple[dict[str, Layer], str]:
    """Finds red, green, blue and, where there is one, near infrared.

    In this order: `bands` where given; the band's description or a one-band file's name (`B4`, `B04`, `red`); the
    colour interpretation; the count: 3 are red, green, blue; 4 also near infrared; 12 or 13 are Sentinel-2's order.

    Args:
        files: One file of several bands, or one file a band.
        bands: Names of the files' bands in their order, a list or one text with commas, such as
            `blue, green, red, nir`; other names are passed over.

    Returns:
        The bands by name, in the order of `OPTICAL_BANDS`, and a sentence that says how they were found.

    Raises:
        InputError: Red, green or blue is missing, or two bands have one name.
    """
    layers = [Layer(file, band) for file in files for band in file.bands]
    if bands:
        given = bands.split(",") if isinstance(bands, str) else bands
        names, how = [name.strip().lower() for name in given], "as given by --bands"
    elif any(named := [_name(layer) for layer in layers]):
        names, how = named, "by name"
    elif {layer.band.color for layer in layers} >= set(RGB_BANDS):
        names, how = [layer.band.color for layer in layers], "by the file's colours"
        names = [*names[:3], "nir"] if len(names) == 4 and names[:3] == list(RGB_BANDS) else names
    elif any(BAND_CODE.search(layer.band.description) for layer in layers):
        names, how = [], ""  # named, but not one of those wanted: no convention applies
    else:
        names, how = _by_count(layers), f"by convention for {len(layers)} bands that are not named"
    pairs = list(zip(layers, names, strict=False))
    found: dict[str, Layer] = {
        wanted: layer for wanted in OPTICAL_BANDS for layer, name in pairs if name == wanted
    }
    if not all(name in found and names.count(name) == 1 for name in RGB_BANDS):
        listing = ", ".join(layer.band.description or layer.band.color for layer in layers[:8])
        raise InputError(
            f"{files[0].name} ({listing}) does not say which band is red, green and blue; FLoRA needs each once. Name "
            "the bands in their order, such as red,green,blue,nir."
        )
    return found, f"{', '.join(found)} of {files[0].name}, {how}."


def reflectance_scale(layers: dict[str, Layer], scale: float | None = None) -> tuple[float, str]:
    """Settles by what the bands' numbers are divided.

    Args:
        layers: The bands.
        scale: The number that stands for a reflectance of 1, as the user says; None to find out.

    Returns:
        The divisor, and a sentence that says why.

    Raises:
        InputError: `scale` is not positive.
    """
    if scale is not None:
        if scale <= 0:
            raise InputError(
                f"Optical scale {scale:g} is not positive; expected the number that stands for reflectance 1. "
                "Correct it."
            )
        return scale, f"Divided by {scale:g}: as given."
    layer = next(iter(layers.values()))
    if (layer.band.scale, layer.band.offset) != (1.0, 0.0):
        return 1.0, "Reflectance by the file's own scale and offset."
    for tags in (dict(layer.band.tags), dict(layer.file.tags)):
        for text in (tags[key] for key in SCALE_TAGS if "reflectance" in tags.get(key, "").lower()):
            divisor = float(np.prod([float(number) for number in FACTORS.findall(text.split(";")[0])]))
            return divisor, f"Divided by {divisor:g}: the file says '{text}'."
    dtype = np.dtype(layer.band.dtype)
    if dtype == np.uint8 and TRUE_COLOUR.search(layer.file.name):
        level = "L1C" if is_l1c([layer.file]) else "L2A"
        divisor = 255 / TRUE_COLOUR_TOP[level]
        why = f"Sentinel-2's true-colour picture of {level}, whose 255 is {TRUE_COLOUR_TOP[level]}"
        return divisor, f"Divided by {divisor:g}: {why}."
    if dtype == np.uint8:
        return (
            DN_8_BIT,
            f"Divided by {DN_8_BIT:g}: 8-bit true colour, taken as 255 x {DISPLAY_GAIN:g} x reflectance.",
        )
    if np.issubdtype(dtype, np.integer):
        return (
            SENTINEL2_DN,
            f"Divided by {SENTINEL2_DN:g}: whole numbers of {dtype.itemsize * 8} bits, as in Sentinel-2.",
        )
    sample = _plausible(sample_of(layer))
    if sample.size and float(np.median(sample)) > LARGEST_REFLECTANCE_MEDIAN:
        return (
            SENTINEL2_DN,
            f"Divided by {SENTINEL2_DN:g}: a median of {np.median(sample):.4g} is no reflectance.",
        )
    return 1.0, "Taken as reflectance: floating-point values of that size."


def is_l1c(files: Sequence[RasterFile]) -> bool:
    """Says whether a picture is Sentinel-2 L1C, top of the atmosphere: by name, by its cirrus band, or by 13 bands.

    A granule's true-colour picture is L1C's where its name ends without a pixel size.

    Args:
        files: One file of several bands, or one file a band.
    """
    if any(L1C_NAME.search(str(file.path)) or TRUE_COLOUR_L1C.search(file.name) for file in files):
        return True
    bands = [band for file in files for band in file.bands]
    if any(BAND_CODE.fullmatch(band.description) for band in bands):
        return any(band.description.upper() == CIRRUS for band in bands)
    return len(bands) == len(SENTINEL2_L1C)


def added_offset(files: Sequence[RasterFile], layers: dict[str, Layer]) -> int:
    """Finds what Sentinel-2's numbers carry on top since processing baseline 04.00 (January 2022).

    It is taken for there where the files say so (baseline in a product's name, date in a granule's, or a cirrus band
    that sees 0.1) *and* no band has a dark pixel below it: archives that take it off keep the names. Reflectance
    proper lies far below it, and numbers that were stored as floating-point ones do not.

    Args:
        files: All files of the picture.
        layers: Red, green, blue and perhaps near infrared.

    Returns:
        1000, or 0.
    """
    plain = all((layer.band.scale, layer.band.offset) == (1.0, 0.0) for layer in layers.values())
    if not plain or any(np.dtype(layer.band.dtype).itemsize < 2 for layer in layers.values()):
        return 0
    cirrus = [layer for file in files for layer in _cirrus(file)]
    if not (any(_is_new(str(file.path)) for file in files) or cirrus):
        return 0
    used = [*layers.values(), *cirrus]
    return SENTINEL2_OFFSET if all(_darkest(layer) >= 0.9 * SENTINEL2_OFFSET for layer in used) else 0


def _is_new(path: str) -> bool:
    """Says whether a product's or a granule's name is of processing baseline 04.00 or later."""
    if baseline := BASELINE.search(path):
        return int(baseline[1]) >= 400
    granule = GRANULE.search(path)
    return granule is not None and granule[1] >= OFFSET_SINCE


def _cirrus(file: RasterFile) -> list[Layer]:
    """Gives the cirrus band of a file of L1C, which sees no ground."""
    bands = [band for band in file.bands if band.description.upper() == CIRRUS]
    if not bands and len(file.bands) == len(SENTINEL2_L1C) and not any(b.description for b in file.bands):
        bands = [file.bands[SENTINEL2_L1C.index(CIRRUS)]]
    return [Layer(file, band) for band in bands]


def _darkest(layer: Layer) -> float:
    """Gives a band's darkest number, but for a two-hundredth of its pixels; 0 where it has none."""
    sample = _plausible(sample_of(layer))
    return float(np.percentile(sample, 0.5)) if sample.size else 0.0


def _plausible(sample: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leaves out the fill values that nobody declared, of numbers or of reflectance."""
    return sample[(sample >= POSSIBLE[0] * SENTINEL2_DN) & (sample <= POSSIBLE[1] * SENTINEL2_DN)]


def possible(reflectance: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Finds values that a surface, a cloud or a shadow may have; same shape."""
    return (reflectance >= POSSIBLE[0]) & (reflectance <= POSSIBLE[1])


def absent(values: NDArray[np.float64], dtypes: Sequence[str]) -> NDArray[np.bool_]:
    """Finds pixels that a picture fills without having seen the ground.

    Args:
        values: Stored values of all bands used, red, green, blue first, (C, H, W).
        dtypes: Stored type of each band.

    Returns:
        True where all bands are exactly 0, or where 8-bit red, green and blue are painted white, (H, W).
    """
    out = np.all(values == 0, axis=0)
    if set(dtypes) == {"uint8"}:
        out |= np.all(values[: len(RGB_BANDS)] >= PAINTED_WHITE, axis=0)
    return np.asarray(out, bool)


def _name(layer: Layer) -> str:
    """Gives red, green, blue or nir from a description, or from a one-band file's name; else nothing."""
    single = len(layer.file.bands) == 1
    texts = (layer.band.description, layer.file.name.rsplit(".", 1)[0] if single else "")
    codes = {code: name for name, code in SENTINEL2_NAMES.items() if name in OPTICAL_BANDS}
    for text in texts:
        words = [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]
        if "edge" in words:
            return ""
        for word in words:
            code = re.sub(r"^b0?", "B", word)
            name = word if word in OPTICAL_BANDS else codes.get(code, "")
            if name:
                return name
    return ""


def _by_count(layers: list[Layer]) -> list[str]:
    """Names bands of a file that says nothing, by how many there are."""
    count = len(layers)
    if count in (3, 4):
        return list(OPTICAL_BANDS[:count])
    # L2A has L1C's order without B10, which stands after all that are used here.
    if count in (len(SENTINEL2_L1C) - 1, len(SENTINEL2_L1C)):
        positions = {sentinel2_index(name): name for name in OPTICAL_BANDS}
        return [positions.get(i, "") for i in range(count)]
    return [""] * count
