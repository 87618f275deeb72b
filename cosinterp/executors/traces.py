"""A trace spread over several devices: each batch of seeds of a sample is a task.

What is made is what one process makes, bit for bit where the devices are alike: a batch has the same rows,
and nothing is passed from one to the next. Workers write run files themselves, and list them in catalog files
of their own; all that comes back is how far they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.executors.executor import Executor, Failed, Later, Tell, Told
from cosinterp.executors.failures import TasksFailed
from cosinterp.executors.loading import load_planned
from cosinterp.executors.progress import Account, Telling
from cosinterp.executors.travelling import bare, portable
from cosinterp.following import Followed
from cosinterp.interventions.changes import NO_CHANGES, Changes
from cosinterp.models.loading.recipe import Recipe
from cosinterp.planning.batches import Batch, batches
from cosinterp.planning.fitting import check_space
from cosinterp.planning.plan import TracePlan
from cosinterp.planning.to_make import joining, runs_to_make
from cosinterp.tracing import HOST_MEMORY, Progress, Recorder
from stores.selection import compact
from stores.store import create_store, open_store
from stores.units import count_text

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from stores.store import Store


@dataclass(frozen=True)
class TraceTask:
    """A batch of a trace. It travels with its first image, not with the place of that on some disk."""

    batch: Batch

    def __reduce__(self) -> tuple[Callable[[Batch], TraceTask], tuple[Batch]]:
        return TraceTask, (replace(self.batch, planned=portable(self.batch.planned)),)

    @property
    def key(self) -> tuple[str, tuple[int, ...]]:
        """What tells it from the other batches of a trace."""
        return self.batch.planned.sample.name, self.batch.seeds

    def __str__(self) -> str:
        return f"{self.batch.planned.sample.name} seed {compact(self.batch.wanted)}"


@dataclass(frozen=True)
class TraceWork:
    """Making batches of a plan in a store that is there.

    Attributes:
        recipe: of the model.
        plan: with one of its samples only: the largest.
        path: of the store, absolute.
        followed, changes, host_memory: as in `cosinterp.tracing.run_plan`; the memory is each worker's.
    """

    recipe: Recipe
    plan: TracePlan
    path: Path
    followed: Followed | None
    changes: Changes
    host_memory: int

    def open(self, device: str | None) -> TraceWorker:
        """Load the model.

        Raises:
            UserError: it cannot be loaded there, or is not the one that was planned with.
        """
        model = load_planned(self.recipe, self.plan.settings.model, device)
        return TraceWorker(self, model, open_store(self.path))


class TraceWorker:
    """Makes batches; see `cosinterp.executors.executor.Opened`."""

    def __init__(self, work: TraceWork, model: Model, store: Store) -> None:
        self._work = work
        self._model = model
        self._store = store
        self._telling = Telling()
        self._recorder: Recorder | None = None
        self._spoiled: Exception | None = None

    def __call__(self, task: TraceTask, tell: Tell) -> Later[None]:
        """Make the runs of a batch that are not there yet: who had it before may have made some."""
        batch = task.batch
        there = {seed for name, seed in batch.runs if self._store.has(name, seed, self._work.changes.variant)}
        if there == batch.wanted:
            return Later(lambda: None)
        recorder = self._ready()
        self._telling.begin(batch.runs, tell)
        try:
            wait = recorder.record(replace(batch, wanted=batch.wanted - there))
        except Exception as error:
            self._spoiled = error
            raise
        return Later(partial(self._wait, wait))

    def __enter__(self) -> TraceWorker:
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._spoiled is not None:
            self._give_up()
        elif self._recorder is not None:
            self._recorder.__exit__(*exception)

    def _ready(self) -> Recorder:
        """The recorder; a new one after a failure."""
        if self._spoiled is not None:
            self._give_up()
        if self._recorder is None:
            work = self._work
            recorder = Recorder(
                self._model,
                work.plan,
                work.plan.runs(),
                partial(self._store.writer, variant=work.changes.variant),
                followed=work.followed,
                changes=work.changes,
                host_memory=work.host_memory,
                progress=self._telling,
            )
            self._recorder = recorder.__enter__()
        return self._recorder

    def _wait(self, wait: Callable[[], None]) -> None:
        try:
            wait()
        except Exception as error:
            self._spoiled = error
            raise

    def _give_up(self) -> None:
        """Give up the runs that are not finished; those that are stay."""
        error, self._spoiled = self._spoiled, None
        recorder, self._recorder = self._recorder, None
        assert error is not None
        if recorder is not None:
            recorder.__exit__(type(error), error, error.__traceback__)


def spread_plan(
    executor: Executor,
    recipe: Recipe,
    plan: TracePlan,
    path: Path,
    *,
    resume: bool = False,
    followed: Followed | None = None,
    changes: Changes = NO_CHANGES,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
) -> Store:
    """As `cosinterp.tracing.run_plan`, by the workers of an executor, which load the model themselves.

    Args:
        executor: has the batches made.
        recipe: of the model: that of the one that it was planned with, by its name.
        plan, path, resume, followed, changes, progress: as in `run_plan`.
        host_memory: of each worker.

    Raises:
        TasksFailed: some runs could not be made; all others are.
        UserError: as `run_plan`; nothing is written then.
        WorkerError: workers cannot be had.
    """
    plan = joining(plan, path, changes.variant)
    todo = runs_to_make(plan, path, resume, changes.variant)
    check_space(path, plan, todo)
    store = create_store(path, plan.settings, exist_ok=True)
    store.complete_catalog()
    if progress is not None:
        progress.planned(plan, todo)
    tasks = [TraceTask(batch) for batch in batches(plan, todo)]
    if not tasks:
        return store
    accounts = {task.key: Account(task.key[0], plan.num_steps, progress) for task in tasks}
    work = TraceWork(recipe, _of_largest(plan, todo), path.absolute(), followed, changes, host_memory)
    failed: list[Failed[TraceTask]] = []
    with closing(executor.run(work, tasks)) as happening:
        for happened in happening:
            account = accounts[happened.task.key]
            if isinstance(happened, Told):
                account.told(happened.message)
            elif isinstance(happened, Failed):
                failed.append(happened)
            else:
                account.made([seed for _, seed in happened.task.batch.runs])
    if failed:
        lacking = sum(not store.has(*run, changes.variant) for one in failed for run in one.task.batch.runs)
        what = f"{lacking} of {count_text(len(todo), 'run')} {'was' if lacking == 1 else 'were'} not made"
        raise TasksFailed(what, failed, [str(one.task) for one in failed])
    return store


def _of_largest(plan: TracePlan, todo: Sequence[tuple[str, int]]) -> TracePlan:
    """A plan of the largest sample that is made, which says what memory a worker takes; samples that are
    made come with the tasks."""
    names = {name for name, _ in todo}
    largest = max((one for one in plan.samples if one.sample.name in names), key=plan.run_bytes)
    return replace(plan, samples=(bare(largest),))
