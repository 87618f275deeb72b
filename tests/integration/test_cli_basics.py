"""The frame of the command line: listing, help, and what becomes of errors, whatever command."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner, Result

import cosinterp
from cosinterp.cli import COMMANDS, app
from cosinterp.cli.lazy import Command, Group, LazyGroup
from stores.errors import StoreError

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, "-m", "cosinterp"]


def commands() -> Iterator[tuple[list[str], Command]]:
    for entry in COMMANDS:
        if isinstance(entry, Group):
            yield from (([entry.name, inner.name], inner) for inner in entry.entries)
        else:
            yield [entry.name], entry


EVERY_COMMAND = [pytest.param(words, command, id=" ".join(words)) for words, command in commands()]


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_the_version_is_the_packages() -> None:
    assert run("--version").output == f"cosinterp {cosinterp.__version__}\n"


def test_help_lists_every_command_with_its_line() -> None:
    listing = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--help"]).output
    for entry in COMMANDS:
        assert entry.help in listing


def test_h_is_help() -> None:
    assert run("-h").output == run("--help").output


@pytest.mark.parametrize(("words", "command"), EVERY_COMMAND)
def test_every_command_has_help(words: list[str], command: Command) -> None:
    result = run(*words, "-h")
    assert result.exit_code == 0, result.output
    assert "Usage: cosinterp " + " ".join(words) in result.output.replace("root ", "cosinterp ")


@pytest.mark.parametrize(("words", "command"), EVERY_COMMAND)
def test_the_listing_and_the_help_page_begin_alike(words: list[str], command: Command) -> None:
    module, _, function = command.target.partition(":")
    docstring = getattr(import_module(module), function).__doc__
    assert docstring.strip().splitlines()[0] == command.help


@pytest.mark.parametrize(("words", "command"), EVERY_COMMAND)
def test_help_fills_the_lines_of_a_paragraph(words: list[str], command: Command) -> None:
    module, _, function = command.target.partition(":")
    paragraphs = getattr(import_module(module), function).__doc__.strip().split("\n\n")[1:]
    page = CliRunner(env={"COLUMNS": "1000"}).invoke(app, [*words, "-h"]).output
    lines = [re.sub(r"\W+", " ", line).strip() for line in page.splitlines()]
    for paragraph in paragraphs:
        assert re.sub(r"\W+", " ", re.sub(r"\[/?bold]", "", paragraph)).strip() in lines


@pytest.mark.parametrize("words", [["stor"], ["store", "lss"]])
def test_a_mistyped_command_is_a_usage_error_with_a_suggestion(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Did you mean" in result.output


def test_an_unknown_option_is_a_usage_error() -> None:
    assert run("--colour").exit_code == 2


@pytest.fixture
def ending_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], Result]:
    """Run a command line whose only command, ``fail``, raises what is given."""

    def invoke(error: BaseException) -> Result:
        module = ModuleType("misbehaving")

        def fail() -> None:
            raise error

        module.fail = fail  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "misbehaving", module)
        entries = (Command("fail", "misbehaving:fail", "Fail."),)
        failing = typer.Typer(cls=type("Failing", (LazyGroup,), {"entries": entries}))
        failing.callback()(lambda: None)
        return CliRunner().invoke(failing, ["fail"])

    return invoke


def test_what_the_user_can_mend_is_one_line_and_exit_code_2(ending_in: Callable) -> None:
    result = ending_in(StoreError("runs/x: no store here [bold]; " + "make one with cosinterp trace " * 5))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: runs/x: no store here [bold]; make one")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.EROFS, errno.ENOTDIR])
def test_a_disk_that_refuses_is_one_line_with_the_path(ending_in: Callable, number: int) -> None:
    result = ending_in(OSError(number, os.strerror(number), "/data/x"))
    assert result.exit_code == 2
    assert result.stderr == f"error: {os.strerror(number)}: /data/x\n"


def test_ctrl_c_ends_with_130(ending_in: Callable) -> None:
    result = ending_in(KeyboardInterrupt())
    assert result.exit_code == 130
    of_h5py = SystemError("returned a result with an exception set")
    of_h5py.__cause__ = KeyboardInterrupt()
    assert ending_in(of_h5py).exit_code == 130


@pytest.mark.parametrize(
    "bug", [RuntimeError("broken"), FileNotFoundError(errno.ENOENT, "no such file", "x")]
)
def test_a_bug_keeps_its_traceback(ending_in: Callable, bug: Exception) -> None:
    result = ending_in(bug)
    assert result.exit_code == 1
    assert result.exception is bug


def test_a_bug_shows_as_a_plain_traceback_in_the_terminal() -> None:
    code = (
        "import cosinterp.cli.lazy as lazy\n"
        "def load(self): raise RuntimeError('broken')\n"
        "lazy.Command.load = load\n"
        "import sys; sys.argv = ['cosinterp', 'trace']\n"
        "from cosinterp.cli import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert done.stderr.endswith("RuntimeError: broken\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = subprocess.run([*RUN, "--help"], cwd=ROOT, stdout=gone, stderr=subprocess.PIPE, check=False)
    assert done.stderr == b""
    assert done.returncode in (0, 1)


def test_completion_offers_commands_and_their_words() -> None:
    script = {"_COSINTERP_COMPLETE": "complete_bash", "COMP_CWORD": "2", "COMP_WORDS": "cosinterp store "}
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'cosinterp'; from cosinterp.cli import main; main()",
        ],
        cwd=ROOT,
        env={**os.environ, **script},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["ls", "info", "verify", "reindex", "export", "merge", "rm", "diff"]
