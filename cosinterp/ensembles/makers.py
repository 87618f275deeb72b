"""Who makes a planned ensemble: this process, workers that take whole samples, or actors that share them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from cosinterp.ensembles.ensemble import make_base_runs, make_ensemble
from cosinterp.tracing import HOST_MEMORY

if TYPE_CHECKING:
    from cosinterp.ensembles.making import Note
    from cosinterp.ensembles.planned import PlannedEnsemble
    from cosinterp.ensembles.spec import Ensemble
    from cosinterp.executors.executor import Executor
    from cosinterp.models.loading.recipe import Recipe
    from cosinterp.models.model import Model
    from cosinterp.tracing import Progress
    from stores.store import Store


class Maker(Protocol):
    """Makes the runs of a planned ensemble that its store lacks."""

    def make_base_runs(self, progress: Progress | None = None) -> None:
        """The base runs of its seeds."""
        ...

    def make_ensemble(self, progress: Progress | None = None) -> Store:
        """Its own."""
        ...


def check_maker(spec: Ensemble, executor: Executor | None) -> None:
    """Refuse what those who are asked to make an ensemble cannot make.

    Raises:
        InterventionError: hidden states would be merged over several GPUs.
    """
    from cosinterp.executors.ray_executor import RayExecutor

    if isinstance(executor, RayExecutor):
        from cosinterp.ensembles.actors.ensemble import check_apart

        check_apart(spec)


@contextmanager
def maker_of(
    planned: PlannedEnsemble,
    executor: Executor | None,
    load: Callable[[], Model],
    recipe: Callable[[], Recipe],
    *,
    host_memory: int = HOST_MEMORY,
    note: Note = lambda text: None,
) -> Iterator[Maker]:
    """Who makes a planned ensemble, with the model loaded, or about to be.

    Args:
        planned: the ensemble.
        executor: None: this process. Ray: an actor a GPU, which share each sample's seeds. Another one: each
            worker makes whole samples.
        load: gives the model, for this process.
        recipe: gives the recipe of the model, for others.
        host_memory: of each process, bytes that may wait to be written.
        note: told in a line what the user should know.

    Raises:
        UserError: the model cannot be loaded, or they cannot make this ensemble.
        WorkerError: there are none, for a reason that is not the user's.
    """
    from cosinterp.executors.ray_executor import RayExecutor

    if executor is None:
        yield _Here(load(), planned, host_memory, note)
    elif isinstance(executor, RayExecutor):
        from cosinterp.ensembles.actors.ensemble import ActorEnsemble

        with ActorEnsemble(executor, recipe(), planned, host_memory=host_memory, note=note) as actors:
            yield actors
    else:
        yield _Spread(executor, recipe(), planned, host_memory, note)


class _Here:
    """This process."""

    def __init__(self, model: Model, planned: PlannedEnsemble, host_memory: int, note: Note) -> None:
        self._model, self._planned = model, planned
        self._host_memory, self._note = host_memory, note

    def make_base_runs(self, progress: Progress | None = None) -> None:
        make_base_runs(self._model, self._planned, host_memory=self._host_memory, progress=progress)

    def make_ensemble(self, progress: Progress | None = None) -> Store:
        return make_ensemble(
            self._model, self._planned, host_memory=self._host_memory, progress=progress, note=self._note
        )


class _Spread:
    """Workers, each of which makes the ensembles of some samples."""

    def __init__(
        self, executor: Executor, recipe: Recipe, planned: PlannedEnsemble, host_memory: int, note: Note
    ) -> None:
        self._executor, self._recipe, self._planned = executor, recipe, planned
        self._host_memory, self._note = host_memory, note

    def make_base_runs(self, progress: Progress | None = None) -> None:
        from cosinterp.executors.ensembles import spread_base_runs

        spread_base_runs(
            self._executor, self._recipe, self._planned, host_memory=self._host_memory, progress=progress
        )

    def make_ensemble(self, progress: Progress | None = None) -> Store:
        from cosinterp.executors.ensembles import spread_ensemble

        return spread_ensemble(
            self._executor,
            self._recipe,
            self._planned,
            host_memory=self._host_memory,
            progress=progress,
            note=self._note,
        )
