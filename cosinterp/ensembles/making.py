"""Making the runs of an ensemble, one sample after another, in this process: of all its seeds, or of some."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from cosinterp.capture.open_runs import OpenRuns
from cosinterp.ensembles.chunks import Chunks
from cosinterp.ensembles.company import ALONE, Company
from cosinterp.ensembles.course import Course
from cosinterp.ensembles.planned import KIND
from cosinterp.ensembles.selecting import Selector
from cosinterp.ensembles.writing import Writing
from cosinterp.models.eager import eager
from cosinterp.replaying.preamble import Preamble
from cosinterp.tracing import sinks_of

if TYPE_CHECKING:
    from cosinterp.ensembles.planned import PlannedEnsemble
    from cosinterp.ensembles.to_make import ToMake
    from cosinterp.models.model import Model
    from cosinterp.tracing import Progress
    from stores.store import Store
    from stores.writer import RunWriter

Note = Callable[[str], None]
"""Told in a line what the user should know."""

_Selected = dict[str, Any]


class Making:
    """Makes runs of a planned ensemble; a context manager, left once all are written.

    Args:
        model: the model.
        planned: what is made of it.
        target: the store, whose catalog is complete.
        host_memory: bytes that may wait to be written.
        progress: told of steps and of runs that are finished.
        note: told what the user should know.
        preamble: of the model.
    """

    def __init__(
        self,
        model: Model,
        planned: PlannedEnsemble,
        target: Store,
        host_memory: int,
        progress: Progress | None = None,
        note: Note | None = None,
        preamble: Preamble | None = None,
    ) -> None:
        self._model, self._planned, self._target = model, planned, target
        self._host_memory, self._progress = host_memory, progress
        self._chunks = Chunks(planned.chunk, model, note or (lambda text: None))
        self._preamble = Preamble(model) if preamble is None else preamble
        self._finished: SimpleQueue[RunWriter] = SimpleQueue()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        plan, runs = self._planned.plan, self._planned.runs
        with ExitStack() as stack:
            # Also where it fails or is interrupted: these runs are kept.
            stack.callback(self._tell_finished)
            stack.enter_context(eager(self._model.pipeline))
            self._opened = stack.enter_context(
                OpenRuns(partial(self._target.writer, variant=self._planned.variant))
            )
            self._sinks = stack.enter_context(
                sinks_of(self._model, replace(plan, batch=len(plan.seeds)), runs, self._host_memory)
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        return self._stack.__exit__(*exception)

    def make(self, one: ToMake, company: Company = ALONE) -> None:
        """Make the runs of a sample, as far as their seeds are computed here.

        Raises:
            UserError: they do not fit into memory, or the user's scorer fails.
            ClockError: the pipeline did not do what its schedule says.
        """
        plan, spec, model = self._planned.plan, self._planned.spec, self._model
        name = one.planned.sample.name
        all_rows = tuple(range(len(plan.seeds)))
        own = company.own(all_rows)

        def on_step(seed: int, step: int) -> None:
            if self._progress is not None:
                self._progress.step(name, (seed,), step, plan.num_steps)
            self._tell_finished()

        writing = Writing(
            model,
            plan,
            one.planned,
            self._opened,
            self._sinks.sink(),
            one.seeds & {plan.seeds[row] for row in own},
            on_step,
            self._finished.put,
        )
        selector = None if spec.select is None else Selector(spec.select, model, one.planned, plan.seeds)
        course = Course(
            model, one.planned, spec, plan.seeds, self._chunks, writing, selector, self._preamble, company
        )
        course.run()
        chosen = None if selector is None else selector.told_of()
        place = plan.num_steps, "told", 0
        concluded = company.conclude(place, course.going, (course.blocks, chosen), _together)
        if concluded is None:
            return
        blocks, selected = concluded
        told = {
            "kind": KIND,
            "words": str(spec),
            "ensemble": spec.model_dump(mode="json", exclude_none=True),
            "seeds": list(plan.seeds),
            "chunk": self._chunks.of(len(own)),
            "evaluations": blocks / model.num_layers,
            "evaluations_of_one": float(plan.num_steps * len(plan.run_branches)),
            **({} if selected is None else {"selected": selected}),
        }
        writing.finish({"intervention": told})

    def _tell_finished(self) -> None:
        while not self._finished.empty():
            writer = self._finished.get()
            if self._progress is not None:
                self._progress.finished(writer.sample, writer.seed)


def _together(parts: list[tuple[int, _Selected | None]]) -> tuple[int, _Selected | None]:
    """What was evaluated and selected, wherever it was."""
    return sum(blocks for blocks, _ in parts), next((own for _, own in parts if own is not None), None)
