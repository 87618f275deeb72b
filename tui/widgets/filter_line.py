"""The line in which a filter is typed."""

from __future__ import annotations

from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from tui.keys import bindings


class FilterLine(Input):
    """Hidden until asked for; each key typed filters at once."""

    BINDINGS = bindings("filter")
    DEFAULT_CSS = """
    FilterLine { height: 1; background: $surface; }
    FilterLine.-textual-compact { padding: 0 1; }
    """

    class Left(Message):
        """The user is done with the line; ``clear`` tells whether the filter is to be dropped."""

        def __init__(self, clear: bool) -> None:
            self.clear = clear
            super().__init__()

    def __init__(self, example: str = "words, seed=0-3, variant=base") -> None:
        super().__init__(placeholder=example, compact=True, id="filter")
        # A blinking cursor would send bytes for ever.
        self.cursor_blink = False
        self.display = False

    def open(self) -> None:
        """Show it, and give it the keys."""
        self.display = True
        # At once, unlike self.focus(): what is typed next belongs to the line.
        self.screen.set_focus(self)

    def put_away(self, left: Left, to: Widget) -> None:
        """Drop the filter if that was asked for, else keep it in sight; the keys go to another widget."""
        if left.clear:
            self.value = ""
        self.display = bool(self.value)
        self.screen.set_focus(to)

    def action_clear_filter(self) -> None:
        """Drop the filter."""
        self.post_message(self.Left(clear=True))

    async def action_submit(self) -> None:
        """Keep the filter."""
        self.post_message(self.Left(clear=False))
