"""The actors of a command, and the hall at which they meet: hired, lost, replaced, and ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosinterp.ensembles.actors.actor import Outcome, SeedActor
from cosinterp.ensembles.actors.hall import Hall
from cosinterp.errors import UserError
from cosinterp.executors.executor import MOST_TRIES, WorkerError

if TYPE_CHECKING:
    from cosinterp.executors.ray_executor import RayExecutor
    from cosinterp.models.loading.recipe import Recipe

# How long an actor that Ray says there is room for may take to be there, where another one is there already.
_PATIENCE = 60.0
_STOPPING = 10.0


@dataclass(frozen=True, eq=False)
class Hired:
    """An actor that has loaded its model; ``handle`` is Ray's."""

    handle: Any


class Team:
    """Actors that hold the same model.

    A context manager: who is left of the actors is ended with it.

    Args:
        executor: says where they live, and what each takes.
        recipe: of the model.
        wanted: what it is, for the store (`model_settings`).
        most: how many actors are of use.
        note: told what the user should know.

    Raises:
        UserError: the model cannot be loaded.
        WorkerError: nor can it for another reason, or actors are lost again and again.
    """

    def __init__(
        self,
        executor: RayExecutor,
        recipe: Recipe,
        wanted: Mapping[str, Any],
        most: int,
        note: Callable[[str], None],
    ) -> None:
        cluster = executor.connect()
        self._cluster, self.ray = cluster, cluster.ray
        self._device, self._resources = executor.device, executor.resources
        self._recipe, self._wanted, self._most, self._note = recipe, wanted, most, note
        self.actors: list[Hired] = []
        self._handles: list[Any] = []
        hall = self.ray.remote(Hall)
        # Each actor may wait in one call, and tell something in a few others; the driver asks, too.
        self.hall = hall.options(
            num_cpus=0, max_concurrency=4 * most + 4, scheduling_strategy=cluster.beside_driver()
        ).remote()

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *exception: object) -> None:
        for handle in [*self._handles, self.hall]:
            self.ray.kill(handle)
        self._handles.clear()
        self.actors.clear()

    def fill(self) -> None:
        """Hire as many actors as are of use and as there is room for; at least one is there then."""
        tries = 0
        while True:
            room = max(1, min(self._most, self._cluster.fits(self._resources)))
            lacking = room - len(self.actors)
            if lacking <= 0:
                return
            lost = self._hire(lacking)
            if not lost:
                return
            tries += 1
            if tries == MOST_TRIES and not self.actors:
                raise WorkerError(f"actors were lost {MOST_TRIES} times while they loaded the model: {lost}")
            if tries == MOST_TRIES:
                return

    def lose(self, actor: Hired) -> None:
        """An actor is lost."""
        self.actors.remove(actor)
        self._end(actor.handle)

    def messages(self) -> Sequence[tuple[int, object]]:
        """What the actors have told.

        Raises:
            WorkerError: the cluster cannot be reached any more.
        """
        from ray.exceptions import RayError

        try:
            return self.ray.get(self.hall.take.remote())
        except RayError as error:
            raise WorkerError(f"the connection to {self._cluster.name} is lost: {error}") from error

    def release(self, numbers: Sequence[int], running: Sequence[Any]) -> None:
        """Have companies stop, and wait a moment until what is ``running`` of theirs has cleaned up."""
        for number in numbers:
            self.hall.end.remote(number)
        if running:
            self.ray.wait(list(running), num_returns=len(running), timeout=_STOPPING)

    def _hire(self, count: int) -> str | None:
        """Hire so many actors, or those of them that come; what one was lost by, if one was."""
        from ray.exceptions import RayError

        hired = [self._start() for _ in range(count)]
        there = {handle.is_there.remote(): handle for handle in hired}
        come, late = self.ray.wait(list(there), num_returns=count, timeout=_PATIENCE)
        if not come and not self.actors:
            self._note(f"waiting for {self._cluster.name}: what it has is in use")
            come, late = self.ray.wait(list(there), num_returns=1)
        for reference in late:
            self._end(there[reference])
        loading = {
            there[one].load.remote(self._recipe, self._wanted, self._device): there[one] for one in come
        }
        lost = None
        for reference, handle in loading.items():
            try:
                outcome: Outcome = self.ray.get(reference)
            except RayError as error:
                lost = first_line(error)
                self._end(handle)
                continue
            if outcome.error is not None:
                raise (UserError if outcome.is_users else WorkerError)(outcome.error)
            self.actors.append(Hired(handle))
        return lost

    def _start(self) -> Any:
        actor = self.ray.remote(SeedActor).options(
            num_cpus=self._resources["CPU"],
            num_gpus=self._resources["GPU"],
            max_restarts=0,
            max_task_retries=0,
        )
        handle = actor.remote(os.getcwd())
        self._handles.append(handle)
        return handle

    def _end(self, handle: Any) -> None:
        self._handles.remove(handle)
        self.ray.kill(handle)


def first_line(error: BaseException) -> str:
    """What an error says first."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
