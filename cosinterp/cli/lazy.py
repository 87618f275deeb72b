"""A Typer group that knows its commands by name and imports each only when it is run."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

SETTINGS = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True)
class Command:
    """A command: its name, where its function is ("module:function"), and its line in the listing.

    With ``detachable`` it takes --detach, and is then run as a job; for what takes long and asks nothing.
    """

    name: str
    target: str
    help: str
    detachable: bool = False

    def load(self) -> Any:
        """Import the function and make a command of it."""
        module, _, function = self.target.partition(":")
        single = typer.Typer(add_completion=False, context_settings=SETTINGS, rich_markup_mode="rich")
        body = getattr(import_module(module), function)
        single.command(self.name, cls=self._kind(), help=_flowing(body))(body)
        return get_command(single)

    def _kind(self) -> type[TyperCommand]:
        if not self.detachable:
            return TyperCommand
        from cosinterp.cli.jobs_detach import Detachable

        return Detachable

    def listed(self) -> TyperCommand:
        """A stand-in that the help listing and shell completion read the name and the help from."""
        return TyperCommand(self.name, help=self.help)


@dataclass(frozen=True)
class Group:
    """A command that only leads to further ones, as in ``cosinterp store ls``."""

    name: str
    help: str
    entries: tuple[Command, ...]

    def load(self) -> TyperGroup:
        """Make the group; its commands stay unimported."""
        group_class = type("_Nested", (LazyGroup,), {"entries": self.entries})
        return group_class(name=self.name, help=self.help, no_args_is_help=True, context_settings=SETTINGS)

    def listed(self) -> TyperGroup:
        """The group itself: there is nothing to import."""
        return self.load()


def named(entries: Sequence[Command | Group], words: Sequence[str]) -> tuple[Command, int] | None:
    """The command that words begin with, and how many of them name it; None: they begin with none."""
    for count, word in enumerate(words, start=1):
        entry = next((entry for entry in entries if entry.name == word), None)
        if entry is None or isinstance(entry, Command):
            return None if entry is None else (entry, count)
        entries = entry.entries
    return None


def _flowing(function: Callable[..., Any]) -> str:
    """A docstring with one line a paragraph: Typer would keep its line breaks at any width of terminal."""
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


class LazyGroup(TyperGroup):
    """A group whose subcommands come from `entries`, and which turns a user's mistake into exit code 2."""

    entries: ClassVar[tuple[Command | Group, ...]] = ()

    def __init__(self, **settings: Any) -> None:
        # Typer lists, completes and suggests from the commands given here; resolve_command imports.
        settings["commands"] = {entry.name: entry.listed() for entry in self.entries}
        super().__init__(**settings)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that ``args`` begin with, imported, and the arguments after it."""
        name, command, rest = super().resolve_command(ctx, args)
        for entry in self.entries:
            if entry.name == name:
                return name, entry.load(), rest
        return name, command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand; print what the user can mend as one line and end with its exit code."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise typer.Exit(130) from error
        except Exception as error:
            # Imported only now: the whole of stores comes with it, which a help page has no use for.
            from cosinterp.mendable import mendable
            from stores.interrupts import interrupt_of

            if interrupt_of(error) is not None:
                raise typer.Exit(130) from error
            users = mendable(error)
            if users is None:
                raise
            from cosinterp.cli.console import print_error

            print_error(str(users))
            raise typer.Exit(users.exit_code) from error


def flush_output() -> None:
    """Flush what is printed. A reader that has gone away (``| head``) is no error of ours."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
