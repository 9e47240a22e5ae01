"""`flora data`: what there is to learn from and to be judged on, and how it looks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flora.cli.app import app
from flora.cli.console import print_json, print_table, say
from flora.cli.evaluate import Split, dataset_folder
from flora.errors import DataError

if TYPE_CHECKING:
    from flora.chip import Chip

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
def check(
    name: Name,
    root: Root = Path("data"),
    read: Annotated[
        bool, typer.Option("--read", help="Read every chip too, which finds damaged files.")
    ] = False,
    json_: Json = False,
) -> None:
    """Check a dataset's layout and splits, and count its chips; splits that share ground are an error."""
    from flora.data import open_dataset
    from flora.data.splits import require_disjoint, touching_across

    found = open_dataset(name, dataset_folder(root, name), "all")
    touching = touching_across(found.records) if found.official_split else []
    if not found.official_split:
        require_disjoint(found.records, name)
    if read:
        for _ in found:
            pass
    splits = ("train", "val", "test")
    counts = Counter(record.split for record in found.records)
    skipped = Counter(record.skip for record in found.skipped)
    if json_:
        print_json({"chips": counts, "skipped": skipped, "touching": touching})
        return
    events = {split: len({r.event for r in found.records if r.split == split}) for split in splits}
    print_table(("split", "chips", "events"), [(split, counts[split], events[split]) for split in splits])
    for reason, number in skipped.items():
        say(f"{number} left out: {reason}.")
    if touching:
        say(
            f"The official split has {len(touching)} pairs of chips that touch across it, such as {touching[0]}."
        )


@data.command()
def pack(
    names: Annotated[list[str] | None, typer.Argument(help="Datasets; left out, all that are found.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of packs; each dataset gets one of its name.")] = Path(
        "packed"
    ),
    root: Root = Path("data"),
    simulated: Annotated[int, typer.Option(min=0, help="Number of simulated chips to pack as well.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the simulated chips.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier packs.")] = False,
) -> None:
    """Pack training and validation chips into few files that train fast; test chips are left out."""
    from flora.data import find
    from flora.data.pack import pack as write

    for name in names or find(root):
        chips = _chips(name, dataset_folder(root, name))
        first = next(chips, None)
        if first is None:
            say(f"{name} has no chips to train on or to validate with; not packed.")
            continue
        index = write(chain([first], chips), out / name, overwrite=overwrite)
        say(f"{name}: {len(index.chips)} chips in {len(index.shards)} files under '{out / name}'.")
    if simulated:
        from flora.data.simulate import chips as simulate

        index = write(simulate(simulated, seed=seed), out / "simulated", overwrite=overwrite)
        say(f"simulated: {len(index.chips)} chips in {len(index.shards)} files under '{out / 'simulated'}'.")
    elif not names and not find(root):
        raise DataError(
            f"'{root}' holds no dataset; name the folder of datasets with --root (see `flora data list`)."
        )


def _chips(name: str, folder: Path) -> Iterator[Chip]:
    from flora.data import open_dataset

    yield from open_dataset(name, folder, "train")
    yield from open_dataset(name, folder, "val")


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
