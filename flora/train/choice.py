"""What is chosen on the validation chips once a network is trained: temperature and thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from flora.chip import Batch, Chip, collate, grey_bands, pad
from flora.data.augment import PIVOT_DB
from flora.data.loader import validation_chips
from flora.data.pack import PackedDataset
from flora.errors import DataError
from flora.model.family import Network
from flora.train.experiment import Experiment
from flora.train.scores import ValidationScores

# Grey values count as they are and flatter, as nobody knows how steep an image was stretched. Water lies 10.5 dB under
# land in the middle one of OMBRIA's training chips, 7 to 13 dB in half of them, and 12.6 in its validation chips.
CONTRASTS: Final = (1.0, 0.85, 0.7)


def validation_loader(experiment: Experiment) -> DataLoader[Batch]:
    """Gives the validation chips of an experiment, one a batch, padded to the network's grid.

    Raises:
        DataError: None is packed, or none of a dataset that `validated_on` names.
    """
    data = experiment.data
    chips = validation_chips(data.packed, "val", data.validation())
    found = {chip.meta.dataset for chip in chips.chips}
    if missing := [name for name in data.validated_on or () if name not in found]:
        raise DataError(
            f"data.validated_on names {', '.join(missing)}, of which no chip of split 'val' is packed in "
            f"'{data.packed}'; pack it first."
        )
    shown: Any = _OnGrid(chips, experiment.network().grid)  # chips go in, batches come out
    return DataLoader(shown, batch_size=1, collate_fn=collate)


class _OnGrid(Dataset[Chip]):
    """Chips padded with invalid pixels, each read when it is asked for."""

    def __init__(self, chips: PackedDataset, grid: int) -> None:
        self.chips, self.grid = chips, grid

    def __len__(self) -> int:
        return len(self.chips)

    def __getitem__(self, index: int) -> Chip:
        chip = self.chips[index]
        height, width = (-(-side // self.grid) * self.grid for side in chip.shape)
        return pad(chip, height, width)


class Choice(NamedTuple):
    """What validation decided.

    Attributes:
        temperature: Divides the water logits.
        threshold: Probability from which a pixel is water.
        threshold_grey: The same for one polarisation in grey values; None without such chips.
        threshold_grey_pair: The same for both polarisations in grey values.
        scores: Of all chips, by name.
    """

    temperature: float
    threshold: float
    threshold_grey: float | None
    threshold_grey_pair: float | None
    scores: dict[str, float]


def choose(model: Network, experiment: Experiment) -> Choice:
    """Chooses temperature and thresholds on the validation chips, radar alone.

    Temperature and threshold come from calibrated radar, which is what a user's scene is, where there is any: grey
    values of unknown stretch say nothing about the logits of a scene in dB. Grey values have thresholds of their own,
    one for each number of polarisations, the best over all `CONTRASTS`.
    """
    scores = ValidationScores()
    by_grey_bands = [ValidationScores() for _ in range(3)]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    twin = model.folded().to(device)
    with torch.inference_mode():
        for batch in validation_loader(experiment):
            batch = batch.to(device)
            output = twin(batch.sar, batch.sar_valid)
            scores.add(output, batch)
            bands = grey_bands(batch.meta[0], batch.sar_valid[0].cpu().numpy())
            by_grey_bands[bands].add(output, batch)
            for sar in _flatter(batch) if bands else ():
                by_grey_bands[bands].add(twin(sar, batch.sar_valid), batch)
    calibrated, grey, grey_pair = by_grey_bands
    chosen = calibrated if calibrated.counts else scores
    temperature = chosen.choose_temperature()
    return Choice(
        temperature,
        chosen.choose_threshold(temperature),
        grey.best_threshold(temperature) if grey.counts else None,
        grey_pair.best_threshold(temperature) if grey_pair.counts else None,
        scores.compute(),
    )


def _flatter(batch: Batch) -> Iterator[Tensor]:
    """Gives a batch's radar in the other `CONTRASTS`, about the pivot of `flora.data.augment`; dB, 0 where invalid."""
    pivot = batch.sar.new_tensor(PIVOT_DB)[:, None, None]
    for contrast in CONTRASTS:
        if contrast != 1:
            yield torch.where(batch.sar_valid, (batch.sar - pivot) * contrast + pivot, 0)
