"""The line in which a value is typed, and the list of what it may go on with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.message import Message
from textual.widgets import Input, OptionList

from tui.keys import bindings

if TYPE_CHECKING:
    from tui.launch.completing import Completion

_GOES_ON = ("/", ":", "=", "+", ",")
"""Ends of a completion behind which something has to be typed yet."""


class Completions(OptionList, can_focus=False):
    """What the value may go on with, below the line or above it; the arrows mark one."""

    def __init__(self) -> None:
        super().__init__(compact=True, classes="launch-completions")
        self.display = False
        self.found: Sequence[Completion] = ()

    def show(self, found: Sequence[Completion]) -> None:
        """Offer these."""
        self.found = found
        self.clear_options()
        widest = max((len(one.text) for one in found), default=0)
        for one in found:
            line = Text(one.text.ljust(widest) if one.help else one.text, no_wrap=True, overflow="ellipsis")
            if one.help:
                line.append(f"  {one.help}", "dim")
            self.add_option(line)
        self.highlighted = None
        self.display = bool(found)

    @property
    def marked(self) -> str | None:
        """The text of the one that is marked; None: none is."""
        return None if not self.display or self.highlighted is None else self.found[self.highlighted].text


class ValueInput(Input):
    """A value while it is typed; asks for completions, and tells when it is done and where to go on."""

    BINDINGS = bindings("value")

    class Done(Message):
        """The user is done with the line.

        ``keep`` tells whether the value is to stay; ``move`` is where to go on: 1 the next field, -1 the one
        before, 0 nowhere.
        """

        def __init__(self, keep: bool, move: int = 0) -> None:
            self.keep = keep
            self.move = move
            super().__init__()

    class Asked(Message):
        """What may the text go on with?"""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    def __init__(self, value: str, completions: Completions) -> None:
        super().__init__(value, compact=True, classes="launch-value", select_on_focus=True)
        # A blinking cursor would send bytes for ever.
        self.cursor_blink = False
        self.completions = completions
        self._first = value

    def on_mount(self) -> None:  # noqa: D102
        # All there is at first: what stands there is marked, so that what is typed replaces it.
        self.post_message(self.Asked(""))

    def on_blur(self) -> None:
        """Keep what is typed when the user goes elsewhere in the app; another window ends nothing."""
        if self.app.app_focus:
            self.post_message(self.Done(keep=True))

    @on(Input.Changed)
    def _ask(self, event: Input.Changed) -> None:
        if event.value != self._first:
            self._first = "\0"
            self.post_message(self.Asked(event.value))

    async def action_submit(self) -> None:
        """Take what is marked in the list, or else what is typed, and go on."""
        marked = self.completions.marked
        if marked is not None:
            self._take(marked)
            if marked.endswith(_GOES_ON):
                return
        self.post_message(self.Done(keep=True, move=1))

    def action_leave(self) -> None:
        """Put the list away; without one, leave the value as it was."""
        if self.completions.display:
            self.completions.show(())
        else:
            self.post_message(self.Done(keep=False))

    def action_complete(self) -> None:
        """Type what is marked, or what all that is offered begins with; if that is nothing, go on."""
        texts = [one.text for one in self.completions.found] if self.completions.display else []
        longer = self.completions.marked or _common(texts)
        if longer and longer != self.value and (self.completions.marked or longer.startswith(self.value)):
            self._take(longer)
        else:
            self.post_message(self.Done(keep=True, move=1))

    def action_before(self) -> None:
        """Mark the completion before; without a list, the field before."""
        if self.completions.display:
            self.completions.action_cursor_up()
        else:
            self.post_message(self.Done(keep=True, move=-1))

    def action_after(self) -> None:
        """Mark the next completion; without a list, the next field."""
        if self.completions.display:
            self.completions.action_cursor_down()
        else:
            self.post_message(self.Done(keep=True, move=1))

    def _take(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(text)


def _common(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    if not texts:
        return ""
    first, last = min(texts), max(texts)
    same = 0
    while same < len(first) and first[same] == last[same]:
        same += 1
    return first[:same]
