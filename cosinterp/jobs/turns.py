"""Taking turns on a machine without anybody who gives them out: slots and tickets, which are locked files.

A job that runs holds the lock of a slot: of one for each GPU that it was given, or of one of those for jobs
without a GPU. A job that waits holds the lock of its ticket, and tickets are numbered. Each looks for itself
whether those before it still wait for what it wants, so that who comes first is served first; the system
takes a lock away from whoever dies, so that nothing has to be cleaned up.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cosinterp.devices.gpu import Gpu
from cosinterp.jobs.home import make_private_folders, open_private
from cosinterp.jobs.limits import Limits
from cosinterp.jobs.record import take_lock
from cosinterp.jobs.wants import Wants
from stores.units import count_text, size_text

_GUARD = "lock"
_TICKET = "ticket-"
_WITHOUT = "no-gpu"
_PACE = 0.5
_SLOW_PACE = 2.0
_TAKEN_FROM = 0.5
"""The share of a GPU's memory from which on it counts as taken by others."""


@dataclass
class Turn:
    """What a job holds while it runs.

    Attributes:
        locks: descriptors of its slots.
        chosen: the GPUs that were chosen for it; none, if its words name them or it has none.
    """

    locks: list[int] = field(default_factory=list)
    chosen: list[Gpu] = field(default_factory=list)

    def end(self) -> None:
        """Make room for the next."""
        while self.locks:
            os.close(self.locks.pop())


