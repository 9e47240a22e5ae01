"""The networks that can be trained, stored and evaluated alike: FLoRA, and what it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flora.model.config import PRESETS, ModelConfig
from flora.model.flora import FLoRA
from flora.model.pix2pix import PIX2PIX_PRESETS, Pix2Pix, Pix2PixConfig
from flora.model.published import PUBLISHED_PRESETS, PublishedConfig, PublishedFLoRA
from flora.model.unet import UNET_PRESETS, UNet, UNetConfig

NetworkConfig = UNetConfig | Pix2PixConfig | PublishedConfig | ModelConfig
Network = FLoRA | UNet | Pix2Pix

NETWORKS: Final[dict[str, NetworkConfig]] = {
    **PRESETS,
    **UNET_PRESETS,
    **PIX2PIX_PRESETS,
    **PUBLISHED_PRESETS,
}
FLORA: Final = "flora"
CONFIGS: Final[dict[str, type[NetworkConfig]]] = {
    FLORA: ModelConfig,
    "unet": UNetConfig,
    "pix2pix": Pix2PixConfig,
    "published": PublishedConfig,
}


def build(config: NetworkConfig) -> Network:
    """Builds a network with random weights."""
    if isinstance(config, UNetConfig):
        return UNet(config)
    if isinstance(config, Pix2PixConfig):
        return Pix2Pix(config)
    if isinstance(config, PublishedConfig):
        return PublishedFLoRA(config)
    return FLoRA(config)


def parse_sizes(sizes: Mapping[str, Any]) -> NetworkConfig:
    """Reads sizes as a weights file holds them; without a `family` they are FLoRA's.

    Raises:
        ValueError: The family is unknown, or the sizes do not fit it (pydantic.ValidationError).
    """
    family = sizes.get("family", FLORA)
    if family not in CONFIGS:
        raise ValueError(f"family '{family}' is unknown; use one of {', '.join(CONFIGS)}")
    return CONFIGS[family].model_validate({k: v for k, v in sizes.items() if (k, v) != ("family", FLORA)})
