"""The objective: exactly the configured terms, their weighted sum, and an error where one cannot be computed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from flora.chip import Batch
from flora.errors import ConfigError
from flora.losses import Objective, ObjectiveConfig, Weights
from flora.losses.terms import TERMS, Stage
from flora.model.output import Output

SIDE = 64


def _config(stage: Stage) -> ObjectiveConfig:
    """The paper's losses at sizes that give each task a like share of the first gradients."""
    optical = {"charbonnier": 1.0, "ssim": 0.2, "edge": 0.5, "frequency": 0.1, "colour": 0.5, "spread": 0.05}
    water = {"bce": 1.0, "dice": 0.5, "hydrology": 0.1}
    distillation = {"distill_latent": 0.05, "distill_prior": 0.2, "distill_water": 0.2}
    return ObjectiveConfig(weights=Weights(**optical, **water, **(distillation if stage == "joint" else {})))


def _output(seed: int = 0) -> Output:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def pyramid() -> list[Tensor]:
        return [draw(2, 4, SIDE // stride, SIDE // stride).requires_grad_() for stride in (2, 4, 8, 16)]

    return Output(
        optical=(0.1 + 0.02 * draw(2, 3, SIDE, SIDE)).requires_grad_(),
        optical_spread=(0.03 + 0.001 * draw(2, 3, SIDE, SIDE)).requires_grad_(),
        water_logits=draw(2, SIDE, SIDE).requires_grad_(),
        latent=pyramid(),
        predicted=pyramid(),
        prior=[],
    )


def _batch(seed: int = 1) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    water = (torch.arange(SIDE) > 30).float().expand(2, SIDE, SIDE).clone()
    optical = 0.1 + 0.05 * torch.rand(2, 4, SIDE, SIDE, generator=generator)
    sar = -10 - 8 * water.unsqueeze(1).repeat(1, 2, 1, 1)
    planes = {
        2: torch.ones(2, 2, SIDE, SIDE, dtype=torch.bool),
        4: torch.ones(2, 4, SIDE, SIDE, dtype=torch.bool),
    }
    return Batch(
        sar, planes[2], optical, planes[4].clone(), optical * 0, ~planes[4], water, planes[4][:, 0].clone(),
        weight_water=torch.tensor([1.0, 0.5]), weight_optical=torch.tensor([1.0, 0.3]),
    )  # fmt: skip


def _cue(batch: Batch) -> tuple[Tensor, Tensor]:
    """An image that is wrong in its upper half and not there in its left quarter."""
    image = batch.optical.clone()
    image[..., : SIDE // 2, :] += 0.2
    valid = batch.optical_valid.clone()
    valid[..., : SIDE // 4] = False
    return image, valid


def _encode(picture: Tensor) -> list[Tensor]:
    return [picture, torch.nn.functional.avg_pool2d(picture, 4)]


EVERY = ObjectiveConfig(weights=Weights(**{name: 0.1 * (1 + i) for i, name in enumerate(TERMS)}))


def test_every_weight_has_a_term_and_the_other_way_round() -> None:
    assert set(Weights.model_fields) == set(TERMS)


def test_terms_are_exactly_those_configured_and_total_is_their_weighted_sum() -> None:
    scores = torch.randn(2, 1, 8, 8, requires_grad=True)
    loss = Objective(EVERY, "joint", _encode)(_output(), _batch(), _output(7), scores, cue=_cue(_batch()))
    assert set(loss.terms) == set(TERMS)
    expected = sum(EVERY.weights.model_dump()[name] * term.item() for name, term in loss.terms.items())
    assert loss.total.item() == pytest.approx(expected, rel=1e-5)
    two = Objective(ObjectiveConfig(weights=Weights(bce=2.0, edge=0.5)), "joint")(_output(), _batch())
    assert set(two.terms) == {"bce", "edge"}
    assert two.total.item() == pytest.approx(2 * two.terms["bce"].item() + 0.5 * two.terms["edge"].item())


@pytest.mark.parametrize("name", TERMS)
def test_each_term_reaches_what_it_teaches(name: str) -> None:
    output, scores = _output(), torch.randn(2, 1, 8, 8, requires_grad=True)
    objective = Objective(ObjectiveConfig(weights=Weights(**{name: 1.0})), "joint", _encode)
    objective(output, _batch(), _output(7), scores, cue=_cue(_batch())).total.backward()
    taught = {
        "spread": [output.optical_spread],
        "adversarial": [scores],
        "distill_latent": output.latent,
        "distill_prior": output.predicted,
        "distill_water": [output.water_logits],
    }
    expected = taught.get(name, [output.optical if TERMS[name].task == "optical" else output.water_logits])
    leaves = [
        output.optical,
        output.optical_spread,
        output.water_logits,
        *output.latent,
        *output.predicted,
        scores,
    ]
    for leaf in leaves:
        reached = leaf.grad is not None and bool(leaf.grad.abs().sum() > 0)
        assert reached == any(leaf is one for one in expected)


def test_changed_is_judged_where_the_image_shown_is_wrong_and_nowhere_else() -> None:
    objective = Objective(ObjectiveConfig(weights=Weights(changed=1.0)), "joint")
    output, batch = _output(), _batch()
    objective(output, batch, cue=_cue(batch)).total.backward()
    assert output.optical.grad is not None
    reached = output.optical.grad.abs().sum(1) > 0
    expected = torch.zeros_like(reached)
    expected[:, : SIDE // 2, SIDE // 4 :] = True
    assert torch.equal(reached, expected)
    right = batch.optical + 0.03, batch.optical_valid  # haze, not change
    assert objective(_output(), batch, cue=right).total.item() == 0


def test_snow_counts_as_white_in_the_squared_error_and_as_it_is_without_a_bound() -> None:
    output, batch = _output(), _batch()
    batch.optical[0, :3] = 0.9  # three times the reflectance that is shown white
    white = replace(batch, optical=batch.optical.clamp_max(0.3))

    def total(against: Batch, brightest: float | None) -> float:
        config = ObjectiveConfig(weights=Weights(squared=1.0), squared_to=brightest)
        return float(Objective(config, "joint")(output, against).total.detach())

    assert total(batch, 1.0) == pytest.approx(total(white, 1.0))
    assert total(batch, None) > 8 * total(batch, 1.0)
    assert total(white, None) == pytest.approx(total(white, 1.0))


def test_perceptual_compares_the_middle_of_rows_that_show_something() -> None:
    seen = []

    def encode(picture: Tensor) -> list[Tensor]:
        seen.append(picture.shape)
        return [picture]

    config = ObjectiveConfig(weights=Weights(perceptual=1.0), perceptual_px=32)
    output, batch = _output(), _batch()
    batch.optical_valid[1] = False
    Objective(config, "joint", encode)(output, batch).total.backward()
    assert seen == [(1, 3, 32, 32)] * 2
    assert output.optical.grad is not None
    reached = output.optical.grad.abs().sum(1) > 0
    assert reached[0, 16:48, 16:48].any() and not reached[1].any()
    reached[0, 16:48, 16:48] = False
    assert not reached.any()
    batch.optical_valid[:] = False
    assert Objective(config, "joint", encode)(output, batch).total.item() == 0


@pytest.mark.parametrize("name", [name for name, term in TERMS.items() if "teacher" not in term.stages])
def test_a_weight_for_a_term_of_another_stage_is_an_error(name: str) -> None:
    config = ObjectiveConfig(weights=Weights(**{name: 0.1, "bce": 1.0}))
    with pytest.raises(ConfigError, match=f"Loss '{name}' has a weight but cannot run in stage 'teacher'"):
        Objective(config, "teacher")


@pytest.mark.parametrize(
    "name", ["distill_latent", "distill_prior", "distill_water", "adversarial", "changed"]
)
def test_a_weight_for_a_loss_that_does_not_run_is_an_error(name: str) -> None:
    objective = Objective(ObjectiveConfig(weights=Weights(**{name: 0.1, "bce": 1.0})), "joint")
    with pytest.raises(ConfigError, match=f"Loss '{name}' has a weight but the .* is missing; give it"):
        objective(_output(), _batch())


def test_distilling_a_predictor_that_is_not_there_is_an_error() -> None:
    objective = Objective(ObjectiveConfig(weights=Weights(distill_prior=0.1)), "joint")
    absent = replace(_output(), predicted=[])
    with pytest.raises(
        ConfigError, match="Loss 'distill_prior' has a weight but the prior predictor's pyramid is missing"
    ):
        objective(absent, _batch(), _output(7))
    zeros = replace(_output(), predicted=[torch.zeros_like(level) for level in _output().latent])
    with pytest.raises(ConfigError, match="Loss 'distill_prior' depends on nothing that learns"):
        objective(zeros, _batch(), _output(7))
    with torch.no_grad():
        assert objective(zeros, _batch(), _output(7)).total > 0  # validation asks for no gradient


def test_a_perceptual_weight_without_a_network_is_an_error() -> None:
    with pytest.raises(ConfigError, match="Loss 'perceptual' has a weight but no frozen network"):
        Objective(ObjectiveConfig(weights=Weights(perceptual=1.0)), "joint")


def test_nothing_configured_and_unknown_names_are_errors() -> None:
    with pytest.raises(ConfigError, match="No loss has a weight above 0"):
        Objective(ObjectiveConfig(), "joint")
    with pytest.raises(ConfigError, match="Training stage is 'student'; expected one of teacher, joint"):
        Objective(EVERY, "student")  # type: ignore[arg-type]
    for fault in (
        {"weights": {"hydrolgy": 1.0}},
        {"weights": {"bce": -1.0}},
        {"weights": {"bce": float("nan")}},
    ):
        with pytest.raises(ValidationError):
            ObjectiveConfig.model_validate(fault)


def test_the_losses_of_each_stage_run() -> None:
    for stage, teacher in (("teacher", None), ("joint", _output(7))):
        config = _config(stage)  # type: ignore[arg-type]
        loss = Objective(config, stage)(_output(), _batch(), teacher)  # type: ignore[arg-type]
        assert set(loss.terms) == set(config.weights.active()) and torch.isfinite(loss.total)


@pytest.mark.parametrize("stage", ["teacher", "joint"])
def test_rows_without_optical_or_label_add_nothing(stage: str) -> None:
    config = _config(stage)  # type: ignore[arg-type]
    config = config.model_copy(update={"hydrology_support": 0.0})
    batch, bare = _batch(), _batch()
    for one in (batch, bare):
        one.optical_valid[1] = False
        one.water_valid[1] = False
    bare.optical[1], bare.water[1] = float("nan"), -1.0
    teacher = _output(7) if stage == "joint" else None
    one, other = (Objective(config, stage)(_output(), b, teacher) for b in (batch, bare))  # type: ignore[arg-type]
    assert torch.equal(one.total, other.total) and torch.isfinite(one.total)
    bare.optical_valid[0], bare.water_valid[0] = False, False
    empty = Objective(config, stage)(_output(), bare, teacher)  # type: ignore[arg-type]
    assert all(term.item() == 0 for term in empty.terms.values())
    empty.total.backward()


def test_what_the_input_does_not_show_is_not_asked_for() -> None:
    config = ObjectiveConfig(weights=Weights(charbonnier=1.0, bce=1.0))
    for stage, hide in (("joint", "sar_valid"), ("teacher", "optical_valid")):
        batch, output = _batch(), _output()
        getattr(batch, hide)[:, :, :10] = False
        Objective(config, stage)(output, batch).total.backward()  # type: ignore[arg-type]
        for leaf in (output.optical, output.water_logits):
            assert leaf.grad is not None
            assert (leaf.grad[..., :10, :] == 0).all() and (leaf.grad[..., 10:, :] != 0).any()


def test_a_single_polarisation_is_enough_to_be_asked() -> None:
    batch = _batch()
    batch.sar_valid[:, 1] = False
    loss = Objective(_config("joint"), "joint")(_output(), batch, _output(7))
    assert all(term != 0 for term in loss.terms.values())


def test_uncertainty_starts_at_the_fixed_total_and_learns_a_factor_for_each_task() -> None:
    fixed = Objective(EVERY, "joint", _encode)
    learned = Objective(EVERY.model_copy(update={"balance": "uncertainty"}), "joint", _encode)
    assert not list(fixed.parameters())
    assert set(learned.log_variance) == {"optical", "water", "distillation"}
    scores = torch.randn(2, 1, 8, 8, requires_grad=True)
    arguments = (_output(), _batch(), _output(7), scores, (), _cue(_batch()))
    a, b = fixed(*arguments), learned(*arguments)
    torch.testing.assert_close(a.total, b.total)
    b.total.backward()
    water = sum(
        EVERY.weights.model_dump()[name] * t.item()
        for name, t in b.terms.items()
        if TERMS[name].task == "water"
    )
    gradient = learned.log_variance["water"].grad
    assert gradient is not None and gradient.item() == pytest.approx(
        1 - water, rel=1e-4
    )  # d(exp(-s) L + s)/ds


def test_half_precision_outputs_are_compared_in_float32() -> None:
    config = _config("joint")

    def rounded(output: Output, dtype: torch.dtype) -> Output:
        levels = [
            [x.detach().bfloat16().to(dtype).requires_grad_() for x in p]
            for p in (output.latent, output.predicted)
        ]
        planes = (output.optical, output.optical_spread, output.water_logits)
        return Output(*(x.detach().bfloat16().to(dtype).requires_grad_() for x in planes), *levels, [])

    full, half = (
        Objective(config, "joint")(rounded(_output(), dtype), _batch(), rounded(_output(7), dtype))
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert half.total.dtype == torch.float32
    torch.testing.assert_close(full.total, half.total)
    with torch.autocast("cpu", torch.bfloat16):
        inside = Objective(config, "joint")(_output(), _batch(), _output(7)).total
    torch.testing.assert_close(inside, Objective(config, "joint")(_output(), _batch(), _output(7)).total)
