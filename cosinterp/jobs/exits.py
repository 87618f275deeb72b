"""Why a worker ended, from how it ended and what it last said."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import Any

from cosinterp.jobs.state import State
from cosinterp.jobs.stops import CANCEL
from cosinterp.signals import signal_name

_TRACEBACK = "Traceback (most recent call last):"
_ERROR = "error: "
_INTERRUPTED = 130
_LONGEST = 1000
_LINES_TOLD = 3
# Signals by which a program ends itself for a fault of its own.
_FAULTS = frozenset(
    (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP)
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_GPU_FULL = re.compile(r"\b(OutOfMemoryError|CUDA out of memory|CUDA error: out of memory)\b|GPU's memory")
_GPU_TOO_SMALL = re.compile(r"does not fit into the memory of cuda")
_HOST_FULL = re.compile(
    r"^(MemoryError|numpy\S*MemoryError)|\bcan't allocate memory\b|\bCannot allocate memory\b"
)


@dataclass(frozen=True)
class Exit:
    """How a worker ended.

    Attributes:
        code: its exit code, or minus the number of the signal that ended it.
        said: the last of what it printed.
        told: the signal by which its keeper was told to stop it; None: by none.
        memory_kill: whether the system has killed something of this user's for lack of memory meanwhile.
    """

    code: int
    said: str
    told: signal.Signals | None = None
    memory_kill: bool = False


def reason(ended: Exit) -> tuple[State, dict[str, Any]]:
    """The state that a worker's end puts the job into, and what else is known of it."""
    if ended.code == 0:
        return State.FINISHED, {}
    # Being told to stop explains any end but that of a fault.
    if ended.told is not None and -ended.code not in _FAULTS:
        return told_to_stop(ended.told)
    if ended.code < 0:
        return _by_signal(ended)
    if ended.code == _INTERRUPTED:
        return State.KILLED, {"signal": "SIGINT", "message": "interrupted from outside of the job"}
    message, is_traceback = last_words(ended.said)
    memory = _memory(message)
    if memory is not None:
        return State.OUT_OF_MEMORY, {"where": memory, "message": message}
    if is_traceback:
        return State.CRASHED, {"message": message, "exit_code": ended.code}
    message = message or f"it ended with exit code {ended.code} and without a word"
    return State.FAILED, {"message": message, "exit_code": ended.code}


def told_to_stop(by: signal.Signals) -> tuple[State, dict[str, Any]]:
    """The state of a job whose keeper was told to stop by a signal, and what else is known of it."""
    if by == CANCEL:
        return State.CANCELLED, {}
    message = f"its keeper was told to stop by {by.name} from outside of the job: by the system, say"
    return State.KILLED, {"signal": by.name, "message": message}


def last_words(said: str) -> tuple[str, bool]:
    """What a command said of its failure, in a few lines at the most, and whether it was a traceback."""
    # It may have been told to colour what it prints (FORCE_COLOR).
    lines = [line.rstrip() for line in _COLOUR.sub("", said).splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith(_ERROR)]
    tracebacks = [number for number, line in enumerate(lines) if line == _TRACEBACK]
    if tracebacks and (not starts or starts[-1] < tracebacks[-1]):
        # After the frames, which are set in, comes what was raised.
        after = [line for line in lines[tracebacks[-1] + 1 :] if not line.startswith(" ")]
        if after:
            return _cut(after[0]), True
    if starts:
        first, *more = lines[starts[-1] :]
        return _cut("\n".join([first.removeprefix(_ERROR), *more[: _LINES_TOLD - 1]])), False
    framed = [line.strip("│ ") for line in lines if line.startswith("│")]
    if framed:
        # A usage error, which stands in a frame.
        return _cut(" ".join(framed)), False
    return _cut("\n".join(lines[-_LINES_TOLD:])), False


def _by_signal(ended: Exit) -> tuple[State, dict[str, Any]]:
    number = -ended.code
    name = signal_name(number)
    if number == signal.SIGKILL and ended.memory_kill:
        message = "the system killed it: the machine's memory was full"
        return State.OUT_OF_MEMORY, {"where": "host", "message": message}
    if number in _FAULTS:
        return State.CRASHED, {"signal": name, "message": f"the program broke off by {name}"}
    return State.KILLED, {"signal": name, "message": f"killed by {name} from outside of the job"}


def _memory(message: str) -> str | None:
    """Which memory a failure says was too small; None: it says nothing of that."""
    if _GPU_FULL.search(message) or _GPU_TOO_SMALL.search(message):
        return "gpu"
    return "host" if _HOST_FULL.search(message) else None


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
