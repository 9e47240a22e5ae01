"""The command line itself: answers at once, exits as promised, and says a fault in one sentence."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence

import pytest
import typer

from flora.cli import main
from flora.cli.app import app
from flora.errors import InputError

HEAVY = ("torch", "lightning", "rasterio", "xarray", "dask", "numpy", "scipy", "PIL")


def run(argv: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    code = caught.value.code
    return code if isinstance(code, int) else 0


@pytest.mark.parametrize("argv", [["--help"], ["predict", "--help"], ["train", "-h"], ["data", "--help"]])
def test_help_imports_nothing_heavy(argv: list[str]) -> None:
    program = (
        "import sys\nfrom flora.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n"
        f"    loaded = [name for name in {HEAVY} if name in sys.modules]\n"
        "    sys.exit(f'{loaded} {end.code}' if loaded or end.code else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program, *argv], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage: flora" in done.stdout


def processor_seconds() -> float:
    """Processor time of all finished child processes, which a busy machine hardly changes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_help_is_quick() -> None:
    """The best of three takes under 0.5 s of a processor; twice that allows for a slower one than ours."""
    command = [sys.executable, "-c", "from flora.cli import main; main(['--help'])"]
    seconds = []
    for _ in range(3):
        before = processor_seconds()
        subprocess.run(command, capture_output=True, check=True, timeout=60)
        seconds.append(processor_seconds() - before)
    assert min(seconds) < 1.0


def test_help_begins_with_what_people_come_for() -> None:
    command = typer.main.get_command(app)
    listed = command.list_commands(typer.Context(command))  # type: ignore[attr-defined]
    assert listed[:3] == ["predict", "flood", "fetch"]
    assert sorted(listed) == sorted(command.commands)  # type: ignore[attr-defined]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    import flora

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"flora {flora.__version__}\n"


@pytest.mark.parametrize("argv", [["nonsense"], ["train"], ["--nonsense"], ["data", "list", "--nonsense"]])
def test_wrong_usage_exits_with_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(argv) == 2
    assert "Usage" in capsys.readouterr().err


def fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Adds a verb that raises `error`, for one test."""

    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "registered_commands", [*app.registered_commands])
    app.command("fail")(fail)


@pytest.mark.parametrize(
    "error", [InputError("Found a, expected b."), OSError(28, "No space left on device")]
)
def test_a_fault_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    fail_with(monkeypatch, error)
    assert run(["fail"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"flora: {error}\n"


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, InputError("Found a, expected b."))
    with pytest.raises(InputError, match="Found a"):
        main(["--debug", "fail"])


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        main(["fail"])


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (typer.Exit(0), 0), (typer.Exit(3), 3)]
)
def test_interruption_and_exit(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    fail_with(monkeypatch, error)
    assert run(["fail"]) == code


def test_train_names_the_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "nowhere.yaml"]) == 1
    assert "'nowhere.yaml' does not exist" in capsys.readouterr().err
