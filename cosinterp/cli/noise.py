"""``cosinterp noise``: put noise into latents at each step and in each frame, and say what it does."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cosinterp.cli import analysis_options, options, run_flags
from cosinterp.cli.command_line import continuing_line, resume_command
from cosinterp.cli.flag_groups import with_groups
from cosinterp.cli.noise_flags import EffectFlags, NoiseCaptureFlags, NoiseFlags
from cosinterp.cli.run_flags import MachineFlags, SampleFlags, SamplingFlags

if TYPE_CHECKING:
    from collections.abc import Callable

    from cosinterp.cli.noise_plan import NoiseOutlook
    from cosinterp.models.loading import Prepared
    from cosinterp.models.model import Model
    from cosinterp.noising.noise import NoisePlan
    from probes.results.result import Result
    from probes.scores import ScoreTable
    from stores import Store


@with_groups
def noise(
    model: options.ModelName,
    store: run_flags.StoreFolder,
    *,
    seeds: run_flags.Seeds = "0",
    sample: SampleFlags,
    which: NoiseFlags,
    capture: NoiseCaptureFlags,
    sampling: SamplingFlags,
    effect: EffectFlags,
    machine: MachineFlags,
    resume: Annotated[bool, typer.Option("--resume", help="Skip the runs that the store has.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be made and its size, and stop.")
    ] = False,
    as_json: analysis_options.AsJson = False,
) -> None:
    """Put noise into latents at each step and in each frame, and say what it does.

    One step or frame at a time. By default the latent is replaced by Gaussian noise of its standard
    deviation, as Wang et al. (2026) do: in all frames at one step, or in one latent frame at every step.
    These differ in the amount of noise; [bold]--matched[/bold] gives every place the same. Each noised run
    is compared with the base run of its sample and seed: its score, if the task of the sample is known, its
    clean estimates and final latents, and its activations, if [bold]--sites[/bold] are recorded.

    Interrupted with Ctrl-C it keeps the runs that are finished; with --resume it goes on, and compares.
    """
    from stores.selection import parse_seeds

    samples = sample.samples()
    asked = sampling.settings()
    parse_seeds(seeds)
    noise_settings = which.settings()
    capture.check()
    machine.check()
    name = effect.result or which.result_name
    if not dry_run:
        analysis_options.check_result(store, name, effect.force, effect.plot)
    prepared = machine.prepare(model)

    from cosinterp.cli.noise_plan import NoiseOutlook
    from cosinterp.noising.noise import plan_noise
    from cosinterp.planning.takes import refusal_of

    plan = plan_noise(
        prepared.model,
        samples,
        seeds=seeds,
        sampling=asked,
        **noise_settings,
        **capture.settings(),
        **machine.settings(),
    )
    if dry_run:
        refused = refusal_of(
            lambda: analysis_options.check_result(store, name, effect.force, effect.plot),
            lambda: plan.to_make(store, resume),
        )
        _show(NoiseOutlook.of(plan, store, prepared.model, refused), as_json)
        return
    made, load = _make(prepared, plan, store, resume, machine.memory)
    result = _analyse(made, plan, effect, load)
    analysis_options.report(result, store, name, force=effect.force, plot=effect.plot, as_json=as_json)


def _show(outlook: NoiseOutlook, as_json: bool) -> None:
    """Print the plan; as the sweep itself, refuse one that does not fit."""
    from cosinterp.cli.console import print_json
    from cosinterp.cli.noise_plan import print_outlook
    from cosinterp.planning.fitting import check_space

    if as_json:
        print_json(outlook.as_data())
    else:
        print_outlook(outlook)
    check_space(outlook.store, outlook.plan.trace, outlook.runs)


def _make(
    prepared: Prepared, plan: NoisePlan, store: Path, resume: bool, host_memory: int
) -> tuple[Store, Callable[[], Model]]:
    """The store with all runs, and what reads the model's weights, once."""
    from cosinterp.cli.console import err
    from cosinterp.cli.noise_progress import NoiseProgress
    from cosinterp.noising.noise import run_noise
    from stores import open_store
    from stores.units import count_text

    loaded: list[Model] = []

    def load() -> Model:
        if not loaded:
            loaded.append(options.load_weights(prepared))
        return loaded[0]

    todo = plan.to_make(store, resume)
    if not todo:
        # A store that has all runs needs no weights to say so.
        return open_store(store), load
    model = load()
    progress = NoiseProgress(todo, plan.trace.num_steps)
    try:
        with progress:
            made = run_noise(model, plan, store, resume=resume, host_memory=host_memory, progress=progress)
    except KeyboardInterrupt:
        kept = count_text(progress.made, "finished run")
        err().print(f"interrupted; {kept} kept. To go on:")
        err().print(f"  {resume_command(sys.argv)}", markup=False, soft_wrap=True)
        raise
    return made, load


def _analyse(store: Store, plan: NoisePlan, effect: EffectFlags, load: Callable[[], Model]) -> Result:
    from cosinterp.cli.counting import counting
    from probes.noising import effects, noised_places
    from probes.noising.alignment import What
    from probes.noising.analysis import RESIDUALS

    samples = [planned.sample.name for planned in plan.trace.samples]
    there = {entry.variant for entry in store.runs(samples, list(plan.trace.seeds))}
    variants = [place.variant for place in plan.places.every if place.variant in there]
    if effect.every_variant:
        variants = [place.variant for place in noised_places(store)]
    sites = plan.trace.sites
    activations = RESIDUALS if not sites or RESIDUALS.site in sites else What(sites[0])
    scores = _scores(store, plan, variants, load)
    with counting("comparing with base") as count:
        return effects(
            store,
            variants=variants,
            samples=samples,
            seeds=list(plan.trace.seeds),
            scores=scores,
            metric=effect.metric,
            activations=activations,
            seed=effect.bootstrap_seed,
            # The runs are there by now.
            command=continuing_line(sys.argv),
            progress=count.reach,
        )


def _scores(
    store: Store, plan: NoisePlan, variants: list[str], load: Callable[[], Model]
) -> dict[str, ScoreTable] | None:
    """Of base and of the variants; None where the truth of some sample names no known task."""
    from cosinterp.cli.console import err
    from cosinterp.cli.counting import counting
    from cosinterp.noising.scoring import final_scores
    from cosinterp.scorers import task_of
    from stores.layout import BASE
    from stores.units import count_text

    known = [one.sample.name for one in plan.trace.samples if task_of(one.sample.truth) is not None]
    lacking = len(plan.trace.samples) - len(known)
    if lacking:
        of = f"{lacking} of {count_text(len(plan.trace.samples), 'sample')}"
        err().print(f"not scored: the truth of {of} names no known task", soft_wrap=True)
        return None
    seeds = list(plan.trace.seeds)
    everything = [BASE, *variants]
    total = sum(len(store.runs(known, seeds, variant)) for variant in everything)
    with counting("scoring", total) as count:
        return final_scores(store, everything, load, samples=known, seeds=seeds, progress=count)
