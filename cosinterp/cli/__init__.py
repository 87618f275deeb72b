"""The ``cosinterp`` command.

Adding a command takes two things:

1. a function in ``cosinterp/cli/NAME.py``, its parameters annotated for Typer and its docstring written for
   the user: the first line is the one in `COMMANDS`, the rest is the page that ``cosinterp NAME --help``
   shows (``[bold]`` and the like are rich markup, so write ``\\[`` for a bracket);
2. a line in `COMMANDS`: its name, ``"module:function"`` and that first line. A `Group` nests further lines.
   What may take long and asks nothing is ``detachable``: it gets ``--detach``, which makes it a job.

Nothing of a command is imported before it is run, so ``cosinterp --help`` is quick. Within a command's module
keep heavy imports (torch, diffusers, pandas...) inside the function all the same: ``--help`` of that command
and shell completion import the module.

Commands raise `stores.errors.UserError` for what the user can mend: it is printed as one ``error: ...`` line
and ends with exit code 2, as usage errors do. Print with `cosinterp.cli.console`: results to ``out()``,
progress and remarks to ``err()``, so that results can be piped. Ctrl-C comes as `KeyboardInterrupt` and ends
with exit code 130; a command that has something to say (how to resume) prints it to ``err()`` and raises it
again.
"""

from __future__ import annotations

from typing import Annotated

import typer

from cosinterp.cli.lazy import SETTINGS, Command, Group, LazyGroup, flush_output
from cosinterp.jobs.telling import watch_keeper

