"""One member of a company whose members meet at a rendezvous."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch

from cosinterp.ensembles.company import Company, Place, members_of
from cosinterp.ensembles.rendezvous import Decided, Given
from cosinterp.ensembles.rows import kept

if TYPE_CHECKING:
    from cosinterp.ensembles.rows import Rows

T = TypeVar("T")
R = TypeVar("R")


class Reached(Protocol):
    """A `Rendezvous` as a member reaches it, with what it does there."""

    def gather(
        self, number: int, place: Place, member: int, among: Sequence[int], own: Any
    ) -> Given | Decided:
        """See `Rendezvous`."""
        ...

    def decide(self, number: int, place: Place, decision: Any) -> None:
        """See `Rendezvous`."""
        ...

    def follow(self, number: int, place: Place, member: int, own: Any) -> Any:
        """See `Rendezvous`."""
        ...

    def leave(self, number: int, place: Place, member: int, own: Any) -> None:
        """See `Rendezvous`."""
        ...


class Member(Company):
    """A member that computes one part of the rows.

    Of those who meet, the first decides: merging is done once, so that all go on from the same bits.

    Args:
        rendezvous: where they meet.
        number: of the ensemble there.
        parts: the rows of each member.
        member: which of them this is.
    """

    def __init__(self, rendezvous: Reached, number: int, parts: Sequence[Rows], member: int) -> None:
        self._rendezvous, self._number = rendezvous, number
        self._parts, self._member = parts, member

    def own(self, rows: Rows) -> Rows:
        """See `Company`."""
        mine = self._parts[self._member]
        return tuple(row for row in rows if row in mine)

    def meet(self, place: Place, going: Rows, own: T, decide: Callable[[list[T]], R]) -> R:
        """See `Company`.

        Raises:
            Released: not all of the others can come.
        """
        among = members_of(self._parts, going)
        if among == (self._member,):
            return decide([own])
        return self._come(place, among, among[0], _shown(own), decide)

    def conclude(self, place: Place, going: Rows, own: T, decide: Callable[[list[T]], R]) -> R | None:
        """See `Company`.

        Raises:
            Released: not all of the others can come.
        """
        staying = members_of(self._parts, going)
        if self._member not in staying:
            self._rendezvous.leave(self._number, place, self._member, own)
            return None
        return self._come(place, range(len(self._parts)), staying[0], own, decide)

    def _come(
        self, place: Place, among: Sequence[int], first: int, own: T, decide: Callable[[list[T]], R]
    ) -> R:
        if self._member != first:
            return self._rendezvous.follow(self._number, place, self._member, own)
        come = self._rendezvous.gather(self._number, place, self._member, among, own)
        if isinstance(come, Decided):
            return come.value
        decision = decide(come.parts)
        self._rendezvous.decide(self._number, place, decision)
        return decision


def _shown(own: Any) -> Any:
    """What others are given."""
    return kept(own) if isinstance(own, torch.Tensor) else own
