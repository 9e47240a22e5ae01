"""Judging STAC items and catalogues by the official schemas, which are bundled: no network is asked."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from flora.errors import ConfigError

FOLDER: Final = Path(__file__).with_name("schemas")
CORE: Final = "https://schemas.stacspec.org/v1.1.0"
ITEM_PARTS: Final = (
    "item",
    "basics",
    "bands",
    "common",
    "data-values",
    "datetime",
    "instrument",
    "licensing",
    "provider",
)
EXTENSIONS: Final = {
    "projection": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "classification": "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "processing": "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "sar": "https://stac-extensions.github.io/sar/v1.2.0/schema.json",
}
FILES: Final = {
    **{f"{CORE}/item-spec/json-schema/{part}.json": f"{part}.json" for part in ITEM_PARTS},
    f"{CORE}/catalog-spec/json-schema/catalog.json": "catalog.json",
    "https://geojson.org/schema/Feature.json": "geojson-feature.json",
    "https://geojson.org/schema/Geometry.json": "geojson-geometry.json",
    **{url: f"{name}.json" for name, url in EXTENSIONS.items()},
}


def stac_faults(told: dict[str, Any]) -> list[str]:
    """Judges an item or a catalogue by the core schema of STAC 1.1 and by that of each extension it names.

    Args:
        told: As JSON holds it.

    Returns:
        What is wrong, a line each: place and reason; empty where it is valid.

    Raises:
        ConfigError: The package jsonschema, which judges, is not installed.
    """
    kind = "item" if told.get("type") == "Feature" else "catalog"
    named = told.get("stac_extensions") or []
    unknown = [str(url) for url in named if url not in FILES]
    faults = [f"stac_extensions: {url} is not among the bundled schemas" for url in unknown]
    for url in [f"{CORE}/{kind}-spec/json-schema/{kind}.json", *named]:
        if url not in unknown:
            faults += [f"{_place(error)}: {error.message}" for error in _judge(url).iter_errors(told)]
    return faults


@cache
def _judge(url: str) -> Any:
    try:
        from jsonschema import Draft7Validator  # type: ignore[import-untyped, unused-ignore]
        from referencing import Registry
        from referencing.jsonschema import DRAFT7
    except ModuleNotFoundError as error:
        raise ConfigError(
            "Judging STAC needs the package jsonschema, which is not installed; install it with "
            "pip install 'flora-sar[stac]', or leave out --check."
        ) from error
    schemas = {address: json.loads((FOLDER / file).read_text("utf-8")) for address, file in FILES.items()}
    registry: Any = Registry().with_contents(schemas.items(), default_specification=DRAFT7)
    return Draft7Validator(schemas[url], registry=registry)


def _place(error: Any) -> str:
    return "/".join(str(part) for part in error.absolute_path) or "the whole"
