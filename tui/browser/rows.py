"""The table of runs as data: rows, how they read, which of them a filter keeps, and in what order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from stores.errors import SelectionError
from stores.selection import compact, parse_seeds
from stores.units import size_text


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        store: the store's folder; ``store_name`` is how it is shown.
        layers: the layers recorded at any site, ascending.
        size: bytes of the run's file.
        finished: seconds since the epoch.
        score: of its final video, as the store keeps it; None: not known.
        is_share: whether that is 1 or 0, for yes or no, and not more or less.
    """

    store: Path
    store_name: str
    sample: str
    seed: int
    variant: str
    steps: int
    layers: tuple[int, ...]
    size: int
    finished: float
    score: float | None = None
    is_share: bool = False

    # Kept, since a table of ten thousand runs asks for these at each key.

    @cached_property
    def key(self) -> str:
        """What no other run has."""
        return f"{self.store}\n{self.sample}\n{self.variant}\n{self.seed}"

    @cached_property
    def searched(self) -> str:
        """What the words of a filter occur in."""
        return f"{self.store_name}\n{self.sample}\n{self.variant}".lower()


@dataclass(frozen=True)
class Column:
    """A column of the table: its name, text, and what it is sorted by.

    Attributes:
        text: of a run, at a time (seconds since the epoch).
        least: the cells that the text may be abbreviated to where there is little room; None keeps it whole.
        most: the cells that it takes at any time; None: those it takes now.
        numeric: set to the right.
    """

    name: str
    text: Callable[[Row, float], str]
    order: Callable[[Row], object]
    least: int | None = None
    most: int | None = None
    numeric: bool = False


_ANSWERS = {"yes": True, "no": False, "unknown": None}
_COMPARED = re.compile(r"score([<>])(\d*\.?\d+)")

STORE = Column("store", lambda row, now: row.store_name, lambda row: row.store_name, least=10)
SOLVED = Column("solved", lambda row, now: score_text(row), lambda row: _score_order(row))
SCORE = Column("score", lambda row, now: score_text(row), lambda row: _score_order(row), numeric=True)
_STEPS = Column("steps", lambda row, now: str(row.steps), lambda row: row.steps, numeric=True)
COLUMNS = (
    Column("sample", lambda row, now: row.sample, lambda row: row.sample, least=14),
    Column("seed", lambda row, now: str(row.seed), lambda row: row.seed, numeric=True),
    Column("variant", lambda row, now: row.variant, lambda row: row.variant, least=8),
    _STEPS,
    Column(
        "layers",
        lambda row, now: _layers_text(row.layers),
        lambda row: (len(row.layers), row.layers),
        least=8,
    ),
    Column("size", lambda row, now: size_text(row.size), lambda row: row.size, numeric=True),
    Column(
        "age",
        lambda row, now: age_text(now - row.finished),
        lambda row: -row.finished,
        most=4,
        numeric=True,
    ),
)


@lru_cache
def _layers_text(layers: tuple[int, ...]) -> str:
    return compact(layers)


def columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """The columns for runs: their stores need saying only if there are several, scores if any is known."""
    stores = {row.store_name for row in rows}
    scored = {row.is_share for row in rows if row.score is not None}
    found = list(COLUMNS)
    if scored:
        found.insert(found.index(_STEPS), SOLVED if scored == {True} else SCORE)
    return (STORE, *found) if len(stores) > 1 else tuple(found)


def score_text(row: Row) -> str:
    """Yes or no, or a number; blank where it is not known."""
    if row.score is None:
        return ""
    if row.is_share:
        return "yes" if row.score else "no"
    return f"{row.score:.2f}"


def _score_order(row: Row) -> float:
    return -1.0 if row.score is None else row.score


def widths(whole: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The cells that each column gets of ``room``, if its text takes ``whole`` and must have ``least``.

    While there is too little room the widest column that can still give way does; where none can, the columns
    go beyond the room and the table scrolls.
    """
    given = list(whole)
    while sum(given) > room:
        place = max(range(len(given)), key=lambda n: given[n] if given[n] > least[n] else 0)
        if given[place] <= least[place]:
            break
        given[place] -= 1
    return given


def abbreviated(text: str, width: int) -> str:
    """``text`` within ``width`` cells, its middle left out: what tells names apart is at their ends.

    >>> abbreviated("maze-7x7-red-00012", 12)
    'maze-…-00012'
    """
    if len(text) <= width:
        return text
    front = (width - 1) // 2
    return f"{text[:front]}…{text[len(text) - (width - 1 - front) :]}"


def ordered(rows: Iterable[Row], column: Column, reverse: bool) -> list[Row]:
    """Sorted by a column; runs that are equal in it stay in the order of store, sample, variant, seed."""
    by_name = sorted(rows, key=lambda row: (row.store_name, row.sample, row.variant, row.seed))
    return sorted(by_name, key=column.order, reverse=reverse)  # type: ignore[arg-type, return-value]


def matcher(text: str) -> Callable[[Row], bool]:
    """What the filter ``text`` asks of a row.

    Words divided by blanks, all of which have to fit. ``seed=0-3``, ``variant=base`` and ``solved=yes`` ask
    one column, and ``score>0.5`` is for scores that are numbers; any other word has to occur in the store's
    name, the sample or the variant. Case does not matter.

    Raises:
        SelectionError: the seeds, or what is asked of scores, cannot be read.
    """
    tests = [_word(word) for word in text.lower().split()]
    return lambda row: all(test(row) for test in tests)


def _word(word: str) -> Callable[[Row], bool]:
    if compared := _COMPARED.fullmatch(word):
        bound = float(compared[2])
        if compared[1] == ">":
            return lambda row: row.score is not None and row.score > bound
        return lambda row: row.score is not None and row.score < bound
    name, equals, wanted = word.partition("=")
    if equals and wanted:
        if name == "seed":
            seeds = frozenset(parse_seeds(wanted))
            return lambda row: row.seed in seeds
        if name == "solved":
            if wanted not in _ANSWERS:
                raise SelectionError(f"solved={wanted}: write solved=yes, solved=no or solved=unknown")
            answer = _ANSWERS[wanted]
            return lambda row: (None if row.score is None or not row.is_share else bool(row.score)) == answer
        if name in ("store", "sample", "variant"):
            attribute = "store_name" if name == "store" else name
            return lambda row: wanted in getattr(row, attribute).lower()
    return lambda row: word in row.searched


def age_text(seconds: float) -> str:
    """A time span in at most four characters, in its largest unit, rounded down.

    >>> age_text(59), age_text(3 * 3600), age_text(-5)
    ('59 s', '3 h', '0 s')
    """
    value = max(0, int(seconds))
    for unit, length in (("s", 60), ("m", 60), ("h", 24), ("d", 1000)):
        if value < length:
            return f"{value} {unit}" if value < 100 else f"{value}{unit}"
        value //= length
    return ">3y"
