"""Having a team do its tasks, each by as many actors at once as it takes, and again where one is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol

from cosinterp.ensembles.actors.team import first_line
from cosinterp.errors import UserError
from cosinterp.executors.executor import MOST_TRIES, WorkerError

if TYPE_CHECKING:
    from cosinterp.ensembles.actors.actor import Outcome
    from cosinterp.ensembles.actors.team import Hired, Team

_PAUSE = 0.2


class TeamTask(Protocol):
    """What actors do together."""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        ...

    @property
    def members(self) -> int:
        """How many actors it is for, at most."""
        ...

    def is_done(self) -> bool:
        """Whether nothing of it is left, though an actor was lost."""
        ...

    def begin(self, actors: Sequence[Any], hall: Any, number: int, is_again: bool) -> list[Any]:
        """Ask these actors (Ray's handles) to do it, in this order.

        Args:
            actors: of which there may be fewer than it is for.
            hall: where they meet.
            number: of their company.
            is_again: whether it was tried before.

        Returns:
            References to the `Outcome` of each.
        """
        ...

    def told(self, message: object) -> None:
        """One of them tells something."""
        ...

    def ended(self) -> None:
        """It is done."""
        ...


@dataclass
class _Company:
    """Actors who do a task.

    Attributes:
        left: how many of them have not ended yet.
        outcome: that of who failed first.
        is_released: whether one of them has left its part undone.
        lost: how an actor was lost, if one was.
    """

    task: TeamTask
    left: int
    outcome: Outcome | None = None
    is_released: bool = False
    lost: str | None = None


class Driving:
    """Has a team do tasks; a context manager, left with nothing under way."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self._numbers = count()
        self._companies: dict[int, _Company] = {}
        self._running: dict[Any, tuple[int, Hired]] = {}

    def __enter__(self) -> Driving:
        return self

    def __exit__(self, *exception: object) -> None:
        self._team.release(list(self._companies), list(self._running))

    def run(self, tasks: Sequence[TeamTask]) -> None:
        """Do all tasks, as many at once as there are actors for.

        Raises:
            UserError: one cannot be done, which the user can mend.
            WorkerError: one cannot be done for another reason, or its actors are lost again and again.
        """
        waiting = deque(enumerate(tasks))
        tries = [0] * len(tasks)
        numbers: dict[int, int] = {}
        while waiting or self._running:
            while waiting:
                place, task = waiting[0]
                if tries[place] and task.is_done():
                    task.ended()
                    waiting.popleft()
                    continue
                number = self._begin(task, is_again=tries[place] > 0)
                if number is None:
                    break
                numbers[number] = place
                tries[place] += 1
                waiting.popleft()
            if not self._running:
                continue
            done, _ = self._team.ray.wait(list(self._running), timeout=_PAUSE)
            # After the wait: what an actor told before it ended has come by then.
            self._hear()
            for reference in done:
                number, ended = self._ended(reference)
                if ended is None:
                    continue
                place = numbers.pop(number)
                if ended.outcome is not None:
                    raise (UserError if ended.outcome.is_users else WorkerError)(ended.outcome.error)
                if ended.lost is None and not ended.is_released:
                    ended.task.ended()
                    continue
                if tries[place] == MOST_TRIES:
                    how = ended.lost or "not told how"
                    raise WorkerError(
                        f"{ended.task.name}: actors were lost {MOST_TRIES} times; at last: {how}"
                    )
                waiting.appendleft((place, ended.task))

    def _begin(self, task: TeamTask, *, is_again: bool) -> int | None:
        """Begin a task, if there are actors that have nothing to do; the number of its company."""
        if not self._team.actors or (is_again and not self._running):
            self._team.fill()
        busy = {id(actor) for _, actor in self._running.values()}
        idle = [actor for actor in self._team.actors if id(actor) not in busy]
        size = min(task.members, len(self._team.actors))
        if len(idle) < size:
            return None
        number = next(self._numbers)
        hall = self._team.hall
        self._team.ray.get(hall.begin.remote(number))
        chosen = idle[:size]
        references = task.begin([actor.handle for actor in chosen], hall, number, is_again)
        self._companies[number] = _Company(task, len(references))
        self._running.update(
            (reference, (number, actor)) for reference, actor in zip(references, chosen, strict=True)
        )
        return number

    def _hear(self) -> None:
        for number, message in self._team.messages():
            if number in self._companies:
                self._companies[number].task.told(message)

    def _ended(self, reference: Any) -> tuple[int, _Company | None]:
        """One actor has ended what it did; its company, if that was the last."""
        from ray.exceptions import RayError, RayTaskError

        number, actor = self._running.pop(reference)
        company, hall = self._companies[number], self._team.hall
        company.left -= 1
        try:
            outcome: Outcome = self._team.ray.get(reference)
        except RayTaskError as error:
            raise WorkerError(str(error)) from error
        except RayError as error:
            company.lost = company.lost or first_line(error)
            self._team.lose(actor)
            hall.end.remote(number)
        else:
            if outcome.error is not None:
                company.outcome = company.outcome or outcome
            company.is_released |= outcome.is_released
        if company.left:
            return number, None
        hall.end.remote(number)
        return number, self._companies.pop(number)
