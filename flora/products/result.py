"""A finished product, opened again: what stands in its folder, and how more files are added to it."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odc.geo.geobox import GeoBox

from flora.errors import InputError, OutputError
from flora.products.folder import SUMMARY_FILE
from flora.raster.file import RasterFile, describe
from flora.raster.grid import geobox_of

# Layers under the name that holds their values; the first that is there is taken.
OBSERVED_WATER = ("observed_water", "water")
OBSERVED_FLOOD = ("observed_flood",)
LIKELIHOOD = ("likelihood", "water_probability")


@dataclass(frozen=True)
class Result:
    """A product in its folder.

    Attributes:
        folder: Where it is.
        summary: What `summary.json` holds.
    """

    folder: Path
    summary: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the scene, or of the folder where the scene has none."""
        return str(self.summary.get("scene") or self.folder.resolve().name)

    @property
    def simulated(self) -> bool:
        """Whether the scene is made up."""
        return "simulated" in str(self.summary.get("note", ""))

    def find(self, names: Sequence[str]) -> Path | None:
        """Gives the raster of the first of these names that is there; None where none is."""
        paths = (self.folder / f"{name}.tif" for name in names)
        return next((path for path in paths if path.is_file()), None)

    def rasters(self) -> list[Path]:
        """Gives all rasters, by name."""
        return sorted(self.folder.glob("*.tif"))

    def layer(self, names: Sequence[str]) -> RasterFile:
        """Opens the raster of the first of these names that is there.

        Raises:
            InputError: None is.
        """
        path = self.find(names)
        if path is None:
            wanted = " or ".join(f"{name}.tif" for name in names)
            raise InputError(f"'{self.folder}' has no {wanted}; it is incomplete. Run `flora predict` again.")
        return describe(path)

    def located(self, file: RasterFile) -> GeoBox:
        """Gives the grid of a layer.

        Raises:
            InputError: It has no CRS, so that there is no ground to speak of.
        """
        if not file.crs:
            raise InputError(
                f"{file.name} in '{self.folder}' has no CRS; polygons, areas and catalogues need a place on Earth. "
                "Run `flora predict` on a georeferenced scene."
            )
        return geobox_of(file)


def open_result(folder: str | Path) -> Result:
    """Opens what `flora predict` wrote.

    Args:
        folder: The folder with `summary.json`.

    Returns:
        The product.

    Raises:
        InputError: There is no product, or its summary is damaged.
    """
    path = Path(folder).expanduser()
    file = path / SUMMARY_FILE
    if not file.is_file():
        raise InputError(
            f"'{folder}' is no result of FLoRA: it has no {SUMMARY_FILE}. Give the folder that `flora predict` wrote."
        )
    try:
        summary = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"'{file}' is damaged ({error}); run `flora predict` again.") from error
    if not isinstance(summary, dict):
        raise InputError(f"'{file}' holds no summary; run `flora predict` again.")
    return Result(path, summary)


def require_absent(files: Sequence[Path], overwrite: bool) -> None:
    """Checks that files may be written.

    Args:
        files: The files to be.
        overwrite: Whether older ones may be replaced.

    Raises:
        OutputError: One of them is there, and may not be replaced.
    """
    taken = next((file for file in files if file.exists()), None)
    if taken and not overwrite:
        raise OutputError(
            f"'{taken}' exists already; nothing is overwritten unasked. Pass --overwrite to replace it."
        )


@contextlib.contextmanager
def added(folder: Path, names: Sequence[str], *, overwrite: bool) -> Iterator[Path]:
    """Gives a hidden folder whose files move into `folder` when the block ends well, and vanish when it does not.

    Args:
        folder: Where the files are to be.
        names: The files that the block will write.
        overwrite: Whether older files of these names may be replaced.

    Yields:
        The hidden folder.

    Raises:
        OutputError: The place cannot be written, or is taken.
    """
    require_absent([folder / name for name in names], overwrite)
    try:
        hidden = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    except OSError as error:
        raise OutputError(
            f"'{folder}' cannot be written ({error.strerror or error}); expected a folder where files can be created. "
            "Copy the result to one."
        ) from error
    try:
        yield hidden
        for name in names:
            (hidden / name).replace(folder / name)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
