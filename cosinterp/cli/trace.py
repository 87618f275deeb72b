"""``cosinterp trace``: generate videos and record their activations in a store."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli import options, run_flags
from cosinterp.cli.command_line import resume_command
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.run_flags import CaptureFlags, MachineFlags, SampleFlags, SamplingFlags
from cosinterp.cli.spread_flags import SpreadFlags, failures_told
from cosinterp.errors import TraceError

if TYPE_CHECKING:
    from cosinterp.executors.executor import Executor
    from cosinterp.following import Followed
    from cosinterp.models.loading import Prepared
    from cosinterp.models.model import Model
    from cosinterp.planning.plan import TracePlan


@with_groups
def trace(
    model: options.ModelName,
    store: run_flags.StoreFolder,
    *,
    seeds: run_flags.Seeds = "0",
    sample: SampleFlags,
    capture: CaptureFlags,
    follow: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE",
            help="Show the model the latents of this store's runs, of the same samples, seeds and settings.",
            rich_help_panel=run_flags.SAMPLING,
            show_default=False,
        ),
    ] = None,
    sampling: SamplingFlags,
    machine: MachineFlags,
    spreading: SpreadFlags,
    resume: Annotated[bool, typer.Option("--resume", help="Skip the runs that the store has.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and its size, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan of --dry-run as JSON.")] = False,
) -> None:
    """Generate videos and record their activations in a store.

    The video is that of the untraced pipeline, bit for bit. Interrupted with Ctrl-C it keeps the runs that
    are finished; the same command with --resume makes the others. A trace that does not fit on the disk is
    refused before it starts, with the selections that would fit. All that can be checked is checked before
    the model's weights are read, and --dry-run reads none.

    With several devices (--device cuda:0,2) each has a process of its own, and the runs are spread over them.
    """
    from stores.selection import parse_seeds

    if as_json and not dry_run:
        raise TraceError("--json prints the plan; give --dry-run too")
    asked = sampling.settings()
    samples = sample.samples()
    parse_seeds(seeds)
    capture.check()
    machine.check()
    spread = spreading.over(machine.device, [store])
    prepared = replace(machine, device=spread.device, dtype=machine.dtype or spread.dtype).prepare(model)

    from cosinterp.following import Followed
    from cosinterp.planning.plan import make_plan
    from stores import open_store

    plan = make_plan(
        prepared.model, samples, seeds=seeds, sampling=asked, **capture.settings(), **machine.settings()
    )
    followed = None
    if follow is not None:
        followed = Followed(open_store(follow))
        plan = followed.planned(plan)
    if dry_run:
        _show(prepared.model, plan, store, as_json)
    else:
        _carry_out(prepared, plan, store, resume, followed, machine.memory, spread.executor)


def _show(model: Model, plan: TracePlan, store: Path, as_json: bool) -> None:
    """Print the plan; as the trace itself, refuse one that does not fit."""
    from cosinterp.cli.console import print_json
    from cosinterp.cli.trace_plan import Outlook, print_plan
    from cosinterp.planning.fitting import check_space
    from cosinterp.planning.to_make import runs_to_make
    from cosinterp.tracing import writing_threads

    outlook = Outlook.of(plan, runs_to_make(plan, store, resume=True), store, writing_threads(model, plan))
    if as_json:
        print_json(outlook.as_data())
    else:
        print_plan(outlook)
    check_space(store, plan, outlook.todo)


def _carry_out(
    prepared: Prepared,
    plan: TracePlan,
    store: Path,
    resume: bool,
    followed: Followed | None,
    host_memory: int,
    executor: Executor | None,
) -> None:
    from cosinterp.cli.console import err
    from cosinterp.cli.trace_progress import RichProgress
    from cosinterp.executors.traces import spread_plan
    from cosinterp.planning.fitting import check_space
    from cosinterp.planning.to_make import runs_to_make
    from cosinterp.tracing import run_plan, writing_threads
    from stores.units import count_text

    todo = runs_to_make(plan, store, resume)
    check_space(store, plan, todo)
    settings = {"resume": resume, "followed": followed, "host_memory": host_memory}
    threads = writing_threads(prepared.model, plan)
    if executor is not None:
        make = partial(spread_plan, executor, prepared.for_workers(), plan, store, **settings)
        threads *= executor.workers
    else:
        # A store that has all runs needs no weights to say so.
        model = options.load_weights(prepared) if todo else prepared.model
        make = partial(run_plan, model, plan, store, **settings)
    progress = RichProgress(store, threads)
    try:
        with failures_told(), progress:
            make(progress=progress)
    except KeyboardInterrupt:
        kept = count_text(progress.made, "finished run")
        err().print(f"interrupted; {kept} kept. To go on:")
        err().print(f"  {resume_command(sys.argv)}", markup=False, soft_wrap=True)
        raise