class Queue:
    """A job's place among those that wait on this machine.

    Args:
        folder: where slots and tickets are; made if it is missing.
        job: its id.
        wants: what it waits for.
        limits: how many may run at once.
        look: tells the GPUs that may be chosen from.

    Attributes:
        pace: seconds after which to look again.

    Raises:
        OSError: the folder cannot be written, or has no locks.
    """

    def __init__(
        self, folder: Path, job: str, wants: Wants, limits: Limits, look: Callable[[], list[Gpu]]
    ) -> None:
        self._folder = folder
        self._wants = wants
        self._limits = limits
        self._look = look
        self._reserved: set[str] = set()
        self._any_before: str | None = None
        self.pace = _PACE
        make_private_folders(folder)
        with self._guarded():
            self._number = max(self._tickets(), default=0) + 1
            self._path = folder / f"{_TICKET}{self._number:08d}-{job}"
            self._ticket = open_private(self._path, os.O_RDWR)
            take_lock(self._ticket)
            os.write(self._ticket, json.dumps([wants.count, wants.named]).encode())

    def take(self, turn: Turn) -> str | None:
        """Have ``turn`` be what it waited for, if its turn has come; else says what it waits for.

        Raises:
            OSError: slots cannot be made.
        """
        with self._guarded():
            before = self._before()
            self.pace = _PACE if before is None else _SLOW_PACE
            if before is not None:
                return f"its turn comes after {before}"
            taken = self._take()
            if isinstance(taken, str):
                return taken
            turn.locks, turn.chosen = taken.locks, taken.chosen
            self.leave()
            return None

    def leave(self) -> None:
        """Give the place up; leaving again does nothing."""
        if self._ticket >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._ticket)
            self._ticket = -1

    def _before(self) -> str | None:
        """The job that has to be served before; None: there is none."""
        self._reserved.clear()
        self._any_before = None
        tickets = self._tickets()
        for number in sorted((number for number in tickets if number < self._number), reverse=True):
            path = tickets[number]
            wants = _waiting(path)
            if wants is None:
                continue
            job = path.name.removeprefix(_TICKET).partition("-")[2]
            if _compete(wants, self._wants):
                return job
            self._reserved.update(wants.named)
            if wants.count:
                self._any_before = job
        return None

    def _take(self) -> Turn | str:
        if self._wants.named:
            return self._named()
        if self._wants.count:
            return self._any([gpu for gpu in self._look() if gpu.uuid not in self._reserved])
        free, _ = self._slots(_WITHOUT, self._limits.without_gpu)
        if not free:
            return f"{count_text(self._limits.without_gpu, 'job')} without a GPU already running"
        return Turn([_keep_one(free)])

    def _named(self) -> Turn | str:
        if self._any_before is not None:
            # What others have taken is no use to who waits for any that is free.
            for gpu in self._look():
                if gpu.uuid in self._wants.named and not _is_taken_by_others(gpu):
                    return f"its turn comes after {self._any_before}"
        turn = Turn()
        for name in self._wants.named:
            free, _ = self._slots(name, self._limits.per_gpu)
            if not free:
                turn.end()
                known = next((f"GPU {gpu.index}" for gpu in self._look() if gpu.uuid == name), name)
                return f"{known} is taken by {count_text(self._limits.per_gpu, 'job')}"
            turn.locks.append(_keep_one(free))
        return turn

    def _any(self, seen: list[Gpu]) -> Turn | str:
        with ExitStack() as unused:
            found: list[tuple[tuple[int, int, int], int, Gpu]] = []
            reasons: list[str] = []
            for gpu in seen:
                free, taken = self._slots(gpu.uuid, self._limits.per_gpu)
                if not free:
                    reasons.append(f"GPU {gpu.index} by {count_text(taken, 'job')}")
                    continue
                slot = _keep_one(free)
                if not taken and _is_taken_by_others(gpu):
                    os.close(slot)
                    used, total = size_text(gpu.memory_used or 0), size_text(gpu.memory_total or 0)
                    reasons.append(f"GPU {gpu.index} by others ({used} of {total})")
                    continue
                found.append(((taken, -(gpu.memory_free or 0), gpu.utilization or 0), slot, gpu))
                unused.callback(os.close, slot)
            if len(found) < self._wants.count:
                taken_text = f"; taken: {', '.join(reasons)}" if reasons else ""
                return f"{count_text(self._wants.count, 'free GPU')} wanted, {len(found)} there{taken_text}"
            unused.pop_all()
            found.sort(key=lambda one: one[0])
            for _, slot, _ in found[self._wants.count :]:
                os.close(slot)
            kept = found[: self._wants.count]
            return Turn([slot for _, slot, _ in kept], [gpu for _, _, gpu in kept])

    def _slots(self, name: str, count: int) -> tuple[list[int], int]:
        """Descriptors of the free slots of something, locked, and how many are taken."""
        free: list[int] = []
        taken = 0
        stem = f"{name.replace('/', '_')}."
        # One that was started with a larger limit may have a slot beyond ours.
        there = {path.name for path in self._folder.iterdir() if path.name.startswith(stem)}
        for slot in sorted(there | {f"{stem}{number}" for number in range(count)}):
            fd = open_private(self._folder / slot, os.O_RDWR)
            if take_lock(fd):
                free.append(fd)
            else:
                os.close(fd)
                taken += 1
        left = max(0, count - taken)
        for fd in free[left:]:
            os.close(fd)
        return free[:left], taken

    def _tickets(self) -> dict[int, Path]:
        found: dict[int, Path] = {}
        for path in self._folder.glob(f"{_TICKET}*"):
            number = path.name.removeprefix(_TICKET).partition("-")[0]
            if number.isdecimal():
                found[int(number)] = path
        return found

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """No other job looks or takes meanwhile, so that none sees half of what another does."""
        guard = open_private(self._folder / _GUARD, os.O_RDWR)
        try:
            fcntl.flock(guard, fcntl.LOCK_EX)
            yield
        finally:
            os.close(guard)


def _waiting(path: Path) -> Wants | None:
    """What the owner of a ticket waits for; None, and the ticket is removed, if it is gone."""
    try:
        ticket = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if take_lock(ticket):
            path.unlink(missing_ok=True)
            return None
        with suppress(ValueError):
            count, named = json.loads(os.read(ticket, 2**16))
            return Wants(int(count), tuple(named))
        # A full disk has left no room for what it wants; it may be anything.
        return Wants(count=1)
    finally:
        os.close(ticket)


def _compete(earlier: Wants, own: Wants) -> bool:
    """Whether serving one that came later may make the one that came earlier wait longer."""
    if not (earlier.count or earlier.named) or not (own.count or own.named):
        return earlier == own
    if own.count:
        # What certain GPUs are waited for is left alone by who takes any.
        return earlier.count > 0
    return not set(earlier.named).isdisjoint(own.named)


def _is_taken_by_others(gpu: Gpu) -> bool:
    if gpu.memory_used is None or not gpu.memory_total:
        return False
    return gpu.memory_used > _TAKEN_FROM * gpu.memory_total


def _keep_one(free: list[int]) -> int:
    kept, *rest = free
    for fd in rest:
        os.close(fd)
    return kept
