"""The actor at which the actors of an ensemble meet, and leave word for the driver."""

from __future__ import annotations

from cosinterp.ensembles.rendezvous import Rendezvous


class Hall(Rendezvous):
    """A rendezvous that takes in messages, too. Its calls wait, so it needs a thread for each who may call.

    What is given there are references to tensors: the tensors themselves never come here.
    """

    def __init__(self) -> None:
        super().__init__()
        self._messages: list[tuple[int, object]] = []

    def tell(self, number: int, message: object) -> None:
        """Take in a small message of a member of a company.

        Raises:
            Released: it need not go on.
        """
        with self._changed:
            self._company(number)
            self._messages.append((number, message))

    def take(self) -> list[tuple[int, object]]:
        """Hand out what has come since it was last asked for: (number of the company, message)."""
        with self._changed:
            taken, self._messages = self._messages, []
            return taken
