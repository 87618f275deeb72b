"""Questions that are asked side by side, each with a limit of time, and answers as they come.

What a question asks may never answer: a network file system that is gone, a driver that hangs. So each is
asked in a thread of its own that nobody waits for beyond its limit, and which does not keep the program from
ending.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from cosinterp.doctor.finding import Finding, is_unknown


@dataclass(frozen=True)
class Circumstances:
    """What is examined: the folder ``path``, which need not exist, and the variables of the environment."""

    path: Path = Path()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass(frozen=True, kw_only=True)
class Question:
    """Something to find out, in ``limit`` seconds at most.

    ``ask`` may give several findings, each as soon as it is known. With ``alone`` it is asked when all others
    are answered, because they would disturb it. ``needed``: cosinterp does not work unless it is answered.
    """

    name: str
    group: str
    ask: Callable[[Circumstances], Iterable[Finding]]
    limit: float = 10.0
    alone: bool = False
    needed: bool = False


# A finding, or None for the last one of a question.
_Answer = tuple[Question, Finding | None]


class Examination:
    """Iterate over it, once, to get the findings in the order in which they come.

    Args:
        circumstances: what is examined.
        questions: what is asked.
        clock: seconds, which limits of time are counted in.
    """

    def __init__(
        self,
        circumstances: Circumstances,
        questions: Sequence[Question],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._circumstances = circumstances
        self._questions = tuple(questions)
        self._clock = clock
        self._open = list(self._questions)
        home = str(Path.home())
        # A page for others to read need not name whose machine it is.
        self._names = {home: "~"} if len(home) > 1 else {}

    @property
    def open(self) -> tuple[Question, ...]:
        """The questions that are not answered yet."""
        return tuple(self._open)

    def __iter__(self) -> Iterator[Finding]:
        """Ask all questions; each finding as soon as it is there."""
        together = [question for question in self._questions if not question.alone]
        yield from self._asked(together)
        for question in self._questions:
            if question.alone:
                yield from self._asked([question])

    def _asked(self, questions: Sequence[Question]) -> Iterator[Finding]:
        answers: SimpleQueue[_Answer] = SimpleQueue()
        ends = {question.name: self._clock() + question.limit for question in questions}
        waiting = {question.name: question for question in questions}
        for question in questions:
            Thread(
                target=self._answer,
                args=(question, answers),
                name=f"cosinterp-doctor-{question.name}",
                daemon=True,
            ).start()
        while waiting:
            left = min(ends[name] for name in waiting) - self._clock()
            try:
                question, finding = answers.get(timeout=max(left, 0.0))
            except Empty:
                for name in [name for name in waiting if ends[name] <= self._clock()]:
                    question = waiting.pop(name)
                    self._open.remove(question)
                    yield self._of(question, _unanswered(question))
                continue
            if question.name not in waiting:
                continue
            if finding is None:
                del waiting[question.name]
                self._open.remove(question)
            else:
                yield self._of(question, finding)

    def _answer(self, question: Question, answers: SimpleQueue[_Answer]) -> None:
        try:
            for finding in question.ask(self._circumstances):
                answers.put((question, finding))
        except Exception as error:  # noqa: BLE001 - told as what was found
            answers.put((question, _failed(question, error)))
        finally:
            answers.put((question, None))

    def _of(self, question: Question, finding: Finding) -> Finding:
        named = replace(finding, group=question.group, question=question.name)
        return named.abbreviated(self._names)


def examine(circumstances: Circumstances, questions: Sequence[Question] | None = None) -> Examination:
    """Ask ``questions``, all that there are by default, about ``circumstances``. Raises nothing."""
    if questions is None:
        from cosinterp.doctor.questions import QUESTIONS

        questions = QUESTIONS
    return Examination(circumstances, questions)


def _unanswered(question: Question) -> Finding:
    return is_unknown(
        question.name,
        f"no answer within {question.limit:g} s",
        "Something that was asked hangs: a file system or a driver, mostly.",
        "See whether the like of it hangs in a shell (ls, nvidia-smi), and ask who keeps the machine.",
        needed=question.needed,
    )


def _failed(question: Question, error: Exception) -> Finding:
    told = " ".join(str(error).split())
    return is_unknown(
        question.name,
        f"{type(error).__name__}: {told}" if told else type(error).__name__,
        "This could not be found out.",
        "If the error is none of your machine's, report it with what cosinterp doctor --json prints.",
        needed=question.needed,
    )
