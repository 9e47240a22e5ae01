"""`flora bench validation`: what weights reach on the packed validation chips, to choose between them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flora.cli.bench import bench
from flora.cli.console import say


@bench.command()
def validation(
    packed: Annotated[Path, typer.Option(help="Packs, as `flora data pack` writes them.")] = Path("packed"),
    weights: Annotated[
        list[str] | None,
        typer.Option(help="Weights to score; 'default' are those shipped; may be repeated. Left out, those."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of validation.json.")] = Path("benchmarks/results"),
    page: Annotated[Path, typer.Option(help="Page that is written from it.")] = Path("docs/validation.md"),
) -> None:
    """Compare weights on the validation chips, with each kind of image beside the radar.

    Choose by these figures, not by those of `flora bench quality`, which are of the test chips. Weights that were
    scored on these chips before are taken as they are.
    """
    from flora.baselines.validation import validate
    from flora.baselines.validation_page import write_page
    from flora.metrics import Lpips

    content = validate(weights or ["default"], packed, out, sys.argv, say, lpips=Lpips.load())
    write_page(content, page)
    say(f"Wrote '{page}'.")
