"""Asking the terminal what it is and how it shows pictures, among the keys that the user types.

What it answers arrives where keys do. `textual-image` asks while it is imported, waits for that and takes
what the user typed meanwhile for the answer; here the app goes on, and answers are taken out of what is read,
whenever they come.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from textual._xterm_parser import XTermParser
from textual.message import Message

QUESTIONS = "\x1b[>q\x1b[16t\x1b[c"
"""Its name (XTVERSION), the size of a cell, and, last, its attributes (DA1), which every terminal tells."""
PATIENCE = 2.0
"""Seconds for which the beginning of an answer is kept back to see whether it is one."""
_HELD = 0.1
_ANSWER = re.compile(r"\x1bP>\|[^\x1b\x07]*(?:\x1b\\|\x07)|\x1b\[6;\d+;\d+t|\x1b\[\?[\d;]*c")
_BEGINNING = re.compile(r"\x1b(?:P(?:>(?:\|[^\x1b\x07]*\x1b?)?)?|\[(?:\?[\d;]*|6(?:;\d*)?(?:;\d*)?)?)?\Z")
_NAME = re.compile(r"\x1bP>\|([^\s(]+)[\s(]*([\d.]*)")
_SIXEL = 4
_FIRST_KITTY = (0, 28)
_SILENT = ("linux", "dumb", "screen", "tmux", "vt", "eterm")


class Way(Enum):
    """A way to show a picture; its value is how it is called."""

    HALF_CELLS = "half cells"
    KITTY = "Kitty's graphics protocol"
    SIXEL = "sixel"


@dataclass(frozen=True)
class Terminal:
    """What a terminal has told of itself.

    Attributes:
        name: such as "kitty", in small letters; empty: unknown.
        version: as far as it is numbers.
        attributes: of its primary device attributes.
        cell: the width and height of a cell in pixels, if known.
    """

    name: str = ""
    version: tuple[int, ...] = ()
    attributes: frozenset[int] = frozenset()
    cell: tuple[int, int] | None = None

    @classmethod
    def of_answers(cls, answers: Iterable[str]) -> Terminal:
        """What the answers say.

        >>> Terminal.of_answers(["\\x1bP>|kitty(0.35.2)\\x1b\\\\", "\\x1b[6;20;10t", "\\x1b[?62;c"])
        Terminal(name='kitty', version=(0, 35, 2), attributes=frozenset({62}), cell=(10, 20))
        """
        name, version, attributes, cell = "", (), frozenset[int](), None
        for answer in answers:
            if named := _NAME.match(answer):
                name = named[1].lower()
                version = tuple(int(part) for part in named[2].split(".") if part)
            elif answer.endswith("t"):
                height, width = (int(part) for part in answer[4:-1].split(";"))
                cell = (width, height) if width and height else None
            else:
                attributes = frozenset(int(part) for part in answer[3:-1].split(";") if part)
        return cls(name, version, attributes, cell)

    @property
    def way(self) -> Way:
        """The best way to show a picture on it.

        Kitty's protocol is used by placeholders, which of those that know the protocol only kitty and Ghostty
        do; others that know it know sixel, too. tmux answers for the terminal that it is in, and may be
        attached to another at any time.
        """
        if self.name == "tmux" or self.cell is None:
            return Way.HALF_CELLS
        if self.name == "ghostty" or (self.name == "kitty" and self.version >= _FIRST_KITTY):
            return Way.KITTY
        return Way.SIXEL if _SIXEL in self.attributes else Way.HALF_CELLS


def may_ask(environment: Mapping[str, str]) -> bool:
    """Whether the terminal can be asked: it is known not to print what it does not understand.

    >>> may_ask({"TERM": "xterm-256color"}), may_ask({"TERM": "xterm-256color", "TMUX": "/tmp/tmux-0"})
    (True, False)
    """
    term = environment.get("TERM", "")
    return (
        not environment.get("TMUX")
        and bool(term)
        and not term.startswith(_SILENT)
        and environment.get("TERM_PROGRAM") != "Apple_Terminal"
    )


class AnswerParser(XTermParser):
    """Takes answers out of what the terminal sends, and leaves the keys to Textual.

    Args:
        answered: called with each answer, in the thread that reads.
        awaits: whether answers are still on their way; the beginning of one is then kept back for a moment.
    """

    def __init__(self, answered: Callable[[str], None], awaits: Callable[[], bool]) -> None:
        super().__init__()
        self._answered = answered
        self._awaits = awaits
        self._kept = ""
        self._kept_at = 0.0

    def feed(self, data: str) -> Iterable[Message]:
        """The keys in ``data``; an empty text is the end."""
        rest = self._kept + data
        self._kept = ""
        for answer in _ANSWER.findall(rest):
            self._answered(answer)
        rest = _ANSWER.sub("", rest)
        if data and self._awaits() and (begun := _BEGINNING.search(rest)):
            rest, self._kept, self._kept_at = rest[: begun.start()], begun[0], time.monotonic()
        # To Textual's parser, too, an empty text is the end.
        if rest:
            yield from super().feed(rest)
        if not data:
            yield from super().feed("")

    def tick(self) -> Iterable[Message]:
        """What is a key after all, since nothing followed."""
        if self._kept and time.monotonic() - self._kept_at > _HELD:
            kept, self._kept = self._kept, ""
            yield from super().feed(kept)
        yield from super().tick()
