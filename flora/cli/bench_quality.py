"""`flora bench quality`: what the network and its rivals reach on the public test chips, as JSON and as pages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flora.cli.bench import bench
from flora.cli.console import say
from flora.cli.options import ENVIRONMENT


@bench.command()
def quality(
    root: Annotated[Path, typer.Option(envvar=ENVIRONMENT, help="Folder of dataset folders.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="Score these weights and train nothing; 'default' are those shipped; may be repeated."
        ),
    ] = None,
    packed: Annotated[Path, typer.Option(help="Packs that variants are trained on.")] = Path("packed"),
    variant: Annotated[
        list[str] | None,
        typer.Option(help="Train this variant only; may be repeated. Left out, the main ones."),
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Train every ablation too.")] = False,
    steps: Annotated[
        int, typer.Option(min=1, help="Joint steps of each variant; the teacher takes a fifth.")
    ] = 400,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each variant, seeds 0 to N - 1.")] = 3,
    preset: Annotated[str, typer.Option(help="Size of the network.")] = "small",
    crop: Annotated[int, typer.Option(min=64, help="Side of a training crop, px.")] = 128,
    batch: Annotated[int, typer.Option(min=1, help="Crops a step.")] = 8,
    comparison: Annotated[
        str | None,
        typer.Option(help="Name of a comparison that stands apart: quality_PRESET_NAME.json."),
    ] = None,
    configs: Annotated[Path, typer.Option(help="Folder of experiments.")] = Path("configs"),
    runs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of runs; finished ones are not trained again. Left out, runs/ and the JSON's name."
        ),
    ] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Score on this source only; may be repeated.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Chips a source, for a quick look; with --out and --page of its own."),
    ] = None,
    tta: Annotated[
        bool, typer.Option("--tta", help="With --weights: the mean of eight turns as a row more.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder of quality*.json.")] = Path("benchmarks/results"),
    page: Annotated[
        Path, typer.Option(help="Page that is written from all quality*.json in that folder.")
    ] = Path("docs/results.md"),
) -> None:
    """Measure quality on the public test chips: weights that are there, or variants trained alike.

    Everything is resumable: what has been trained or scored before is taken as it is. To measure anew, remove its
    JSON or its run.
    """
    from flora.baselines.comparison import compare_weights
    from flora.baselines.quality import Protocol, refuse_other_limit
    from flora.baselines.results import write_page
    from flora.baselines.testbed import PublicSources

    sources = PublicSources(root, source, limit)
    # Weights are scored as `flora predict` would map the chips; for ranking methods the chips alone will do.
    protocol = Protocol(margin=None if weights else 0, limit=limit)
    refuse_other_limit(out, protocol)
    if weights:
        compare_weights(weights, sources, out, protocol, sys.argv, say, tta=tta)
    else:
        from flora.baselines.variants import Budget, compare_variants, results_name
        from flora.config import load_yaml
        from flora.train.experiment import Experiment

        def load(path: Path) -> Experiment:
            return load_yaml(path, Experiment)

        budget = Budget(
            steps=steps, seeds=seeds, preset=preset, crop=crop, batch=batch, comparison=comparison
        )
        # No comparison takes the runs of another.
        runs = runs or Path("runs", results_name(preset, comparison)).with_suffix("")
        compare_variants(
            variant, full, budget, packed, configs, load, runs, sources, out, protocol, sys.argv, say
        )
    written = write_page(out, page)
    say(f"Written: '{out}' and {', '.join(f'{path}' for path in written)}.")
