"""Where the members of a company meet: each gives what it has, one decides, and all get what is decided.

It holds what it is given and looks into nothing, so it needs no model and no torch. Members are threads, or
processes that call it from threads of its own; a call that waits returns when the others have come, or ends
with `Released` as soon as one of them cannot come any more. Nobody waits for a member that has failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Condition
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cosinterp.ensembles.company import Place


class Released(RuntimeError):
    """A member need not go on: another one has failed, or what they were doing has ended."""


@dataclass(frozen=True)
class Given:
    """What all members have given, in their order, for who decides."""

    parts: list[Any]


@dataclass(frozen=True)
class Decided:
    """What was decided."""

    value: Any


@dataclass
class _Meeting:
    """What has come to one place."""

    given: dict[int, Any] = field(default_factory=dict)
    decided: Decided | None = None


class Rendezvous:
    """One ensemble after another, each begun by a number of its own; calls with another one are released."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._number = -1
        self._why: str | None = None
        self._meetings: dict[Place, _Meeting] = {}

    def begin(self, number: int) -> None:
        """Another ensemble: whoever waits still is released."""
        with self._changed:
            self._number, self._why = number, None
            self._meetings.clear()
            self._changed.notify_all()

    def gather(
        self, number: int, place: Place, member: int, among: Sequence[int], own: Any
    ) -> Given | Decided:
        """Give what one has, and wait for all of ``among``: the one of them who decides.

        Returns:
            What all gave, in the order of ``among``; or what was decided, at a place where all were before.

        Raises:
            Released: not all of them will come.
        """
        with self._changed:
            meeting = self._give(number, place, member, own)
            self._wait(number, lambda: meeting.decided is not None or set(among) <= set(meeting.given))
            return meeting.decided or Given([meeting.given[one] for one in among])

    def decide(self, number: int, place: Place, decision: Any) -> None:
        """What comes of what all gave.

        Raises:
            Released: they do not wait any more.
        """
        with self._changed:
            self._check(number)
            meeting = self._meetings.setdefault(place, _Meeting())
            meeting.decided = Decided(decision)
            meeting.given.clear()
            # All were here, so all have been where something was decided at earlier steps.
            self._meetings = {there: own for there, own in self._meetings.items() if there[0] >= place[0]}
            self._changed.notify_all()

    def follow(self, number: int, place: Place, member: int, own: Any) -> Any:
        """Give what one has, and wait for what is decided.

        Raises:
            Released: nothing will be.
        """
        with self._changed:
            meeting = self._give(number, place, member, own)
            self._wait(number, lambda: meeting.decided is not None)
            assert meeting.decided is not None, "waited for"
            return meeting.decided.value

    def leave(self, number: int, place: Place, member: int, own: Any) -> None:
        """Give what one has, and do not wait.

        Raises:
            Released: nobody asks for it any more.
        """
        with self._changed:
            self._give(number, place, member, own)

    def release(self, number: int, why: str) -> None:
        """A member cannot go on: all others are released, those who wait and those who will come."""
        with self._changed:
            if number == self._number and self._why is None:
                self._why = why
                self._changed.notify_all()

    def check(self, number: int) -> None:
        """Whether there is reason to go on.

        Raises:
            Released: there is none.
        """
        with self._changed:
            self._check(number)

    def _give(self, number: int, place: Place, member: int, own: Any) -> _Meeting:
        self._check(number)
        meeting = self._meetings.setdefault(place, _Meeting())
        if meeting.decided is None:
            meeting.given[member] = own
            self._changed.notify_all()
        return meeting

    def _wait(self, number: int, come: Callable[[], bool]) -> None:
        while not come():
            self._check(number)
            self._changed.wait()
        self._check(number)

    def _check(self, number: int) -> None:
        if number != self._number:
            raise Released("this ensemble has ended")
        if self._why is not None:
            raise Released(self._why)
