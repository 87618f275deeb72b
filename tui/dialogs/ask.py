"""Questions over the screen: one to answer with yes or no, one to answer with a line of text."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from tui.keys import bindings


class Question(ModalScreen[bool]):
    """A question with two answers, for what cannot be taken back; no answer at all is "no".

    Args:
        text: the question, and what follows from a yes.
        yes, no: what is done, such as "Cancel the job" and "Let it run"; the latter is chosen at first.
    """

    BINDINGS = bindings("question")

    def __init__(self, text: str, yes: str, no: str) -> None:
        super().__init__()
        self._text = text
        self._answers = (f"y  {yes}", f"n  {no}")

    def compose(self) -> ComposeResult:  # noqa: D102
        with Vertical(id="ask"):
            yield Static(self._text, id="ask-text", markup=False)
            yield OptionList(*(Text(answer) for answer in self._answers), compact=True)

    def on_mount(self) -> None:  # noqa: D102
        self.query_one(OptionList).highlighted = 1

    def action_answer(self, answer: bool) -> None:
        """Answer it."""
        self.dismiss(answer)

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index == 0)


class Line(ModalScreen[str | None]):
    """Asks for a line of text, such as the name of a file; gives None if it is left without one.

    Args:
        title: what is asked for.
        value: what stands there at first.
        check: says what is wrong with a text, or "" if nothing is; asked at each key, so it reads no disk.
    """

    BINDINGS = bindings("line")

    def __init__(self, title: str, value: str = "", check: Callable[[str], str] = lambda text: "") -> None:
        super().__init__()
        self._title = title
        self._value = value
        self._check = check

    def compose(self) -> ComposeResult:  # noqa: D102
        with Vertical(id="ask") as box:
            box.border_title = self._title
            box.border_subtitle = "enter takes it, esc leaves it"
            line = Input(self._value, compact=True, id="ask-line", select_on_focus=False)
            # A blinking cursor would send bytes for ever.
            line.cursor_blink = False
            yield line
            yield Static(id="ask-wrong", markup=False)

    def on_mount(self) -> None:  # noqa: D102
        self.set_focus(self.query_one(Input))

    def action_leave(self) -> None:
        """Leave it without a text."""
        self.dismiss(None)

    @on(Input.Changed)
    def _judge(self, event: Input.Changed) -> None:
        self.query_one("#ask-wrong", Static).update(self._check(event.value))

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        if not self._check(event.value):
            self.dismiss(event.value)
