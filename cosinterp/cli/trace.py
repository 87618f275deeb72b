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
    from collections.abc import Callable, Sequence

    from cosinterp.executors.executor import Executor
    from cosinterp.following import Followed
    from cosinterp.models.loading import Prepared
    from cosinterp.models.model import Model
    from cosinterp.planning.plan import TracePlan
    from cosinterp.planning.takes import Takes


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
    measure: options.Measure = True,
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
        takes = partial(takes_of, prepared.model, plan, store, resume, spread.executor)
        _show(prepared.model, plan, store, takes, measure, as_json)
    else:
        _carry_out(prepared, plan, store, resume, followed, machine.memory, spread.executor)


def takes_of(
    model: Model,
    plan: TracePlan,
    store: Path,
    resume: bool,
    executor: Executor | None,
    todo: Sequence[tuple[str, int]],
) -> Takes:
    """What a trace takes that makes the (sample name, seed) runs ``todo``."""
    from cosinterp.cli.spread_flags import workers_of
    from cosinterp.planning.gpu_memory import memory_of_plan
    from cosinterp.planning.pace import seconds_of
    from cosinterp.planning.takes import Takes, refusal_of
    from cosinterp.planning.to_make import runs_to_make
    from stores.units import count_text

    return Takes(
        what=f"{count_text(len(todo), 'run')} of {count_text(len(plan.samples), 'sample')}",
        runs=len(todo),
        bytes=plan.bytes_of(todo),
        seconds=seconds_of(store, model, lambda pace: len(todo), workers_of(executor)),
        gpu_memory=memory_of_plan(model, plan),
        device=str(model.device),
        refused=refusal_of(lambda: runs_to_make(plan, store, resume)),
    )


def _show(
    model: Model,
    plan: TracePlan,
    store: Path,
    takes: Callable[[Sequence[tuple[str, int]]], Takes],
    measure: bool,
    as_json: bool,
) -> None:
    """Print the plan; as the trace itself, refuse one that does not fit."""
    from cosinterp.cli.console import print_json
    from cosinterp.cli.trace_plan import Outlook, print_plan
    from cosinterp.planning.fitting import check_space
    from cosinterp.planning.to_make import runs_to_make
    from cosinterp.tracing import writing_threads

    todo = runs_to_make(plan, store, resume=True)
    threads = writing_threads(model, plan)
    outlook = Outlook.of(plan, todo, store, threads, takes=takes(todo), measure=measure)
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