COMMANDS: tuple[Command | Group, ...] = (
    Command(
        "demo", "cosinterp.cli.demo:demo", "Run the main job on the bundled model and show the pictures."
    ),
    Command("mazes", "cosinterp.cli.mazes:mazes", "Write mazes as a dataset folder."),
    Command("scenes", "cosinterp.cli.scenes:scenes", "Write scenes as a dataset folder."),
    Command(
        "trace",
        "cosinterp.cli.trace:trace",
        "Generate videos and record their activations in a store.",
        detachable=True,
    ),
    Group(
        "store",
        "Look into activation stores, and put them in order.",
        (
            Command("ls", "cosinterp.cli.store:ls", "List the runs of a store."),
            Command("info", "cosinterp.cli.store:info", "Say what a store holds and how it was made."),
            Command("verify", "cosinterp.cli.store:verify", "Check every file of a store.", detachable=True),
            Command(
                "reindex", "cosinterp.cli.store:reindex", "Rebuild the catalog of a store from its files."
            ),
            Command(
                "export",
                "cosinterp.cli.store_export:export",
                "Export a store, or a part of it.",
                detachable=True,
            ),
            Command(
                "merge",
                "cosinterp.cli.store_merge:merge",
                "Bring the runs of several stores into one.",
                detachable=True,
            ),
            Command("rm", "cosinterp.cli.store_rm:rm", "Remove runs from a store."),
            Command("diff", "cosinterp.cli.store_diff:diff", "Say what differs between two stores."),
        ),
    ),
    Command(
        "decode",
        "cosinterp.cli.decode:decode",
        "Turn a run's clean estimates into pictures and videos.",
        detachable=True,
    ),
    Command(
        "export-videos",
        "cosinterp.cli.export_videos:export_videos",
        "Write videos of runs for VBVR-Bench's evaluators.",
        detachable=True,
    ),
    Command(
        "patch",
        "cosinterp.cli.patch:patch",
        "Put activations of one run into another, over a grid, with controls.",
        detachable=True,
    ),
    Command(
        "attribute",
        "cosinterp.cli.attribute:attribute",
        "Screen a grid by gradients: what patches would change, to first order.",
        detachable=True,
    ),
    Command(
        "ablate",
        "cosinterp.cli.ablate:ablate",
        "Take away what runs compute at a place, over a grid, with controls.",
        detachable=True,
    ),
    Command(
        "steer",
        "cosinterp.cli.steer:steer",
        "Add a direction to what runs compute, at several scales, with controls.",
        detachable=True,
    ),
    Command(
        "steering-vectors",
        "cosinterp.cli.steer:steering_vectors",
        "Make directions of a store: the mean of one group of runs less that of another.",
    ),
    Command(
        "noise",
        "cosinterp.cli.noise:noise",
        "Put noise into latents at each step and in each frame, and say what it does.",
        detachable=True,
    ),
    Command(
        "replay",
        "cosinterp.cli.replay:replay",
        "Make a stored run again from any step on, as it was or changed.",
        detachable=True,
    ),
    Command(
        "probe",
        "cosinterp.cli.probe:probe",
        "Probe activations: what can a linear probe read off them.",
        detachable=True,
    ),
    Command(
        "score",
        "cosinterp.cli.score:score",
        "Score runs whose sample has a known truth, by step too.",
        detachable=True,
    ),
    Command(
        "maps",
        "cosinterp.cli.maps:maps",
        "Map energies, principal components and the largest channels.",
        detachable=True,
    ),
    Command(
        "convergence",
        "cosinterp.cli.convergence:convergence",
        "Tell how seeds agree by step, and when runs commit to an answer.",
        detachable=True,
    ),
    Command(
        "ensemble",
        "cosinterp.cli.ensemble:ensemble",
        "Generate from several seeds that share what they compute, or of which the best go on.",
        detachable=True,
    ),
    Command(
        "compare",
        "cosinterp.cli.ensemble_compare:compare",
        "Say what ensembles gain over the seeds they are made of, and at what cost.",
        detachable=True,
    ),
    Command(
        "similarity",
        "cosinterp.cli.similarity:similarity",
        "Say how alike representations are, between layers, steps, seeds, samples, variants or stores.",
        detachable=True,
    ),
    Group(
        "results",
        "Look at what was found in a store, draw it, and take it elsewhere.",
        (
            Command("ls", "cosinterp.cli.results:ls", "List the results of a store."),
            Command(
                "show",
                "cosinterp.cli.results:show",
                "Say what a result says, how it was made, and how to make it again.",
            ),
            Command("plot", "cosinterp.cli.results:plot", "Draw figures of a result into files."),
            Command(
                "export",
                "cosinterp.cli.results:export",
                "Write a result for other programs: its table, or all of it.",
            ),
            Command("rm", "cosinterp.cli.results:rm", "Remove results from a store."),
        ),
    ),
    Command(
        "experiment",
        "cosinterp.cli.experiment:experiment",
        "Run one of the paper's experiments.",
        detachable=True,
    ),
    Command(
        "reproduce",
        "cosinterp.cli.reproduce:reproduce",
        "Repeat the paper's experiments on the bundled models, and write a page of verdicts.",
        detachable=True,
    ),
    Group(
        "jobs",
        "Look after what runs with --detach: list, follow, stop, go on.",
        (
            Command("ls", "cosinterp.cli.jobs:ls", "List jobs, the newest first."),
            Command(
                "show",
                "cosinterp.cli.jobs:show",
                "Say everything of one job: how it stands, how each attempt ended, and what repeats it.",
            ),
            Command("logs", "cosinterp.cli.jobs_logs:logs", "Print what a job printed."),
            Command("wait", "cosinterp.cli.jobs:wait", "Wait until jobs have ended."),
            Command(
                "cancel",
                "cosinterp.cli.jobs_control:cancel",
                "Stop jobs, as Ctrl-C stops a command: what is finished is kept.",
            ),
            Command("resume", "cosinterp.cli.jobs_control:resume", "Start jobs again that did not finish."),
            Command(
                "rm",
                "cosinterp.cli.jobs_control:rm",
                "Remove what is kept of jobs that have ended: their log and what happened.",
            ),
        ),
    ),
    Command("report", "cosinterp.cli.report:report", "Put all results of a store on one HTML page."),
    Command("anatomy", "cosinterp.cli.anatomy:anatomy", "Show what a model is made of."),
    Command("verify", "cosinterp.cli.verify:verify", "Prove that a model is understood.", detachable=True),
    Command(
        "plan",
        "cosinterp.cli.plan:plan",
        "Say what a study on many GPUs takes, and what it waits for.",
    ),
    Command(
        "doctor",
        "cosinterp.cli.doctor:doctor",
        "Say what this machine has of what cosinterp needs, and for each lack what to do.",
    ),
    Command(
        "tui",
        "cosinterp.cli.tui:tui",
        "Browse stores, start jobs and look after them, in the terminal.",
    ),
)


class _Root(LazyGroup):
    entries = COMMANDS


app = typer.Typer(
    name="cosinterp",
    cls=_Root,
    help="Record what a video diffusion transformer computes at each denoising step, layer and seed.",
    no_args_is_help=True,
    context_settings=SETTINGS,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(asked: bool) -> None:
    if asked:
        from cosinterp import __version__

        typer.echo(f"cosinterp {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that belong to no single command."""


def main() -> None:
    """Run the command line: the entry point of the ``cosinterp`` script."""
    watch_keeper()
    try:
        app()
    finally:
        flush_output()
