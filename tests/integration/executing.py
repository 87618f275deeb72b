"""An executor within this process, whose workers die when a test says so."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cosinterp as ci
from cosinterp.executors.executor import Failed, Finished, Later, Told, entered
from cosinterp.mendable import told
from cosinterp.planning.plan import TracePlan

_DYING = 1


class Died(BaseException):
    """A worker is killed: nothing of ours catches it."""


@dataclass
class Inline:
    """Does tasks one after another in this process, and sends all that travels by pickle.

    Attributes:
        dies_after: after so many messages of a task its worker dies once; by the task's name.
        goes_wrong: raised in place of doing a task; by its name.
        opened: how many workers there were.
        sent: bytes of what was sent: "work", "task", "message", the largest of each.
    """

    dies_after: dict[str, int] = field(default_factory=dict)
    goes_wrong: dict[str, Exception] = field(default_factory=dict)
    opened: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    workers: int = 2

    def run(self, work: Any, tasks: Sequence[Any]) -> Generator[Any, None, None]:
        waiting = list(tasks)
        while waiting:
            worker = self._travelled("work", work).open("cpu")
            self.opened += 1
            try:
                with entered(worker) as do:
                    while waiting:
                        yield from self._done(do, waiting[0])
                        waiting.pop(0)
            except Died:
                continue

    def _done(self, do: Callable[..., Any], task: Any) -> Generator[Any, None, None]:
        messages: list[Any] = []

        def tell(message: object) -> None:
            messages.append(Told(task, self._travelled("message", message)))
            if self.dies_after.get(str(task)) == len(messages):
                del self.dies_after[str(task)]
                raise Died

        try:
            arrived = self._travelled("task", task)
            if str(task) in self.goes_wrong:
                error = self.goes_wrong[str(task)]
                # Anew, since what is raised again collects where it was raised.
                raise type(error)(*error.args)
            value = do(arrived, tell)
            ended: Any = Finished(task, value.wait() if isinstance(value, Later) else value)
        except Exception as error:  # noqa: BLE001 - as a worker does
            ended = Failed(task, *told(error))
        finally:
            yield from messages
        yield ended

    def _travelled(self, kind: str, thing: Any) -> Any:
        content = pickle.dumps(thing)
        self.sent[kind] = max(self.sent[kind], len(content))
        return pickle.loads(content)


class Counted:
    """A progress that counts what it is told."""

    def __init__(self) -> None:
        self.todo: list[list[tuple[str, int]]] = []
        self.steps: Counter[tuple[str, int, int]] = Counter()
        self.runs: Counter[tuple[str, int]] = Counter()

    def planned(self, plan: TracePlan, todo: Sequence[tuple[str, int]]) -> None:
        self.todo.append(list(todo))

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        self.steps.update((sample, seed, step) for seed in seeds)

    def finished(self, sample: str, seed: int) -> None:
        self.runs[sample, seed] += 1

    @property
    def told(self) -> tuple[Any, ...]:
        return self.todo, self.steps, self.runs


def assert_equal(a: Any, b: Any) -> None:
    """Two stores have the same runs, to the last bit."""
    found = ci.diff(a, b)
    assert found.equal, found
