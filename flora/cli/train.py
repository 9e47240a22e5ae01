"""`flora train`: an experiment's YAML file in, a weights file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_rows, say
from flora.errors import ConfigError


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML file of the experiment, as under configs/.")],
    out: Annotated[Path, typer.Option(help="Folder of runs; this one goes into OUT/NAME/.")] = Path("runs"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on where this run stopped.")] = False,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change a setting, key=value, dotted; may be repeated.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train the network: the optical teacher first, then radar to both pictures.

    Where it goes on from experiments whose weights are not in OUT, these are trained before it.
    """
    try:
        import lightning  # noqa: F401
        import tensorboard  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Training needs the package '{error.name}', which is not installed; pip install 'flora-sar[train]'."
        ) from error
    from flora import checkpoint
    from flora.config import load_yaml
    from flora.train.chain import chain, run_chain
    from flora.train.experiment import Experiment

    def load(path: Path) -> Experiment:
        # What is set for a run holds for those before it, but for its name.
        own = [word for word in set_ or () if path == config or word.split("=")[0].strip() != "name"]
        return load_yaml(path, Experiment, own)

    weights = run_chain(chain(config, load, out), out, resume=resume, progress=not json_, say=say)
    header = checkpoint.read_header(weights)
    scores = header["provenance"].get("validation", {})
    if json_:
        print_json({"weights": weights, "threshold": header["threshold"], "validation": scores})
        return
    rows = {"weights": weights, "threshold": f"{header['threshold']:.3f}"}
    print_rows(rows | {name: f"{value:.3f}" for name, value in scores.items()})
