"""Tracing: run a pipeline over samples and seeds, and record what it computes in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Semaphore
from typing import TYPE_CHECKING, Any, Protocol

from cosinterp.capture.open_runs import OpenRuns
from cosinterp.capture.recording import BatchRecording
from cosinterp.capture.sink import RingSinks
from cosinterp.capture.watching import NO_SHORTCUTS, traced_call
from cosinterp.denoising import Clock
from cosinterp.executors.choosing import executor_of, prepared_of
from cosinterp.following import Followed
from cosinterp.interventions.changes import NO_CHANGES, Changes, Known
from cosinterp.models.eager import eager
from cosinterp.models.model import Model, to_uint8
from cosinterp.planning.batches import Batch, batches
from cosinterp.planning.fitting import check_space
from cosinterp.planning.plan import TracePlan, make_plan
from cosinterp.planning.reduce_option import Reduce
from cosinterp.planning.to_make import joining, runs_to_make
from cosinterp.replaying.skips import Skips, cached_expert
from cosinterp.run_attrs import run_attrs
from cosinterp.samples import Sample
from cosinterp.steps import Call, Step
from stores.selection import Selection
from stores.store import create_store

if TYPE_CHECKING:
    import torch

    from cosinterp.executors.executor import Executor
    from cosinterp.models.loading import Prepared
    from stores.store import Store
    from stores.writer import RunWriter

HOST_MEMORY = 4 * 1024**3
_WRITERS_BESIDE_GPU = 4
_LOOK_SECONDS = 0.1


class Progress(Protocol):
    """Told how a trace goes. All calls come from the thread that traces."""

    def planned(self, plan: TracePlan, todo: Sequence[tuple[str, int]]) -> None:
        """The trace is about to start; ``todo`` are the (sample name, seed) runs that it will make."""

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        """A step of a batch is over; ``seeds`` are those of it that are recorded."""

    def finished(self, sample: str, seed: int) -> None:
        """A run is complete on disk."""


def trace(
    model: Model | Prepared | str | Path,
    samples: Sample | Iterable[Sample],
    *,
    store: str | Path,
    seeds: Selection,
    layers: Selection = "all",
    sites: str | Sequence[str] = ("resid",),
    save_steps: Selection = "all",
    branches: str | Sequence[str] = "all",
    num_steps: int | None = None,
    guidance_scale: float | None = None,
    dtype: str = "auto",
    reduce: Reduce = None,
    reduce_seed: int = 0,
    compression: str = "none",
    batch: int = 1,
    resume: bool = False,
    save_video: bool = True,
    follow: Store | None = None,
    changes: Changes = NO_CHANGES,
    host_memory: int = HOST_MEMORY,
    writers: int | None = None,
    progress: Progress | None = None,
    devices: str | Executor | None = None,
    **sampling: Any,
) -> Store:
    """Generate each sample with each seed and record the activations in a store.

    The generated video is the one of the untraced pipeline, bit for bit. Latents, guided predictions and the
    schedule are always recorded, for all steps.

    Args:
        model: from `cosinterp.load`; or its name, or what `cosinterp.prepare` gives: it is loaded where the
            runs are made.
        samples: one sample or several; names have to differ.
        store: folder of the store; made if it does not exist, else its settings have to be the same.
        seeds: "0-7", numbers, or one number.
        layers: "0-8", "0,4,8", "-1", "all", or numbers: layers of the residual stream.
        sites: of `Model.sites`; "all", "resid,self_attn", or names; "none" records no activations.
        save_steps: the steps whose activations are recorded, as ``layers``.
        branches: "all", or such as "cond", "cond,uncond".
        num_steps, guidance_scale, **sampling: settings of the pipeline's call (height, width, num_frames,
            negative_prompt, ...); default: the sample's own, else the model's, else the pipeline's.
        dtype: of the store: "bf16", "fp16", "fp32", "fp8" (e4m3, a factor a chunk), or "auto": the model's.
        reduce: what is kept of each token grid (see `stores.reduction`): "project:64" for every site,
            "resid=project:64" for one, a list of such, or a mapping from sites to one or several.
        reduce_seed: of random projections and of the choice of tokens.
        compression: "none", "lz4" or "zstd", after a bitshuffle.
        batch: seeds of one sample that go through the pipeline together. Rows of a batch agree with single
            runs to rounding, not bit for bit.
        resume: skip the runs that the store has; without it, having one of them is an error.
        save_video: decode and store the video.
        follow: a store with runs of the same samples, seeds and settings: the denoiser is shown their
            latents, and predictions, latents and videos are theirs; the activations are of this model.
        changes: what is changed on the way; the runs are of the variant that it names.
        host_memory: bytes of captured tensors that may wait to be written; then the model waits.
        writers: threads that write; default: 4 beside a GPU, else 1.
        progress: told how it goes.
        devices: "cuda:0,2", "free:4" (see `cosinterp.devices.parse_devices`), or an executor: the runs are
            spread over as many processes, which load the model each; so it must not be loaded here, and
            ``host_memory`` is of each.

    Raises:
        TasksFailed: with ``devices``: some runs could not be made; all others are.
        UserError: anything asked for that cannot be; nothing is written then.
        ClockError: the pipeline did not do what its schedule says.
    """
    chosen = [samples] if isinstance(samples, Sample) else list(samples)
    sampling = {"num_steps": num_steps, "guidance_scale": guidance_scale, **sampling}
    prepared = prepared_of(model, devices)
    plan = make_plan(
        prepared.model,
        chosen,
        seeds=seeds,
        layers=layers,
        sites=sites,
        save_steps=save_steps,
        branches=branches,
        dtype=dtype,
        batch=batch,
        save_video=save_video,
        host_memory=host_memory,
        sampling=sampling,
        reduce=reduce,
        reduce_seed=reduce_seed,
        compression=compression,
        writers=writers,
    )
    followed = None if follow is None else Followed(follow)
    if followed is not None:
        plan = followed.planned(plan)
    if devices is None:
        make = partial(run_plan, prepared.load())
    else:
        from cosinterp.executors.traces import spread_plan

        make = partial(spread_plan, executor_of(devices), prepared.for_workers())
    return make(
        plan,
        Path(store),
        resume=resume,
        followed=followed,
        changes=changes,
        host_memory=host_memory,
        progress=progress,
    )


def run_plan(
    model: Model,
    plan: TracePlan,
    path: Path,
    *,
    resume: bool = False,
    followed: Followed | None = None,
    changes: Changes = NO_CHANGES,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
) -> Store:
    """Carry out a plan, which is that of ``followed`` (`Followed.planned`) if there is one; see `trace`."""
    plan = joining(plan, path, changes.variant)
    todo = runs_to_make(plan, path, resume, changes.variant)
    check_space(path, plan, todo)
    target = create_store(path, plan.settings, exist_ok=True)
    # A writer does it too, but there may be none: the last run of all may be the one without its line.
    target.complete_catalog()
    record_runs(
        model,
        plan,
        todo,
        partial(target.writer, variant=changes.variant),
        followed=followed,
        changes=changes,
        host_memory=host_memory,
        progress=progress,
    )
    return target


def record_runs(
    model: Model,
    plan: TracePlan,
    todo: list[tuple[str, int]],
    begin: Callable[[str, int], RunWriter],
    *,
    followed: Followed | None = None,
    changes: Changes = NO_CHANGES,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
) -> None:
    """Make the (sample name, seed) runs ``todo`` of a plan, each into what ``begin`` gives for it."""
    if progress is not None:
        progress.planned(plan, todo)
    with Recorder(
        model,
        plan,
        todo,
        begin,
        followed=followed,
        changes=changes,
        host_memory=host_memory,
        progress=progress,
    ) as recorder:
        for batch in batches(plan, todo):
            recorder.record(batch)


def writing_threads(model: Model, plan: TracePlan) -> int:
    """How many threads write: as many as the plan says, else those that a GPU leaves idle, or one."""
    return plan.writers or (_WRITERS_BESIDE_GPU if model.device.type == "cuda" else 1)


def sinks_of(model: Model, plan: TracePlan, todo: Sequence[tuple[str, int]], host_memory: int) -> RingSinks:
    """Where the batches of a plan go that make the (sample name, seed) runs ``todo``."""
    names = {name for name, _ in todo}
    runs = [plan.run_bytes(planned) for planned in plan.samples if planned.sample.name in names]
    # The sites of a block come in quick succession, each with all rows of the batch.
    staging = 1 + plan.batch * min(3, sum(map(len, plan.reductions.values())))
    return RingSinks(
        model.device,
        # Two batches: one that is being made, and one that is being finished.
        host_memory=min(host_memory, 2 * plan.batch * max(runs, default=1)),
        threads=writing_threads(model, plan),
        staging=staging,
    )


class Recorder:
    """Makes batches of runs, each into what ``begin`` gives for it; a context manager.

    While one batch is made the files of the one before may still be written. Once something has gone wrong
    it makes no others.

    Args:
        model, plan, followed, changes, host_memory: as in `run_plan`.
        todo: the (sample name, seed) runs that may be asked for.
        begin: opens a run's file.
        progress: told of steps and finished runs, by the thread that records.
    """

    def __init__(
        self,
        model: Model,
        plan: TracePlan,
        todo: Sequence[tuple[str, int]],
        begin: Callable[[str, int], RunWriter],
        *,
        followed: Followed | None = None,
        changes: Changes = NO_CHANGES,
        host_memory: int = HOST_MEMORY,
        progress: Progress | None = None,
    ) -> None:
        self._model = model
        self._plan = plan
        self._followed = followed
        self._changes = changes
        self._progress = progress
        self._opened = OpenRuns(begin)
        self._make_sinks = partial(sinks_of, model, plan, todo, host_memory)
        self._sinks: RingSinks
        self._finished: SimpleQueue[tuple[str, int]] = SimpleQueue()
        self._stack = ExitStack()

    def __enter__(self) -> Recorder:
        with ExitStack() as stack:
            # Also of a trace that fails or is interrupted: these runs are kept.
            stack.callback(self._tell_finished)
            stack.enter_context(eager(self._model.pipeline))
            stack.enter_context(self._opened)
            self._sinks = stack.enter_context(self._make_sinks())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def record(self, batch: Batch) -> Callable[[], None]:
        """Make the runs of a batch; what is returned waits until their files are complete.

        It is for the thread that records, and raises what went wrong while they were written.

        Raises:
            UserError: what the pipeline, the disk or a file refuses.
            ClockError: the pipeline did not do what its schedule says.
        """
        left = Semaphore(0)
        writers = self._opened.open(batch.planned.sample.name, batch.seeds, batch.wanted)
        self._trace(BatchRecording(self._plan, batch.planned, writers, self._sinks.sink()), batch.seeds, left)

        def wait() -> None:
            for _ in batch.wanted:
                while not left.acquire(timeout=_LOOK_SECONDS):
                    self._sinks.writers.raise_error()
            self._tell_finished()

        return wait

    def _trace(self, recording: BatchRecording, seeds: tuple[int, ...], left: Semaphore) -> None:
        model, followed, changes = self._model, self._followed, self._changes
        plan, planned = recording.plan, recording.planned
        recorded = tuple(writer.seed for writer in recording.writers if writer is not None)

        name = planned.sample.name
        answer = None if followed is None else followed.predictions(name, seeds)

        def on_step(step: Step) -> None:
            if followed is not None:
                followed.check_latents(name, seeds, step)
            recording.step(step)
            if self._progress is not None:
                self._progress.step(name, recorded, step.index, plan.num_steps)
            self._tell_finished()

        edits = changes.edits(planned, seeds, model.anatomy)
        known = None if followed is not None else changes.known(planned, seeds)
        shortcuts = NO_SHORTCUTS
        # Where activations are recorded, all that is recorded of has to be computed.
        if known is not None and not (plan.sites and min(plan.steps) < known.start):
            answer = _until(known)
            is_answered = model.anatomy.steps_pass_latents_only and cached_expert(model) is None
            shortcuts = Skips(model.anatomy, known.start, is_answered, known.forms, len(seeds), model.device)

        def recorded_of(call: Call) -> bool:
            return call.step in plan.steps and call.branch in plan.branches

        def on_tensor(site: str, layer: int, tokens: torch.Tensor, call: Call) -> torch.Tensor | None:
            changed = edits.on_tensor(site, layer, tokens, call)
            if recorded_of(call) and layer in plan.layers.get(site, ()):
                recording.activation(
                    site, call.step, layer, call.branch, tokens if changed is None else changed
                )
            return changed

        def on_finished(writer: RunWriter) -> None:
            self._opened.done(writer)
            self._finished.put((writer.sample, writer.seed))
            left.release()

        latents = changes.latents(planned, seeds)
        recording.begin({**run_attrs(model, plan, planned, seeds), **changes.attrs(planned, seeds)})
        output_type = "np" if plan.save_video else "latent"
        arguments = model.arguments(planned.sample, seeds, planned.settings, output_type=output_type)
        clock = Clock(
            model.pipeline,
            model.anatomy,
            planned.size,
            len(seeds),
            on_step,
            recording.start,
            answer,
            latents,
        )
        layers = {
            site: tuple(sorted({*plan.layers.get(site, ()), *edits.layers.get(site, ())}))
            for site in {**plan.layers, **edits.layers}
        }

        def read(call: Call) -> bool:
            return recorded_of(call) or edits.wanted(call)

        with clock.watching():
            output = traced_call(model, arguments, clock, layers, read, on_tensor, shortcuts)
        clock.check(plan.run_branches, plan.num_steps)
        recording.tell(latents.told)
        recording.end(clock.pinned, to_uint8(model.videos(output)) if plan.save_video else None, on_finished)

    def _tell_finished(self) -> None:
        while not self._finished.empty():
            sample, seed = self._finished.get()
            if self._progress is not None:
                self._progress.finished(sample, seed)


def _until(known: Known) -> Callable[[int], torch.Tensor | None]:
    """The predictions of steps that need not be computed."""
    return lambda step: known.prediction(step) if step < known.start else None
