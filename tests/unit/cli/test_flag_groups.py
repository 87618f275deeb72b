"""Groups of flags become flags of a command, and come back to it as they were grouped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from cosinterp.cli.flag_groups import with_groups

SEEN: list[object] = []


@dataclass(frozen=True)
class Paint:
    """Flags of a group, the first without a default."""

    colour: Annotated[str, typer.Option(help="Of the wall.")]
    coats: Annotated[int, typer.Option(min=1)] = 2
    is_matt: Annotated[bool, typer.Option("--matt")] = False


@with_groups
def paint(
    ctx: typer.Context, wall: Annotated[str, typer.Argument()], *, paint: Paint, name: str = "north"
) -> None:
    """Paint a wall."""
    source = ctx.get_parameter_source("coats")
    SEEN[:] = [wall, paint, name, source is not None and source.name]


def run(*words: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(paint)
    made = CliRunner().invoke(app, list(words))
    return made.exit_code, made.output


def test_a_command_gets_its_groups_whole() -> None:
    assert run("w", "--colour", "red", "--coats", "3", "--matt", "--name", "south")[0] == 0
    assert ["w", Paint("red", 3, True), "south", "COMMANDLINE"] == SEEN


def test_what_is_not_given_is_the_groups_default() -> None:
    assert run("w", "--colour", "red")[0] == 0
    assert ["w", Paint("red"), "north", "DEFAULT"] == SEEN


def test_flags_are_checked_and_told_as_any_others() -> None:
    assert run("w")[0] == run("w", "--colour", "red", "--coats", "0")[0] == 2
    told = run("--help")[1]
    assert "Paint a wall." in told
    assert "Of the wall." in told
    assert "--paint" not in told
