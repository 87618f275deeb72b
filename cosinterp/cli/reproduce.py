"""``cosinterp reproduce``: all of the paper's experiments on the bundled models, and a page of verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli import options
from cosinterp.cli.experiment_options import DryRun, PresetName
from cosinterp.cli.options import one_of
from cosinterp.experiments import NAMES

if TYPE_CHECKING:
    from cosinterp.experiments.reproducing import Plan, Reproduced


def reproduce(
    out_folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Datasets, stores and report.html go here.")
    ] = Path("reproduction"),
    preset: PresetName = "small",
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAMES",
            help=f"Only these, separated by commas; or give it again for more: {', '.join(NAMES)}.",
            show_default=False,
            autocompletion=one_of(*NAMES),
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on in a folder that holds a reproduction.")
    ] = False,
    device: options.Device = None,
    dry_run: DryRun = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Repeat the paper's experiments on the bundled models, and write a page of verdicts.

    FOLDER/report.html holds a table of all claims of Wang et al. 2026 (arXiv 2603.16870) that are tested.
    Each is marked reproduced, not reproduced or not testable here, by a rule that is stated there. The preset
    [bold]small[/bold] takes about a quarter of an hour on two CPU cores; [bold]full[/bold], of 512 mazes, is
    for a GPU. What is done is kept: broken off, the same command with [bold]--resume[/bold] goes on.
    """
    import sys

    from cosinterp.cli.command_line import command_line, resume_command
    from cosinterp.cli.console import err, print_error
    from cosinterp.cli.experiment_progress import ExperimentBar
    from cosinterp.experiments.models import bundled, once
    from cosinterp.experiments.reproducing import plan, run_plan
    from cosinterp.models.loading import load

    names = None if only is None else [name.strip() for text in only for name in text.split(",")]
    give = once(bundled if device is None else lambda name: load(name, device=device))
    with err().status("timing this machine"):
        made = plan(out_folder, preset=preset, only=names, resume=resume, load=give)
    _say_plan(made, as_json and dry_run)
    if dry_run:
        return
    try:
        with ExperimentBar(made.rates) as bar:
            done = run_plan(made, load=give, progress=bar, command=command_line(sys.argv))
    except KeyboardInterrupt:
        err().print(f"interrupted; to go on: {resume_command(sys.argv)}", markup=False, soft_wrap=True)
        raise
    _say_verdicts(done, as_json)
    for line in done.failures:
        print_error(line)
    if done.failures:
        raise typer.Exit(1)


def _say_plan(plan: Plan, as_json: bool) -> None:
    from cosinterp.cli.console import err, print_json
    from cosinterp.cli.experiment_progress import minutes_text

    if as_json:
        parts = [
            {"name": one.experiment.name, "seconds": one.seconds, "done": one.result is not None}
            for one in plan.parts
        ]
        print_json({"folder": str(plan.out), "preset": plan.preset, "seconds": plan.seconds, "parts": parts})
        return
    for one in plan.parts:
        told = "done" if one.result is not None else one.lacking or f"about {minutes_text(one.seconds)}"
        err().print(f"  {one.experiment.name:<18} {told}", markup=False, soft_wrap=True)
    err().print(f"about {minutes_text(plan.seconds)} on this machine, into {plan.out}", soft_wrap=True)


def _say_verdicts(done: Reproduced, as_json: bool) -> None:
    from cosinterp.cli.console import out, print_json

    report = done.report
    if as_json:
        print_json(
            {
                "path": str(report.path),
                "bytes": report.size,
                "verdicts": report.counts,
                "failures": done.failures,
            }
        )
        return
    told = ", ".join(f"{number} {verdict}" for verdict, number in report.counts.items())
    out().print(f"{report.path}: {told}", markup=False, soft_wrap=True)
