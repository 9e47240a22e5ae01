"""`flora evaluate`: weights and a dataset's split in, a report with its protocol out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flora.cli.app import app
from flora.cli.console import say
from flora.cli.options import ENVIRONMENT
from flora.errors import DataError, OutputError


class Split(StrEnum):
    """Part of a dataset."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    ALL = "all"


class Cue(StrEnum):
    """Optical image that the network sees beside the radar."""

    NONE = "none"
    PRIOR = "prior"
    OPTICAL = "optical"


REPORT = ("report.json", "report.md", "chips.png")


@app.command()
def evaluate(
    data: Annotated[str, typer.Option(help="Dataset, as `flora data list` names it.")],
    root: Annotated[
        Path,
        typer.Option(envvar=ENVIRONMENT, help="Folder of the dataset, or the folder of all datasets."),
    ],
    out: Annotated[Path, typer.Option(help="Folder that report.json, report.md and chips.png go into.")],
    split: Annotated[Split, typer.Option(help="Part of the dataset.")] = Split.TEST,
    weights: Annotated[Path | None, typer.Option(help="Weights file; left out, those shipped.")] = None,
    cue: Annotated[Cue, typer.Option(help="Optical image beside the radar.")] = Cue.NONE,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Left out, the one stored for such chips.")
    ] = None,
    lpips: Annotated[bool, typer.Option(help="Measure LPIPS too.")] = True,
    tta: Annotated[
        bool, typer.Option("--tta", help="Average over eight flips and turns, at eight times the cost.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier report.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Score weights on a dataset: water and picture, per event and overall, with confidence intervals."""
    existing = [name for name in REPORT if (out / name).exists()]
    if existing and not overwrite:
        raise OutputError(f"'{out / existing[0]}' exists already; pass --overwrite or choose another --out.")
    from flora import checkpoint
    from flora.data import open_dataset
    from flora.evaluate import NetworkPredictor, TurnedPredictor
    from flora.evaluate import evaluate as score
    from flora.evaluate.predictor import require_cue

    chips = open_dataset(data, dataset_folder(root, data), split.value)
    if not len(chips):
        raise DataError(f"The {split} split of '{data}' under '{root}' has no chips; choose another --split.")
    loaded = checkpoint.load(weights)
    model = loaded.model
    predictor = NetworkPredictor(model, loaded.temperature, cue=cue.value)
    require_cue(chips, cue.value)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"'{out}' cannot be made a folder ({error.strerror}); choose another --out."
        ) from error
    say(f"Scoring {len(chips)} chips of {data}, {split}.")
    run = loaded.provenance.get("experiment", {})
    whose = f"{model.config.name}, run {run.get('name')}, seed {run.get('seed')}"
    words = ", mean of 8 turns" if tta else ""
    report = score(
        TurnedPredictor(predictor) if tta else predictor,
        chips,
        loaded.threshold_for(chips) if threshold is None else threshold,
        name=f"{whose} ({loaded.path.name if loaded.path else 'in memory'}, cue {cue}{words})",
        grid=model.grid,
        margin=model.margin,
        lpips=lpips,
    )
    texts = dict(zip(REPORT, (report.to_json(), report.to_markdown()), strict=False))
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8")
    report.grid_png(out / REPORT[2])
    typer.echo(texts["report.json"] if json_ else texts["report.md"])
    say(f"Written to '{out}': {', '.join(REPORT)}.")


def dataset_folder(root: Path, name: str) -> Path:
    """Gives a dataset's own folder, where `root` may also be the folder of all datasets.

    Args:
        root: What the user gave.
        name: Dataset.

    Returns:
        The folder of that dataset under `root` if it is there, else `root`.
    """
    from flora.data import find

    return find(root).get(name, root)
