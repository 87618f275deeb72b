"""Who computes the rows of an ensemble, and how those meet who compute them apart.

Merging latents of several seeds needs a few megabytes of each, once a step. So seeds of one sample need not
be in one process: each member of a company takes some of the rows through its own pipeline, and where
something of all rows is made one, or some of them are chosen, the members meet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from cosinterp.ensembles.rows import Rows

Place: TypeAlias = tuple[int, str, int]
"""Where something is decided: (step, what, which of several, in their order)."""

T = TypeVar("T")
R = TypeVar("R")


class Company(Protocol):
    """Those who compute the rows of one sample's ensemble, as one of them sees it."""

    def own(self, rows: Rows) -> Rows:
        """Those of ``rows`` that are computed here, in their order."""
        ...

    def meet(self, place: Place, going: Rows, own: T, decide: Callable[[list[T]], R]) -> R:
        """What comes of something that all who compute the rows ``going`` have.

        Args:
            place: the same for all who meet; all come to their places in the same order.
            going: the rows; some of them are computed here.
            own: of those: a tensor (row, ...), or anything that can be pickled.
            decide: makes one thing of what all have, in the order of their rows. One of those who meet does
                it, and all get what comes of it; tensors are on the host then, if there are several.
        """
        ...

    def conclude(self, place: Place, going: Rows, own: T, decide: Callable[[list[T]], R]) -> R | None:
        """What comes of something that everybody has, for those who compute the rows ``going``; see `meet`.

        The others give theirs and do not wait: None.
        """
        ...


class Alone:
    """All rows are computed here."""

    def own(self, rows: Rows) -> Rows:
        """See `Company`."""
        return rows

    def meet(self, place: Place, going: Rows, own: T, decide: Callable[[list[T]], R]) -> R:
        """See `Company`."""
        return decide([own])

    def conclude(self, place: Place, going: Rows, own: T, decide: Callable[[list[T]], R]) -> R | None:
        """See `Company`."""
        return decide([own])


ALONE = Alone()


def blocks(rows: int, members: int) -> tuple[Rows, ...]:
    """The rows of each member: so many that follow each other, as alike in number as can be, the first most.

    There are as many members as have rows: no more than ``rows``.

    Raises:
        ValueError: there are no rows, or no members.
    """
    if rows < 1 or members < 1:
        raise ValueError(f"{rows} rows cannot be shared by {members} members")
    members = min(rows, members)
    least, more = divmod(rows, members)
    sizes = [least + (member < more) for member in range(members)]
    starts = [sum(sizes[:member]) for member in range(members)]
    return tuple(tuple(range(start, start + size)) for start, size in zip(starts, sizes, strict=True))


def members_of(parts: Sequence[Rows], going: Rows) -> tuple[int, ...]:
    """The members who have some of the rows ``going``, ascending; ``parts``: the rows of each."""
    return tuple(member for member, own in enumerate(parts) if not set(own).isdisjoint(going))
