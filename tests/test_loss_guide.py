"""The guide to adding a loss is true: its function, its line and its weight work as they stand on the page."""

from __future__ import annotations

import math
import sys

import guides
import pytest
import torch
from test_losses_objective import _batch, _output

from flora.errors import ConfigError
from flora.losses import Objective, ObjectiveConfig, objective, terms

FUNCTION, TERM, WEIGHT = "flora/losses/focal.py", "flora/losses/terms.py", "flora/losses/objective.py"


def test_guide_works_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    code = guides.blocks("adding-a-loss.md")
    assert sorted(code) == sorted([FUNCTION, TERM, WEIGHT])
    assert guides.complaints(FUNCTION, code[FUNCTION]) == ""
    focal = guides.module_of("flora.losses.focal", code[FUNCTION])
    monkeypatch.setitem(sys.modules, "flora.losses.focal", focal)
    line = eval("{" + code[TERM] + "}", {**vars(terms), "focal": focal})
    monkeypatch.setitem(terms.TERMS, "focal", line["focal"])
    names = dict(vars(objective))
    exec(f"class Longer(Weights):\n    {code[WEIGHT]}", names)

    weights = names["Longer"](focal=2.0, bce=1.0)
    output = _output()
    loss = Objective(ObjectiveConfig(weights=weights), "joint")(output, _batch())
    assert set(loss.terms) == {"focal", "bce"}
    assert 0 < loss.terms["focal"].item() < loss.terms["bce"].item()
    loss.terms["focal"].backward()
    assert output.water_logits.grad is not None and output.water_logits.grad.abs().sum() > 0
    with pytest.raises((ConfigError, ValueError)):
        names["Longer"](focl=2.0)


def test_the_function_of_the_guide_is_right_and_blind_to_what_is_invalid() -> None:
    focal = guides.module_of("flora.losses.focal", guides.blocks("adding-a-loss.md")[FUNCTION])
    valid = torch.tensor([[[True, True, False]]])
    logits = torch.tensor([[[0.0, 0.0, float("nan")]]], requires_grad=True)
    water = torch.tensor([[[1.0, 0.0, float("nan")]]])
    loss = focal.focal_loss(logits, water, valid)
    assert loss.item() == pytest.approx(0.25 * math.log(2))  # (1 - 1/2)^2 ln 2
    loss.backward()
    assert logits.grad is not None and logits.grad[0, 0, 2] == 0 and torch.isfinite(logits.grad).all()
    assert focal.focal_loss(logits, water, valid & False).item() == 0
