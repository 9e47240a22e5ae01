"""Styles for QGIS, one beside each layer: dragged into a project, a layer shows as it is meant.

QGIS reads `NAME.qml` beside `NAME.tif` or `NAME.geojson` by itself when the layer is added.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

from flora.products.colors import GAIN
from flora.products.layers import WATER_COLORS
from flora.products.layerstyle import BITS, FLAG_COLORS, FLOOD_COLOR, RAMP_COLORS, RAMPS, Rgb, classes_of
from flora.products.result import Result, added, open_result
from flora.raster.file import RasterFile, describe

QGIS = "3.28"  # long-term release whose form of styles this is; later ones read it
POLYGONS = {"flood_polygons": FLOOD_COLOR, "water_polygons": WATER_COLORS[1][:3]}
TRANSPARENT, OPAQUE = "0", "255"


def write_styles(folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Writes a style beside each layer of a product.

    Args:
        folder: A product, as `flora predict` writes it.
        overwrite: Whether older styles are replaced.

    Returns:
        The styles.

    Raises:
        InputError: The folder holds no product.
        OutputError: The files cannot be written.
    """
    result = open_result(folder)
    styles = _styles(result)
    names = [f"{name}.qml" for name in styles]
    with added(result.folder, names, overwrite=overwrite) as hidden:
        for name, style in styles.items():
            Xml.indent(style)
            text = Xml.tostring(style, encoding="unicode")
            (hidden / f"{name}.qml").write_text(f"<!DOCTYPE qgis>\n{text}\n", encoding="utf-8")
    return [result.folder / name for name in names]


def _styles(result: Result) -> dict[str, Xml.Element]:
    styles: dict[str, Xml.Element] = {}
    for path in result.rasters():
        file = describe(path)
        if classes_of(path.stem):
            styles[path.stem] = _raster(_paletted(path.stem))
        elif path.stem in BITS:
            styles[path.stem] = _raster(_flagged(path.stem))
        elif path.stem in RAMPS:
            styles[path.stem] = _raster(_ramp(*RAMPS[path.stem]))
        elif path.stem == "optical":
            styles[path.stem] = _raster(_picture(file))
    for name, color in POLYGONS.items():
        if (result.folder / f"{name}.geojson").is_file():
            styles[name] = _polygons(color)
    return styles


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


def _flagged(layer: str) -> Xml.Element:
    """Names each combination of flags; where none is set nothing is drawn."""
    renderer = Xml.Element("rasterrenderer", type="paletted", band="1", opacity="0.6", alphaBand="-1")
    palette = Xml.SubElement(renderer, "colorPalette")
    titles = list(BITS[layer].values())
    for value in range(1, 1 << len(titles)):
        label = "; ".join(title for place, title in enumerate(titles) if value >> place & 1)
        color = _hex(FLAG_COLORS[layer])
        Xml.SubElement(palette, "paletteEntry", value=str(value), color=color, alpha=OPAQUE, label=label)
    return renderer


def _ramp(low: float, high: float) -> Xml.Element:
    limits = {"classificationMin": f"{low:g}", "classificationMax": f"{high:g}"}
    kind = {"type": "singlebandpseudocolor", "band": "1", "opacity": "1", "alphaBand": "-1"}
    renderer = Xml.Element("rasterrenderer", kind | limits)
    shader = Xml.SubElement(Xml.SubElement(renderer, "rastershader"), "colorrampshader")
    settings = {"colorRampType": "INTERPOLATED", "clip": "0", "classificationMode": "1"}
    shader.attrib.update(settings | {"minimumValue": f"{low:g}", "maximumValue": f"{high:g}"})
    steps = len(RAMP_COLORS) - 1
    for place, color in enumerate(RAMP_COLORS):
        value = f"{low + (high - low) * place / steps:g}"
        Xml.SubElement(shader, "item", value=value, label=value, color=_hex(color), alpha=OPAQUE)
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
        Xml.SubElement(stretch, "maxValue").text = f"{1 / GAIN if file.bands[0].scale != 1 else 255:g}"
        Xml.SubElement(stretch, "algorithm").text = "StretchToMinimumMaximum"
    return renderer


def _polygons(color: Rgb) -> Xml.Element:
    root = Xml.Element("qgis", version=QGIS, styleCategories="Symbology")
    renderer = Xml.SubElement(root, "renderer-v2", type="singleSymbol", symbollevels="0", enableorderby="0")
    symbols = Xml.SubElement(renderer, "symbols")
    symbol = Xml.SubElement(symbols, "symbol", type="fill", name="0", alpha="1", clip_to_extent="1")
    layer = Xml.SubElement(
        symbol, "layer", {"class": "SimpleFill", "enabled": "1", "locked": "0", "pass": "0"}
    )
    options = Xml.SubElement(layer, "Option", type="Map")
    red, green, blue = color
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
