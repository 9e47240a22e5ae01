"""`flora export`: the network as a file that runs without FLoRA."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_rows

MEBI = 2**20


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="File to write, .onnx or .pt2.")],
    weights: Annotated[
        Path | None, typer.Argument(help="Weights file; left out, those shipped.", show_default=False)
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", help="onnx, or program (torch.export).", metavar="FORMAT")
    ] = "onnx",
    optical: Annotated[
        bool, typer.Option("--optical", help="Let the network take an optical image beside radar.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier file.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Write the network for other programs: free height and width, every constant inside."""
    from flora.checkpoint import load
    from flora.export import export as write

    done = write(load(weights), out, format=format_, with_optical=optical, overwrite=overwrite)
    if json_:
        print_json(asdict(done))
        return
    facts = done.facts
    print_rows(
        {
            "wrote": f"{done.path}, {done.bytes / MEBI:.1f} MiB",
            "inputs": [
                f"{name}: {', '.join(what['bands'])} {what['unit']}" for name, what in facts["inputs"].items()
            ],
            "outputs": [f"{name}: {', '.join(what['bands'])}" for name, what in facts["outputs"].items()],
            "sizes": f"multiples of {facts['grid']} px; a margin of {facts['margin']} px makes tiles exact",
            "threshold": f"{facts['threshold']:.4g}",
            "differs from torch": f"{done.difference:.1e} at most",
        }
    )
