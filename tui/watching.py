"""What changes by itself, read by one thread of the app and told to whoever asks."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from textual.dom import DOMNode
from textual.signal import Signal

from tui.background import Crashed

if TYPE_CHECKING:
    from tui.app import CosinterpApp

Seen = TypeVar("Seen")


class Watch(ABC, Generic[Seen]):
    """Reads something again and again in a thread of its own, and tells of it when it has changed.

    Widgets subscribe when they are mounted. The first who does so starts the thread, after the app has
    painted; it ends with the app.

    Args:
        app: whose.
        name: of the thread.

    Attributes:
        latest: what was told last; None: nothing has been read yet.
    """

    def __init__(self, app: CosinterpApp, name: str) -> None:
        self.latest: Seen | None = None
        self._app = app
        self._changed: Signal[Seen] = Signal(app, name)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def subscribe(self, node: DOMNode, tell: Callable[[Seen], None]) -> None:
        """Call ``tell`` in the app's thread with what is seen, now if it is known and at each change.

        Args:
            node: a mounted widget or screen; when it is removed, it is told no more.
        """
        self._changed.subscribe(node, tell)
        if self.latest is not None:
            node.call_next(tell, self.latest)
        if not self._thread.ident:
            self._app.call_after_refresh(self._begin)

    def close(self) -> None:
        """Read no more; the thread ends as soon as what it reads lets it."""
        self._closed.set()

    def _begin(self) -> None:
        if not self._thread.ident and not self._closed.is_set():
            self._start()

    def _start(self) -> None:
        self._thread.start()

    def _publish(self, seen: Seen) -> None:
        self.latest = seen
        self._changed.publish(seen)

    # In the thread

    @abstractmethod
    def _read_on(self) -> None:
        """Read until it is closed, and `_tell` what has changed."""

    def _work(self) -> None:
        try:
            self._read_on()
        except Exception as error:
            if self._closed.is_set():
                raise
            self._app.post_message(Crashed(error))

    def _tell(self, seen: Seen) -> None:
        # What answers after the app has ended has nobody to be told to any more.
        if not self._closed.is_set():
            self._app.call_later(self._publish, seen)
