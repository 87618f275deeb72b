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

_OVER = "it was ended"


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


@dataclass
class _Company:
    """Those who meet; ``why`` they are released, if they are."""

    meetings: dict[Place, _Meeting] = field(default_factory=dict)
    why: str | None = None


class Rendezvous:
    """Any number of companies meet here, each known by a number; one that has not begun is released."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._companies: dict[int, _Company] = {}

    def begin(self, number: int) -> None:
        """A company may meet from now on."""
        with self._changed:
            self._companies[number] = _Company()

    def end(self, number: int) -> None:
        """A company has nothing to do any more: whoever is on the way still is released."""
        with self._changed:
            company = self._companies.pop(number, None)
            if company is not None:
                company.why = company.why or _OVER
                self._changed.notify_all()

    def release(self, number: int, why: str) -> None:
        """A member cannot go on: all others are released, those who wait and those who will come."""
        with self._changed:
            company = self._companies.get(number)
            if company is not None and company.why is None:
                company.why = why
                self._changed.notify_all()

    def check(self, number: int) -> None:
        """Whether there is reason to go on.

        Raises:
            Released: there is none.
        """
        with self._changed:
            self._company(number)

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
            company, meeting = self._give(number, place, member, own)
            self._wait(company, lambda: meeting.decided is not None or set(among) <= set(meeting.given))
            return meeting.decided or Given([meeting.given[one] for one in among])

    def decide(self, number: int, place: Place, decision: Any) -> None:
        """What comes of what all gave.

        Raises:
            Released: they do not wait any more.
        """
        with self._changed:
            company = self._company(number)
            meeting = company.meetings.setdefault(place, _Meeting())
            meeting.decided = Decided(decision)
            meeting.given.clear()
            # All were here, so nobody will come to a place of an earlier step any more.
            step = place[0]
            company.meetings = {at: own for at, own in company.meetings.items() if at[0] >= step}
            self._changed.notify_all()

    def follow(self, number: int, place: Place, member: int, own: Any) -> Any:
        """Give what one has, and wait for what is decided.

        Raises:
            Released: nothing will be.
        """
        with self._changed:
            company, meeting = self._give(number, place, member, own)
            self._wait(company, lambda: meeting.decided is not None)
            assert meeting.decided is not None, "waited for"
            return meeting.decided.value

    def leave(self, number: int, place: Place, member: int, own: Any) -> None:
        """Give what one has, and do not wait.

        Raises:
            Released: nobody asks for it any more.
        """
        with self._changed:
            self._give(number, place, member, own)

    def _company(self, number: int) -> _Company:
        company = self._companies.get(number)
        if company is None:
            raise Released(_OVER)
        _check(company)
        return company

    def _give(self, number: int, place: Place, member: int, own: Any) -> tuple[_Company, _Meeting]:
        company = self._company(number)
        meeting = company.meetings.setdefault(place, _Meeting())
        if meeting.decided is None:
            meeting.given[member] = own
            self._changed.notify_all()
        return company, meeting

    def _wait(self, company: _Company, has_come: Callable[[], bool]) -> None:
        while not has_come():
            _check(company)
            self._changed.wait()


def _check(company: _Company) -> None:
    if company.why is not None:
        raise Released(company.why)
