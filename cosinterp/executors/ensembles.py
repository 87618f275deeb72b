"""Ensembles spread over several devices: the ensemble of one sample is a task, all its seeds on one device.

What is made is what one process makes, bit for bit where the devices are alike.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cosinterp.ensembles.ensemble import open_for
from cosinterp.ensembles.making import Making, Note
from cosinterp.ensembles.planned import PlannedEnsemble
from cosinterp.ensembles.to_make import ToMake
from cosinterp.executors.executor import Executor, Failed, Tell, Told
from cosinterp.executors.failures import TasksFailed
from cosinterp.executors.loading import load_planned
from cosinterp.executors.progress import Account, Noted, Telling
from cosinterp.executors.traces import spread_plan
from cosinterp.executors.travelling import portable
from cosinterp.models.loading.recipe import Recipe
from cosinterp.replaying.preamble import Preamble
from cosinterp.tracing import HOST_MEMORY, Progress
from stores.store import open_store
from stores.units import count_text

if TYPE_CHECKING:
    from stores.store import Store


@dataclass(frozen=True)
class EnsembleTask:
    """The ensemble of a sample. It travels with its first image, not with the place of that on some disk."""

    one: ToMake

    def __reduce__(self) -> tuple[Callable[[ToMake], EnsembleTask], tuple[ToMake]]:
        return EnsembleTask, (replace(self.one, planned=portable(self.one.planned)),)

    def __str__(self) -> str:
        return self.one.planned.sample.name


@dataclass(frozen=True)
class EnsembleWork:
    """Making ensembles of samples: ``planned`` without any, its path absolute.

    ``host_memory`` is each worker's.
    """

    recipe: Recipe
    planned: PlannedEnsemble
    host_memory: int

    def open(self, device: str | None) -> Callable[[EnsembleTask, Tell], None]:
        """Load the model.

        Raises:
            UserError: it cannot be loaded there, or is not the one that was planned with.
        """
        model = load_planned(self.recipe, self.planned.plan.settings.model, device)
        store = open_store(self.planned.path)
        telling, preamble = Telling(), Preamble(model)

        def make(task: EnsembleTask, tell: Tell) -> None:
            one = task.one
            # Who had it before may have made some.
            lacking = frozenset(
                seed for name, seed in one.runs if not store.has(name, seed, self.planned.variant)
            )
            plan = replace(self.planned.plan, samples=(one.planned,))
            own = replace(one, seeds=lacking)
            planned = replace(self.planned, plan=plan, todo=[own])
            telling.begin([(one.planned.sample.name, seed) for seed in plan.seeds], tell)
            with Making(
                model, planned, store, self.host_memory, telling, lambda text: tell(Noted(text)), preamble
            ) as making:
                making.make(own)

        return make


def spread_ensemble(
    executor: Executor,
    recipe: Recipe,
    planned: PlannedEnsemble,
    *,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
    note: Note | None = None,
) -> Store:
    """As `cosinterp.ensembles.ensemble.make_ensemble`, by the workers of an executor, which load the model.

    Raises:
        TasksFailed: those of some samples could not be made; all others are.
        UserError: as `make_ensemble`; nothing is written then.
        WorkerError: workers cannot be had.
    """
    target = open_for(planned)
    if progress is not None:
        progress.planned(planned.plan, planned.runs)
    tasks = [EnsembleTask(one) for one in planned.todo]
    if not tasks:
        return target
    steps = planned.plan.num_steps
    accounts = {str(task): Account(str(task), steps, progress) for task in tasks}
    bare = replace(
        planned,
        base=replace(planned.base, samples=()),
        base_todo=[],
        plan=replace(planned.plan, samples=()),
        todo=[],
        path=planned.path.absolute(),
    )
    failed: list[Failed[EnsembleTask]] = []
    noted: set[str] = set()
    with closing(executor.run(EnsembleWork(recipe, bare, host_memory), tasks)) as happening:
        for happened in happening:
            account = accounts[str(happened.task)]
            if isinstance(happened, Failed):
                failed.append(happened)
            elif not isinstance(happened, Told):
                runs = happened.task.one.runs
                account.made([seed for name, seed in runs if target.has(name, seed, planned.variant)])
            elif not isinstance(happened.message, Noted):
                account.told(happened.message)
            elif note is not None and happened.message.text not in noted:
                noted.add(happened.message.text)
                note(happened.message.text)
    if failed:
        of = f"{len(failed)} of {count_text(len(tasks), 'ensemble')}"
        raise TasksFailed(
            f"{of} {'was' if len(failed) == 1 else 'were'} not made",
            failed,
            [str(one.task) for one in failed],
        )
    return target


def spread_base_runs(
    executor: Executor,
    recipe: Recipe,
    planned: PlannedEnsemble,
    *,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
) -> None:
    """As `cosinterp.ensembles.ensemble.make_base_runs`, by the workers of an executor; see `spread_plan`."""
    if planned.base_todo:
        spread_plan(
            executor,
            recipe,
            planned.base,
            planned.path,
            resume=True,
            host_memory=host_memory,
            progress=progress,
        )
