"""Which page of a log is wanted, and the answer to that. Answering may block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tui.jobs.log_file import find, last_page, page_at, page_before
from tui.jobs.messages import LogRead

Kind = Literal["last", "at", "before", "down", "up"]


@dataclass(frozen=True)
class Wanted:
    """A page that is wanted.

    Attributes:
        kind: the last one; the one that begins at a place; the one so many rows above it; the one at the next
            place, downwards or upwards, where ``text`` stands.
        height, width: rows and columns of it.
        top: where in the file, in bytes.
        rows: so many.
        text: that is looked for.
    """

    kind: Kind
    height: int
    width: int
    top: int = 0
    rows: int = 0
    text: str = ""


def answer(log: Path, wanted: Wanted, given_up: Callable[[], bool]) -> LogRead:
    """Read the page that is wanted.

    Args:
        log: the file.
        wanted: which page.
        given_up: whether something else is wanted by now; a search then leaves off.

    Raises:
        OSError: the file cannot be read.
    """
    size = wanted.height, wanted.width
    if wanted.kind == "last":
        return LogRead(last_page(log, *size))
    if wanted.kind == "at":
        return LogRead(page_at(log, wanted.top, *size))
    if wanted.kind == "before":
        return LogRead(page_before(log, wanted.top, wanted.rows, *size))
    down = wanted.kind == "down"
    place = find(log, wanted.text, wanted.top, down=down, given_up=given_up)
    if place is None:
        return LogRead(None, f'no "{wanted.text}" {"below" if down else "above"}')
    return LogRead(page_at(log, place, *size))
