"""Tracing: run a pipeline over samples and seeds, and record what it computes in a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cosinterp.capture.recording import BatchRecording
from cosinterp.capture.sink import RingSinks
from cosinterp.capture.watching import traced_call
from cosinterp.denoising import Clock
from cosinterp.errors import TraceError
from cosinterp.following import Followed
from cosinterp.interrupts import interrupts_deferred
from cosinterp.models.eager import eager
from cosinterp.models.model import Model, to_uint8
from cosinterp.planning.fitting import check_space
from cosinterp.planning.plan import PlannedSample, TracePlan, make_plan
from cosinterp.planning.reduce_option import Reduce
from cosinterp.run_attrs import run_attrs
from cosinterp.samples import Sample
from cosinterp.samples.hashes import image_sha256, videos_sha256
from cosinterp.steps import Call, Step
from stores.layout import STORE_FILE
from stores.selection import Selection
from stores.store import create_store
from stores.values import jsonable

if TYPE_CHECKING:
    import torch

    from stores.store import Store
    from stores.writer import RunWriter

HOST_MEMORY = 4 * 1024**3
_WRITERS_BESIDE_GPU = 4


class Progress(Protocol):
    """Told how a trace goes. All calls come from the thread that traces."""

    def planned(self, plan: TracePlan, todo: Sequence[tuple[str, int]]) -> None:
        """The trace is about to start; ``todo`` are the (sample name, seed) runs that it will make."""

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        """A step of a batch is over; ``seeds`` are those of it that are recorded."""

    def finished(self, sample: str, seed: int) -> None:
        """A run is complete on disk."""


def trace(
    model: Model,
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
    host_memory: int = HOST_MEMORY,
    writers: int | None = None,
    progress: Progress | None = None,
    **sampling: Any,
) -> Store:
    """Generate each sample with each seed and record the activations in a store.

    The generated video is the one of the untraced pipeline, bit for bit. Latents, guided predictions and the
    schedule are always recorded, for all steps.

    Args:
        model: from `cosinterp.load`.
        samples: one sample or several; names have to differ.
        store: folder of the store; made if it does not exist, else its settings have to be the same.
        seeds: "0-7", numbers, or one number.
        layers: "0-8", "0,4,8", "-1", "all", or numbers: layers of the residual stream.
        sites: of `Model.sites`; "all", "resid,self_attn", or names.
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
        host_memory: bytes of captured tensors that may wait to be written; then the model waits.
        writers: threads that write; default: 4 beside a GPU, else 1.
        progress: told how it goes.

    Raises:
        UserError: anything asked for that cannot be; nothing is written then.
        ClockError: the pipeline did not do what its schedule says.
    """
    chosen = [samples] if isinstance(samples, Sample) else list(samples)
    sampling = {"num_steps": num_steps, "guidance_scale": guidance_scale, **sampling}
    plan = make_plan(
        model,
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
    return run_plan(
        model,
        plan,
        Path(store),
        resume=resume,
        followed=followed,
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
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
) -> Store:
    """Carry out a plan, which is that of ``followed`` (`Followed.planned`) if there is one; see `trace`."""
    todo = runs_to_make(plan, path, resume)
    check_space(path, plan, todo)
    target = create_store(path, plan.settings, exist_ok=True)
    # A writer does it too, but there may be none: the last run of all may be the one without its line.
    target.complete_catalog()
    record_runs(
        model, plan, todo, target.writer, followed=followed, host_memory=host_memory, progress=progress
    )
    return target


def record_runs(
    model: Model,
    plan: TracePlan,
    todo: list[tuple[str, int]],
    begin: Callable[[str, int], RunWriter],
    *,
    followed: Followed | None = None,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
) -> None:
    """Make the (sample name, seed) runs ``todo`` of a plan, each into what ``begin`` gives for it."""
    if progress is not None:
        progress.planned(plan, todo)
    finished: SimpleQueue[tuple[str, int]] = SimpleQueue()
    try:
        with (
            eager(model.pipeline),
            _OpenRuns(begin) as opened,
            _sinks(model, plan, todo, host_memory) as sinks,
        ):
            for planned, seeds, wanted in _batches(plan, todo):
                writers = opened.open(planned.sample.name, seeds, wanted)
                recording = BatchRecording(plan, planned, writers, sinks.sink())
                _trace_batch(model, recording, seeds, followed, opened, finished, progress)
    finally:
        # Also of a trace that fails or is interrupted: these runs are kept.
        _tell_finished(finished, progress)


def runs_to_make(plan: TracePlan, path: Path, resume: bool) -> list[tuple[str, int]]:
    """The (sample name, seed) runs of a plan that a store does not have yet.

    Raises:
        StoreError: the store was made with other settings.
        TraceError: it has some of the runs already, and ``resume`` is off; or it has a run of another sample
            under the same name.
    """
    runs = plan.runs()
    if not (path / STORE_FILE).exists():
        return runs
    existing = create_store(path, plan.settings, exist_ok=True)
    made = [run for run in runs if existing.has(*run)]
    if made and not resume:
        name, seed = made[0]
        raise TraceError(
            f"{path} already has {len(made)} of these {len(runs)} runs, such as {name} with seed {seed}; "
            "use --resume (resume=True) to skip them, or choose another store"
        )
    samples = {planned.sample.name: planned for planned in plan.samples}
    for name, seed in dict(reversed(made)).items():
        _check_same_sample(existing, samples[name], seed)
    skipped = set(made)
    return [run for run in runs if run not in skipped]


def _check_same_sample(store: Store, planned: PlannedSample, seed: int) -> None:
    sample = planned.sample
    with store.run(sample.name, seed) as run:
        same = {
            "prompt": run.prompt == sample.prompt,
            "image": run.attrs.get("image_sha256") == image_sha256(sample),
            "videos": run.attrs.get("videos_sha256", {}) == videos_sha256(sample),
            "truth": _same_values(run.truth, sample.truth),
            "sampling settings": run.attrs.get("sampling") == jsonable(planned.settings),
        }
    differing = [what for what, equal in same.items() if not equal]
    if differing:
        raise TraceError(
            f"{store.path} has runs of another sample that is called {sample.name} (it differs in "
            f"{', '.join(differing)}); give this one another name, or use another store"
        )


def _same_values(stored: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    if stored.keys() != given.keys():
        return False
    pairs = [(np.asarray(stored[name]), np.asarray(given[name])) for name in stored]
    return all(
        np.array_equal(one, other, equal_nan=one.dtype.kind == other.dtype.kind == "f")
        for one, other in pairs
    )


class _OpenRuns:
    """The run files being written; those that are not finished at the end are given up."""

    def __init__(self, begin: Callable[[str, int], RunWriter]) -> None:
        self._begin = begin
        self._open: dict[RunWriter, ExitStack] = {}

    def open(self, sample: str, seeds: tuple[int, ...], wanted: frozenset[int]) -> list[RunWriter | None]:
        """Claim and open a run file for each seed that is wanted, None for the others."""
        # A file that is made, but not yet known here, would be left behind.
        with interrupts_deferred():
            return [self._open_one(sample, seed) if seed in wanted else None for seed in seeds]

    def done(self, writer: RunWriter) -> None:
        """A run file is finished. Called by a thread that writes."""
        self._open.pop(writer).close()

    def _open_one(self, sample: str, seed: int) -> RunWriter:
        stack = ExitStack()
        writer = stack.enter_context(self._begin(sample, seed))
        self._open[writer] = stack
        return writer

    def __enter__(self) -> _OpenRuns:
        return self

    def __exit__(self, *exception: Any) -> None:
        for stack in list(self._open.values()):
            stack.__exit__(*exception)
        self._open.clear()


def writing_threads(model: Model, plan: TracePlan) -> int:
    """How many threads write: as many as the plan says, else those that a GPU leaves idle, or one."""
    return plan.writers or (_WRITERS_BESIDE_GPU if model.device.type == "cuda" else 1)


def _sinks(model: Model, plan: TracePlan, todo: list[tuple[str, int]], host_memory: int) -> RingSinks:
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


def _batches(
    plan: TracePlan, todo: list[tuple[str, int]]
) -> Iterator[tuple[PlannedSample, tuple[int, ...], frozenset[int]]]:
    """(sample, seeds of the batch, those that are to be recorded), for all that is to be made.

    A batch has the seeds that the plan gives it, whatever a store has already: a run's last bits depend on
    what shares its batch, and a trace that is resumed has to give what an uninterrupted one gives.
    """
    made = set(todo)
    for planned in plan.samples:
        for start in range(0, len(plan.seeds), plan.batch):
            seeds = plan.seeds[start : start + plan.batch]
            wanted = frozenset(seed for seed in seeds if (planned.sample.name, seed) in made)
            if wanted:
                yield planned, seeds, wanted


def _trace_batch(
    model: Model,
    recording: BatchRecording,
    seeds: tuple[int, ...],
    followed: Followed | None,
    opened: _OpenRuns,
    finished: SimpleQueue[tuple[str, int]],
    progress: Progress | None,
) -> None:
    plan, planned = recording.plan, recording.planned
    recorded = tuple(writer.seed for writer in recording.writers if writer is not None)

    name = planned.sample.name
    answer = None if followed is None else followed.predictions(name, seeds)

    def on_step(step: Step) -> None:
        if followed is not None:
            followed.check_latents(name, seeds, step)
        recording.step(step)
        if progress is not None:
            progress.step(name, recorded, step.index, plan.num_steps)
        _tell_finished(finished, progress)

    def wanted(call: Call) -> bool:
        return call.step in plan.steps and call.branch in plan.branches

    def on_tensor(site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        recording.activation(site, call.step, layer, call.branch, tokens)

    def on_finished(writer: RunWriter) -> None:
        opened.done(writer)
        finished.put((writer.sample, writer.seed))

    recording.begin(run_attrs(model, plan, planned, seeds))
    output_type = "np" if plan.save_video else "latent"
    arguments = model.arguments(planned.sample, seeds, planned.settings, output_type=output_type)
    clock = Clock(model.pipeline, model.anatomy, planned.size, len(seeds), on_step, recording.start, answer)
    with clock.watching():
        output = traced_call(model, arguments, clock, plan.layers, wanted, on_tensor)
    clock.check(plan.run_branches, plan.num_steps)
    recording.end(clock.pinned, to_uint8(model.videos(output)) if plan.save_video else None, on_finished)


def _tell_finished(finished: SimpleQueue[tuple[str, int]], progress: Progress | None) -> None:
    while not finished.empty():
        sample, seed = finished.get()
        if progress is not None:
            progress.finished(sample, seed)
