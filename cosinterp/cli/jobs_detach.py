"""``--detach``: what a command is given so that it can be run as a job, which needs no terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.main import get_command

from cosinterp.errors import UserError

JOB = "Job"
_GIVEN = "cosinterp.words"
# Said of the launch, so that the job has no use for them.
_OF_THE_LAUNCH = ("detach", "job_name", "as_json")


def _flags(
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            help="Run as a job that goes on without this terminal; see `cosinterp jobs`.",
            rich_help_panel=JOB,
        ),
    ] = False,
    job_name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What the id of the job begins with.",
            rich_help_panel=JOB,
            show_default="the command's name",
        ),
    ] = None,
) -> None:
    """The flags of every command that can be a job."""


class Detachable(TyperCommand):
    """A command that --detach turns into a job of the same words; its own code knows nothing of it."""

    def __init__(self, name: str | None, **settings: Any) -> None:
        super().__init__(name, **settings)
        single = typer.Typer(add_completion=False)
        single.command()(_flags)
        self.params = [*self.params, *get_command(single).params]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as ever, and remember the words as they were given."""
        ctx.meta[_GIVEN] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command here, or launch a job that does."""
        detach, name = ctx.params.pop("detach"), ctx.params.pop("job_name")
        if detach:
            return _launch(ctx, name)
        if name is not None:
            raise UserError("--job-name is the name of a job: give --detach too")
        return super().invoke(ctx)


def _launch(ctx: Any, name: str | None) -> None:
    """Start the job that a command line asks for, and say how it is followed.

    Raises:
        UserError: nothing would be done, or the job cannot be started or failed at once.
    """
    from cosinterp.cli.console import out, print_json
    from cosinterp.cli.jobs_started import say_started
    from cosinterp.jobs.launching import submit
    from cosinterp.jobs.spec import JobSpec

    if ctx.params.get("dry_run"):
        raise UserError("--dry-run makes nothing that a job could go on with: leave out --detach")
    job = submit(JobSpec.of_words(job_words(ctx), name=name))
    if ctx.params.get("as_json"):
        print_json(job.status().as_data())
    else:
        out().print(job.id, markup=False, soft_wrap=True)
    say_started(job)


def job_words(ctx: Any) -> tuple[str, ...]:
    """The words behind ``cosinterp`` of the job that a command line asks for."""
    launching = {
        option
        for parameter in ctx.command.params
        if parameter.name in _OF_THE_LAUNCH
        for option in parameter.opts
    }
    takes_value = {
        option: not parameter.is_flag
        for parameter in ctx.command.params
        if hasattr(parameter, "is_flag")
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    names: list[str] = []
    within = ctx
    while within.parent is not None:
        names.insert(0, within.info_name)
        within = within.parent
    return (*names, *without(ctx.meta[_GIVEN], launching, takes_value))


def without(words: Sequence[str], left_out: set[str], takes_value: Mapping[str, bool]) -> Iterator[str]:
    """``words`` without some options and their values.

    Every option is looked at, since a word that looks like one may be the value of that before it.
    """
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield word
            yield from rest
            return
        name, _, _ = word.partition("=")
        option = [word]
        if takes_value.get(word, False):
            # The parser has found it to be there.
            option.append(next(rest))
        if name not in left_out:
            yield from option
