"""How QGIS is told to show a layer: classes, flags, colour ramps, pictures, polygons."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np

from flora.bands import DISPLAY_GAIN
from flora.products.layers import WATER_COLORS
from flora.products.layerstyle import (
    BITS,
    FLOOD_COLOR,
    RAMPS,
    Ramp,
    Rgb,
    classes_of,
    flag_combinations,
)
from flora.raster.file import RasterFile

QGIS = "3.22.0"  # release with which these styles were looked at; later ones read them
POLYGON_COLORS = {"flood": FLOOD_COLOR, "water": WATER_COLORS[1][:3]}
TRANSPARENT, OPAQUE = "0", "255"
PIECE = 2048  # px; side of what is read at once


def style_text(style: Xml.Element) -> str:
    """Gives a style, or a project, as it stands in a file."""
    Xml.indent(style)
    return f"<!DOCTYPE qgis>\n{Xml.tostring(style, encoding='unicode')}\n"


def raster_style(file: RasterFile) -> Xml.Element | None:
    """Gives the style of a layer by the name of its file; None for one that is not of a product."""
    layer = Path(file.path).stem
    if classes_of(layer):
        return _raster(_paletted(layer))
    if layer in BITS:
        return _raster(_flagged(layer, file))
    if layer in RAMPS:
        return _raster(_ramp(RAMPS[layer]))
    if layer in ("optical", "optical_display"):
        return _raster(_picture(file))
    return None


def _raster(renderer: Xml.Element) -> Xml.Element:
    root = Xml.Element("qgis", version=QGIS, styleCategories="Symbology")
    pipe = Xml.SubElement(root, "pipe")
    pipe.append(renderer)
    return root


def _paletted(layer: str) -> Xml.Element:
    renderer = Xml.Element("rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1")
    palette = Xml.SubElement(renderer, "colorPalette")
    for entry in classes_of(layer):
        alpha = OPAQUE if entry.shown else TRANSPARENT
        Xml.SubElement(
            palette,
            "paletteEntry",
            value=str(entry.value),
            color=_hex(entry.color),
            alpha=alpha,
            label=entry.title,
        )
    return renderer


def _flagged(layer: str, file: RasterFile) -> Xml.Element:
    """Names each combination of flags that the layer has; where none is set nothing is drawn."""
    renderer = Xml.Element("rasterrenderer", type="paletted", band="1", opacity="0.6", alphaBand="-1")
    palette = Xml.SubElement(renderer, "colorPalette")
    present = _values(file)
    for value, (title, color) in flag_combinations(layer).items():
        if value in present:
            entry = {"value": str(value), "color": _hex(color), "alpha": OPAQUE, "label": title}
            Xml.SubElement(palette, "paletteEntry", entry)
    return renderer


def _values(file: RasterFile) -> set[int]:
    """Gives the values that a layer of bytes has, without holding it."""
    found: set[int] = set()
    for top in range(0, file.height, PIECE):
        for left in range(0, file.width, PIECE):
            rows, cols = (
                slice(top, min(top + PIECE, file.height)),
                slice(left, min(left + PIECE, file.width)),
            )
            values, valid = file.read(1, rows, cols)
            found |= set(np.unique(values[valid]).astype(int).tolist())
    return found


def _ramp(ramp: Ramp) -> Xml.Element:
    low, high = ramp.low, ramp.high
    limits = {"classificationMin": f"{low:g}", "classificationMax": f"{high:g}"}
    kind = {"type": "singlebandpseudocolor", "band": "1", "opacity": "1", "alphaBand": "-1"}
    renderer = Xml.Element("rasterrenderer", kind | limits)
    shader = Xml.SubElement(Xml.SubElement(renderer, "rastershader"), "colorrampshader")
    settings = {"colorRampType": "INTERPOLATED", "clip": "0", "classificationMode": "1"}
    shader.attrib.update(settings | {"minimumValue": f"{low:g}", "maximumValue": f"{high:g}"})
    steps = len(ramp.colors) - 1
    for place, color in enumerate(ramp.colors):
        value = f"{low + (high - low) * place / steps:g}"
        entry = {"value": value, "label": f"{value}{ramp.unit}", "color": _hex(color), "alpha": OPAQUE}
        Xml.SubElement(shader, "item", entry)
    return renderer


def _picture(file: RasterFile) -> Xml.Element:
    bands = {"redBand": "1", "greenBand": "2", "blueBand": "3"}
    renderer = Xml.Element(
        "rasterrenderer", {"type": "multibandcolor", "opacity": "1", "alphaBand": "-1"} | bands
    )
    # QGIS applies the scale of a band before it stretches.
    for color in ("red", "green", "blue"):
        stretch = Xml.SubElement(renderer, f"{color}ContrastEnhancement")
        Xml.SubElement(stretch, "minValue").text = "0"
        Xml.SubElement(
            stretch, "maxValue"
        ).text = f"{1 / DISPLAY_GAIN if file.bands[0].scale != 1 else 255:g}"
        Xml.SubElement(stretch, "algorithm").text = "StretchToMinimumMaximum"
    return renderer


def polygon_style(kind: str) -> Xml.Element:
    """Gives the style of the polygons of `flood` or `water`."""
    root = Xml.Element("qgis", version=QGIS, styleCategories="Symbology")
    renderer = Xml.SubElement(root, "renderer-v2", type="singleSymbol", symbollevels="0", enableorderby="0")
    symbols = Xml.SubElement(renderer, "symbols")
    symbol = Xml.SubElement(symbols, "symbol", type="fill", name="0", alpha="1", clip_to_extent="1")
    layer = Xml.SubElement(
        symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
    )
    options = Xml.SubElement(layer, "Option", type="Map")
    red, green, blue = POLYGON_COLORS[kind]
    for name, value in {
        "color": f"{red},{green},{blue},120",
        "outline_color": f"{red},{green},{blue},255",
        "outline_width": "0.3",
        "outline_width_unit": "MM",
        "outline_style": "solid",
        "style": "solid",
    }.items():
        Xml.SubElement(options, "Option", type="QString", name=name, value=value)
    return root


def _hex(color: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
