"""What there is to say about the run under the cursor."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.reading import Detail


class RunDetail(VerticalScroll):
    """A pane of facts: empty, being read, read, or the error in their place."""

    BORDER_TITLE = "run"

    def __init__(self) -> None:
        super().__init__(id="detail")
        self._text = Static(id="facts")

    def compose(self) -> ComposeResult:  # noqa: D102
        yield self._text

    def show_nothing(self) -> None:
        """No run is chosen."""
        self._text.update("")

    def show_detail(self, detail: Detail) -> None:
        """A run has been read."""
        self._text.update(facts_table(detail))
        self.scroll_home(animate=False)

    def show_error(self, message: str) -> None:
        """The run's file cannot be read."""
        self._text.update(Text.assemble(("error: ", "bold red"), message))


def facts_table(detail: Detail) -> Table:
    """The prompt and the facts of a run, a line or more each."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("prompt", Text(detail.prompt or "(empty)"))
    for name, text in detail.facts:
        facts.add_row(name, Text(text))
    return facts
