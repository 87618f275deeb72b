"""What is known of jobs, as text: short enough for a table, and with no code that changes the terminal."""

from __future__ import annotations

import os
import re
import shlex
from datetime import datetime
from typing import TYPE_CHECKING

from stores.units import size_text

if TYPE_CHECKING:
    from cosinterp.jobs.spec import JobSpec
    from cosinterp.jobs.state import State
    from cosinterp.jobs.status import Status

# ECMA-48: control sequences, strings up to their terminator (titles, links), and escapes of two bytes.
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_].*?(?:\x07|\x1b\\)|[ -/]*[0-~])", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# What a terminal acts on, and halves of characters: bytes of a name that is no text.
_UNSHOWN = re.compile(f"{_CONTROLS.pattern}|[\udc80-\udcff]")
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))
STYLES = {
    "queued": "yellow",
    "running": "green",
    "cancelling": "yellow",
    "finished": "",
    "cancelled": "dim",
}
_BAD = "red"


def plain(line: str) -> str:
    """A line without control codes; of what was drawn over itself, as bars are, what was seen last.

    >>> plain("loading  10%\\rloading 100%")
    'loading 100%'
    """
    seen = _SEQUENCES.sub("", line).rstrip("\r\n").rpartition("\r")[2]
    return _CONTROLS.sub("", seen)


def one_line(text: str | None) -> str:
    """The first line of a text, `plain`."""
    return plain((text or "").strip().partition("\n")[0])


def state_text(state: State) -> str:
    """A state as a word, or two."""
    return state.value.replace("_", " ")


def state_style(state: State) -> str:
    """The colour of a state, which only repeats what the word says."""
    return STYLES.get(state.value, _BAD)


def span_text(seconds: float) -> str:
    """A span of time in at most seven characters.

    >>> span_text(40.2), span_text(400), span_text(11_000), span_text(200_000)
    ('40 s', '6.7 min', '3.1 h', '2.3 d')
    """
    for unit, length in _UNITS:
        if seconds >= 1.5 * length:
            value = seconds / length
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def moment_text(seconds: float) -> str:
    """A moment by this machine's clock and calendar, from seconds since the epoch."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def share_of(status: Status) -> float | None:
    """How much of the work is done, from 0 to 1; None: not known."""
    if status.done is None or not status.total:
        return None
    return min(max(status.done / status.total, 0.0), 1.0)


def amount_text(number: float, unit: str | None) -> str:
    """A number of units: `1,204`, `3.1 GB`."""
    return size_text(int(number)) if unit == "bytes" else f"{number:,.0f}"


def rate_text(rate: float | None, unit: str | None) -> str:
    """A rate; where a unit takes longer than a second, how long.

    >>> rate_text(3.21, "steps"), rate_text(0.05, "steps"), rate_text(2e9, "bytes"), rate_text(None, "runs")
    ('3.2 steps/s', '20 s/step', '2.0 GB/s', '')
    """
    if not rate:
        return ""
    if unit == "bytes":
        return f"{size_text(int(rate))}/s"
    named = unit or ""
    if rate >= 1:
        number = f"{rate:.1f}" if rate < 99.95 else f"{rate:,.0f}"
        return f"{number} {named}/s" if named else f"{number}/s"
    single = named.removesuffix("es") if named == "patches" else named.removesuffix("s")
    return f"{span_text(1 / rate)}/{single or 'part'}"


def memory_text(status: Status) -> str:
    """What its GPUs have in use, or, of a job without, what its processes take of the host's memory."""
    used = [gpu["memory"] for gpu in status.gpus if gpu.get("memory") is not None]
    if used:
        return size_text(sum(used))
    return "" if status.host_memory is None else size_text(status.host_memory)


def place_text(status: Status) -> str:
    """Which sample and seeds are being worked on."""
    if status.sample is None:
        return ""
    seeds = "" if status.seeds is None else f" seed {status.seeds}"
    return f"{status.sample}{seeds}"


def doing_text(status: Status) -> str:
    """What it does now, what it waits for, or how it ended; in one line."""
    if status.state.value == "finished":
        return ""
    if status.state.is_final or status.state.value == "queued":
        return one_line(status.message)
    parts = (status.description or "", place_text(status))
    return one_line(": ".join(part for part in parts if part))


def outcome_text(state: str, message: str | None, took: str = "") -> str:
    """A state, how long it took to come to it, and why, without saying twice what the reason begins with."""
    word, why = state.replace("_", " "), one_line(message)
    if why.lower().startswith(word):
        return f"{why}{took}"
    return f"{word}{took}" + (f": {why}" if why else "")


def ended_text(status: Status) -> str:
    """How a job ended, and how to go on if it did not finish."""
    said = f"{status.id}: {outcome_text(status.state, status.message)}"
    if not status.state.is_final or status.state.value == "finished":
        return said
    return f"{said}\n  to go on: cosinterp jobs resume {status.id}"


def command_text(words: tuple[str, ...] | list[str]) -> str:
    """A command line that can be pasted."""
    return " ".join(map(_quoted, ["cosinterp", *words]))


def pasteable(spec: JobSpec) -> str:
    """What repeats a job's command from any folder."""
    return f"cd {_quoted(spec.cwd)} && {command_text(spec.words)}"


def _quoted(word: str) -> str:
    """A word for a shell; what would change the terminal is in escapes, which bash and zsh read."""
    if not _UNSHOWN.search(word):
        return shlex.quote(word)
    escaped = word.replace("\\", r"\\").replace("'", r"\'")
    return f"$'{_UNSHOWN.sub(_as_escapes, escaped)}'"


def _as_escapes(found: re.Match[str]) -> str:
    return "".join(rf"\x{byte:02x}" for byte in os.fsencode(found[0]))
