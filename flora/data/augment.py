"""Augmentation: what may differ between two views of the same ground, drawn anew for each sample.

One geometry goes to every layer; radiometry changes the radar alone, because the sensor, its processing and its look
angle differ from scene to scene while the picture to be reconstructed stays what it is. The older optical image (the
prior) gets the season, haze and cloud that an archive image has.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from flora.chip import Bool, Chip, Float
from flora.data.crop import Crop, cut, draw_crop
from flora.data.disturbance import Span, cloud, roughened, speckle_db, sunk, trend
from flora.data.raw import Layer, RawChip, RawLayer, raw_window

Probability = Annotated[float, Field(ge=0, le=1)]

# Where a gain in dB leaves a value as it is: rounded means of VV and VH over Sentinel-1 land scenes
# (Sen1Floods11: -10.2 and -16.9 dB, GRD: -12.6 and -20.3 dB). Fixed, so that a pixel's new value never depends
# on the rest of the chip.
PIVOT_DB: Final = (-11.0, -18.0)
# Scenes are handed on as dB clipped to [-30, 0] in 254 grey steps, as Guaiba's are.
CLIP_DB: Final = (-30.0, 0.0)
CLIP_STEP_DB: Final = 30.0 / 254
# Noise-equivalent sigma0: Sentinel-1 IW is specified for at most -22 dB; a range below that.
NOISE_FLOOR_DB: Final = (-31.0, -24.0)


class AugmentConfig(BaseModel):
    """How strongly samples are varied; `plain` leaves only the random crop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(256, ge=8, description="Height and width of a crop, px.")
    zoom: Span = Field(
        (0.3, 1.5), description="Least and greatest magnification, drawn evenly in its logarithm."
    )
    native: Probability = Field(
        0.25, description="Share of crops at zoom 1 exactly, with the sensor's own speckle."
    )
    min_cover: float = Field(
        0.6,
        gt=0,
        le=1,
        description="Least part of a crop's side that the chip fills, where the zoom allows it.",
    )
    turns: bool = Field(True, description="Draw one of the 8 flips and quarter turns.")

    shift_db: float = Field(
        1.5, ge=0, description="Standard deviation of each band's offset, calibrated SAR, dB."
    )
    gain: Span = Field((0.85, 1.15), description="Gain of each band about its pivot, calibrated SAR.")
    stretched_shift_db: float = Field(3.0, ge=0, description="Like shift_db for SAR of unknown stretch, dB.")
    stretched_gain: Span = Field((0.7, 1.4), description="Like gain for SAR of unknown stretch.")
    one_band_gain: Span | None = Field(
        None,
        description="Like gain for SAR of unknown stretch in one band, where no second tells how steep it is; None: "
        "stretched_gain.",
    )
    speckle: Probability = Field(0.4, description="Share of samples that get further speckle.")
    looks: Span = Field((3.0, 30.0), description="Looks of that speckle: fewer is stronger.")
    trend_db: float = Field(
        2.0, ge=0, description="Greatest linear trend from the crop's centre to its rim, dB."
    )
    band_dropout: Probability = Field(
        0.15, description="Share of two-band samples that lose one band, never both."
    )
    vv_alone: Probability = Field(
        0.0,
        description="Share of two-band samples, of those that keep both, that lose VH: sand has VV alone, and water "
        "without land in sight has to be seen so as well.",
    )
    vh_loss: Probability = Field(
        0.0,
        description="Share of real samples whose ground is frozen or parched: VH sinks towards the sensor's noise.",
    )
    vh_loss_db: Span = Field((2.0, 9.0), description="How much VH those lose.")
    wind: Probability = Field(
        0.0,
        description="Share of real calibrated samples whose labelled water gets another roughness, as wind draws it.",
    )
    wind_db: float = Field(
        4.0, ge=0, description="By how much VV of that water rises or falls at most, dB; VH by half."
    )
    clip: Probability = Field(0.1, description="Share of samples clipped to [-30, 0] dB and quantised.")

    misregistration_px: int = Field(
        0, ge=0, description="Greatest shift of optical against SAR, px; 0 is off."
    )
    weakly_registered: tuple[str, ...] = Field(
        ("guaiba", "biomassters"), description="Datasets that the misregistration shift applies to."
    )

    same_day_prior: Probability = Field(
        0.15, description="Share of samples with optical whose prior becomes that optical image, under cloud."
    )
    prior_dropout: Probability = Field(0.25, description="Share of samples that lose their prior.")
    prior_cloud: Probability = Field(
        0.3, description="Share of priors of another date that get simulated cloud."
    )
    cloud_cover: Span = Field((0.05, 0.95), description="Part of the crop under simulated cloud.")
    prior_gain: Span = Field((0.8, 1.25), description="Gain per channel of a prior of another date.")
    prior_offset: Span = Field((-0.02, 0.05), description="Offset per channel of such a prior, reflectance.")

    @model_validator(mode="after")
    def _spans_rise(self) -> AugmentConfig:
        """Checks that each span rises and that factors are above 0."""
        for name in (
            "zoom",
            "gain",
            "stretched_gain",
            "one_band_gain",
            "looks",
            "cloud_cover",
            "prior_gain",
            "prior_offset",
            "vh_loss_db",
        ):
            if (span := getattr(self, name)) is None:
                continue
            low, high = span
            least = {"cloud_cover": 0.0, "prior_offset": -1.0}.get(name, 1e-3)
            if not least <= low <= high or (name == "cloud_cover" and high > 1):
                raise ValueError(
                    f"{name} is ({low}, {high}); give the lower end first, within the possible range"
                )
        return self

    @classmethod
    def plain(cls, size: int = 256) -> AugmentConfig:
        """Gives the settings that crop at zoom 1 and change nothing else."""
        return cls(
            size=size, zoom=(1, 1), native=1, turns=False, shift_db=0, gain=(1, 1), stretched_shift_db=0,
            stretched_gain=(1, 1), speckle=0, trend_db=0, band_dropout=0, clip=0, same_day_prior=0,
            prior_dropout=0, prior_cloud=0, prior_gain=(1, 1), prior_offset=(0, 0),
        )  # fmt: skip


