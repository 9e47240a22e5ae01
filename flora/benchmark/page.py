"""From the measurements to the page: a table between two marks, and charts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flora.errors import InputError

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write_page(measured: Path, page: Path, charts: Path | None = None) -> list[Path]:
    """Writes the tables into the page, between its marks, and draws the charts.

    Args:
        measured: JSON that `run_speed` wrote.
        page: Markdown with both marks in it.
        charts: Folder for charts; None draws none.

    Returns:
        The files that were written.

    Raises:
        InputError: The JSON or the marks are missing.
    """
    if not measured.is_file():
        raise InputError(f"'{measured}' is missing; expected what `flora bench speed` writes. Run it first.")
    found = json.loads(measured.read_text(encoding="utf-8"))
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if BEGIN not in text or END not in text:
        raise InputError(
            f"'{page}' has no '{BEGIN}' and '{END}'; the tables go between them. Add both marks."
        )
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    page.write_text(before + BEGIN + "\n\n" + tables(found) + "\n" + END + after, encoding="utf-8")
    return [page, *(draw(found, charts) if charts is not None else [])]


def tables(found: dict[str, Any]) -> str:
    """Gives all tables as Markdown."""
    parts = []
    if "network" in found:
        parts += [_where(found["network"]), _networks(found["network"]["results"])]
        parts.append(_ratios(found["network"]["results"]["rows"]))
    if "files" in found:
        parts += [_where(found["files"]), _files(found)]
    if found.get("workers", {}).get("results", {}).get("rows"):
        parts += [_where(found["workers"]), _workers(found["workers"]["results"]["rows"])]
    return "\n\n".join(parts) + "\n"


def _where(part: dict[str, Any]) -> str:
    machine, versions = part["machine"], part["versions"]
    names = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB; {names}; commit "
        f"{part['commit']}; {part['measured']}; load before {machine['load_1min']:g}."
    )


def _networks(results: dict[str, Any]) -> str:
    flop = results["flop_per_pixel"]
    rows = []
    for row in results["rows"]:
        start = [row["network"], row["backend"], row["precision"], f"{row['side']}"]
        if "fault" in row:
            rows.append([*start, "not measured", "", "", "", ""])
            continue
        spread = f"{row['least']:.3f} to {row['greatest']:.3f}"
        share = f"{100 * row['share_of_ceiling']:.0f} %"
        per_pixel = f"{flop[row['network']] / 1e3:.0f}"
        rows.append([*start, f"{row['mpx_per_s']:.3f}", spread, per_pixel, share, f"{row['peak_mib']:.0f}"])
    ceiling = ", ".join(f"{speed:.0f} in {name}" for name, speed in results["ceiling_gflop_per_s"].items())
    heads = [
        "network",
        "backend",
        "format",
        "side, px",
        "Mpx/s",
        "spread",
        "kFLOP/px",
        "of the ceiling",
        "peak, MiB",
    ]
    return f"Ceiling: a matrix product reaches, in GFLOP/s, {ceiling}.\n\n" + _markdown(heads, rows)


def _ratios(rows: Sequence[dict[str, Any]]) -> str:
    def speed(network: str, **wanted: str) -> float:
        same = [
            r for r in rows if r["network"] == network and r["side"] == rows[0]["side"] and "mpx_per_s" in r
        ]
        return max(
            (r["mpx_per_s"] for r in same if all(r[k] == v for k, v in wanted.items())), default=float("nan")
        )

    lines = []
    for rival in dict.fromkeys(row["network"] for row in rows if row["network"] != "default"):
        best = speed("default") / speed(rival)
        equal = speed("default", backend="torch", precision="fp32") / speed(
            rival, backend="torch", precision="fp32"
        )
        plain = speed(rival, backend="plain")
        lines.append(
            [
                rival,
                f"{speed('default', backend='torch', precision='fp32') / plain:.1f}",
                f"{speed('default') / plain:.1f}",
                f"{equal:.1f}",
                f"{best:.1f}",
            ]
        )
    heads = [
        "default against",
        "float32 to its plain float32",
        "our best to its plain float32",
        "float32 to float32, both in our engine",
        "our best to its best, both in our engine",
    ]
    return _markdown(heads, lines)


def _files(found: dict[str, Any]) -> str:
    rows = []
    for row in found["files"]["results"]["rows"]:
        alone = _window_speed(found, row["precision"])
        share = f"{100 * row['mpx_per_s'] / alone:.0f} %" if alone else ""
        rows.append(
            [
                f"{row['side']} × {row['side']}",
                f"{row['mpx']:.0f}",
                row["precision"],
                f"{row['seconds']:.0f}",
                f"{row['mpx_per_s']:.3f}",
                share,
                f"{row['peak_mib']:.0f}",
            ]
        )
    heads = ["scene, px", "Mpx", "format", "whole process, s", "Mpx/s", "of the network alone"]
    heads.append("peak of the tree, MiB")
    return _markdown(heads, rows)


def _window_speed(found: dict[str, Any], precision: str) -> float | None:
    """Gives the speed of the network alone, in torch, on a window as tiles of scenes have them, margin and all."""
    rows = found.get("network", {}).get("results", {}).get("rows", [])
    speeds = [
        r["mpx_per_s"]
        for r in rows
        if r["network"] == "default"
        and r["side"] > rows[0]["side"]
        and (r["backend"], r["precision"]) == ("torch", precision)
        and "mpx_per_s" in r
    ]
    return max(speeds, default=None)


def _workers(rows: Sequence[dict[str, Any]]) -> str:
    heads = [
        "workers of one thread",
        "tiles, Mpx/s",
        "times one",
        "with files, Mpx/s",
        "times one",
        "peak of the tree, MiB",
    ]
    lines = [
        [
            f"{r['workers']}",
            *(
                text
                for key in ("mpx_per_s_tiles", "mpx_per_s")
                for text in (f"{r[key]:.3f}", f"{r[key] / rows[0][key]:.2f}")
            ),
            f"{r['peak_mib']:.0f}",
        ]
        for r in rows
    ]
    return _markdown(heads, lines)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def draw(found: dict[str, Any], folder: Path) -> list[Path]:
    """Draws speed by network and backend, and speed and memory by the size of the scene, as SVG."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "flora"  # the same numbers give the same file
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    if "network" in found:
        rows = [r for r in found["network"]["results"]["rows"] if "mpx_per_s" in r]
        figure, axes = plt.subplots(figsize=(7, 0.35 * len(rows) + 1), layout="constrained")
        names = [f"{r['network']}, {r['backend']}, {r['precision']}, {r['side']} px" for r in rows]
        axes.barh(names, [r["mpx_per_s"] for r in rows], color="#185cc4")
        axes.set(xscale="log", xlabel="Mpx/s, network alone")
        axes.invert_yaxis()
        paths.append(_saved(figure, folder / "speed_networks.svg"))
    if "files" in found:
        measured = found["files"]["results"]["rows"]
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
        for precision, color in (("fp32", "#185cc4"), ("bf16", "#a04020")):
            rows = [r for r in measured if r["precision"] == precision]
            sizes = [r["mpx"] for r in rows]
            left.plot(sizes, [r["mpx_per_s"] for r in rows], "o-", color=color, label=precision)
            right.plot(sizes, [r["peak_mib"] for r in rows], "o-", color=color)
        left.legend()
        left.set(xscale="log", ylim=(0, None), xlabel="scene, Mpx", ylabel="Mpx/s, file to file")
        right.set(xscale="log", ylim=(0, None), xlabel="scene, Mpx", ylabel="peak of the process tree, MiB")
        paths.append(_saved(figure, folder / "speed_scenes.svg"))
    return paths


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    return path
