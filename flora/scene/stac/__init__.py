"""Scenes by place and date: STAC catalogues searched, only the area read, written as COG in dB."""

from flora.scene.stac.area import parse_bbox, read_areas
from flora.scene.stac.context import parse_context
from flora.scene.stac.fetch import Fetched, fetch
from flora.scene.stac.item import is_item, item_files

__all__ = ["Fetched", "fetch", "is_item", "item_files", "parse_bbox", "parse_context", "read_areas"]
