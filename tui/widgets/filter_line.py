"""The line in which a filter is typed."""

from __future__ import annotations

from textual.message import Message
from textual.widgets import Input

from tui.keys import bindings


class FilterLine(Input):
    """Hidden until asked for; each key typed filters at once."""

    BINDINGS = bindings("filter")

    class Left(Message):
        """The user is done with the line; ``clear`` tells whether the filter is to be dropped."""

        def __init__(self, clear: bool) -> None:
            self.clear = clear
            super().__init__()

    def __init__(self) -> None:
        super().__init__(placeholder="words, seed=0-3, variant=base", compact=True, id="filter")
        # A blinking cursor would send bytes for ever.
        self.cursor_blink = False
        self.display = False

    def action_clear_filter(self) -> None:
        """Drop the filter."""
        self.post_message(self.Left(clear=True))

    async def action_submit(self) -> None:
        """Keep the filter."""
        self.post_message(self.Left(clear=False))
