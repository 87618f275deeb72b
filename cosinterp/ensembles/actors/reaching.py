"""How an actor reaches the hall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cosinterp.ensembles.rendezvous import Decided, Given, Released

if TYPE_CHECKING:
    from cosinterp.ensembles.company import Place

_LOST = "another actor is lost"


class Reaching:
    """A hall, reached from an actor; see `cosinterp.ensembles.member.Reached` and `Rendezvous`.

    What is given and decided goes from actor to actor through Ray's object store, once for each who needs
    it; the hall has references to it.

    Args:
        hall: the handle of the `Hall`.
    """

    def __init__(self, hall: Any) -> None:
        self._hall = hall
        self._told: Any | None = None

    def gather(
        self, number: int, place: Place, member: int, among: Sequence[int], own: Any
    ) -> Given | Decided:
        """See `Rendezvous`."""
        come = self._call("gather", number, place, member, tuple(among), _sent(own))
        if isinstance(come, Decided):
            return Decided(_fetched(come.value))
        return Given([_fetched(part) for part in come.parts])

    def decide(self, number: int, place: Place, decision: Any) -> None:
        """See `Rendezvous`."""
        self._call("decide", number, place, _sent(decision))

    def follow(self, number: int, place: Place, member: int, own: Any) -> Any:
        """See `Rendezvous`."""
        return _fetched(self._call("follow", number, place, member, _sent(own)))

    def leave(self, number: int, place: Place, member: int, own: Any) -> None:
        """See `Rendezvous`."""
        self._call("leave", number, place, member, _sent(own))

    def release(self, number: int, why: str) -> None:
        """See `Rendezvous`."""
        self._call("release", number, why)

    def tell(self, number: int, message: object) -> None:
        """Send a message to the driver, without waiting for it to arrive.

        Raises:
            Released: the one before it was told that there is no reason to go on.
        """
        import ray

        if self._told is not None and ray.wait([self._told], timeout=0)[0]:
            self.arrived()
        self._told = self._hall.tell.remote(number, message)

    def arrived(self) -> None:
        """Wait until the last message has arrived.

        Raises:
            Released: there is no reason to go on.
        """
        if self._told is not None:
            told, self._told = self._told, None
            _awaited(told)

    def _call(self, name: str, *arguments: Any) -> Any:
        return _awaited(getattr(self._hall, name).remote(*arguments))


def _sent(value: Any) -> list[Any]:
    """A reference to a value, in a list, so that Ray hands on the reference."""
    import ray

    return [ray.put(value)]


def _fetched(sent: list[Any]) -> Any:
    return _awaited(sent[0])


def _awaited(reference: Any) -> Any:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(reference)
    except RayTaskError:
        # What the hall raised: that we are released.
        raise
    except RayError as error:
        raise Released(_LOST) from error
