"""The process that rehearses: it imports once, and has each question answered by a process of its own.

That is a fork, so that nothing of one question stays for the next; a newer question kills it. Where a process
with libraries like these cannot be forked safely (macOS), it is a fresh one, which imports anew.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import sys
from contextlib import suppress
from typing import Any

from cosinterp.rehearsal.attempt import Attempt, Start, forked, started, write_all
from cosinterp.rehearsal.warming import Warmth

CAN_FORK = sys.platform.startswith("linux")
_MUCH = 2**16


def serve(*, forks: bool = CAN_FORK) -> None:
    """Answer questions until the standard input ends; each is overtaken by the next.

    A question has ``number``, ``words``, ``folder`` and ``online``, whether the command may ask the hub. An
    answer has its ``number`` beside what `cosinterp.rehearsal.messages.as_data` says. A first line says that
    questions may come.
    """
    warmth = Warmth()
    if forks:
        warmth.begin()
        gc.freeze()
    # Whoever asked may be gone, which the end of the standard input says too.
    with suppress(BrokenPipeError):
        Server(forked if forks else started, warmth).run()
    # At once: what libraries do when the interpreter ends takes a second.
    os._exit(0)


class Server:
    """Reads questions and says answers; at most one of them is being made."""

    def __init__(self, start: Start, warmth: Warmth) -> None:
        self._start = start
        self._warmth = warmth
        self._running: Attempt | None = None
        self._ending: list[Attempt] = []
        self._unread = b""
        self._stdin = sys.stdin.fileno()
        # What libraries print must not stand among answers.
        self._answers = os.dup(1)
        os.dup2(2, 1)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdin, selectors.EVENT_READ)

    def run(self) -> None:
        """Until nobody asks any more.

        Raises:
            BrokenPipeError: nobody listens any more.
        """
        self._say({"ready": True})
        while True:
            is_idle = self._running is None and self._warmth.is_waiting
            events = self._selector.select(0 if is_idle else None)
            if not events:
                self._warmth.go_on()
            for key, _ in events:
                if key.fd == self._stdin:
                    if not self._read_questions():
                        self._overtake()
                        return
                elif self._running is not None and key.data is self._running:
                    # Of one that was overtaken just now, its number may be that of another by now.
                    self._hear(self._running)
            self._ending = [attempt for attempt in self._ending if not attempt.is_over()]

    def _read_questions(self) -> bool:
        """Take what is asked, of which the last question counts; False if there will be none any more."""
        said = os.read(self._stdin, _MUCH)
        *whole, self._unread = (self._unread + said).split(b"\n")
        if whole:
            self._overtake()
            self._running = self._start(json.loads(whole[-1]), self._answers)
            self._selector.register(self._running.fd, selectors.EVENT_READ, self._running)
        return bool(said)

    def _overtake(self) -> None:
        """Have nobody work on the question before any more.

        It is not waited for: what hangs in a file system that has died cannot even be killed.
        """
        if self._running is not None:
            self._selector.unregister(self._running.fd)
            self._running.kill()
            self._ending.append(self._running)
            self._running = None

    def _hear(self, running: Attempt) -> None:
        """Take what the process that answers says; when it has said all, pass it on."""
        if running.has_more():
            return
        self._selector.unregister(running.fd)
        self._running = None
        self._ending.append(running)
        answer = running.answer()
        self._warmth.learn(answer.pop("imported", ()))
        self._say({"number": running.number, **answer})

    def _say(self, what: dict[str, Any]) -> None:
        write_all(self._answers, json.dumps(what).encode() + b"\n")
