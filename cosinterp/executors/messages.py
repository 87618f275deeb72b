"""What a driver and its workers on the same machine say to one another, through a socket a worker.

A driver first sends the path of modules, then a `Begin`, then orders. A worker answers each `Task` with any
number of `Message` and one `Done` or `Undone`, and says `Wants` when it can take a task; to each of these it
gets one order. The end of the socket is the end of the other side, however it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Begin:
    """What a worker is for: the pickled work, and the device to open it on."""

    work: bytes
    device: str | None


@dataclass(frozen=True)
class Task:
    """An order: do this pickled task. One that was tried before is done ``alone``, with none under way."""

    number: int
    content: bytes
    alone: bool


@dataclass(frozen=True)
class Idle:
    """An order: there is no task now; finish what is under way."""


@dataclass(frozen=True)
class End:
    """An order: finish what is under way, and end."""


@dataclass(frozen=True)
class Stop:
    """An order that interrupts: clean up and end now."""


@dataclass(frozen=True)
class CannotOpen:
    """The work could not be opened; the worker ends."""

    error: str
    is_users: bool


@dataclass(frozen=True)
class Wants:
    """The worker can take a task."""


@dataclass(frozen=True)
class Message:
    """What a task tells on the way."""

    number: int
    content: Any


@dataclass(frozen=True)
class Done:
    """A task is done."""

    number: int
    value: Any


@dataclass(frozen=True)
class Undone:
    """A task raised. If it is not the user's fault, the worker ends: who knows what state it is in."""

    number: int
    error: str
    is_users: bool


Order = Task | Idle | End | Stop
Answer = CannotOpen | Wants | Message | Done | Undone
