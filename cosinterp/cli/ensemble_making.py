"""Making an ensemble from the command line, by whoever is asked to, with its bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

from cosinterp.cli import options
from cosinterp.cli.command_line import resume_command
from cosinterp.cli.spread_flags import failures_told, recipe_of

if TYPE_CHECKING:
    from cosinterp.ensembles.planned import PlannedEnsemble
    from cosinterp.executors.executor import Executor
    from cosinterp.models.loading import Prepared
    from cosinterp.models.loading.recipe import Recipe
    from cosinterp.models.model import Model
    from cosinterp.tracing import Progress
    from stores import Store


class _Maker(Protocol):
    """Makes a planned ensemble."""

    def make_base_runs(self, progress: Progress) -> object: ...

    def make_ensemble(self, progress: Progress) -> object: ...


def once(prepared: Prepared) -> Callable[[], Model]:
    """Reads the weights when they are first needed: a store that has all needs none."""
    loaded: list[Model] = []

    def load() -> Model:
        if not loaded:
            loaded.append(options.load_weights(prepared))
        return loaded[0]

    return load


def check(planned: PlannedEnsemble, executor: Executor | None) -> None:
    """Refuse what those who are asked to make it cannot make.

    Raises:
        UserError: they cannot.
    """
    from cosinterp.ensembles.actors.ensemble import check_apart
    from cosinterp.executors.ray_executor import RayExecutor

    if isinstance(executor, RayExecutor):
        check_apart(planned.spec)


def make(
    planned: PlannedEnsemble,
    load: Callable[[], Model],
    prepared: Prepared,
    host_memory: int,
    executor: Executor | None,
) -> Store:
    """Make the runs that the store lacks."""
    from cosinterp.cli.console import err
    from cosinterp.cli.trace_progress import RichProgress
    from cosinterp.ensembles.costs import rows_by_step
    from cosinterp.tracing import writing_threads
    from stores import open_store
    from stores.units import count_text

    if not planned.base_todo and not planned.todo:
        err().print(f"{planned.path} has all these runs already", markup=False, soft_wrap=True)
        return open_store(planned.path)
    steps = sum(rows_by_step(planned.spec, planned.plan.num_steps, len(planned.plan.seeds)))
    bars: list[RichProgress] = []
    try:
        with failures_told(), _maker(planned, load, prepared, host_memory, executor) as maker:
            threads = writing_threads(prepared.model, planned.plan)
            if executor is not None:
                threads *= executor.workers
            if planned.base_todo:
                with RichProgress(planned.path, threads) as bar:
                    bars.append(bar)
                    maker.make_base_runs(bar)
            if planned.todo:
                steps *= len(planned.todo)
                with RichProgress(planned.path, threads, variant=planned.variant, steps=steps) as bar:
                    bars.append(bar)
                    maker.make_ensemble(bar)
    except KeyboardInterrupt:
        finished = count_text(sum(bar.made for bar in bars), "finished run")
        err().print(f"interrupted; {finished} kept. To go on:")
        err().print(f"  {resume_command(sys.argv)}", markup=False, soft_wrap=True)
        raise
    return open_store(planned.path)


@contextmanager
def _maker(
    planned: PlannedEnsemble,
    load: Callable[[], Model],
    prepared: Prepared,
    host_memory: int,
    executor: Executor | None,
) -> Iterator[_Maker]:
    from cosinterp.cli.console import err, print_warning
    from cosinterp.ensembles.actors.ensemble import ActorEnsemble
    from cosinterp.executors.ray_executor import RayExecutor

    if executor is None:
        yield _Here(load(), planned, host_memory)
        return
    if not isinstance(executor, RayExecutor):
        yield _Spread(executor, recipe_of(prepared), planned, host_memory)
        return
    actors = ActorEnsemble(
        executor, recipe_of(prepared), planned, host_memory=host_memory, note=print_warning
    )
    with ExitStack() as stack:
        with err().status(f"loading {prepared.model.name} in actors of Ray"):
            stack.enter_context(actors)
        yield actors


class _Spread:
    """By workers, each the ensembles of some samples."""

    def __init__(
        self, executor: Executor, recipe: Recipe, planned: PlannedEnsemble, host_memory: int
    ) -> None:
        self._executor, self._recipe = executor, recipe
        self._planned, self._host_memory = planned, host_memory

    def make_base_runs(self, progress: Progress) -> None:
        from cosinterp.executors.ensembles import spread_base_runs

        spread_base_runs(
            self._executor,
            self._recipe,
            self._planned,
            host_memory=self._host_memory,
            progress=progress,
        )

    def make_ensemble(self, progress: Progress) -> None:
        from cosinterp.cli.console import print_warning
        from cosinterp.executors.ensembles import spread_ensemble

        spread_ensemble(
            self._executor,
            self._recipe,
            self._planned,
            host_memory=self._host_memory,
            progress=progress,
            note=print_warning,
        )


class _Here:
    """In this process."""

    def __init__(self, model: Model, planned: PlannedEnsemble, host_memory: int) -> None:
        self._model, self._planned, self._host_memory = model, planned, host_memory

    def make_base_runs(self, progress: Progress) -> None:
        from cosinterp.ensembles.ensemble import make_base_runs

        make_base_runs(self._model, self._planned, host_memory=self._host_memory, progress=progress)

    def make_ensemble(self, progress: Progress) -> None:
        from cosinterp.cli.console import print_warning
        from cosinterp.ensembles.ensemble import make_ensemble

        make_ensemble(
            self._model,
            self._planned,
            host_memory=self._host_memory,
            progress=progress,
            note=print_warning,
        )
