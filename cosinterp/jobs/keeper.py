"""The keeper of a job: ``python -m cosinterp.jobs.keeper FOLDER LOCK``.

No process can say how it was killed, and none that a terminal owns outlives it. So the command of a job runs
under a small process that has left the terminal for a session of its own, waits for the job's turn, starts
the command, writes down how it goes and how it ended, and sees to it that nothing of it is left behind. It is
alone in this: the launcher may be gone, and there is no daemon.

Told to stop (by the user, or by the system's SIGTERM), it interrupts the command as Ctrl-C would, so that
this tidies up; if that takes too long, or the keeper is told again, it ends all that belongs to the job.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosinterp import __version__
from cosinterp.errors import JobError, UserError
from cosinterp.jobs.diary import Diary
from cosinterp.jobs.events import read_events
from cosinterp.jobs.exits import Exit, reason, told_to_stop
from cosinterp.jobs.home import host, slots_folder
from cosinterp.jobs.limits import Limits, check_limits
from cosinterp.jobs.log import Log
from cosinterp.jobs.memory_kills import memory_kills
from cosinterp.jobs.minding import Minder
from cosinterp.jobs.processes import Identity, stop
from cosinterp.jobs.record import Record, read_record
from cosinterp.jobs.spec import JobSpec
from cosinterp.jobs.state import State
from cosinterp.jobs.status import EVENTS, RECORD, SPEC
from cosinterp.jobs.stops import Stops
from cosinterp.jobs.telling import LOG
from cosinterp.jobs.turns import Queue, Turn
from cosinterp.jobs.wants import Wants, environment_for, known_gpus, usable_gpus, wanted
from cosinterp.jobs.worker import start_worker

_QUEUE_NOTES = 60.0
_ENDING = 2.0
_USERS_FAULT = UserError.exit_code
# prctl(2)
_SET_CHILD_SUBREAPER = 36
_End = tuple[State, dict[str, Any]]


@dataclass(frozen=True)
class _Asked:
    """What an attempt is to do: its ``submitted`` event."""

    words: list[str]
    takes_device: bool
    device: str | None
    takes_all: bool


class Keeper:
    """Keeps one attempt of a job.

    Args:
        folder: of the job.
        lock: the descriptor of its record, with the lock.

    Raises:
        JobError: the folder is damaged.
        OSError: its files cannot be opened.
    """

    def __init__(self, folder: Path, lock: int) -> None:
        self._folder = folder
        self._lock = lock
        self._stops = Stops()
        record = read_record(folder / RECORD)
        if record is None:
            raise ValueError(f"{folder / RECORD} is no record of a job")
        self._diary = Diary(folder, lock, record)
        self._spec = JobSpec.read(folder / SPEC)
        self._asked = _asked(folder, record)
        self._diary.change(keeper=Identity.of(os.getpid()), session=os.getsid(0), host=host())

    def keep(self) -> None:
        """Run the attempt to its end, and write down which that was."""
        turn = Turn()
        try:
            state, details = self._run(turn)
        except UserError as error:
            state, details = State.FAILED, {"message": str(error), "exit_code": _USERS_FAULT}
        except BaseException as error:
            self._diary.end(State.CRASHED, message=f"its keeper failed: {error!r}")
            raise
        # Before the end is told, so that who hears of it can have the place.
        turn.end()
        self._diary.end(state, **details)

    def _run(self, turn: Turn) -> _End:
        if self._spec.version != __version__:
            self._diary.note("note", message=f"submitted with {self._spec.version}, run with {__version__}")
        limits = check_limits()
        wants = wanted(self._asked.takes_device, self._asked.device, self._asked.takes_all)
        with _starting():
            self._wait_for(wants, limits, turn)
            if self._stops.told is not None:
                return told_to_stop(self._stops.told)
            log = Log(self._folder / LOG)
        try:
            return self._work(turn, wants, limits, log)
        finally:
            log.close()

    def _wait_for(self, wants: Wants, limits: Limits, turn: Turn) -> None:
        """Wait for the job's turn, which ``turn`` becomes, or for a word to stop."""
        queue = Queue(slots_folder(), self._folder.name, wants, limits, usable_gpus)
        noted = -_QUEUE_NOTES
        try:
            while not self._stops.count:
                why = queue.take(turn)
                if why is None:
                    return
                if why != self._diary.record.why:
                    self._diary.change(phase="queued", why=why)
                    # What it waits for may change all the time.
                    if time.monotonic() - noted >= _QUEUE_NOTES:
                        self._diary.note("queued", why=why)
                        noted = time.monotonic()
                self._diary.tick()
                select.select([self._stops.woken], [], [], queue.pace)
                self._stops.clear()
        finally:
            queue.leave()

    def _work(self, turn: Turn, wants: Wants, limits: Limits, log: Log) -> _End:
        """Run the command; returns how it ended."""
        if self._diary.record.attempt > 1:
            log.mark(f"\n[attempt {self._diary.record.attempt}, {time.strftime('%Y-%m-%d %H:%M:%S')}]\n")
        uuids = tuple(gpu.uuid for gpu in turn.chosen) or wants.named
        variables = environment_for(turn.chosen) if turn.chosen else {}
        kills = memory_kills()
        kept = (self._lock, *turn.locks)
        with _starting():
            worker = start_worker(self._asked.words, self._spec.cwd, self._folder, kept, variables)
        try:
            named = [f"GPU {gpu.index}" for gpu in known_gpus(uuids)] or list(wants.named)
            self._diary.started(Identity.of(worker.pid), named)
            minder = Minder(worker, self._diary, log, self._stops, limits.patience, lambda: known_gpus(uuids))
            code = minder.mind()
        except BaseException:
            # A fault of ours must not leave it without anybody who minds it.
            stop(os.getsid(0), [os.getpid()], patience=_ENDING)
            raise
        finally:
            worker.close()
        memory_kill = kills is not None and (memory_kills() or 0) > kills
        told = self._stops.told if minder.was_stopped else None
        return reason(Exit(code, log.tail, told, memory_kill))


@contextmanager
def _starting() -> Iterator[None]:
    """Say what the system's refusal means for a job that is being started.

    Raises:
        JobError: the folder that it is to run in is gone, say, or there is no room for its slot.
    """
    try:
        yield
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        raise JobError(f"it could not be started: {error.strerror}{place}") from error


def _asked(folder: Path, record: Record) -> _Asked:
    for event in read_events(folder / EVENTS):
        if event.event == "submitted" and event.attempt == record.attempt:
            found = event.details
            return _Asked(
                words=found["words"],
                takes_device=found["takes_device"],
                device=found.get("device"),
                takes_all=found.get("takes_all", False),
            )
    raise ValueError(f"{folder / EVENTS} does not say what attempt {record.attempt} is to do")


def _adopt_orphans() -> None:
    """Become the parent of what a process of ours leaves behind when it ends, so that none gets out of sight.

    Linux alone can; elsewhere what belongs to the job's session is found all the same.
    """
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def main() -> None:
    """Keep the job that the command line names, in a process that is no child of who started this one."""
    folder, lock = Path(sys.argv[1]), int(sys.argv[2])
    if os.fork():
        os._exit(0)
    os.set_inheritable(lock, False)
    _adopt_orphans()
    Keeper(folder, lock).keep()


if __name__ == "__main__":
    main()
