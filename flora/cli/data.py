"""`flora data`: what there is to learn from and to be judged on, and how it looks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_table
from flora.cli.evaluate import Split, dataset_folder

data = typer.Typer(no_args_is_help=True, help="Find, check, look at and prepare datasets; simulate scenes.")
app.add_typer(data, name="data")

# Where datasets are looked for when no folder is named.
ENVIRONMENT = "FLORA_DATA"
Root = Annotated[Path, typer.Option(envvar=ENVIRONMENT, help="Folder of dataset folders.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Name = Annotated[str, typer.Argument(help="Dataset, as `flora data list` names it.")]


@data.command("list")
def list_(root: Root = Path("data"), json_: Json = False) -> None:
    """Name the datasets that FLoRA reads, and say which of them are found."""
    from flora.data import DATASETS, find

    found = find(root)
    if json_:
        print_json({name: found.get(name) for name in DATASETS})
        return
    print_table(
        ("dataset", "found"),
        [(name, found.get(name, f"no ({root / entry.folder})")) for name, entry in DATASETS.items()],
    )


@data.command()
def show(
    name: Name,
    out: Annotated[Path, typer.Option(help="PNG file to write.")],
    root: Root = Path("data"),
    split: Annotated[Split, typer.Option(help="Part of the dataset.")] = Split.ALL,
    count: Annotated[int, typer.Option(min=1, help="Largest number of chips.")] = 12,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Draw a contact sheet: radar, picture, older picture and water of some chips."""
    from flora.data.show import show as draw

    typer.echo(draw(name, dataset_folder(root, name), out, split.value, count, overwrite))
