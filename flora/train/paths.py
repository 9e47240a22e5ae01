"""Which optical image the network is shown in training: none, the same day's, an older one; clear or clouded."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from flora.chip import Batch
from flora.train.experiment import PathConfig


def cloud(
    count: int, size: tuple[int, int], generator: torch.Generator, device: torch.device | str = "cpu"
) -> Tensor:
    """Draws cloud masks: smooth blobs that hide between a tenth and all of the image.

    Args:
        count: B.
        size: H and W, px.
        generator: Source of chance, on the CPU, so that every device draws the same.
        device: Where the masks are made.

    Returns:
        True where cloud hides the ground, (B, 1, H, W), bool.
    """
    field = torch.zeros(count, 1, *size, device=device)
    for cells, weight in ((3, 1.0), (8, 0.6), (24, 0.3)):
        noise = torch.randn(count, 1, cells, cells, generator=generator).to(device)
        field += weight * F.interpolate(noise, size=size, mode="bicubic", align_corners=False)
    cover = 0.1 + 0.9 * torch.rand(count, generator=generator)
    # A coarse grid of the field is enough to find the level that hides the share wanted: a quantile of each image.
    heights = field[:, 0, ::8, ::8].flatten(1).sort(dim=1).values
    place = (1 - cover) * (heights.shape[1] - 1)
    below = place.floor().long()
    above = (below + 1).clamp(max=heights.shape[1] - 1)
    low, high = (heights.gather(1, rank.to(device).unsqueeze(1)) for rank in (below, above))
    levels = torch.lerp(low, high, (place - below).to(device).unsqueeze(1))
    return field >= levels.view(-1, 1, 1, 1)


def painted(optical: Tensor, cloudy: Tensor, generator: torch.Generator) -> Tensor:
    """Paints cloud into images: nearly as bright in every band, dense or thin, with something of the ground in it.

    Args:
        optical: (B, 4, H, W), reflectance.
        cloudy: Where cloud stands, (B, 1, H, W), bool.
        generator: Source of chance.

    Returns:
        The images with cloud, reflectance.
    """
    count = len(optical)
    brightness = 0.25 + 0.6 * torch.rand(count, 1, 1, 1, generator=generator)
    tint = 1 + 0.05 * torch.randn(count, optical.shape[1], 1, 1, generator=generator)
    density = 0.7 + 0.3 * torch.rand(count, 1, 1, 1, generator=generator)
    white, density = (brightness * tint).to(optical), density.to(optical)
    return torch.where(cloudy, torch.lerp(optical, white, density), optical)


# Reflectance of water without much sediment, least and greatest: red, green, blue, nir.
WATER_COLOURS = ((0.010, 0.015, 0.010, 0.004), (0.060, 0.080, 0.090, 0.030))


def recoloured(optical: Tensor, water: Tensor, generator: torch.Generator) -> Tensor:
    """Gives water another colour, one for each image: from black over brown and green to blue.

    Args:
        optical: (B, 4, H, W), reflectance.
        water: Where it is water, (B, 1, H, W), bool.
        generator: Source of chance.

    Returns:
        The images with a tenth of the old picture left in the water, reflectance.
    """
    low, high = (torch.tensor(colour) for colour in WATER_COLOURS)
    colour = low + (high - low) * torch.rand(len(optical), 4, generator=generator)
    share = F.avg_pool2d(water.to(optical), 3, stride=1, padding=1, count_include_pad=False)
    return torch.lerp(optical, colour.to(optical)[..., None, None] + 0.1 * optical, share)


class PathMixer:
    """Draws, for each sample, the optical image that stands beside the radar.

    The share of same-day images falls over the run, so that the decoders do not come to lean on a picture that
    will not be there. Radar alone is what remains, and is the path that is evaluated.
    """

    def __init__(self, config: PathConfig, seed: int) -> None:
        self.config = config
        self.seed = seed

    def _drawn(self, count: int, step: int, steps: int) -> tuple[Tensor, float, torch.Generator]:
        """Draws where on [0, 1) each sample lies; below the share, which comes second, it sees the same day's image."""
        chance = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        config = self.config
        share = config.true_start + (config.true_end - config.true_start) * step / max(1, steps)
        return torch.rand(count, generator=chance), share, chance

    def recolour(self, batch: Batch, step: int, steps: int) -> Batch:
        """Gives the water of some samples another colour, of those that are shown the same day's image.

        What is shown and what is asked for stay one picture. A real flood teaches its own colour alone, and that of
        water of its roughness; here a clear image of the day says what colour the water has.

        Args:
            batch: The samples.
            step: Of the run, from 0.
            steps: Of the whole run.

        Returns:
            The batch with other optical images.
        """
        if not self.config.recoloured:
            return batch
        draw, share, _ = self._drawn(len(batch), step, steps)
        chance = torch.Generator().manual_seed(self.seed * 1_000_003 + step + 500_000_000)
        chosen = (draw < share) & (torch.rand(len(batch), generator=chance) < self.config.recoloured)
        water = (batch.water == 1) & batch.water_valid & chosen.to(batch.water.device).view(-1, 1, 1)
        return replace(batch, optical=recoloured(batch.optical, water.unsqueeze(1), chance))

    def __call__(self, batch: Batch, step: int, steps: int) -> tuple[Tensor, Tensor]:
        """Draws the images of one step; the same step of the same seed draws the same.

        Args:
            batch: The samples.
            step: Of the run, from 0.
            steps: Of the whole run.

        Returns:
            Optical image, (B, 4, H, W), reflectance, and its validity, bool; invalid where none is shown.
        """
        config, count, size = self.config, len(batch), batch.sar.shape[-2:]
        device = batch.sar.device
        draw, share, chance = self._drawn(count, step, steps)
        has_prior = batch.prior_valid.flatten(1).any(dim=1).cpu()
        # A sample without an older image has only the same day's to learn the optical path from.
        archive = (draw >= share) & (draw < share + config.archive) & has_prior
        true = draw < share

        def pick(chosen: Tensor, image: Tensor, other: Tensor) -> Tensor:
            return torch.where(chosen.to(device).view(-1, 1, 1, 1), image, other)

        optical = pick(archive, batch.prior, batch.optical)
        valid = pick(archive, batch.prior_valid, batch.optical_valid & true.to(device).view(-1, 1, 1, 1))
        wrong = torch.rand(count, generator=chance) < config.wrong_place
        optical, valid = pick(wrong, optical.roll(1, 0), optical), pick(wrong, valid.roll(1, 0), valid)
        clouded = torch.rand(count, generator=chance) < config.clouded
        hidden = cloud(count, (size[0], size[1]), chance, device) & clouded.to(device).view(-1, 1, 1, 1)
        no_nir = torch.rand(count, generator=chance) < config.without_nir
        if config.unmasked:
            bare = (torch.rand(count, generator=chance) < config.unmasked).to(device).view(-1, 1, 1, 1)
            white = painted(optical, hidden & bare, chance)
            optical, hidden = white, hidden & ~bare
        keep = torch.ones(count, 4, 1, 1, dtype=torch.bool)
        keep[:, 3, 0, 0] = ~no_nir
        return optical, valid & ~hidden & keep.to(device)
