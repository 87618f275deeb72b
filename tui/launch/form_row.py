"""A line of a form."""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import RenderResult
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

_LABEL = 14
"""Columns of what a field is called, and of the blank behind it, where there is room."""
_MARKS = 3


class FormRow(Widget):
    """A line that one moves to; a sign at its left tells where one is, and one that something is wrong."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "launch--label",
        "launch--given",
        "launch--unset",
        "launch--wrong",
        "launch--needed",
        "launch--help",
        "launch--button",
        "launch--here",
    }

    class Clicked(Message):
        """The line was clicked on."""

        def __init__(self, row: FormRow) -> None:
            self.row = row
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self.wrong = ""
        self.is_here = False

    def mark_wrong(self, error: str) -> None:
        """Say that something is wrong here, or "" that nothing is."""
        if error != self.wrong:
            self.wrong = error
            self.refresh()

    def point(self, here: bool) -> None:
        """Say whether the user is here."""
        if here != self.is_here:
            self.is_here = here
            self.refresh()

    def action(self) -> None:
        """What enter does here."""

    def render(self) -> RenderResult:  # noqa: D102
        text = self.text()
        if self.is_here:
            # Not by a class of its own: looks of lines would be worked out anew at each move.
            text.append(" " * max(self.size.width - text.cell_len, 0))
            text.stylize_before(self.look("here"))
        return text

    def text(self) -> Text:
        """All that stands in the line."""
        return self.line()

    def line(self) -> Text:
        """The line up to what it is called."""
        text = Text(no_wrap=True, overflow="ellipsis", end="")
        text.append("›" if self.is_here else " ")
        text.append("! " if self.wrong else "  ", self.look("wrong"))
        return text

    def line_of(self, label: str) -> Text:
        """The line up to its value."""
        room = self._label_room - 1
        named = label if len(label) <= room else f"{label[: room - 1]}…"
        return self.line().append(named.ljust(room + 1), self.look("label"))

    @property
    def value_column(self) -> int:
        """Where values begin."""
        return _MARKS + self._label_room

    @property
    def _label_room(self) -> int:
        return min(_LABEL, max(8, self.size.width // 3))

    def look(self, name: str) -> Style:
        """The style of a part."""
        return self.get_component_rich_style(f"launch--{name}", partial=True)

    def on_click(self, event: Click) -> None:
        """Tell the form."""
        if event.widget is self:
            self.post_message(self.Clicked(self))
