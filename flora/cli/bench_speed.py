"""`flora bench speed`: how fast the network and its rivals are here, alone and from file to file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flora.cli.bench import bench
from flora.cli.console import print_json, say


@bench.command()
def speed(
    out: Annotated[Path, typer.Option(help="JSON to write; parts not measured now are kept.")] = Path(
        "benchmarks/results/speed.json"
    ),
    scenes: Annotated[Path, typer.Option(help="Folder of simulated scenes; made where missing.")] = Path(
        "out/benchmarks"
    ),
    part: Annotated[
        list[str] | None,
        typer.Option(help="network, files or workers; may be repeated. Left out, all."),
    ] = None,
    size: Annotated[
        list[int] | None, typer.Option(help="Side of a scene, px; may be repeated. Left out, 4 to 400 Mpx.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny sizes: shows that it works, measures little.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option(help="Write tables into this page from the JSON.", show_default=False)
    ] = None,
    charts: Annotated[
        Path | None, typer.Option(help="Folder for charts of the page.", show_default=False)
    ] = None,
    only_page: Annotated[bool, typer.Option("--only-page", help="Measure nothing, write the page.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure speed and memory: networks side by side, scenes from file to file, one worker and two."""
    from dataclasses import replace

    from flora.benchmark import run_speed
    from flora.benchmark.page import write_page
    from flora.benchmark.plan import QUICK, Plan

    wrong = [name for name in part or [] if name not in ("network", "files", "workers")]
    if wrong:
        raise typer.BadParameter(f"Part '{wrong[0]}' is unknown; expected network, files or workers.")
    plan = QUICK if quick else Plan()
    if size:
        plan = replace(plan, scenes=tuple(size))
    if not only_page:
        found = run_speed(plan, out, scenes, part or ("network", "files", "workers"), say)
        if json_:
            print_json(found)
    if page is not None:
        for path in write_page(out, page, charts):
            say(f"Written: '{path}'.")
