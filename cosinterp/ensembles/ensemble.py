"""Ensembles: samples generated from several seeds that share what they compute, or of which the best go on.

Wang et al. 2026 (Demystifing Video Reasoning, arXiv 2603.16870) average hidden states of three seeds in the
middle layers at the first step, and see better answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Literal

from cosinterp.capture.open_runs import OpenRuns
from cosinterp.ensembles.chunks import AUTO, Chunk, Chunks
from cosinterp.ensembles.course import Course
from cosinterp.ensembles.planned import KIND, VARIANT, PlannedEnsemble, plan_ensemble
from cosinterp.ensembles.selecting import Selector
from cosinterp.ensembles.spec import Ensemble, Merge, What
from cosinterp.ensembles.ways import How
from cosinterp.ensembles.writing import Writing
from cosinterp.models.eager import eager
from cosinterp.planning.fitting import check_space
from cosinterp.planning.plan import PlannedSample, TracePlan
from cosinterp.replaying.preamble import Preamble
from cosinterp.samples import Sample
from cosinterp.tracing import HOST_MEMORY, Progress, run_plan, sinks_of
from stores.selection import Selection
from stores.store import create_store

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from stores.store import Store
    from stores.writer import RunWriter

Note = Callable[[str], None]


def ensemble(
    model: Model,
    samples: Sample | Iterable[Sample],
    *,
    store: str | Path,
    seeds: Selection,
    merge: What | Merge | Sequence[Merge] | Ensemble | None = None,
    steps: Selection = "0",
    how: How = "mean",
    weights: Sequence[float] | None = None,
    layers: Selection | None = None,
    site: str = "resid",
    branches: str | Sequence[str] | None = None,
    then: Literal["one", "all"] = "one",
    select: str | None = None,
    select_step: int | None = None,
    keep: int = 1,
    chunk: Chunk = AUTO,
    base: bool = True,
    variant: str = VARIANT,
    record: Mapping[str, Any] | None = None,
    num_steps: int | None = None,
    guidance_scale: float | None = None,
    batch: int = 1,
    resume: bool = False,
    save_video: bool = True,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
    note: Note | None = None,
    **sampling: Any,
) -> Store:
    """Generate each sample from several seeds that share what they compute, or of which the best go on.

    The runs are ordinary runs of the store, of the variant ``variant``: scores, clean estimates, videos and
    similarities are read from them as from any other. Where one seed goes on, the run is of that seed. What
    was done stands in the attribute ``intervention`` of the runs, with what all of them took together in
    ``evaluations`` of the denoiser: one is the denoiser once, for one row and one branch of guidance.

    Merging a single seed gives its base run, bit for bit. The order in which seeds are given does not matter.

    Merging hidden states follows Wang et al. 2026 (arXiv 2603.16870): three seeds, ``merge="hidden"``,
    ``layers="20-29"`` of 40, ``steps="0"``; which seeds go on is not told there.

    Args:
        model: from `cosinterp.load`.
        samples: one sample or several; names have to differ.
        store: folder of the store; made if it does not exist, else its settings have to be the same.
        seeds: "0-2", numbers, or one number.
        merge: what is merged: "latent" (what leaves a step), "x0" (the clean estimates of a step; each seed
            keeps its own noise), "prediction" (guided predictions), "hidden" (tokens at ``layers`` of
            ``site``). Or `cosinterp.ensembles.spec.Merge` data, several of them for several merges, or an
            `Ensemble`, which says all. None: latents, or nothing if ``select`` is given.
        steps: at which steps, as "0", "0-3".
        how: "mean", "norm-mean" (scaled to the mean norm of the seeds), "median", "medoid" (the seed nearest
            to the others).
        weights: for a mean, one for each seed in ascending order.
        layers, site, branches: of "hidden": where; branches None: all that are computed.
        then: who goes on after the last merge: "one", the smallest seed alone, or "all".
        select: judge seeds by their clean estimates and stop all but the best: "agreement" (with the answers
            of the others, where the task is known, then nearness to them), a metric of the task ("-NAME": the
            least is the best), or "module:function" of (video, truth), whose number says how good.
        select_step: after which step; default: a quarter of the steps.
        keep: how many seeds go on then.
        chunk: how many seeds go through the pipeline at once; the numbers are the same to rounding. "auto":
            as many as fit on the GPU.
        base: make the runs without the ensemble, too, of those seeds that lack them.
        variant: of the runs that are made.
        record: what is recorded of activations: arguments of `cosinterp.trace`, such as ``sites``,
            ``layers``, ``save_steps``, ``reduce``. None: nothing.
        num_steps, guidance_scale, **sampling: settings of the pipeline's call, as in `cosinterp.trace`.
        batch: base runs made in one call of the pipeline.
        resume: go on with an ensemble that was interrupted.
        save_video: decode and store the videos.
        host_memory: bytes that may wait to be written.
        progress: told how it goes: first of the base runs, if some are missing, then of the ensembles; where
            seeds are selected, those that may be kept count as runs to make.
        note: told in a line what the user should know, such as that not all seeds fit at once.

    Raises:
        UserError: anything asked for that cannot be; nothing is computed then. Or what does not fit into
            memory: it says what would.
        ClockError: the pipeline did not do what its schedule says.
    """
    planned = plan_ensemble(
        model,
        samples,
        store=store,
        seeds=seeds,
        merge=merge,
        steps=steps,
        how=how,
        weights=weights,
        layers=layers,
        site=site,
        branches=branches,
        then=then,
        select=select,
        select_step=select_step,
        keep=keep,
        chunk=chunk,
        base=base,
        variant=variant,
        record=record,
        batch=batch,
        resume=resume,
        save_video=save_video,
        host_memory=host_memory,
        sampling={"num_steps": num_steps, "guidance_scale": guidance_scale, **sampling},
    )
    make_base_runs(model, planned, host_memory=host_memory, progress=progress)
    return make_ensemble(model, planned, host_memory=host_memory, progress=progress, note=note)


def make_base_runs(
    model: Model,
    planned: PlannedEnsemble,
    *,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
) -> None:
    """Make the base runs that a planned ensemble lacks; see `ensemble`."""
    if planned.base_todo:
        run_plan(model, planned.base, planned.path, resume=True, host_memory=host_memory, progress=progress)


def make_ensemble(
    model: Model,
    planned: PlannedEnsemble,
    *,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Store:
    """Make the runs of a planned ensemble itself; see `ensemble`."""
    chunks = Chunks(planned.chunk, model, note or (lambda text: None))
    plan, runs = planned.plan, planned.runs
    check_space(planned.path, plan, runs)
    target = create_store(planned.path, plan.settings, exist_ok=True)
    target.complete_catalog()
    if progress is not None:
        progress.planned(plan, runs)
    finished: SimpleQueue[RunWriter] = SimpleQueue()

    def tell_finished() -> None:
        while not finished.empty():
            writer = finished.get()
            if progress is not None:
                progress.finished(writer.sample, writer.seed)

    preamble = Preamble(model)
    try:
        with (
            eager(model.pipeline),
            OpenRuns(partial(target.writer, variant=planned.variant)) as opened,
            sinks_of(model, replace(plan, batch=len(plan.seeds)), runs, host_memory) as sinks,
        ):
            for one in planned.todo:

                def on_step(seed: int, step: int, name: str = one.planned.sample.name) -> None:
                    if progress is not None:
                        progress.step(name, (seed,), step, plan.num_steps)
                    tell_finished()

                writing = Writing(
                    model, plan, one.planned, opened, sinks.sink(), one.seeds, on_step, finished.put
                )
                _make_one(model, plan, one.planned, planned.spec, chunks, preamble, writing)
    finally:
        # Also where it fails or is interrupted: these runs are kept.
        tell_finished()
    return target


def _make_one(
    model: Model,
    plan: TracePlan,
    planned: PlannedSample,
    spec: Ensemble,
    chunks: Chunks,
    preamble: Preamble,
    writing: Writing,
) -> None:
    selector = None if spec.select is None else Selector(spec.select, model, planned, plan.seeds)
    course = Course(model, planned, spec, plan.seeds, chunks, writing, selector, preamble)
    course.run()
    selected = None if selector is None else {"scores": selector.told, "kept": list(selector.kept)}
    told = {
        "kind": KIND,
        "words": str(spec),
        "ensemble": spec.model_dump(mode="json", exclude_none=True),
        "seeds": list(plan.seeds),
        "chunk": chunks.of(len(plan.seeds)),
        "evaluations": course.evaluations,
        "evaluations_of_one": float(plan.num_steps * len(plan.run_branches)),
        **({} if selected is None else {"selected": selected}),
    }
    writing.finish({"intervention": told})
