"""The `flora` command: its global options, its verbs, and how an error reaches a person."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import flora
from flora.errors import FloraError
from flora.memory import keep_memory

DONE, FAULT, INTERRUPTED = 0, 1, 130  # 2, wrong usage, is typer's own

# What most people come for stands first in the help.
ORDER = ("predict", "flood", "fetch", "info", "vectors", "zones", "styles", "report", "catalog", "demo")


class Verbs(TyperGroup):
    """The verbs in the order of `ORDER`, then all others."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Gives the names of the verbs as the help lists them."""
        return sorted(super().list_commands(ctx), key=lambda verb: (*ORDER, verb).index(verb))


app = typer.Typer(
    name="flora",
    cls=Verbs,
    help="From one Sentinel-1 scene: the optical picture a person would have seen, and the flood-water map.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class _Settings:
    """What the global options said; read when an error arrives."""

    debug = False


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"flora {flora.__version__}")
        raise typer.Exit(DONE)


@app.callback()
def _global(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Takes the options that stand before the verb."""
    _Settings.debug = debug


def main(argv: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 an error of the user's or the data's, 2 usage, 130 interrupted.

    Args:
        argv: Words after `flora`; None takes them from the process.
    """
    _Settings.debug = False
    keep_memory()  # first of all: libraries start threads when imported, and each takes an arena of its own then
    if threading.current_thread() is threading.main_thread():
        # Being told to end (by `timeout`, a service, a batch system) cleans up just as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(args=None if argv is None else list(argv), prog_name="flora")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (FloraError, OSError) as error:
        # An OSError that reaches this point is the machine's (disk full, no right to read): a sentence does as well.
        if _Settings.debug:
            raise
        sys.stderr.write(f"flora: {error}\n")
        sys.exit(FAULT)
