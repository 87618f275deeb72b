"""The table of jobs as data: lines, how they read, which of them a filter keeps, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cosinterp.jobs.cells import TO_THE_RIGHT, cells_of
from cosinterp.jobs.state import State
from cosinterp.jobs.texts import one_line, plain, span_text, state_text
from tui.widgets.record_table import Column

if TYPE_CHECKING:
    from tui.jobs.watch import Seen

DAMAGED = "damaged"
# Each of one column, in every terminal.
_SIGNS = {
    State.QUEUED: "·",
    State.RUNNING: "▸",
    State.CANCELLING: "◂",
    State.FINISHED: "✓",
    State.CANCELLED: "–",
}
_BAD = "✗"
# So wide are cells of living jobs from the start, lest the table is drawn anew when a number gains a digit.
_ROOM = {"time": len("9.9 min left"), "rate": len("100.0 steps/s"), "memory": len("100 GB")}


@dataclass(frozen=True)
class Line:
    """A job as the table shows it.

    Attributes:
        seen: the job.
        now: when it was seen so, in seconds since the epoch, from which its age is counted.
        bars: draw how much is done; else it is only said.
    """

    seen: Seen
    now: float
    bars: bool = True

    @cached_property
    def cells(self) -> dict[str, str]:
        """Its texts by the names of the columns."""
        status = self.seen.status
        if status is None:
            age = span_text(self.now - self.seen.asked)
            return {"job": plain(self.seen.id), "state": f"{_BAD} {DAMAGED}", "age": age, "what": self.what}
        cells = cells_of(status, self.now, self.bars)
        cells["job"] = plain(status.id)
        cells["state"] = f"{sign_of(status.state)} {cells['state']}"
        if self.seen.lives:
            for name, room in _ROOM.items():
                cells[name] = cells[name].rjust(room) if name in TO_THE_RIGHT else cells[name].ljust(room)
        return cells

    @property
    def what(self) -> str:
        """What is wrong with its folder."""
        return one_line(self.seen.error)

    @property
    def state(self) -> str:
        """Its state as a word."""
        return DAMAGED if self.seen.status is None else state_text(self.seen.status.state)

    @property
    def colour(self) -> str:
        """The theme's colour for its state, which only repeats what the word says; "": none."""
        if self.seen.status is None:
            return "error"
        return _COLOURS.get(self.seen.status.state, "error")

    @cached_property
    def words(self) -> str:
        """What a filter looks for words in."""
        status = self.seen.status
        command = () if status is None else status.words
        return " ".join((self.seen.id, self.state, *command, self.cells.get("what", ""))).lower()


_COLOURS = {
    State.QUEUED: "warning",
    State.RUNNING: "success",
    State.CANCELLING: "warning",
    State.FINISHED: "",
    State.CANCELLED: "",
}


def sign_of(state: State) -> str:
    """A sign for a state, of one column."""
    return _SIGNS.get(state, _BAD)


def _number(name: str) -> Callable[[Line], Any]:
    """Sorts by a number that a status has, those without one last."""

    def order(line: Line) -> tuple[bool, float]:
        value = None if line.seen.status is None else getattr(line.seen.status, name)
        return value is None, -(value or 0.0)

    return order


def _share(line: Line) -> float:
    from cosinterp.jobs.texts import share_of

    status = line.seen.status
    share = None if status is None else share_of(status)
    return -1.0 if share is None else -share


def _took(line: Line) -> tuple[bool, float]:
    """What is left of those that run, what the others took."""
    status = line.seen.status
    if status is None or status.started is None:
        return True, 0.0
    if status.ended is not None:
        return False, status.started - status.ended
    return status.seconds_left is None, status.seconds_left or 0.0


def _memory(line: Line) -> float:
    status = line.seen.status
    if status is None:
        return 0.0
    used = [gpu.get("memory") or 0 for gpu in status.gpus]
    return -float(sum(used) if used else status.host_memory or 0)


def _cell(name: str, order: Callable[[Line], Any] | None = None, **settings: Any) -> Column[Line]:
    def text(line: Line, now: float) -> str:
        return line.cells.get(name, "")

    numeric = name in TO_THE_RIGHT
    return Column(name, text, order or (lambda line: text(line, 0.0)), numeric=numeric, **settings)


AGE = _cell("age", lambda line: -line.seen.asked, spared=1)
COLUMNS: tuple[Column[Line], ...] = (
    _cell("job", lambda line: line.seen.id, least=14),
    _cell("state", lambda line: line.state, least=12),
    _cell("done", _share),
    _cell("time", _took, spared=2),
    _cell("rate", _number("rate"), spared=5),
    _cell("device", spared=3),
    _cell("memory", _memory, spared=4),
    AGE,
    _cell("command", least=24, spared=7),
    _cell("what", least=20, spared=6),
)


def columns_of(lines: Iterable[Line]) -> tuple[Column[Line], ...]:
    """The columns that say something of some lines."""
    told: set[str] = set()
    for line in lines:
        if len(told) < len(COLUMNS):
            told |= {name for name, text in line.cells.items() if text.strip()}
    return tuple(column for column in COLUMNS if column.name in told or column.name in ("job", "state"))


def ordered(lines: Iterable[Line], column: Column[Line], reverse: bool) -> list[Line]:
    """Sorted by a column, those that live always first; the newer first of those that are equal in it."""
    newest = sorted(lines, key=lambda line: (-line.seen.asked, line.seen.id))
    by_column = sorted(newest, key=column.order, reverse=reverse)
    return sorted(by_column, key=lambda line: not line.seen.lives)


def matcher(text: str) -> Callable[[Line], bool]:
    """What the filter ``text`` asks of a line.

    Words divided by blanks, all of which have to fit. ``state=running`` asks the state, which may be the
    beginning of one, and several divided by commas; any other word has to occur in the job's id, state,
    command, or in what it does. Case does not matter.
    """
    tests = [_word(word) for word in text.lower().split()]
    return lambda line: all(test(line) for test in tests)


def _word(word: str) -> Callable[[Line], bool]:
    name, equals, wanted = word.partition("=")
    if name == "state" and equals and wanted:
        states = tuple(state.replace("-", " ").replace("_", " ") for state in wanted.split(",") if state)
        return lambda line: line.state.startswith(states)
    return lambda line: word in line.words
