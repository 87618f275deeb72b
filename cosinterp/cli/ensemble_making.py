"""Making an ensemble from the command line, by whoever is asked to, with its bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from cosinterp.cli.command_line import resume_command
from cosinterp.cli.spread_flags import failures_told

if TYPE_CHECKING:
    from cosinterp.ensembles.makers import Maker
    from cosinterp.ensembles.planned import PlannedEnsemble
    from cosinterp.executors.executor import Executor
    from cosinterp.models.loading import Prepared
    from cosinterp.models.model import Model
    from stores import Store


def once(read: Callable[[], Model]) -> Callable[[], Model]:
    """Reads weights when they are first needed: a store that has all needs none."""
    loaded: list[Model] = []

    def load() -> Model:
        if not loaded:
            loaded.append(read())
        return loaded[0]

    return load


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
) -> Iterator[Maker]:
    from cosinterp.cli.console import err, print_warning
    from cosinterp.ensembles.makers import maker_of

    with ExitStack() as stack:
        makers = maker_of(
            planned,
            executor,
            load,
            prepared.for_workers,
            host_memory=host_memory,
            note=print_warning,
        )
        if executor is None:
            yield stack.enter_context(makers)
            return
        with err().status(f"loading {prepared.model.name} where it is to run"):
            maker = stack.enter_context(makers)
        yield maker
