"""The index of a pack: what each packed chip is, where it lies, and how large its shards are."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from flora.chip import ChipMeta
from flora.data.raw import BAND_COUNT, Layer
from flora.data.shard import STEPS
from flora.errors import DataError

INDEX_NAME: Final = "index.json"


class PackedChip(BaseModel):
    """What the index says of one chip.

    Attributes:
        meta: Where the chip comes from.
        shape: Height and width, px.
        shard: Number of its shard in `PackIndex.shards`.
        key: Prefix of its tensors in the shard.
        bands: Bands stored for each layer that exists; the others are invalid everywhere.
        sar_share: Valid part of the pixels of its better SAR band.
        water_share: Water among the pixels with a valid label; None without such a pixel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    meta: ChipMeta
    shape: tuple[int, int]
    shard: int = Field(ge=0)
    key: str
    bands: dict[Layer, list[int]]
    sar_share: float
    water_share: float | None

    @field_validator("bands")
    @classmethod
    def _bands_exist(cls, bands: dict[Layer, list[int]]) -> dict[Layer, list[int]]:
        """Checks that SAR is named and that each layer's bands rise within their number."""
        for layer in {"sar", *bands}:
            stored = bands.get(layer)
            if stored is None or stored != [band for band in range(BAND_COUNT[layer]) if band in stored]:
                raise ValueError(
                    f"{layer} has bands {stored}; expected some of 0 to {BAND_COUNT[layer] - 1}, rising"
                )
        return bands


class Shard(BaseModel):
    """Name, size and SHA-256 of one file of pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str = Field(pattern=r"^[\w.-]+$")
    size: int
    sha256: str


class PackIndex(BaseModel):
    """The index of a pack; `index.json` is this model.

    Attributes:
        format: Always `flora-pack`.
        version: Changes when an older reader would misread the files.
        steps: Size of one stored integer step, dB or reflectance.
        shards: The files.
        chips: The chips, in the order in which they were packed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["flora-pack"] = "flora-pack"
    version: Literal[1] = 1
    steps: dict[Layer, float] = STEPS
    shards: list[Shard]
    chips: list[PackedChip]


def read_index(folder: Path) -> PackIndex:
    """Reads a pack's index and checks that its shards are all there, at their full size.

    Args:
        folder: A pack.

    Returns:
        The index.

    Raises:
        DataError: The index is missing, damaged or of another version, or a shard is missing or cut short.
    """
    path = folder / INDEX_NAME
    try:
        index = PackIndex.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be read ({error}); expected a folder that `flora data pack` made."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"'{path}' is not a pack index of version 1: {place}: {first['msg']}; pack the data again."
        ) from error
    for shard in index.shards:
        file = folder / shard.file
        size = file.stat().st_size if file.is_file() else None
        if size != shard.size:
            found = "is missing" if size is None else f"has {size:,} bytes"
            raise DataError(
                f"Shard '{file}' {found}; its index says {shard.size:,} bytes: copy or pack it again."
            )
    if any(chip.shard >= len(index.shards) for chip in index.chips):
        raise DataError(f"'{path}' names a shard that it does not list; pack the data again.")
    return index


def find_packs(root: Path) -> list[Path]:
    """Gives the packs at `root`: itself, or its subfolders in the order of their names.

    Raises:
        DataError: There is none.
    """
    if (root / INDEX_NAME).is_file():
        return [root]
    packs = sorted(path.parent for path in root.glob(f"[!.]*/{INDEX_NAME}"))
    if not packs:
        raise DataError(
            f"'{root}' holds no {INDEX_NAME}, nor does a folder in it; give a folder that was packed."
        )
    return packs
