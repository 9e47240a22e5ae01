"""Endless training samples from packed chips: which dataset, which place, which crop.

Sample number n depends on the seed and on n alone. So the number of workers changes nothing, and a run that is
resumed at a step sees what it would have seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from flora.chip import Batch, Chip
from flora.data.augment import Augment, AugmentConfig
from flora.data.batches import BatchLoader
from flora.data.crop import Crop
from flora.data.pack import PackedDataset
from flora.errors import ConfigError


class MixtureConfig(BaseModel):
    """How often each dataset is drawn, and how much water is sought."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: dict[str, float] = Field(
        description="Share of each dataset by name, relative to the others; one that is not named is not drawn."
    )
    water_preference: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Probability that a crop is sought that holds water, where its dataset has any.",
    )
    water_share: float = Field(
        0.02, gt=0, le=1, description="Water that such a crop holds at least, of its pixels."
    )
    water_tries: int = Field(8, ge=1, description="Crops tried for that; the last is taken as it is.")


class _Source:
    """The chips of one dataset, by place."""

    def __init__(self, data: PackedDataset, name: str) -> None:
        places: dict[str, list[int]] = defaultdict(list)
        for number, chip in enumerate(data.chips):
            if chip.meta.dataset == name and chip.sar_share > 0:
                places[chip.meta.group].append(number)
        self.places = list(places.values())
        # A place without labelled water is no use in search of water.
        wet = [[n for n in place if (data.chips[n].water_share or 0) > 0] for place in self.places]
        self.wet_places = [place for place in wet if place]


class TrainingStream(IterableDataset[Chip]):
    """Draws augmented crops without end: a dataset by its weight, a place evenly, a chip of it evenly, a crop.

    Balancing by place keeps a scene that was cut into a thousand chips from drowning one that gave ten.
    """

    def __init__(
        self,
        data: PackedDataset,
        mixture: MixtureConfig,
        augment: AugmentConfig,
        batch_size: int,
        seed: int = 0,
        start_step: int = 0,
    ) -> None:
        """Sorts the chips by dataset and place.

        Args:
            data: Training chips.
            mixture: Weights of their datasets.
            augment: How crops are drawn and varied.
            batch_size: Samples a step; workers take whole steps in turn.
            seed: Names the stream.
            start_step: Step at which iteration begins.

        Raises:
            ConfigError: A weight names a dataset that is not packed, is negative, or none is above 0.
        """
        super().__init__()
        _check_weights(mixture, {chip.meta.dataset for chip in data.chips})
        named = {name: weight for name, weight in mixture.weights.items() if weight > 0}
        self.data, self.mixture, self.augment = data, mixture, Augment(augment)
        self.batch_size, self.seed, self.start_step = batch_size, seed, start_step
        self._sources = {name: _Source(data, name) for name in sorted(named)}
        shares = np.cumsum([named[name] if self._sources[name].places else 0.0 for name in self._sources])
        if shares[-1] == 0:
            raise ConfigError(f"No chip of {', '.join(named)} has a valid SAR pixel; pack other data.")
        self._steps: NDArray[np.float64] = shares / shares[-1]

    def __iter__(self) -> Iterator[Chip]:
        """Yields this worker's samples: every `workers`-th step, whole, as `DataLoader` takes them in turn."""
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        step = self.start_step + worker
        while True:
            first = step * self.batch_size
            yield from (self.sample(number) for number in range(first, first + self.batch_size))
            step += workers

    def sample(self, number: int) -> Chip:
        """Gives sample `number` (from 0) of the stream."""
        rng = np.random.default_rng([self.seed, number])
        chip, crop = self._choose(rng)
        return self.augment.apply(self.data.raw(chip, *crop.window), crop, rng)

    def _choose(self, rng: np.random.Generator) -> tuple[int, Crop]:
        """Draws a chip and a crop of it, with water in it if that is wanted and found."""
        source = list(self._sources.values())[int(np.searchsorted(self._steps, rng.random(), side="right"))]
        seeks = bool(rng.random() < self.mixture.water_preference and source.wet_places)
        places = source.wet_places if seeks else source.places
        for _ in range(self.mixture.water_tries if seeks else 1):
            place = places[int(rng.integers(len(places)))]
            chip = place[int(rng.integers(len(place)))]
            crop = self.augment.draw(self.data.chips[chip].shape, rng)
            if seeks and self.data.water_share(chip, *crop.window) >= self.mixture.water_share:
                break
        return chip, crop


def _check_weights(mixture: MixtureConfig, packed: Collection[str]) -> None:
    """Refuses weights that cannot be drawn by."""
    missing = sorted(name for name, weight in mixture.weights.items() if weight > 0 and name not in packed)
    if missing:
        raise ConfigError(
            f"The mixture names {', '.join(missing)}, of which no training chip is packed; packed are "
            f"{', '.join(sorted(packed))}. Pack the missing ones or take them out."
        )
    if any(not 0 <= weight < np.inf for weight in mixture.weights.values()) or not sum(
        mixture.weights.values()
    ):
        raise ConfigError(
            f"The mixture's weights are {mixture.weights}; expected finite numbers from 0 up, and one above 0."
        )


def training_loader(
    packed_root: Path | Sequence[Path],
    mixture: MixtureConfig,
    augment: AugmentConfig,
    batch_size: int,
    size: int,
    seed: int,
    workers: int,
    start_step: int = 0,
    *,
    in_memory: bool = False,
) -> DataLoader[Batch]:
    """Gives an endless loader of training batches.

    Args:
        packed_root: A pack, a folder of packs, or several of either; chips of the split `train` are used.
        mixture: Weights of the datasets.
        augment: How crops are varied; its own size gives way to `size`.
        batch_size: Samples in a batch.
        size: Height and width of a crop, px.
        seed: Names the stream.
        workers: Processes that prepare batches; 0 prepares them in this one. The batches are the same.
        start_step: Number of batches that are taken as seen, for resuming.
        in_memory: Hold shards in memory rather than map them; for storage that is slow at random reads.

    Returns:
        A loader whose batch number k is that of step `start_step` + k.

    Raises:
        ConfigError: The mixture does not fit what is packed.
        DataError: Nothing is packed there, or it is damaged.
    """
    data = PackedDataset(packed_root, split="train", in_memory=in_memory)
    augment = AugmentConfig.model_validate(augment.model_dump() | {"size": size})
    stream = TrainingStream(data, mixture, augment, batch_size, seed, start_step)
    return BatchLoader(stream, batch_size, workers)


def validation_chips(
    packed_root: Path | Sequence[Path], split: str = "val", datasets: Collection[str] | None = None
) -> PackedDataset:
    """Gives the whole chips of a split, unchanged.

    Args:
        packed_root: A pack, a folder of packs, or several of either.
        split: `val`, `test` or `train`.
        datasets: Only these; None for all.

    Returns:
        A sequence of chips.

    Raises:
        DataError: No such chip is packed.
    """
    return PackedDataset(packed_root, split=split, datasets=datasets)
