"""`flora data`: what there is to learn from and to be judged on, and how it looks."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from flora.cli.app import FAULT, app
from flora.cli.console import print_json, print_rows, print_table, progress, say
from flora.cli.evaluate import Split, dataset_folder
from flora.cli.options import ENVIRONMENT
from flora.errors import DataError

data = typer.Typer(no_args_is_help=True, help="Find, check, look at and prepare datasets; simulate scenes.")
app.add_typer(data, name="data")

Root = Annotated[Path, typer.Option(envvar=ENVIRONMENT, help="Folder of dataset folders.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
# Simulated chips: side, px, of one place each, and how many are trained on for one that validates.
SIMULATED_SIDE = 512
SIMULATED_PER_VALIDATION = 12
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
    limit: Annotated[
        int | None, typer.Option(min=1, help="Chips of each split to read; left out, all.")
    ] = None,
    json_: Json = False,
) -> None:
    """Read a dataset and say whether it is what its data sheet says: files, units, codes, splits apart."""
    from flora.data.check import check as examine

    report = examine(name, dataset_folder(root, name), limit)
    if json_:
        print_json(report.as_dict())
    else:
        typer.echo(report)
    if not report.ok:
        raise typer.Exit(FAULT)


@data.command()
def download(
    name: Name,
    root: Root = Path("data"),
    events: Annotated[
        str | None, typer.Option(help="Flood events, areas or seasons, such as Bolivia,Spain; left out, all.")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="Layers, such as S1Hand,LabelHand; left out, all.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Mirror that replaces the source's own address.")] = None,
    json_: Json = False,
) -> None:
    """Download a dataset or a part of it; what broke off is resumed, what is there is verified and kept."""
    from dataclasses import asdict

    from flora.data.download import download as fetch

    with progress(name, in_bytes=True) as done:
        result = fetch(name, root, events=_listed(events), layers=_listed(layers), url=url, progress=done)
    if json_:
        print_json(asdict(result))
        return
    count = len(result.fetched) + len(result.kept)
    typer.echo(
        f"{count} files, {result.size / 1e6:.1f} MB under '{result.folder}': {len(result.fetched)} fetched, "
        f"{len(result.kept)} were there."
    )
    if result.unverified:
        say(f"No checksum is published for {len(result.unverified)} of them; only their length was checked.")


def _listed(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]


@data.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder that the rasters go into.")],
    size: Annotated[int, typer.Option(min=1, help="Rows and columns, px.")] = 2048,
    seed: Annotated[int, typer.Option(help="Names the place and its weather.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Threads.")] = 2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier files.")] = False,
    json_: Json = False,
) -> None:
    """Simulate a flood scene: radar and optical pictures before and during, and the true water."""
    from flora.data.simulate.write import write_scene

    paths = write_scene(out, size, size, seed, workers=workers, overwrite=overwrite)
    if json_:
        print_json(paths)
    else:
        print_rows(dict(paths), title="Simulated:")


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
    from flora.data import find, open_dataset
    from flora.data.pack import pack as write

    for name in names or find(root):
        parts = [open_dataset(name, dataset_folder(root, name), split) for split in ("train", "val")]
        chips = chain.from_iterable(parts)
        first = next(chips, None)
        if first is None:
            say(f"{name} has no chips to train on or to validate with; not packed.")
            continue
        index = write(chain([first], chips), out / name, overwrite=overwrite)
        say(f"{name}: {len(index.chips)} chips in {len(index.shards)} files under '{out / name}'.")
        if skipped := [record for part in parts for record in part.skipped]:
            first_one = f"{skipped[0].chip}: {skipped[0].skip}"
            say(
                f"{name}: {len(skipped)} chips cannot be used (first {first_one}); see `flora data check {name}`."
            )
    if simulated:
        from flora.data.simulate import chips as simulate

        kept = max(1, simulated // SIMULATED_PER_VALIDATION)
        places = chain(
            simulate(simulated, SIMULATED_SIDE, seed), simulate(kept, SIMULATED_SIDE, seed, split="val")
        )
        index = write(places, out / "simulated", overwrite=overwrite)
        say(f"simulated: {len(index.chips)} chips in {len(index.shards)} files under '{out / 'simulated'}'.")
    elif not names and not find(root):
        raise DataError(
            f"'{root}' holds no dataset; name the folder of datasets with --root (see `flora data list`)."
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
