"""Asking the process that rehearses."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cosinterp.jobs.own_code import own_command
from cosinterp.rehearsal.answer import Answer
from cosinterp.rehearsal.child import Child, is_offline

MODULE = "cosinterp.rehearsal"
_TRIES = 2


class Rehearsal:
    """Asks the command line what it would do; owns the process that answers, started with the first question.

    May be asked from several threads: the newest question counts, and those before it come back empty.

    Args:
        command: that starts the process; default: the one that has everything imported before it is asked.
    """

    def __init__(self, command: Sequence[str] | None = None) -> None:
        self._command = command or own_command(MODULE)
        self._changed = threading.Condition()
        self._child: Child | None = None
        self._newest = 0
        self._closed = False

    def ask(self, words: Sequence[str], folder: Path | None = None) -> Answer | None:
        """What the words behind ``cosinterp`` would do; blocks until it is known.

        The first answer takes as long as torch takes to import, further ones a fraction of a second, or as
        long as the file systems that are asked about.

        Args:
            words: of a command line; --dry-run, --json and --detach may be among them or not.
            folder: that relative paths are of; None: the one that this process was in at first.

        Returns:
            None: a newer question has come, `overtake` was called, or all of it is closed.
        """
        with self._changed:
            if self._closed:
                return None
            number = self._next()
            question = {
                "number": number,
                "words": list(words),
                "folder": os.curdir if folder is None else str(folder),
                "online": not is_offline(),
            }
            for _ in range(_TRIES):
                child = self._alive()
                answer = self._asked(child, question)
                if answer is not None or self._is_old(number):
                    return answer
        return Answer(False, f"what rehearses commands has ended: {child.end}", bug=child.last_words)

    @property
    def pid(self) -> int | None:
        """Of the process; None: none runs."""
        child = self._child
        return None if child is None or child.has_ended else child.pid

    def overtake(self) -> None:
        """Have whoever still waits for an answer come back empty; never blocks."""
        with self._changed:
            self._next()

    def close(self) -> None:
        """End the process, and whatever it is doing; never blocks."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if self._child is not None:
                self._child.kill()

    def _asked(self, child: Child, question: dict[str, Any]) -> Answer | None:
        """What a process answers; None: the question is old, or the process has ended."""
        number = question["number"]

        def waits() -> bool:
            return not child.has_ended and not self._is_old(number)

        self._changed.wait_for(lambda: child.is_ready or not waits())
        if not waits():
            return None
        child.send(question)
        self._changed.wait_for(lambda: child.answers(number) or not waits())
        return None if self._is_old(number) else child.take(number)

    def _next(self) -> int:
        self._newest += 1
        self._changed.notify_all()
        return self._newest

    def _is_old(self, number: int) -> bool:
        return self._closed or number != self._newest

    def _alive(self) -> Child:
        """The process; a new one, if there is none or it has ended."""
        if self._child is None or self._child.has_ended:
            self._child = Child(self._changed, self._command)
        return self._child
