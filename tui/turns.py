"""Keys one after another: what one does is done before the next is looked at."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from textual.app import App
    from textual.events import Key, Paste
    from textual.timer import Timer

ROUNDS = 3
"""How often what follows from a key is waited for: a key makes a message, that an action, that a focus."""
PATIENCE = 0.3
"""Seconds that a key waits at most for the one before it."""


class Turns:
    """Hands the app one key at a time.

    Textual gives a key to what has the focus when the key is read. A slow line or a fast hand sends several
    at once; all of them would go to what has the focus before the first has moved it: of ``/solved=no`` the
    table would get everything.

    That all is done which follows from a key is known by a callback that goes the way of the key's own
    messages: from what had the focus through all that it lies in up to the app, behind them in every queue.
    """

    def __init__(self, app: App[None], look: Callable[[Key | Paste], Awaitable[None]]) -> None:
        self._app = app
        self._look = look
        self._waiting: deque[Key | Paste] = deque()
        self._busy = False
        self._turn = 0
        self._timer: Timer | None = None

    async def take(self, event: Key | Paste) -> None:
        """Look at a key now, or once the one before is done with."""
        self._waiting.append(event)
        if not self._busy:
            await self._next()
        elif self._timer is None:
            # What is taken off the screen meanwhile calls nobody back.
            self._timer = self._app.set_timer(PATIENCE, self._next)

    async def _next(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        self._turn += 1
        self._busy = bool(self._waiting)
        if not self._busy:
            return
        event = self._waiting.popleft()
        first = self._focused
        if self._waiting:
            self._timer = self._app.set_timer(PATIENCE, self._next)
        await self._look(event)
        self._follow(first, self._turn, ROUNDS)

    @property
    def _focused(self) -> MessagePump:
        return self._app.focused or self._app.screen

    def _follow(self, node: MessagePump, turn: int, rounds: int) -> None:
        """Go from queue to queue, up to the app's."""
        while node is not self._app:
            above = node._parent or self._app
            if node.call_later(self._follow, above, turn, rounds):
                return
            node = above
        self._app.call_later(self._arrive, turn, rounds)

    async def _arrive(self, turn: int, rounds: int) -> None:
        if turn != self._turn:
            return
        if rounds > 1:
            self._follow(self._focused, turn, rounds - 1)
        else:
            await self._next()
