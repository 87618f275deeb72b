"""Reading a log of any length by pages, from anywhere in it. All of it may block."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tui.jobs.following import shown
from tui.jobs.text_cells import rows_of

_BLOCK = 2**16
_SEARCHED = 2**20


@dataclass(frozen=True)
class Page:
    """What of a log is seen at once.

    Attributes:
        rows: the lines that fit, each broken to the width; the last ones are cut off where they do not.
        top: where the first line begins, in bytes.
        second: where the line after it begins.
        next: where the first line begins that is not seen whole.
        size: of the file.
    """

    rows: tuple[str, ...]
    top: int
    second: int
    next: int
    size: int

    @property
    def is_last(self) -> bool:
        """Whether the end of the file is seen."""
        return self.next >= self.size


def page_at(path: Path, top: int, height: int, width: int) -> Page:
    """The page that begins with the line at ``top``, or higher up, if the file ends before it is full.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        page = _page(file, top, height, width)
        if page.is_last and len(page.rows) < height and page.top > 0:
            page = _page(file, _begin_of_last(file, page.size, height, width), height, width)
    return page


def last_page(path: Path, height: int, width: int) -> Page:
    """The page that ends with the end of the file.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        return _page(file, _begin_of_last(file, size, height, width), height, width)


def page_before(path: Path, top: int, rows: int, height: int, width: int) -> Page:
    """The page that begins so many rows above the line at ``top``.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return _page(file, _above(file, top, rows, width), height, width)


def find(path: Path, text: str, top: int, *, down: bool, given_up: Callable[[], bool]) -> int | None:
    """Where the line begins that has ``text`` in it; None: there is none. Case does not matter.

    Args:
        top: where to begin: downwards at that line, upwards at the one before it.
        down: look downwards, else upwards.
        given_up: whether nobody wants to know any more.

    Raises:
        OSError: the file cannot be read.
    """
    wanted = text.lower().encode()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        begin = top if down else max(0, top - _SEARCHED)
        while wanted and (begin < size if down else True) and not given_up():
            file.seek(begin)
            # What lies across the end of one piece lies whole in the next.
            limit = _SEARCHED + len(wanted) if down else min(_SEARCHED + len(wanted), top - begin)
            block = file.read(limit).lower()
            at = block.find(wanted) if down else block.rfind(wanted)
            if at >= 0:
                return _line_begin(file, begin + at)
            if not down and begin == 0:
                return None
            begin = begin + _SEARCHED if down else max(0, begin - _SEARCHED)
    return None


def _page(file: BinaryIO, top: int, height: int, width: int) -> Page:
    size = os.fstat(file.fileno()).st_size
    rows: list[str] = []
    second, after = top, top
    for number, (begin, end, line) in enumerate(_forward(file, top)):
        if number == 1:
            second = begin
        more = rows_of(line, width)
        if len(rows) + len(more) > height:
            # A line that is higher than the page is cut, and counts as seen.
            rows += more[: height - len(rows)]
            if number == 0:
                second = after = end
            break
        rows += more
        after = end
        if len(rows) == height:
            break
    return Page(tuple(rows), top, max(second, top), after, size)


def _begin_of_last(file: BinaryIO, size: int, height: int, width: int) -> int:
    return _above(file, size, height, width)


def _above(file: BinaryIO, offset: int, rows: int, width: int) -> int:
    """Where the line begins that is so many rows above an offset; if it does not fit whole, the next one."""
    taken, found = 0, offset
    for begin, line in _backward(file, offset):
        taken += len(rows_of(line, width))
        if taken > rows and found != offset:
            break
        found = begin
        if taken >= rows:
            break
    return found


def _forward(file: BinaryIO, offset: int) -> Iterator[tuple[int, int, str]]:
    """Lines from an offset on: where each begins, where the next one does, and its text."""
    file.seek(offset)
    begin, rest = offset, b""
    while block := file.read(_BLOCK):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield begin, begin + len(line) + 1, _text(line)
            begin += len(line) + 1
        if len(rest) >= _BLOCK:
            # A line without an end, such as bars are, in pieces.
            yield begin, begin + len(rest), _text(rest)
            begin, rest = begin + len(rest), b""
    if rest:
        yield begin, begin + len(rest), _text(rest)


def _backward(file: BinaryIO, offset: int) -> Iterator[tuple[int, str]]:
    """Lines above an offset, at which one begins, the nearest first: where each begins, and its text."""
    end = offset
    while end > 0:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        parts = file.read(end - begin).removesuffix(b"\n").split(b"\n")
        if begin > 0 and len(parts) > 1:
            # Its beginning is in the piece before.
            begin += len(parts.pop(0)) + 1
        begins = [begin]
        for part in parts[:-1]:
            begins.append(begins[-1] + len(part) + 1)
        for place, part in zip(reversed(begins), reversed(parts), strict=True):
            yield place, _text(part)
        end = begin


def _line_begin(file: BinaryIO, offset: int) -> int:
    begin = max(0, offset - _BLOCK)
    file.seek(begin)
    return begin + file.read(offset - begin).rfind(b"\n") + 1


def _text(line: bytes) -> str:
    return shown(line.decode(errors="replace"))
