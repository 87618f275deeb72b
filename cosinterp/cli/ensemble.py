"""``cosinterp ensemble``: generate from several seeds that share what they compute, and say what it gains."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli import analysis_options, options, run_flags
from cosinterp.cli.command_line import command_line
from cosinterp.cli.ensemble_compare import ComparisonFlags
from cosinterp.cli.ensemble_flags import MERGED, MergeFlags, RecordFlags
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.options import one_of
from cosinterp.cli.run_flags import MachineFlags, SampleFlags, SamplingFlags
from cosinterp.cli.spread_flags import SpreadFlags
from cosinterp.errors import SelectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cosinterp.cli.ensemble_plan import EnsembleOutlook
    from cosinterp.ensembles.chunks import Chunk
    from cosinterp.ensembles.planned import PlannedEnsemble
    from cosinterp.models.model import Model
    from probes.results.result import Result
    from stores import Store


@with_groups
def ensemble(
    model: options.ModelName,
    store: run_flags.StoreFolder,
    *,
    seeds: Annotated[str, typer.Option(help="That are made one, such as 0-2.")] = "0-2",
    sample: SampleFlags,
    merging: MergeFlags,
    variant: Annotated[
        str, typer.Option(help="What the runs are called in the store.", rich_help_panel=MERGED)
    ] = "ensemble",
    sampling: SamplingFlags,
    recorded: RecordFlags,
    base: Annotated[
        bool,
        typer.Option(
            "--base/--no-base", help="Make the base runs of these seeds too, where the store lacks them."
        ),
    ] = True,
    score: Annotated[
        bool,
        typer.Option("--score/--no-score", help="Score the runs, and compare them with their seeds."),
    ] = True,
    comparison: ComparisonFlags,
    result: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What the comparison is called: STORE/results/NAME.nc.",
            rich_help_panel=analysis_options.RESULT,
            show_default="after what is compared",
        ),
    ] = None,
    force: analysis_options.Force = False,
    machine: MachineFlags,
    spreading: SpreadFlags,
    chunk: Annotated[
        str,
        typer.Option(
            metavar="auto|N",
            help="Seeds of an ensemble that go through the model together; auto: as many as fit.",
            rich_help_panel=options.MACHINE,
            autocompletion=one_of("auto"),
        ),
    ] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Skip the runs that the store has.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and what it costs, and stop.")
    ] = False,
    as_json: analysis_options.AsJson = False,
) -> None:
    """Generate from several seeds that share what they compute, or of which the best go on.

    Base runs of the seeds are made where the store lacks them, then a run of the variant for each sample.
    Where the task of the samples is known, both are scored and compared: with a single seed, with the best
    of K, any of K and the majority answer, each with its cost in evaluations of the denoiser, so that a gain
    is one at equal cost, or said not to be. [bold]cosinterp compare[/bold] compares several variants later.

    [bold]Examples[/bold]

    The mean of three seeds after the first step, which goes on alone:
    cosinterp ensemble --model maze-wan --dataset mazes --store runs/ensembles --seeds 0-2

    Clean estimates over four steps, each seed with its own noise:
    cosinterp ensemble --model maze-wan --dataset mazes --store runs/ensembles --merge x0 --steps 0-3
    --variant x0

    Hidden states in the middle layers, all seeds go on:
    cosinterp ensemble --model maze-wan --dataset mazes --store runs/ensembles --merge hidden --layers 4-6
    --then all --variant hidden

    No merging: after step 3 the seed that most others agree with goes on alone:
    cosinterp ensemble --model maze-wan --dataset mazes --store runs/ensembles --seeds 0-7 --select agreement
    --at-step 3 --variant plan-early

    Over the GPUs of this machine, each with some of the seeds:
    cosinterp ensemble --model Wan-AI/Wan2.2-I2V-A14B-Diffusers --dataset mazes --store runs/ensembles
    --executor ray
    """
    from stores.selection import parse_seeds

    samples = sample.samples()
    asked = sampling.settings()
    parse_seeds(seeds)
    merging.check()
    machine.check()
    record = recorded.settings(machine.writers)
    size = _chunk(chunk)
    called = result or comparison.name_of(variant)
    # What is resumed is compared again.
    force = force or resume
    if score and not dry_run:
        analysis_options.check_result(store, called, force, comparison.plot)
    spread = spreading.over(machine.device, [store])
    prepared = replace(machine, device=spread.device, dtype=machine.dtype or spread.dtype).prepare(model)

    from cosinterp.cli.ensemble_making import make, once
    from cosinterp.cli.ensemble_plan import EnsembleOutlook
    from cosinterp.cli.spread_flags import workers_of
    from cosinterp.ensembles.makers import check_maker
    from cosinterp.ensembles.planned import check_makeable, plan_ensemble
    from cosinterp.planning.takes import refusal_of

    planned = plan_ensemble(
        prepared.model,
        samples,
        store=store,
        seeds=seeds,
        chunk=size,
        base=base,
        variant=variant,
        record=record,
        batch=machine.batch,
        resume=resume or dry_run,
        save_video=recorded.video,
        host_memory=machine.memory,
        sampling=asked,
        **merging.settings(),
    )
    check_maker(planned.spec, spread.executor)
    if dry_run:
        refused = refusal_of(
            lambda: analysis_options.check_result(store, called, force, comparison.plot) if score else None,
            lambda: check_makeable(planned, resume),
        )
        outlook = EnsembleOutlook.of(planned, prepared.model, workers_of(spread.executor), refused)
        _show(outlook, as_json)
        return
    load = once(partial(options.load_weights, prepared))
    made = make(planned, load, prepared, machine.memory, spread.executor)
    # What others have made is only looked at here.
    decoder = load if spread.executor is None else once(prepared.load_decoder)
    compared = _compared(made, planned, decoder, comparison) if score else None
    if compared is None:
        _say(planned, as_json)
    else:
        from cosinterp.cli.ensemble_report import report

        report(compared, store, called, force=force, plot=comparison.plot, as_json=as_json)


def _chunk(text: str) -> Chunk:
    if text == "auto":
        return "auto"
    if text.isascii() and text.isdigit() and int(text) > 0:
        return int(text)
    raise SelectionError(f"--chunk {text}: auto, or how many seeds")


def _show(outlook: EnsembleOutlook, as_json: bool) -> None:
    """Print the plan; as the ensemble itself, refuse one that does not fit."""
    from cosinterp.cli.console import print_json
    from cosinterp.cli.ensemble_plan import print_outlook
    from cosinterp.planning.fitting import check_space

    planned = outlook.planned
    if as_json:
        print_json(outlook.as_data())
    else:
        print_outlook(outlook)
    check_space(planned.path, planned.base, planned.base_todo)
    check_space(planned.path, planned.plan, planned.runs)


def _compared(
    store: Store, planned: PlannedEnsemble, load: Callable[[], Model], comparison: ComparisonFlags
) -> Result | None:
    """Score the runs and compare them; None where that cannot be done, which is said."""
    from cosinterp.cli.console import err
    from cosinterp.scorers import task_of
    from probes.ensembles import compare
    from stores.layout import BASE

    names = [one.sample.name for one in planned.plan.samples]
    known = [one.sample.name for one in planned.plan.samples if task_of(one.sample.truth) is not None]
    why = ""
    if not known:
        why = "the truth of these samples names no task that is known"
    elif not any(all(store.has(name, seed, BASE) for seed in planned.plan.seeds) for name in known):
        why = f"{planned.path} has not all base runs of these seeds; leave out --no-base"
    if why:
        err().print(f"not compared: {why}", markup=False, soft_wrap=True)
        return None
    scored = _score(store, BASE, known, planned.plan.seeds, load)
    _score(store, planned.variant, known, None, load)
    of_variant = {entry.sample for entry in store.runs(variant=planned.variant)}
    return compare(
        store,
        variants=planned.variant,
        scores=scored[0] if len(scored) == 1 else None,
        samples=None if of_variant == set(names) else names,
        command=command_line(sys.argv),
        **comparison.settings(),
    )


def _score(
    store: Store, variant: str, samples: list[str], seeds: Sequence[int] | None, load: Callable[[], Model]
) -> list[str]:
    """Score runs by step, as far as they are not; what the results are called."""
    from cosinterp.cli.counting import counting
    from cosinterp.scoring import score_store

    entries = store.runs(samples, seeds, variant)
    with counting(f"scoring {variant}", len(entries)) as count:
        scored = score_store(
            store,
            load,
            variant=variant,
            samples=samples,
            seeds=seeds,
            save=True,
            command=command_line(sys.argv),
            progress=count,
        )
    return [one.path.stem for one in scored if one.path is not None]


def _say(planned: PlannedEnsemble, as_json: bool) -> None:
    """What was made, where nothing was compared."""
    from cosinterp.cli.console import out, print_json

    seeds = list(planned.plan.seeds)
    if as_json:
        print_json(
            {
                "store": str(planned.path),
                "variant": planned.variant,
                "words": str(planned.spec),
                "seeds": seeds,
                "evaluations": planned.evaluations,
                "evaluations_of_one": planned.evaluations_of_one,
                "result": None,
            }
        )
        return
    out().print(
        f"{planned.variant}: {planned.spec}; {planned.evaluations} evaluations of the denoiser a sample, one "
        f"seed takes {planned.evaluations_of_one}",
        markup=False,
        soft_wrap=True,
    )
