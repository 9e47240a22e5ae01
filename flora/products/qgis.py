"""A product in QGIS: a style beside each layer, and a project that opens all of them in the right order.

QGIS reads `NAME.qml` beside `NAME.tif` or `NAME.geojson` by itself when the layer is added.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from xml.etree import ElementTree as Xml

from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from flora.products.layerstyle import TITLES
from flora.products.qgisstyle import POLYGON_COLORS, QGIS, polygon_style, raster_style, style_text
from flora.products.result import OBSERVED_WATER, Result, added, open_result
from flora.products.vectors import GEOPACKAGE
from flora.raster.file import describe
from flora.raster.grid import geobox_of

PROJECT_FILE: Final = "flora.qgs"

# From top to bottom, and whether it is drawn when the project is opened.
ORDER: Final = {
    "advisory": False,
    "exclusion": False,
    "observed_flood": True,
    "reference_water": True,
    "observed_water": False,
    "water": True,
    "change": False,
    "likelihood": False,
    "water_probability": False,
    "optical_display": True,
    "optical": False,
    "optical_uncertainty": False,
}


def write_styles(folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Writes a style beside each layer of a product, and `flora.qgs`, a project with all of them.

    Args:
        folder: A product, as `flora predict` writes it.
        overwrite: Whether older styles are replaced.

    Returns:
        The styles, and the project.

    Raises:
        InputError: The folder holds no product.
        OutputError: The files cannot be written.
    """
    result = open_result(folder)
    styles = _styles(result)
    files = {f"{name}.qml": style for name, style in styles.items()} | {PROJECT_FILE: project_of(result)}
    with added(result.folder, list(files), overwrite=overwrite) as hidden:
        for name, content in files.items():
            (hidden / name).write_text(style_text(content), encoding="utf-8")
    return [result.folder / name for name in files]


def _styles(result: Result) -> dict[str, Xml.Element]:
    styles = {
        path.stem: style for path in result.rasters() if (style := raster_style(describe(path))) is not None
    }
    for kind in POLYGON_COLORS:
        if (result.folder / f"{kind}_polygons.geojson").is_file():
            styles[f"{kind}_polygons"] = polygon_style(kind)
    return styles


def project_of(result: Result) -> Xml.Element:
    """Gives the project of a product: its layers by paths relative to the project, each with its style.

    Args:
        result: The product.

    Returns:
        The root of the project.
    """
    root = Xml.Element("qgis", projectname=result.name, version=QGIS)
    Xml.SubElement(root, "title").text = result.name
    water = result.layer(OBSERVED_WATER)
    geobox = geobox_of(water, crs_required=False)
    if geobox.crs:
        root.append(_system(geobox.crs))
    tree = Xml.SubElement(root, "layer-tree-group")
    layers = Xml.Element("projectlayers")
    for kind in POLYGON_COLORS:
        if (result.folder / f"{kind}_polygons.geojson").is_file() and (result.folder / GEOPACKAGE).is_file():
            source = f"./{GEOPACKAGE}|layername={kind}"
            added = _entry(
                tree, layers, ("vector", "ogr"), f"{kind}_polygons", f"Polygons of {kind}", source, False
            )
            added.set("geometry", "Polygon")
            added.extend(list(polygon_style(kind)))
    has_display = (result.folder / "optical_display.tif").is_file()
    for name, shown in ORDER.items():
        path = result.folder / f"{name}.tif"
        if not path.is_file():
            continue
        drawn = shown or (name == "optical" and not has_display)
        added = _entry(tree, layers, ("raster", "gdal"), name, TITLES[name], f"./{path.name}", drawn)
        style = raster_style(describe(path))
        if style is not None:
            added.extend(list(style))
    root.append(_view(geobox))
    root.append(layers)
    properties = Xml.SubElement(root, "properties")
    Xml.SubElement(Xml.SubElement(properties, "Paths"), "Absolute", type="bool").text = "false"
    system = Xml.SubElement(properties, "SpatialRefSys")
    Xml.SubElement(system, "ProjectionsEnabled", type="int").text = "1" if geobox.crs else "0"
    return root


def _system(crs: CRS) -> Xml.Element:
    """Gives the CRS of the map; QGIS takes the code, and the text where there is none."""
    element = Xml.Element("projectCrs")
    system = Xml.SubElement(element, "spatialrefsys", nativeFormat="Wkt")
    Xml.SubElement(system, "wkt").text = crs.to_wkt()
    code = crs.to_epsg()
    if code:
        Xml.SubElement(system, "srid").text = str(code)
        Xml.SubElement(system, "authid").text = f"EPSG:{code}"
    return element


def _entry(
    tree: Xml.Element,
    layers: Xml.Element,
    kind: tuple[str, str],
    name: str,
    title: str,
    source: str,
    shown: bool,
) -> Xml.Element:
    """Adds a layer to the tree and to the list of layers; gives its element in the list."""
    state = "Qt::Checked" if shown else "Qt::Unchecked"
    Xml.SubElement(
        tree,
        "layer-tree-layer",
        {
            "id": f"layer_{name}",
            "name": title,
            "source": source,
            "providerKey": kind[1],
            "checked": state,
            "expanded": "0",
        },
    )
    layer = Xml.SubElement(layers, "maplayer", type=kind[0])
    for tag, text in {
        "id": f"layer_{name}",
        "datasource": source,
        "layername": title,
        "provider": kind[1],
    }.items():
        Xml.SubElement(layer, tag).text = text
    return layer


def _view(geobox: GeoBox) -> Xml.Element:
    """Looks at the whole scene when the project is opened."""
    canvas = Xml.Element("mapcanvas", name="theMapCanvas")
    bounds = geobox.extent.boundingbox
    extent = Xml.SubElement(canvas, "extent")
    for tag, value in {
        "xmin": bounds.left,
        "ymin": bounds.bottom,
        "xmax": bounds.right,
        "ymax": bounds.top,
    }.items():
        Xml.SubElement(extent, tag).text = repr(float(value))
    return canvas
