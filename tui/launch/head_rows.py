"""The lines of a form that are no fields: which command it is of, its headings, and what starts it."""

from __future__ import annotations

from rich.text import Text
from textual.message import Message

from tui.launch.form_row import FormRow
from tui.launch.forms import Section


class CommandRow(FormRow):
    """Which command the form is of."""

    class Asked(Message):
        """Another one is wanted."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self._command = command

    def text(self) -> Text:  # noqa: D102
        line = self.line_of("command").append(self._command, self.look("given"))
        return line.append("  enter or c: another", self.look("help"))

    def action(self) -> None:  # noqa: D102
        self.post_message(self.Asked())


class StartRow(FormRow):
    """What starts the job, for those who look for a button."""

    class Pressed(Message):
        """It is to be started."""

    def text(self) -> Text:  # noqa: D102
        line = self.line().append(" start as a job ", self.look("button"))
        return line.append("  enter or ctrl+s", self.look("help"))

    def action(self) -> None:  # noqa: D102
        self.post_message(self.Pressed())


class SectionRow(FormRow):
    """The heading of fields that are folded away."""

    class Toggled(Message):
        """Fold them out, or away."""

        def __init__(self, row: SectionRow) -> None:
            self.row = row
            super().__init__()

    def __init__(self, section: Section) -> None:
        super().__init__()
        self.section = section
        self.is_open = False
        self._given = 0

    def show(self, given: int, is_open: bool) -> None:
        """Say how many fields are filled in, and whether they are to be seen."""
        if (given, is_open) != (self._given, self.is_open):
            self._given, self.is_open = given, is_open
            self.refresh()

    def text(self) -> Text:  # noqa: D102
        count = len(self.section.fields)
        line = self.line().append(f"{'▾' if self.is_open else '▸'} {self.section.title}", self.look("label"))
        return line.append(
            f"  {self._given} of {count} given" if self._given else f"  {count}", self.look("help")
        )

    def action(self) -> None:  # noqa: D102
        self.post_message(self.Toggled(self))
