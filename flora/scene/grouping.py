"""Which files belong to one scene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flora.bands import SAR_BANDS
from flora.raster.file import describe, file_name, is_address
from flora.raster.naming import scene_name
from flora.raster.polarisation import polarisation_in_path
from flora.scene.stac.item import is_item, item_files

Group = list[str | Path]


def group_scenes(paths: str | Path | Sequence[str | Path]) -> list[Group]:
    """Groups files into scenes.

    Two files of one band each are one scene where their names differ in the polarisation only, or where no other
    file is given. Everything else is a scene of its own: a file with both bands, a folder, or a STAC item.

    Args:
        paths: Files, folders or addresses, in any order; JSON is a STAC item, and stands for its files.

    Returns:
        One list a scene, in the order of their first files; what is in it is for `flora.open_sar` to judge.

    Raises:
        InputError: A file is missing or is no raster.
        RemoteError: A server does not give an item or its files.
    """
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if len(given) == 2 and all(_has_one_band(path) for path in given):
        return [given]
    groups: dict[tuple[str, str, str], Group] = {}
    for place, path in enumerate(given):
        if is_item(path):
            groups["", "", str(place)] = [*item_files(path)]
            continue
        name = file_name(str(path))
        polarisation = polarisation_in_path(name)
        if polarisation in SAR_BANDS and _has_one_band(path):
            key = (str(Path(path).parent), scene_name(str(path)), "")
        else:
            key = ("", "", str(place))
        groups.setdefault(key, []).append(path)
    return list(groups.values())


def _has_one_band(path: str | Path) -> bool:
    if is_item(path):
        return False
    place = Path(path).expanduser()
    # A folder, an archive or the manifest of a SAFE product stands for a whole scene.
    if not is_address(str(path)) and (place.is_dir() or place.suffix.lower() in (".zip", ".safe")):
        return False
    return len(describe(path).bands) == 1