class Optical(NamedTuple):
    """An optical layer and its validity, each (4, H, W); reflectance."""

    values: Float
    valid: Bool

    @classmethod
    def of(cls, values: Float | None, valid: Bool | None) -> Optical | None:
        """Gives the layer, None where it is absent."""
        return None if values is None or valid is None else cls(values, valid)


class Augment:
    """Turns a chip into one random training sample of a fixed size.

    All chance comes from the generator that is handed in: the same chip and the same generator state give the same
    sample. `draw` and `apply` are apart so that a caller can read only the window that the crop needs.

    What varies is place and zoom of the crop, its turn and flip, the dB values by an affine map, speckle and a trend
    over the incidence angle, and which bands there are.
    """

    def __init__(self, config: AugmentConfig | None = None) -> None:
        self.config = config or AugmentConfig()

    def __call__(self, chip: Chip, rng: np.random.Generator) -> Chip:
        """Draws a geometry and a radiometry and applies them.

        Args:
            chip: Any size; where it is smaller than the crop, the rest is invalid.
            rng: Source of chance.

        Returns:
            A new chip of `config.size` px; the one given is left as it is.
        """
        crop = self.draw(chip.shape, rng)
        return self.apply(raw_window(chip, *crop.window), crop, rng)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> Crop:
        """Draws the geometry for a chip of `shape` (height, width) px."""
        c = self.config
        return draw_crop(
            shape, rng, size=c.size, zoom=c.zoom, native=c.native, cover=c.min_cover, turns=c.turns
        )

    def apply(self, window: RawChip, crop: Crop, rng: np.random.Generator) -> Chip:
        """Cuts the crop out of what was read of a chip and varies its radiometry.

        Args:
            window: The window of the chip that `crop.window` names.
            crop: A geometry that `draw` gave.
            rng: Source of chance.

        Returns:
            A chip of `config.size` px.
        """
        c = self.config
        same_day = "optical" in window.layers and rng.random() < c.same_day_prior
        dropped = rng.random() < c.prior_dropout
        if same_day or dropped:  # what nobody will see is not resampled
            seen: dict[Layer, RawLayer] = {name: a for name, a in window.layers.items() if name != "prior"}
            window = replace(window, layers=seen)
        chip = cut(window, crop)
        sar, sar_valid = self._radar(chip, rng)
        optical, prior = (
            Optical.of(chip.optical, chip.optical_valid),
            Optical.of(chip.prior, chip.prior_valid),
        )
        if c.misregistration_px and chip.meta.dataset in c.weakly_registered:
            by = rng.integers(-c.misregistration_px, c.misregistration_px, 2, endpoint=True)
            optical, prior = (
                layer and shifted(layer, (int(by[0]), int(by[1]))) for layer in (optical, prior)
            )
        if prior is not None:
            prior = self._aged(prior, rng)
        elif optical is not None and same_day and not dropped:
            prior = self._clouded(Optical(optical.values.copy(), optical.valid.copy()), rng)
        return chip.with_layers(
            sar=sar,
            sar_valid=sar_valid,
            optical=optical and optical.values,
            optical_valid=optical and optical.valid,
            prior=prior and prior.values,
            prior_valid=prior and prior.valid,
        )

    def _radar(self, chip: Chip, rng: np.random.Generator) -> tuple[Float, Bool]:
        """Varies the radiometry of SAR that nobody else holds; (2, H, W) dB and its validity."""
        c, sar, valid = self.config, chip.sar, chip.sar_valid
        stretched = chip.meta.sar_radiometry == "stretched"
        gains = c.stretched_gain if stretched else c.gain
        if stretched and c.one_band_gain and not valid.any(axis=(1, 2)).all():
            gains = c.one_band_gain
        if rng.random() < c.band_dropout and valid.any(axis=(1, 2)).all():
            band = int(rng.integers(2))
            valid[band] = False
        if c.vv_alone and valid.any(axis=(1, 2)).all() and rng.random() < c.vv_alone:
            valid[1] = False
        shift = rng.normal(0, c.stretched_shift_db if stretched else c.shift_db, 2)
        gain = rng.uniform(*gains, 2)
        sar *= gain.astype(np.float32)[:, None, None]
        sar += ((1 - gain) * PIVOT_DB + shift).astype(np.float32)[:, None, None]
        if c.vh_loss and not chip.meta.simulated and rng.random() < c.vh_loss:
            sar[1] = sunk(sar[1], rng.uniform(*c.vh_loss_db), rng.uniform(*NOISE_FLOOR_DB))
        if c.wind and not stretched and not chip.meta.simulated and rng.random() < c.wind:
            sar += roughened(chip, rng.uniform(-c.wind_db, c.wind_db))
        if rng.random() < c.speckle:
            sar += speckle_db(c.looks, sar.shape, rng)
        if c.trend_db:
            sar += trend(sar.shape[1:], rng.uniform(0, c.trend_db), rng.uniform(0, 2 * np.pi))
        if rng.random() < c.clip:
            low, high = CLIP_DB
            sar = np.rint((sar.clip(low, high) - low) / CLIP_STEP_DB) * np.float32(CLIP_STEP_DB) + low
        np.copyto(sar, 0, where=~valid)
        return sar, valid

    def _aged(self, prior: Optical, rng: np.random.Generator) -> Optical:
        """Gives a prior that nobody else holds another season, haze and now and then cloud."""
        c, (values, valid) = self.config, prior
        values *= rng.uniform(*c.prior_gain, (4, 1, 1)).astype(np.float32)
        values += rng.uniform(*c.prior_offset, (4, 1, 1)).astype(np.float32)
        np.maximum(values, 0, out=values)
        if rng.random() < c.prior_cloud:
            return self._clouded(prior, rng)
        np.copyto(values, 0, where=~valid)
        return prior

    def _clouded(self, prior: Optical, rng: np.random.Generator) -> Optical:
        """Hides part of a prior that nobody else holds under cloud."""
        values, valid = prior
        valid &= ~cloud(self.config.size, rng.uniform(*self.config.cloud_cover), rng)
        np.copyto(values, 0, where=~valid)
        return prior


def shifted(layer: Optical, by: tuple[int, int]) -> Optical:
    """Moves an optical layer by (rows, columns) px; what is vacated is invalid."""
    values, valid = np.zeros_like(layer.values), np.zeros_like(layer.valid)
    height, width = valid.shape[1:]
    row_to, row_from = _overlap(by[0], height)
    col_to, col_from = _overlap(by[1], width)
    values[:, row_to, col_to] = layer.values[:, row_from, col_from]
    valid[:, row_to, col_to] = layer.valid[:, row_from, col_from]
    return Optical(values, valid)


def _overlap(by: int, length: int) -> tuple[slice, slice]:
    """Gives where px of an axis go and where they come from when it moves `by` px."""
    return slice(max(by, 0), length + min(by, 0)), slice(max(-by, 0), length + min(-by, 0))
