"""Ensembles: samples generated from several seeds that share what they compute, or of which the best go on.

Wang et al. 2026 (Demystifing Video Reasoning, arXiv 2603.16870) average hidden states of three seeds in the
middle layers at the first step, and see better answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from cosinterp.ensembles.chunks import AUTO, Chunk
from cosinterp.ensembles.making import Making, Note
from cosinterp.ensembles.planned import VARIANT, PlannedEnsemble, plan_ensemble
from cosinterp.ensembles.spec import Ensemble, Merge, What
from cosinterp.ensembles.ways import How
from cosinterp.executors.choosing import executor_of, prepared_of
from cosinterp.planning.fitting import check_space
from cosinterp.samples import Sample
from cosinterp.tracing import HOST_MEMORY, Progress, run_plan
from stores.selection import Selection
from stores.store import create_store, open_store

if TYPE_CHECKING:
    from cosinterp.executors.executor import Executor
    from cosinterp.models.loading import Prepared
    from cosinterp.models.model import Model
    from stores.store import Store


def ensemble(
    model: Model | Prepared | str | Path,
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
    devices: str | Executor | None = None,
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
        model: from `cosinterp.load`; or its name, or what `cosinterp.prepare` gives: it is loaded where the
            runs are made.
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
        devices: "cuda:0,2", "free:4" (see `cosinterp.devices.parse_devices`), or an executor: samples are
            spread over as many processes. A `RayExecutor` spreads the seeds of each sample over actors, one a
            GPU, which meet where latents, clean estimates or predictions are merged. Each process loads the
            model; so it must not be loaded here, and ``host_memory`` is of each.

    Raises:
        TasksFailed: with ``devices``: those of some samples could not be made; all others are.
        UserError: anything asked for that cannot be; nothing is computed then. Or what does not fit into
            memory: it says what would.
        ClockError: the pipeline did not do what its schedule says.
    """
    from cosinterp.ensembles.makers import check_maker, maker_of

    prepared = prepared_of(model, devices)
    executor = None if devices is None else executor_of(devices)
    planned = plan_ensemble(
        prepared.model,
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
    check_maker(planned.spec, executor)
    if executor is not None and not planned.base_todo and not planned.todo:
        return open_store(planned.path)
    with maker_of(
        planned,
        executor,
        prepared.load,
        prepared.for_workers,
        host_memory=host_memory,
        note=note or (lambda text: None),
    ) as maker:
        maker.make_base_runs(progress)
        return maker.make_ensemble(progress)


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
    target = open_for(planned)
    if progress is not None:
        progress.planned(planned.plan, planned.runs)
    with Making(model, planned, target, host_memory, progress, note) as making:
        for one in planned.todo:
            making.make(one)
    return target


def open_for(planned: PlannedEnsemble) -> Store:
    """The store that the runs of a planned ensemble go into.

    Raises:
        TraceError: they do not fit on its disk.
    """
    check_space(planned.path, planned.plan, planned.runs)
    target = create_store(planned.path, planned.plan.settings, exist_ok=True)
    target.complete_catalog()
    return target
