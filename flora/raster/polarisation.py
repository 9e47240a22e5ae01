"""Which band is VV and which is VH: by description, by file name, by convention or as the user says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flora.bands import SAR_BANDS
from flora.errors import InputError
from flora.raster.file import Band, RasterFile

# VV between anything that is not a letter or digit: `VV`, `sigma0_vv`, `iw-vv.rtc`, `Gamma0_VV_db`.
TOKEN = re.compile(r"(?<![A-Za-z0-9])(VV|VH|HH|HV)(?![A-Za-z0-9])", re.IGNORECASE)

# What is said where nothing but the order of two bands told them.
BY_CONVENTION = "by convention, as the file does not name them"

# Descriptions that say nothing: what drivers and converters write when nobody named the band.
MEANINGLESS = re.compile(r"^(band|layer|channel|gray|grey|undefined|b)?[ _-]*\d*$|^bands$", re.IGNORECASE)

POLARISATION_TAGS = ("polarisation", "polarization", "polarisations", "polarizations")


@dataclass(frozen=True)
class Layer:
    """One band of one file."""

    file: RasterFile
    band: Band

    @property
    def label(self) -> str:
        """The band as messages name it."""
        return f"band {self.band.index} of {self.file.name}"


def find_polarisations(
    files: Sequence[RasterFile], bands: Sequence[str] | None = None
) -> tuple[dict[str, Layer], str]:
    """Finds the VV and the VH band among all bands of the files.

    In this order: `bands` where given; the band's description or polarisation tag; the name of a one-band file
    or of its folder; and, for one file of exactly two bands that says nothing, the convention VV, VH.

    Args:
        files: One file of several bands, or one file a band.
        bands: A list, or one text with commas: either the names of the files' bands in their order, such as `VH, VV`
            or `angle, VV, VH`; or which band is VV and which is VH, by description or by number from 1, such as
            `VV_post, VH_post` or `2, 1`.

    Returns:
        VV and VH with their bands, and a sentence that says how they were found.

    Raises:
        InputError: One of them is missing, or several bands could be meant.
    """
    layers = [Layer(file, band) for file in files for band in file.bands]
    if bands:
        chosen = _as_asked(layers, bands.split(",") if isinstance(bands, str) else list(bands))
        return chosen, _sentence(chosen, "as given by --bands")
    if len(layers) == 1:
        raise InputError(
            f"{layers[0].file.name} has 1 band ({_name(layers[0]) or 'not named'}); FLoRA needs VV and VH. "
            "Export both polarisations, or pass them as two files."
        )
    named = [(layer, polarisation(layer)) for layer in layers]
    found: dict[str, Layer] = {}
    for wanted in SAR_BANDS:
        matches = [layer for layer, name in named if name == wanted]
        exact = [layer for layer in matches if layer.band.description.upper() == wanted]
        matches = exact or matches
        if len(matches) > 1:
            raise InputError(
                f"{' and '.join(layer.label for layer in matches[:3])} are all {wanted}; FLoRA needs one. "
                "Choose with --bands, by description or number, such as --bands 1,2."
            )
        if matches:
            found[wanted] = matches[0]
    if len(found) == len(SAR_BANDS):
        by_name = all(layer.band.description for layer in found.values())
        return found, _sentence(found, "by description" if by_name else "by file name")
    if not found and len(files) == 1 and len(layers) == 2 and _undescribed(layers):
        found = dict(zip(SAR_BANDS, layers, strict=True))
        return found, _sentence(found, BY_CONVENTION)
    raise _not_identified(files, layers, found)


def polarisation(layer: Layer) -> str:
    """Gives the polarisation that a band declares, or its one-band file's name; empty where it is not clear."""
    for text in (layer.band.description, *(v for k, v in layer.band.tags if k in POLARISATION_TAGS)):
        found = {match.upper() for match in TOKEN.findall(text)}
        if found:
            return found.pop() if len(found) == 1 else ""
    if len(layer.file.bands) > 1:
        return ""
    return polarisation_in_path(layer.file.path)


def polarisation_in_path(path: str) -> str:
    """Gives the polarisation in a file's name, else in its folder's; empty where there is none or several."""
    for part in reversed(re.split(r"[/\\]", path.split("?")[0])[-2:]):
        found = {match.upper() for match in TOKEN.findall(part)}
        if found:
            return found.pop() if len(found) == 1 else ""
    return ""


def _as_asked(layers: list[Layer], bands: list[str]) -> dict[str, Layer]:
    """Resolves what the user says of the bands."""
    asked = [name.strip() for name in bands]
    upper = [name.upper() for name in asked]
    if all(upper.count(wanted) == 1 for wanted in SAR_BANDS):
        described = {layer.band.description.upper(): layer for layer in layers}
        if len(asked) == len(SAR_BANDS) < len(layers) and all(wanted in described for wanted in SAR_BANDS):
            return {wanted: described[wanted] for wanted in SAR_BANDS}
        if len(asked) <= len(layers):
            return {wanted: layers[upper.index(wanted)] for wanted in SAR_BANDS}
    elif len(asked) == len(SAR_BANDS):
        chosen = [
            [layer for i, layer in enumerate(layers, 1) if n in (str(i), layer.band.description)]
            for n in asked
        ]
        if all(len(match) == 1 for match in chosen) and chosen[0] != chosen[1]:
            return {wanted: match[0] for wanted, match in zip(SAR_BANDS, chosen, strict=True)}
    raise InputError(
        f"--bands {','.join(asked)} does not fit {_listing(layers)}; expected the bands' names in their order, such "
        "as VV,VH, or the two bands to use for VV and VH by number or description. Correct --bands."
    )


def _undescribed(layers: list[Layer]) -> bool:
    """Tells whether descriptions are absent or say nothing."""
    return all(MEANINGLESS.match(layer.band.description) for layer in layers)


def _not_identified(files: Sequence[RasterFile], layers: list[Layer], found: dict[str, Layer]) -> InputError:
    """Says what was found instead of VV and VH."""
    others = sorted({name for layer in layers if (name := polarisation(layer)) in ("HH", "HV")})
    if others:
        return InputError(
            f"{files[0].name} has {' and '.join(others)}; FLoRA needs VV and VH. Use a dual-polarised VV + VH scene."
        )
    if found:
        have = next(iter(found))
        lacking = next(name for name in SAR_BANDS if name not in found)
        return InputError(
            f"{_listing(layers)} has {have} but no band that says it is {lacking}; FLoRA needs both. Add the "
            f"{lacking} file, or name the bands in their order with --bands, such as --bands VV,VH."
        )
    return InputError(
        f"{_listing(layers)} does not say which bands are VV and VH; FLoRA needs both. Name the bands in their order "
        "with --bands, such as --bands VV,VH."
    )


def _listing(layers: list[Layer]) -> str:
    """Gives the files with their bands, shortened."""
    names = dict.fromkeys(layer.file.name for layer in layers)
    bands = ", ".join(_name(layer) or f"band {i} not named" for i, layer in enumerate(layers[:6], 1))
    return f"{' and '.join(list(names)[:3])} ({bands}{', …' if len(layers) > 6 else ''})"


def _name(layer: Layer) -> str:
    return polarisation(layer) or layer.band.description


def _sentence(found: dict[str, Layer], how: str) -> str:
    """Says which bands are used and why."""
    vv, vh = (found[name] for name in SAR_BANDS)
    if vv.file == vh.file:
        return f"VV is band {vv.band.index} and VH band {vh.band.index} of {vv.file.name}, {how}."
    return f"VV is {vv.label} and VH {vh.label}, {how}."
