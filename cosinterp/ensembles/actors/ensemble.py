"""Ensembles over several GPUs: each with one actor, which takes some of the seeds through the model.

The runs are those that one process would make, to rounding, and the store is the same. See
`cosinterp.ensembles.ensemble` for what is made, and `cosinterp.ensembles.company` for how the actors meet.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from cosinterp.ensembles.actors.driving import Driving
from cosinterp.ensembles.actors.tasks import BaseRuns, SampleEnsemble
from cosinterp.ensembles.actors.team import Team
from cosinterp.ensembles.ensemble import open_for
from cosinterp.errors import InterventionError
from cosinterp.planning.batches import batches
from cosinterp.planning.fitting import check_space
from cosinterp.planning.to_make import joining
from cosinterp.tracing import HOST_MEMORY, Progress
from stores.layout import BASE
from stores.store import create_store, open_store

if TYPE_CHECKING:
    from cosinterp.ensembles.planned import PlannedEnsemble
    from cosinterp.ensembles.spec import Ensemble
    from cosinterp.executors.ray_executor import RayExecutor
    from cosinterp.models.loading.recipe import Recipe
    from stores.store import Store


def check_apart(ensemble: Ensemble) -> None:
    """Refuse what actors cannot do together.

    Raises:
        InterventionError: hidden states are merged.
    """
    if any(merge.what == "hidden" for merge in ensemble.merges):
        raise InterventionError(
            "hidden states are not merged over several GPUs: a layer of a large model is hundreds of "
            "megabytes a seed; leave out --executor ray (--chunk 1 if memory is short), or use --executor "
            "local, where each sample has its seeds on one GPU"
        )


def most_actors(planned: PlannedEnsemble, room: int) -> int:
    """How many actors have something to do at once, where there is room for so many."""
    seeds = len(planned.plan.seeds)
    # A sample whose seeds have less than an actor each is made no sooner together with another one.
    samples = min(len(planned.todo), max(1, room // seeds))
    return max(1, seeds * samples, sum(1 for _ in batches(planned.base, planned.base_todo)))


class ActorEnsemble:
    """Makes a planned ensemble by actors; a context manager, which hires them and ends them.

    Args:
        executor: says where they live, and what each takes.
        recipe: of the model.
        planned: what is made.
        host_memory: of each actor, bytes that may wait to be written.
        note: told in a line what the user should know.

    Raises:
        InterventionError: hidden states are merged.
        UserError: there are no nodes that can do it, or the model cannot be loaded there.
        WorkerError: actors cannot be had for another reason.
    """

    def __init__(
        self,
        executor: RayExecutor,
        recipe: Recipe,
        planned: PlannedEnsemble,
        *,
        host_memory: int = HOST_MEMORY,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        check_apart(planned.spec)
        self._executor, self._recipe = executor, recipe
        self._planned = replace(planned, path=planned.path.absolute())
        self._host_memory, self._note = host_memory, note
        self._stack = ExitStack()
        self._driving: Driving

    def __enter__(self) -> Self:
        planned = self._planned
        plan = planned.plan
        check_space(planned.path, planned.base, planned.base_todo)
        check_space(planned.path, plan, planned.runs)
        # Which all nodes have to see.
        create_store(planned.path, plan.settings, exist_ok=True)
        with ExitStack() as stack:
            cluster = stack.enter_context(self._executor.connected())
            room = max(1, cluster.fits(self._executor.resources))
            team = stack.enter_context(
                Team(
                    self._executor,
                    self._recipe,
                    plan.settings.model,
                    min(room, most_actors(planned, room)),
                    self._note,
                )
            )
            self._driving = stack.enter_context(Driving(team))
            team.fill()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> bool | None:
        return self._stack.__exit__(*exception)

    def make_base_runs(self, progress: Progress | None = None) -> None:
        """Make the base runs that are lacking, each batch by one of the actors.

        Raises:
            UserError: one cannot be made.
            WorkerError: one cannot be made, for a reason that is not the user's.
        """
        planned = self._planned
        plan, todo = joining(planned.base, planned.path, BASE), planned.base_todo
        if not todo:
            return
        open_store(planned.path).complete_catalog()
        if progress is not None:
            progress.planned(plan, todo)
        self._driving.run(
            [
                BaseRuns(plan, planned.path, batch, self._host_memory, progress)
                for batch in batches(plan, todo)
            ]
        )

    def make_ensemble(self, progress: Progress | None = None) -> Store:
        """Make the runs of the ensemble, each sample by all actors together.

        Raises:
            UserError: as of `cosinterp.ensemble`.
            WorkerError: an actor fails for a reason that is not the user's, or is lost again and again.
        """
        planned = self._planned
        target = open_for(planned)
        if progress is not None:
            progress.planned(planned.plan, planned.runs)
        self._driving.run(
            [SampleEnsemble(planned, one, self._host_memory, progress, self._note) for one in planned.todo]
        )
        return target
