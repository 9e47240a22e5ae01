"""Settings of the simulator, and the one place that a seed draws from them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from flora.errors import ConfigError

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """What places a seed may draw; a pair is the range of a uniform draw, equal ends fix the value.

    Attributes:
        relief_m: Height of the hills above the valleys, m.
        river_width_px: Width of the main rivers, px.
        flood_stage_m: Water level in the flood above the river banks, m; (-9, -9) leaves the land dry.
        floodplain_px: Half the width of the flat land along the main rivers, px.
        forest: How readily land is forest, 0 to 1.
        cropland: How readily open land is fields rather than pasture, 0 to 1.
        urban: How large the towns are, 0 (none) to 1 (a city).
        arid: How readily dry land is sand, 0 to 1.
        field_px: Side of a crop field, px.
        greenness: Season: 0 bare and yellow, 1 green.
        turbidity: Sediment in flood water, 0 clear to 1 brown.
        wind: Roughness of open water by wind, 0 to 1.
        incidence_deg: Incidence angle at column 0, degrees; it grows to the right as in a Sentinel-1 swath.
        calibration_db: Standard deviation of an offset of a scene's backscatter, dB.
        noise_floor_db: Thermal noise left in the product (noise-equivalent sigma0), dB.
        looks: Equivalent number of looks of the speckle (Sentinel-1 IW GRDH: 4.4).
        speckle_side: Weight of a neighbour in the speckle filter; 0.4 correlates neighbours by 0.6 as in 10 m GRD.
        cloud: Share of the optical image after the flood under cloud, 0 to 1.
        wedge_px: Width at row 0 of the invalid wedge left of the swath, px; 0 is none.
        frost: How frozen or parched the ground is, 0 to 1; below 0 it is as moist as ever. Bare fields then lose most
            of their VH and little of their VV.
        lakes: How wide standing water is: 1 fills much of the land with lakes, 0 and below leaves small ones.
        silt_before: Sediment in rivers on the earlier date as a share of `turbidity`; they keep it where none swells.
    """

    relief_m: Range = (15.0, 160.0)
    river_width_px: Range = (9.0, 34.0)
    flood_stage_m: Range = (-2.0, 1.0)
    floodplain_px: Range = (50.0, 240.0)
    forest: Range = (0.15, 0.6)
    cropland: Range = (0.3, 0.95)
    urban: Range = (0.1, 0.9)
    arid: Range = (0.0, 0.25)
    field_px: Range = (9.0, 34.0)
    greenness: Range = (0.1, 1.0)
    turbidity: Range = (0.2, 1.0)
    wind: Range = (0.0, 0.7)
    incidence_deg: Range = (30.0, 44.0)
    calibration_db: float = 0.7
    noise_floor_db: Range = (-33.0, -29.0)
    looks: Range = (4.0, 5.0)
    speckle_side: Range = (0.34, 0.46)
    cloud: Range = (0.0, 0.0)
    wedge_px: int = 0
    frost: Range = (-1.0, 1.0)
    lakes: Range = (-1.0, 1.0)
    silt_before: Range = (0.1, 0.9)

    def __post_init__(self) -> None:
        """Checks that ranges ascend.

        Raises:
            ConfigError: A range runs downwards, or a size is not positive.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ConfigError(
                    f"Simulator setting {item.name} is {value}; expected (low, high). Swap the two."
                )
        for name in ("river_width_px", "floodplain_px", "field_px", "looks"):
            if getattr(self, name)[0] <= 0:
                raise ConfigError(
                    f"Simulator setting {name} is {getattr(self, name)}; expected above 0. Raise it."
                )


# Settings that came later are drawn last, so that a seed's other values stay as they were.
LATER: Final = ("frost", "lakes", "silt_before")

# The crest of a flood in calm weather over bare fields: what radar maps best, and what a first look should show. What
# makes floods hard (wind, standing crops, trickles) is in the default ranges, which training draws from.
CALM_FLOOD: Final = SceneConfig(
    wind=(0.0, 0.3), flood_stage_m=(0.8, 1.2), greenness=(0.1, 0.3), frost=(0.0, 0.0), lakes=(0.0, 0.0)
)


@dataclass(frozen=True, slots=True)
class Place:
    """One place and pair of dates: a seed and what it drew. Fields as in `SceneConfig`, one value each.

    Attributes:
        seed: Seed of all fields of the place.
        heading: Direction of the main rivers, radians from the columns.
        soil: Hue of the soil, 0 grey-brown to 1 red.
        calibration: Offset of VV and VH, dB.
        wetness: Rise of soil backscatter on the flood date over the earlier one, dB.
        wind_before: `wind` on the earlier date.
        water: Hue of water without sediment, 0 peat, over grey and blue, to 1 green.
    """

    seed: int
    relief_m: float
    river_width_px: float
    flood_stage_m: float
    floodplain_px: float
    forest: float
    cropland: float
    urban: float
    arid: float
    field_px: float
    greenness: float
    turbidity: float
    wind: float
    incidence_deg: float
    noise_floor_db: float
    looks: float
    speckle_side: float
    cloud: float
    wedge_px: int
    heading: float
    soil: float
    calibration: tuple[float, float]
    wetness: float
    wind_before: float
    frost: float
    lakes: float
    silt_before: float
    water: float


def draw_place(seed: int, config: SceneConfig) -> Place:
    """Draws the place that belongs to a seed.

    Args:
        seed: Any whole number.
        config: The ranges to draw from.

    Returns:
        The same place for the same arguments, always.
    """
    rng = np.random.default_rng([seed & 0xFFFFFFFF, 0x5EED])

    def between(ends: Range) -> float:
        return float(ends[0] + (ends[1] - ends[0]) * rng.random())

    drawn = {}
    for item in fields(config):  # one draw a field in a fixed order: changing one range moves no other value
        value = getattr(config, item.name)
        if isinstance(value, tuple) and item.name not in LATER:
            drawn[item.name] = between(value)
    shared, vv, vh = (config.calibration_db * rng.standard_normal(3)).tolist()
    return Place(
        seed=int(seed),
        wedge_px=config.wedge_px,
        heading=float(rng.uniform(0, np.pi)),
        soil=float(rng.random()),
        calibration=(0.8 * shared + 0.6 * vv, 0.8 * shared + 0.6 * vh),
        wetness=float(rng.uniform(0.0, 1.5)),
        wind_before=float(config.wind[0] + (config.wind[1] - config.wind[0]) * rng.random() ** 2),
        frost=max(0.0, between(config.frost)),
        lakes=max(0.0, between(config.lakes)),
        silt_before=between(config.silt_before),
        water=float(rng.random()),
        **drawn,
    )
