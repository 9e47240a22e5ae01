"""Where the network runs and in which number format: asked for by name, or found out on this machine."""

from __future__ import annotations

import time
from functools import cache
from typing import Literal, get_args

import torch
from torch import nn

from flora.errors import ConfigError

Precision = Literal["fp32", "bf16"]
# bf16 has to win clearly: near a tie, float32's extra digits are worth more.
CLEAR_WIN = 0.9


def choose_device(device: str) -> str:
    """Gives the device to run on.

    Args:
        device: `auto` (a CUDA GPU where there is one), `cpu`, `cuda` or `cuda:N`.

    Returns:
        A device name that torch takes.

    Raises:
        ConfigError: The name is none of these, or there is no such GPU.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return "cuda" if gpus else "cpu"
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ConfigError(f"Device '{device}' is unknown; expected auto, cpu, cuda or cuda:N.")
    if kind == "cuda" and int(number or 0) >= gpus:
        raise ConfigError(
            f"Device '{device}' was asked for, but torch finds {gpus} CUDA GPUs; use --device cpu."
        )
    return device


def choose_precision(precision: str, device: str) -> Precision:
    """Gives the number format of the convolutions.

    Args:
        precision: `fp32`, `bf16`, or `auto`: bf16 where it is clearly faster. Many CPUs take bf16 but emulate it.
        device: As from `choose_device`.

    Returns:
        `fp32` or `bf16`.

    Raises:
        ConfigError: The name is none of these.
    """
    if precision == "auto":
        return "bf16" if bf16_is_faster(device) else "fp32"
    if precision not in get_args(Precision):
        raise ConfigError(f"Precision '{precision}' is unknown; expected auto, fp32 or bf16.")
    return "bf16" if precision == "bf16" else "fp32"


@cache
def bf16_is_faster(device: str) -> bool:
    """Says whether bf16 convolutions beat float32 ones here, measured once in a process.

    Args:
        device: As from `choose_device`.

    Returns:
        True where bf16 takes less than 0.9 of float32's time on a chain like the network's finest level.
    """
    if device.startswith("cuda"):
        # From compute capability 8.0 (Ampere) on, bf16 runs on tensor cores.
        return torch.cuda.get_device_capability(device)[0] >= 8
    layers = [nn.Conv2d(32, 32, 3, padding=1) for _ in range(3)]
    chain = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.zeros(1, 32, 256, 256).to(memory_format=torch.channels_last)
    return _seconds(chain, image, bf16=True) < CLEAR_WIN * _seconds(chain, image, bf16=False)


@torch.inference_mode()
def _seconds(chain: nn.Module, image: torch.Tensor, bf16: bool, repeats: int = 5) -> float:
    times = []
    with torch.autocast(image.device.type, dtype=torch.bfloat16, enabled=bf16):
        for _ in range(repeats + 1):
            start = time.perf_counter()
            chain(image)
            times.append(time.perf_counter() - start)
    return min(times[1:])  # the first call also chooses kernels
