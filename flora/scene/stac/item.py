"""What a STAC item of Sentinel-1 says: where its VV and VH are, when and on which orbit it was taken."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from flora.bands import SAR_BANDS
from flora.errors import InputError
from flora.raster.polarisation import TOKEN
from flora.raster.radiometry import parse
from flora.transfer import bare, get_json, is_web, open_session

RASTER = re.compile(r"\.tiff?$", re.IGNORECASE)


@dataclass(frozen=True)
class SarItem:
    """One product of one acquisition.

    Attributes:
        id: Its name in the catalogue.
        collection: Of the catalogue; empty where it has none.
        time: Start of the acquisition, UTC.
        platform: Such as `S1A`.
        orbit: Relative orbit as three digits; empty where it is not said.
        direction: `ascending` or `descending`; empty where it is not said.
        files: Addresses of the VV and the VH file, or of one file with both; unsigned.
        scale: What the item says its values are, for `flora.open_sar`; `auto` where it does not.
        footprint: In longitude and latitude; None where it is not said.
    """

    id: str
    collection: str
    time: datetime
    platform: str
    orbit: str
    direction: str
    files: tuple[str, ...]
    scale: str = "auto"
    footprint: BaseGeometry | None = None


def read_item(item: Mapping[str, Any], href: str) -> SarItem | None:
    """Reads an item; None for one without VV and VH.

    Args:
        item: As JSON has it.
        href: Where it lies; addresses of its files may be relative to it.

    Raises:
        InputError: It is no STAC item.
    """
    try:
        properties, assets = item["properties"], item["assets"]
        time = datetime.fromisoformat(properties.get("start_datetime") or properties["datetime"])
        footprint = shape(item["geometry"]) if item.get("geometry") else None
        chosen = _sar_assets(assets)
        files = tuple(_absolute(asset["href"], href) for asset in chosen)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"'{bare(href)}' is not a STAC item ({type(error).__name__}: {error}); expected one with time and assets. "
            "Check the address."
        ) from error
    if not files:
        return None
    orbit = properties.get("sat:relative_orbit")
    return SarItem(
        id=str(item.get("id", "")),
        collection=str(item.get("collection") or ""),
        time=time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC),
        platform=_platform(str(properties.get("platform") or "")),
        orbit="" if orbit is None else f"{int(orbit):03d}",
        direction=str(properties.get("sat:orbit_state") or ""),
        files=files,
        scale=_scale(chosen[0]),
        footprint=footprint,
    )


def is_item(path: str | Path) -> bool:
    """Tells the address or path of a STAC item from that of a raster."""
    return str(path).split("?")[0].lower().endswith((".json", ".geojson"))


def item_files(path: str | Path) -> list[str]:
    """Gives the raster files of one item, ready to be opened.

    Args:
        path: Address or path of the item's JSON.

    Returns:
        The VV and the VH file, or one file with both.

    Raises:
        InputError: It is no item with VV and VH.
        RemoteError: A server does not give the item or its files.
    """
    from flora.scene.stac.remote import prepare, sign

    text = str(path)
    if is_web(text):
        with open_session() as session:
            content = get_json(session, text)
    else:
        text = str(Path(path).expanduser().absolute())
        try:
            content = json.loads(Path(text).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"'{path}' cannot be read as a STAC item ({error}); expected its JSON."
            ) from error
    item = read_item(content, text)
    if item is None:
        raise InputError(
            f"Item '{content.get('id', path)}' has no GeoTIFF with VV and VH among its assets "
            f"({', '.join(content['assets'])}); FLoRA needs both. Take another item."
        )
    return prepare([sign(file) for file in item.files])


def _sar_assets(assets: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Finds the VV and the VH file, else the one GeoTIFF that may hold both."""
    rasters = {key: asset for key, asset in assets.items() if _is_raster(asset)}
    named = {band: [a for key, a in rasters.items() if _polarisation(key) == band] for band in SAR_BANDS}
    if all(len(found) == 1 for found in named.values()):
        return [named[band][0] for band in SAR_BANDS]
    if any(named.values()) or any(_polarisation(key) for key in rasters):
        return []
    data = [asset for asset in rasters.values() if "data" in (asset.get("roles") or ())] or list(
        rasters.values()
    )
    return data if len(data) == 1 else []


def _is_raster(asset: Mapping[str, Any]) -> bool:
    kind = str(asset.get("type") or "")
    return "tiff" in kind if kind else bool(RASTER.search(asset["href"].split("?")[0]))


def _polarisation(key: str) -> str:
    found = {match.upper() for match in TOKEN.findall(key.replace("_", "-"))}
    return found.pop() if len(found) == 1 else ""


def _scale(asset: Mapping[str, Any]) -> str:
    """Gives the unit that an item declares, where it is one of backscatter."""
    for bands in ("raster:bands", "bands"):
        for band in asset.get(bands) or ():
            radiometry = parse(str(band.get("unit") or ""))
            if radiometry is not None:
                return str(radiometry)
    return "auto"


def _platform(name: str) -> str:
    """Shortens `sentinel-1a` to `S1A`."""
    letter = re.search(r"1-?([a-d])$", name.lower())
    return f"S1{letter.group(1).upper()}" if letter else "S1"


def _absolute(href: str, base: str) -> str:
    """Resolves an address against that of its item."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", href) or href.startswith("/vsi"):
        return href
    return urljoin(base, href) if is_web(base) else str((Path(base).parent / href).resolve())
