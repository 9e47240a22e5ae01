"""The network: its reach, its exactness over tiles, its gradients, and that invalid pixels do not matter."""

from __future__ import annotations

import random

import pytest
import torch

from flora.model import PRESETS, FLoRA, ModelConfig

TINY = ModelConfig(name="tiny", widths=(8, 8, 8, 8), head_channels=8)
SHAPES = {
    "tiny": TINY,
    "stem 1": ModelConfig(
        name="a", stem_stride=1, widths=(8, 8, 8, 8), predictor_depth=2, coarse_depth=2, head_channels=8
    ),
    "no attention": ModelConfig(name="b", widths=(8, 8, 8, 8), attention=False, head_channels=8),
}


def scene(
    height: int, width: int, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sar = torch.randn(1, 2, height, width, generator=generator, dtype=dtype) * 5 - 15
    valid = torch.rand(1, 2, height, width, generator=generator) > 0.02
    return sar, valid


def warmed(config: ModelConfig | str, seed: int = 0) -> FLoRA:
    """A network whose statistics and weights are not those of the start, so that no path is silent."""
    torch.manual_seed(seed)
    model = FLoRA(config)
    for name, buffer in model.named_buffers():
        if "running_mean" in name:
            buffer.uniform_(-0.3, 0.3)
        elif "running_var" in name:
            buffer.uniform_(0.5, 1.5)
    with torch.no_grad():  # reflectance of the usual size
        model.optical_decoder.last.weight.mul_(0.02)
    return model.eval()


def placed(
    model: FLoRA, sar: torch.Tensor, valid: torch.Tensor, rows: slice, cols: slice
) -> tuple[torch.Tensor, torch.Tensor]:
    """Runs one core of the scene with its margin, whatever is outside the scene being invalid."""
    m, (height, width) = model.margin, sar.shape[-2:]
    core = tuple(-(-(s.stop - s.start) // model.grid) * model.grid for s in (rows, cols))
    window = torch.zeros(1, 2, core[0] + 2 * m, core[1] + 2 * m)
    window_valid = torch.zeros_like(window, dtype=torch.bool)
    r0, r1 = max(0, rows.start - m), min(height, rows.start + core[0] + m)
    c0, c1 = max(0, cols.start - m), min(width, cols.start + core[1] + m)
    place = (
        ...,
        slice(r0 - rows.start + m, r1 - rows.start + m),
        slice(c0 - cols.start + m, c1 - cols.start + m),
    )
    window[place], window_valid[place] = sar[..., r0:r1, c0:c1], valid[..., r0:r1, c0:c1]
    with torch.inference_mode():
        out = model(window, window_valid)
    inner = (..., slice(m, m + rows.stop - rows.start), slice(m, m + cols.stop - cols.start))
    return torch.sigmoid(out.water_logits)[inner], out.optical[inner]


def test_a_pixel_of_the_shown_image_can_be_copied_and_radar_alone_copies_nothing() -> None:
    model = warmed(TINY.model_copy(update={"copy_shown": True}))
    sar, valid = scene(2 * model.grid, 2 * model.grid)
    shown = torch.rand(1, 4, *sar.shape[-2:]) * 0.3
    shown_valid = torch.ones_like(shown, dtype=torch.bool)
    shown_valid[..., :32, :] = False
    twin = warmed(TINY)
    model.load_state_dict(twin.state_dict(), strict=False)
    with torch.inference_mode():
        alone, drawn = model(sar, valid), twin(sar, valid, shown, shown_valid)
        assert torch.equal(alone.optical, twin(sar, valid).optical), "the switch adds a choice, nothing else"
        model.optical_decoder.copy.bias.fill_(50.0)  # type: ignore[union-attr]
        copied = model(sar, valid, shown, shown_valid)
    assert torch.allclose(copied.optical[..., 32:, :], shown[:, :3, 32:], atol=1e-6)
    assert torch.equal(copied.optical[..., :32, :], drawn.optical[..., :32, :])
    assert torch.equal(copied.water_logits, drawn.water_logits)


@pytest.mark.parametrize("ndvi", [True, False])
def test_near_infrared_is_read_where_the_network_looks_at_ndvi_and_else_changes_nothing(ndvi: bool) -> None:
    model = warmed(TINY.model_copy(update={"ndvi": ndvi}))
    sar, valid = scene(2 * model.grid, 2 * model.grid)
    shown = torch.rand(1, 4, *sar.shape[-2:]) * 0.3
    four = torch.ones_like(shown, dtype=torch.bool)
    three = four.clone()
    three[:, 3] = False
    with torch.inference_mode():
        with_nir, without = model(sar, valid, shown, four), model(sar, valid, shown, three)
    assert torch.equal(with_nir.optical, without.optical) is not ndvi
    assert torch.equal(with_nir.water_logits, without.water_logits) is not ndvi


@pytest.mark.parametrize("name", SHAPES)
def test_the_halo_is_exactly_the_reach(name: str) -> None:
    model = warmed(SHAPES[name]).double()
    edge = model.margin + model.grid
    sar, valid = scene(2 * edge + model.grid, 2 * edge + model.grid, dtype=torch.float64)
    sar.requires_grad_(True)
    out = model(sar, torch.ones_like(valid))
    core = (..., slice(edge, edge + model.grid), slice(edge, edge + model.grid))
    mix = torch.randn(3, model.grid, model.grid, dtype=torch.float64)
    ((out.optical + out.optical_spread)[core] * mix).sum().add(
        (out.water_logits[core] * mix[0]).sum()
    ).backward()
    touched = (sar.grad[0] != 0).any(0)
    rows, cols = touched.any(1).nonzero().flatten(), touched.any(0).nonzero().flatten()
    for near, far in ((rows.min(), rows.max()), (cols.min(), cols.max())):
        assert edge - int(near) == model.halo
        assert int(far) - (edge + model.grid - 1) == model.halo


def test_a_change_one_pixel_outside_the_halo_changes_nothing_and_inside_it_does() -> None:
    model = warmed(TINY).double()
    edge = model.margin + model.grid
    sar, valid = scene(2 * edge + model.grid, 2 * edge + model.grid, dtype=torch.float64)
    valid[:] = True
    core = (..., slice(edge, edge + model.grid), slice(edge, edge + model.grid))
    with torch.inference_mode():
        before = model(sar, valid)
        changed = {}
        for distance in (model.halo, model.halo + 1):
            other = sar.clone()
            other[..., edge - distance, :] = 0.0
            changed[distance] = float((model(other, valid).optical - before.optical)[core].abs().max())
    assert changed[model.halo + 1] == 0.0
    assert changed[model.halo] > 0.0


def test_a_tiled_scene_equals_the_whole_scene() -> None:
    model = warmed(TINY).folded()
    rng = random.Random(1)
    for trial in range(20):
        height, width = rng.randint(1, 320), rng.randint(1, 320)
        tile = model.grid * rng.randint(1, 4)
        sar, valid = scene(height, width, seed=trial)
        whole = placed(model, sar, valid, slice(0, height), slice(0, width))
        assert whole[0].std() > 1e-3 or height * width < 10, "the network is silent: nothing is compared"
        corners = [(r, c) for r in range(0, height, tile) for c in range(0, width, tile)]
        for r, c in rng.sample(corners, min(3, len(corners))):
            rows, cols = slice(r, min(height, r + tile)), slice(c, min(width, c + tile))
            for part, full in zip(placed(model, sar, valid, rows, cols), whole, strict=True):
                assert (part - full[..., rows, cols]).abs().max() <= 1e-5, (height, width, tile, r, c)


def test_every_inference_parameter_gets_a_gradient_from_radar_alone() -> None:
    model = FLoRA(TINY).train()
    sar, valid = scene(128, 128)
    out = model(sar, valid)
    (
        out.optical.square().mean() + out.water_logits.square().mean() + out.optical_spread.square().mean()
    ).backward()
    silent = [
        name
        for name, parameter in model.named_parameters()
        if not name.startswith("teacher.") and (parameter.grad is None or not parameter.grad.abs().sum() > 0)
    ]
    assert not silent, silent


def test_values_under_invalid_change_nothing() -> None:
    model = warmed(TINY)
    sar, valid = scene(128, 128)
    optical, optical_valid = torch.rand(1, 4, 128, 128), torch.rand(1, 4, 128, 128) > 0.3
    wild = torch.where(valid, sar, torch.tensor(float("nan")))
    wild_optical = torch.where(optical_valid, optical, torch.tensor(float("inf")))
    with torch.inference_mode():
        a = model(sar, valid, optical, optical_valid)
        b = model(wild, valid, wild_optical, optical_valid)
    assert torch.equal(a.water_logits, b.water_logits)
    assert torch.equal(a.optical, b.optical)


def test_an_invalid_optical_image_is_the_same_as_none() -> None:
    model = warmed(TINY)
    sar, valid = scene(128, 128)
    nothing = torch.zeros(1, 4, 128, 128, dtype=torch.bool)
    with torch.inference_mode():
        assert torch.equal(
            model(sar, valid).optical, model(sar, valid, torch.rand(1, 4, 128, 128), nothing).optical
        )


def test_an_optical_image_matters_where_it_is_valid() -> None:
    model = warmed(TINY)
    sar, valid = scene(128, 128)
    everywhere = torch.ones(1, 4, 128, 128, dtype=torch.bool)
    with torch.inference_mode():
        bright = model(sar, valid, torch.full((1, 4, 128, 128), 0.3), everywhere).optical
        dark = model(sar, valid, torch.full((1, 4, 128, 128), 0.02), everywhere).optical
    assert (bright - dark).abs().max() > 1e-4


def test_folding_keeps_the_answer() -> None:
    model = warmed(TINY)
    sar, valid = scene(128, 128)
    with torch.inference_mode():
        a, b = model(sar, valid), model.folded()(sar, valid)
    torch.testing.assert_close(a.optical, b.optical, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(a.water_logits, b.water_logits, atol=1e-3, rtol=1e-3)


def test_a_size_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 64"):
        FLoRA(TINY)(*scene(100, 64))


def test_the_papers_size() -> None:
    count = sum(p.numel() for p in FLoRA("paper").parameters())
    assert abs(count / 39.2e6 - 1) < 0.05


@pytest.mark.parametrize("preset", ["default", "small", "large"])
def test_presets_keep_the_halo_small(preset: str) -> None:
    assert FLoRA(PRESETS[preset]).halo <= 128


@pytest.mark.parametrize("name", SHAPES)
def test_fusing_in_strips_changes_nothing(name: str) -> None:
    model = warmed(SHAPES[name])
    sar, valid = scene(3 * model.grid, 2 * model.grid)
    shown = torch.rand(1, 4, *sar.shape[-2:]) * 0.3
    with torch.inference_mode():
        whole = model(sar, valid, shown, shown > 0.05)
        model.save_memory(model.config.window + 1)
        strips = model(sar, valid, shown, shown > 0.05)
    assert model.fusions[0].strip == 2 * model.config.window
    assert torch.allclose(strips.optical, whole.optical, atol=1e-6)
    assert torch.allclose(strips.water_logits, whole.water_logits, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_a_margin_that_is_cut_is_read_and_not_answered(name: str) -> None:
    model = warmed(SHAPES[name])
    m, grid = model.margin, model.grid
    sar, valid = scene(2 * m + 2 * grid, 2 * m + grid)
    shown = torch.rand(1, 4, *sar.shape[-2:]) * 0.3
    for optical in ((None, None), (shown, shown > 0.05)):
        with torch.inference_mode():
            whole, inner = model(sar, valid, *optical), model(sar, valid, *optical, cut=m)
        assert inner.water_logits.shape == (1, 2 * grid, grid)
        assert torch.allclose(inner.water_logits, whole.water_logits[:, m:-m, m:-m], atol=1e-5)
        assert torch.allclose(inner.optical, whole.optical[..., m:-m, m:-m], atol=1e-6)
        assert torch.allclose(inner.optical_spread, whole.optical_spread[..., m:-m, m:-m], atol=1e-6)
    assert inner.latent[0].shape[-1] < whole.latent[0].shape[-1], "fine levels leave out what nobody needs"


@pytest.mark.parametrize("cut", [1, 64])
def test_a_cut_off_the_grid_or_of_everything_is_refused(cut: int) -> None:
    model = warmed(TINY)
    sar, valid = scene(2 * model.grid, 2 * model.grid)
    with pytest.raises(ValueError, match=f"{cut} px"):
        model(sar, valid, cut=cut)
