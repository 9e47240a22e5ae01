"""The speed benchmark: it measures what it says, counts FLOP as by hand, and its page comes from its JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from flora.benchmark.child import run_child
from flora.benchmark.network import Case, flop_per_pixel, measure
from flora.benchmark.page import BEGIN, END, write_page
from flora.benchmark.scenes import mirrored
from flora.cli import main
from flora.errors import FloraError, InputError
from flora.model import FLoRA


def test_flop_are_those_of_the_convolutions_and_products_that_run() -> None:
    """An oracle of its own: each convolution counts 2 x weights x places, attention its two products.

    FiLM and gate apply their weights without being called, the gate's but for the mask: 2 x C x C each.
    """
    model, places = FLoRA("small").eval(), {}

    def note(module: torch.nn.Conv2d, _: object, out: torch.Tensor) -> None:
        places[module] = 2 * module.weight.numel() * out.shape[-2] * out.shape[-1]

    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    side = 2 * model.grid
    sar = torch.zeros(1, 2, side, side)
    with torch.no_grad():
        model(sar, torch.ones(sar.shape, dtype=torch.bool))
    for hook in hooks:
        hook.remove()
    cells = [(side // stride) ** 2 for stride in model.config.strides]
    attention = sum(
        2 * 2 * n * model.config.window**2 * width
        for n, width in zip(cells, model.config.widths, strict=True)
    )
    maps = sum(2 * 2 * n * (2 * width**2) for n, width in zip(cells, model.config.widths, strict=True))
    expected = (sum(places.values()) + attention + maps) / side**2
    assert flop_per_pixel("small") == pytest.approx(expected, rel=1e-6)


def test_a_network_is_timed() -> None:
    found = measure(Case("small", "torch", "fp32", side=64, repeats=3))
    assert 0 < found["least"] <= found["mpx_per_s"] <= found["greatest"]


def test_a_child_tells_its_peak_with_its_own_children() -> None:
    """A child whose child holds 150 MiB: the tree is counted, not the parent alone."""
    grandchild = "import time; b = bytearray(150 * 2**20); time.sleep(1.5)"
    program = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}]); print('[1]')"
    ran = run_child(["-c", program])
    assert ran["result"] == [1]
    assert ran["seconds"] >= 1.5
    assert ran["peak_mib"] > 150
    with pytest.raises(FloraError, match=r"A measurement failed \(ValueError: no\)"):
        run_child(["-c", "raise ValueError('no')"])


def test_pieces_meet_alike() -> None:
    piece = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(mirrored(piece, 0, 0)[:, :, -1], mirrored(piece, 0, 1)[:, :, 0])
    np.testing.assert_array_equal(mirrored(piece, 0, 1)[:, -1], mirrored(piece, 1, 1)[:, 0])


@pytest.mark.slow
def test_quick_runs_and_the_page_repeats_its_numbers(tmp_path: Path) -> None:
    out, page = tmp_path / "speed.json", tmp_path / "speed.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    words = ["bench", "speed", "--quick", "--out", str(out), "--scenes", str(tmp_path / "scenes")]
    with pytest.raises(SystemExit) as caught:
        main([*words, "--page", str(page), "--charts", str(tmp_path / "charts")])
    assert caught.value.code == 0
    found = json.loads(out.read_text())
    assert {"network", "files", "workers"} < set(found)
    assert all("fault" not in row for row in found["network"]["results"]["rows"])
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    for row in found["network"]["results"]["rows"]:
        assert f"{row['mpx_per_s']:.3f}" in text
    charts = sorted(path.name for path in (tmp_path / "charts").iterdir())
    assert charts == ["speed_networks.svg", "speed_scenes.svg"]
    first = page.read_text()
    write_page(out, page)
    assert page.read_text() == first


def test_a_page_without_marks_is_refused(tmp_path: Path) -> None:
    out, page = tmp_path / "speed.json", tmp_path / "speed.md"
    with pytest.raises(InputError, match=r"is missing; expected what `flora bench speed` writes"):
        write_page(out, page)
    out.write_text("{}")
    page.write_text("mine")
    with pytest.raises(InputError, match=r"has no '<!-- measured: begin -->'"):
        write_page(out, page)
    assert page.read_text() == "mine"
