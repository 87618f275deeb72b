"""``cosinterp plan``: what a study on many GPUs takes, and whether GPUs or disks are what it waits for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosinterp.cli import options, run_flags
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.run_flags import CaptureFlags, MachineFlags, SampleFlags, SamplingFlags
from cosinterp.errors import TraceError

if TYPE_CHECKING:
    from cosinterp.planning.fleet import Bill, Fleet, Study
    from cosinterp.planning.plan import TracePlan

_FLEET = "What it runs on"
_GIGA = 1e9


@with_groups
def plan(
    model: options.ModelName,
    *,
    evaluation: Annotated[
        float,
        typer.Option(
            help="Seconds of one evaluation of the denoiser: one step, one branch.",
            rich_help_panel=_FLEET,
            show_default=False,
        ),
    ],
    seeds: run_flags.Seeds = "0",
    samples: Annotated[
        int,
        typer.Option(
            help="As many samples like the one that is given.", min=1, rich_help_panel=run_flags.SAMPLES
        ),
    ] = 1,
    sample: SampleFlags,
    capture: CaptureFlags,
    sampling: SamplingFlags,
    gpus: Annotated[int, typer.Option(help="Of all nodes.", min=1, rich_help_panel=_FLEET)] = 1,
    gpus_per_node: Annotated[
        int, typer.Option(help="Which share a disk.", min=1, rich_help_panel=_FLEET)
    ] = 8,
    node_disk: Annotated[
        float,
        typer.Option(
            help="GB/s that one node writes; cosinterp doctor PATH measures it.", rich_help_panel=_FLEET
        ),
    ] = 1.4,
    shared_disk: Annotated[
        float | None,
        typer.Option(
            help="GB/s that a shared file system takes from all nodes together.",
            rich_help_panel=_FLEET,
            show_default="each node has a disk of its own",
        ),
    ] = None,
    more_seconds: Annotated[
        float,
        typer.Option(help="Of each run: texts, first image, decoding the video.", rich_help_panel=_FLEET),
    ] = 0.0,
    machine: MachineFlags,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, in bytes and seconds.")] = False,
) -> None:
    """Say what a study on many GPUs takes, and what it waits for.

    Bytes and hours for each way of keeping less, with the layers, steps and branches that are asked for. If
    --reduce or --store-dtype is given, for that alone. No weights are read, and nothing is written.

    Sizes are what cosinterp trace --dry-run says of a run, times the runs. GPUs need steps x branches x
    --evaluation, and --more-seconds, for each run; disks need the bytes at the speeds that are given.
    Recording runs beside the model, so the slower of them counts, as long as no burst of saved steps
    overruns --host-memory.
    """
    asked = sampling.settings()
    given = sample.samples()
    if samples > 1 and len(given) > 1:
        raise TraceError(f"--samples multiplies one sample, and the dataset has {len(given)}; use --limit 1")
    if not evaluation > 0 or more_seconds < 0:
        raise TraceError("--evaluation has to be more than 0 seconds, and --more-seconds not less than 0")
    capture.check()
    machine.check()
    prepared = machine.prepare(model)

    from cosinterp.planning.fleet import Fleet, Study, bill_of, way_name, ways_to_keep
    from cosinterp.planning.plan import make_plan

    made = make_plan(
        prepared.model, given, seeds=seeds, sampling=asked, **capture.settings(), **machine.settings()
    )
    runs = Counter({shape: count * samples for shape, count in made.shapes(made.runs()).items()})
    evaluations = made.num_steps * len(made.run_branches)
    study = Study(runs=runs, run_seconds=evaluations * evaluation + more_seconds)
    fleet = Fleet(
        gpus=gpus,
        gpus_per_node=min(gpus, gpus_per_node),
        node_disk=node_disk * _GIGA,
        shared_disk=None if shared_disk is None else shared_disk * _GIGA,
    )
    ways = ways_to_keep(made.kept, runs)
    if capture.reduce or capture.store_dtype != "auto":
        texts = dict.fromkeys(text for chosen in made.reductions.values() for text in chosen)
        ways = [(way_name(tuple(texts), made.dtype), made.kept)]
    bills = {name: bill_of(study, kept, fleet) for name, kept in ways}
    if as_json:
        from cosinterp.cli.console import print_json

        print_json(_as_data(made, study, fleet, bills))
    else:
        _print_bills(made, study, fleet, bills)


def _as_data(made: TracePlan, study: Study, fleet: Fleet, bills: dict[str, Bill]) -> dict[str, Any]:
    return {
        "runs": study.num_runs,
        "run_seconds": round(study.run_seconds, 3),
        "num_steps": made.num_steps,
        "steps": list(made.steps),
        "layers": {site: list(layers) for site, layers in made.layers.items()},
        "branches": list(made.branches),
        "fleet": {**vars(fleet), "nodes": fleet.nodes},
        "kept": {name: bill.as_data() for name, bill in bills.items()},
    }


def _print_bills(made: TracePlan, study: Study, fleet: Fleet, bills: dict[str, Bill]) -> None:
    from cosinterp.cli.console import out, print_sentence
    from cosinterp.cli.plain import table
    from stores.selection import compact
    from stores.units import count_text, size_text

    layers = ", ".join(f"{site} {compact(chosen)}" for site, chosen in made.layers.items())
    disks = f"{size_text(int(fleet.node_disk))}/s a node"
    if fleet.shared_disk is not None:
        disks += f", {size_text(int(fleet.shared_disk))}/s shared"
    hours = _hours(study.num_runs * study.run_seconds)
    lines = {
        "runs": f"{study.num_runs:,}, {study.run_seconds:.1f} s of a GPU each: {hours} GPU hours",
        "kept": f"{layers}; steps {compact(made.steps)} of {made.num_steps}; {', '.join(made.branches)}",
        "machines": f"{count_text(fleet.gpus, 'GPU')}, {count_text(fleet.nodes, 'node')}; disks: {disks}",
    }
    for name, line in lines.items():
        out().print(f"{name:<9} {line}", markup=False, soft_wrap=True)
    shown = table("", "kept", "a run", "all runs", "GB/s", "GPUs", "disks", "waits for")
    for name, bill in bills.items():
        disk = max(seconds for part, seconds in bill.seconds.items() if part != "GPUs")
        shown.add_row(
            name,
            size_text(round(bill.run_size)),
            size_text(bill.size),
            f"{bill.node_rate / _GIGA:.2g}",
            _hours(bill.seconds["GPUs"]),
            _hours(disk),
            _bottleneck(bill),
        )
    out().print(shown)
    legend = "GB/s: what a node's GPUs make, unless held up. GPUs, disks: hours in all."
    print_sentence(out(), legend, indent=0, hanging=0)


def _bottleneck(bill: Bill) -> str:
    return bill.bottleneck if bill.waiting == 1 else f"disks, {bill.waiting:.1f}x"


def _hours(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.1f}" if hours < 99.95 else f"{hours:,.0f}"
