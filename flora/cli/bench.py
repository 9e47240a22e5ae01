"""`flora bench`: what FLoRA costs and what it is worth, measured on this machine."""

from __future__ import annotations

import typer

from flora.cli.app import app

bench = typer.Typer(
    help="Measure speed and quality on this machine.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(bench, name="bench")
