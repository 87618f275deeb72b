"""Flags on who does the work, of commands that can spread it over several devices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from cosinterp.cli.options import MACHINE, one_of

if TYPE_CHECKING:
    from cosinterp.executors.executor import Executor
    from cosinterp.models.loading import Prepared
    from cosinterp.models.loading.recipe import Recipe

LOCAL = "local"

ExecutorName: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar=LOCAL,
        help="Who does the work: local: one process a device of --device.",
        rich_help_panel=MACHINE,
        show_default="this process; local, if --device names several",
        autocompletion=one_of(LOCAL),
    ),
]


@dataclass(frozen=True)
class Spread:
    """Where the work is done.

    Attributes:
        device: that plans, and does everything if there is no executor.
        executor: None: this process does the work.
    """

    device: str | None
    executor: Executor | None


@dataclass(frozen=True)
class SpreadFlags:
    """Who does the work; see `cosinterp.cli.flag_groups`."""

    executor: ExecutorName = None

    def over(self, device: str | None) -> Spread:
        """Spread over what ``--device`` says.

        Raises:
            UserError: there are no such devices, or no such executor.
        """
        from cosinterp.devices import parse_devices
        from cosinterp.errors import SelectionError

        if self.executor not in (None, LOCAL):
            raise SelectionError(f"--executor {self.executor}: there is {LOCAL}")
        devices = (None,) if device is None else parse_devices(device)
        if self.executor is None and len(devices) == 1:
            return Spread(devices[0], None)
        from cosinterp.executors.local import LocalExecutor

        return Spread(devices[0], LocalExecutor(devices, say=say))


def say(device: str, line: str) -> None:
    """Print what a worker prints, above the bar."""
    from rich.text import Text

    from cosinterp.cli.console import err

    err().print(Text(f"[{device}] {line}", "dim"), soft_wrap=True)


def recipe_of(prepared: Prepared) -> Recipe:
    """How workers load a model.

    Raises:
        ModelError: they cannot.
    """
    from cosinterp.errors import ModelError

    if prepared.recipe is None or prepared.reason is not None:
        why = prepared.reason or "it was given as an object"
        raise ModelError(
            f"{prepared.model.name} cannot be spread over several devices, but runs on one: {why}"
        )
    return prepared.recipe


@contextmanager
def failures_told() -> Iterator[None]:
    """Where some tasks failed: say which, and how to make what is lacking.

    Raises:
        Exit: with code 2 if all of it is the user's to mend, else 1.
    """
    import sys

    from cosinterp.cli.command_line import resume_command
    from cosinterp.cli.console import err, print_error
    from cosinterp.executors.failures import TasksFailed

    try:
        yield
    except TasksFailed as error:
        print_error(str(error))
        err().print("To make what is lacking:")
        err().print(f"  {resume_command(sys.argv)}", markup=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from error
