"""What an executor is: something that has tasks done, one worker a device, and tells how that goes.

A `Work` says what a worker does. It travels to the workers by pickle and is opened once in each, where it
loads a model, say; tasks and values travel too. So all three are small: what is big goes to the disk that
driver and workers share.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

Task = TypeVar("Task")
Value = TypeVar("Value")
_Task = TypeVar("_Task", contravariant=True)
_Value = TypeVar("_Value", covariant=True)

MOST_TRIES = 3
"""How often a task is begun, if its worker dies each time."""

Tell = Callable[[object], None]
"""Sends a small message on the way; from the thread that does the task."""


@dataclass(frozen=True)
class Later(Generic[Value]):
    """A value whose last part is under way, such as a file that threads are still writing.

    A worker that is given one may begin its next task first, and waits for this one after that.

    Attributes:
        wait: waits for the value, and raises what went wrong; called once, by the thread that does tasks.
    """

    wait: Callable[[], Value]


class Opened(Protocol[_Task]):
    """A work that is open in a worker; a context manager, entered before the first task.

    It is left with the exception if one ends the worker (`KeyboardInterrupt` of a stopped one), and has to
    clean up then. After a task that raised it goes on with others.
    """

    def __call__(self, task: _Task, tell: Tell, /) -> Any:
        """Do a task: its value, or `Later`."""
        ...

    def __enter__(self) -> Any: ...

    def __exit__(self, *exception: Any) -> bool | None: ...


class Work(Protocol[_Task, _Value]):
    """What a worker does; picklable and small."""

    def open(self, device: str | None) -> Opened[_Task] | Callable[[_Task, Tell], _Value | Later[_Value]]:
        """Get ready on a device ("cuda:2", "cpu"; None: whatever there is): what does tasks from then on.

        A plain function will do where there is nothing to clean up; see `entered`.
        """
        ...


@dataclass(frozen=True)
class Told(Generic[Task]):
    """A task sends a message; if its worker dies, and it is tried again, it may send it once more."""

    task: Task
    message: object


@dataclass(frozen=True)
class Finished(Generic[Task, Value]):
    """A task is done."""

    task: Task
    value: Value


@dataclass(frozen=True)
class Failed(Generic[Task]):
    """A task cannot be done; the others go on.

    Attributes:
        task: which.
        error: what is wrong: for the user if ``is_users``, else the text of a traceback, or how its workers
            died.
        is_users: whether it is the user's to mend.
    """

    task: Task
    error: str
    is_users: bool


Happened: TypeAlias = Told[Task] | Finished[Task, Value] | Failed[Task]


@contextmanager
def entered(opened: Any) -> Iterator[Callable[[Any, Tell], Any]]:
    """What a work gave when it was opened, entered if it is a context manager."""
    if hasattr(opened, "__enter__"):
        with opened:
            yield opened
    else:
        yield opened


class WorkerError(RuntimeError):
    """A worker cannot be had at all, for a reason that is not the user's; the message has its traceback."""


class Executor(Protocol):
    """Has tasks done."""

    @property
    def workers(self) -> int:
        """How many tasks are done at once."""
        ...

    def run(
        self, work: Work[Task, Value], tasks: Sequence[Task]
    ) -> Generator[Happened[Task, Value], None, None]:
        """Have all tasks done, and tell what happens, in the order in which it does.

        Tasks are begun in their order and end in any. One whose worker dies is begun again by another, up to
        `MOST_TRIES` times in all. Closing the generator stops all workers, and none is left when it returns;
        use `contextlib.closing`.

        Raises:
            UserError: a work cannot be opened, which the user can mend.
            WorkerError: it cannot be opened for another reason.
        """
        ...
