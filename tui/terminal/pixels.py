"""What the terminal can do with pictures, and what it was sent of them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING
from weakref import WeakSet

from rich.color import Color, ColorSystem
from textual.geometry import Size
from textual.widget import Widget

from tui.memory import Memory
from tui.terminal import kitty
from tui.terminal.asking import PATIENCE, QUESTIONS, Terminal, Way, may_ask
from tui.terminal.encoding import Encoder, Order, PixelsChanged

if TYPE_CHECKING:
    from tui.widgets.canvas import Line

_CELL_QUESTION = "\x1b[16t"
_LAST_ANSWER = "c"
_REMEMBERED = "pictures.pixels"
_MOST_KEPT = 64
"""Pictures that the terminal keeps at the same time, so that going back to one sends no pixels."""


class Pixels:
    """How pictures are shown on the terminal.

    Args:
        write: sends something to it.
        environment: tells what must not be asked.
        memory: keeps whether pixels are wanted.
        line: tells the width and height of a cell in pixels as the terminal's line has it, for terminals that
            do not answer that; None: it does not know.

    Attributes:
        terminal: what it has told of itself.
        is_wanted: whether pixels are shown where they can be; else half cells are.
        encoder: makes pictures ready.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        environment: Mapping[str, str],
        memory: Memory,
        line: Callable[[], tuple[int, int] | None] = lambda: None,
    ) -> None:
        self.terminal = Terminal()
        self.is_wanted = memory.get(_REMEMBERED, True)
        self.encoder = Encoder()
        self._memory = memory
        self._write = write
        self._line = line
        self._may_ask = may_ask(environment)
        self._asked: float | None = None
        self._asked_at_size: Size | None = None
        self._answers: dict[str, str] = {}
        self._shown: WeakSet[Widget] = WeakSet()
        self._sent: OrderedDict[Order, tuple[int, Color]] = OrderedDict()
        self._numbers: Iterator[tuple[int, Color]] | None = None

    # Asking

    @property
    def awaits(self) -> bool:
        """Whether answers may be on their way."""
        return (
            self._asked is not None
            and _LAST_ANSWER not in self._answers
            and time.monotonic() - self._asked < PATIENCE
        )

    def ask(self, size: Size) -> None:
        """Ask the terminal, of so many cells, what it can do: once, and for its cells when it is resized."""
        if not self._may_ask or size == self._asked_at_size:
            return
        if self._asked is None:
            self._asked = time.monotonic()
            self._write(QUESTIONS)
        elif self.terminal.way is not Way.HALF_CELLS:
            self._write(_CELL_QUESTION)
        self._asked_at_size = size

    def hear(self, answer: str) -> None:
        """Take an answer; called by the thread that reads them."""
        self._answers[answer[-1]] = answer
        if _LAST_ANSWER not in self._answers:
            return
        told = Terminal.of_answers(self._answers.values())
        if told.cell is None:
            told = replace(told, cell=self._line())
        before, self.terminal = self.terminal, told
        if (before.way, before.cell) != (self.terminal.way, self.terminal.cell):
            self._tell()

    # The way

    @property
    def way(self) -> Way:
        """How pictures are shown."""
        return self.terminal.way if self.is_wanted else Way.HALF_CELLS

    def switch(self, is_wanted: bool) -> None:
        """Show pixels where they can be, or half cells everywhere."""
        self.is_wanted = is_wanted
        self._memory.put(_REMEMBERED, is_wanted)
        self._tell()

    def show_on(self, widget: Widget) -> None:
        """Tell a widget by `PixelsChanged` when it has to paint its pictures anew."""
        self._shown.add(widget)

    def _tell(self) -> None:
        for widget in list(self._shown):
            widget.post_message(PixelsChanged())

    # Kitty's protocol

    def placeholders(self, order: Order, data: str, colours: ColorSystem) -> list[Line]:
        """The characters that show a picture; the terminal is sent it, a `kitty.png`, if it lacks it."""
        if order not in self._sent:
            self._numbers = self._numbers or kitty.numbers(colours)
            taken = {number for number, _ in self._sent.values()}
            number, colour = next(one for one in self._numbers if one[0] not in taken)
            self._write(kitty.transmission(number, data, order.columns, order.lines))
            self._sent[order] = number, colour
            if len(self._sent) > _MOST_KEPT:
                _, (oldest, _) = self._sent.popitem(last=False)
                self._write(kitty.removal(oldest))
        self._sent.move_to_end(order)
        return kitty.placeholders(self._sent[order][1], order.columns, order.lines)

    def take_back(self) -> None:
        """Have the terminal forget all that it was sent."""
        for number, _ in self._sent.values():
            self._write(kitty.removal(number))
        if self._sent:
            self._sent.clear()
            # They are wanted again if the app was only put aside.
            self._tell()


def pixels_of(widget: Widget) -> Pixels | None:
    """What the terminal that a widget is on can do with pictures; None: nothing, as far as is known."""
    driver = widget.app._driver
    found = getattr(driver, "pixels", None)
    return found if isinstance(found, Pixels) else None
