"""What there is to say about the run under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.app import app_of

if TYPE_CHECKING:
    from tui.browser.reading import Detail
    from tui.pictures import Frame, Picture


class RunDetail(VerticalScroll):
    """A pane of facts: empty, being read, read, or the error in their place.

    On wide screens the first image stands above them.
    """

    BORDER_TITLE = "run"

    def __init__(self) -> None:
        super().__init__(id="detail")
        self._picture: Picture | None = None
        self._text = Static(id="facts")

    def compose(self) -> ComposeResult:  # noqa: D102
        yield self._text

    def show_nothing(self) -> None:
        """No run is chosen."""
        self._text.update("")
        self._show_image(None)

    def show_detail(self, detail: Detail) -> None:
        """A run has been read."""
        self._text.update(facts_table(detail))
        self._show_image(detail.image)
        self.scroll_home(animate=False)

    def show_error(self, message: str) -> None:
        """The run's file cannot be read."""
        self._text.update(Text.assemble(("error: ", "bold red"), message))
        self._show_image(None)

    def _show_image(self, image: Frame | None) -> None:
        if self._picture is None:
            # Over a slow line there are no pictures that were not asked for.
            if image is None or app_of(self).options.low_bandwidth:
                return
            # Made with the first image: with what draws it the table would be seen later.
            from tui.pictures import Picture

            self._picture = Picture(image, id="detail-image")
            self.mount(self._picture, before=self._text)
        else:
            self._picture.show(image)


def facts_table(detail: Detail) -> Table:
    """The prompt and the facts of a run, a line or more each."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("prompt", Text(detail.prompt or "(empty)"))
    for name, text in detail.facts:
        facts.add_row(name, Text(text))
    return facts
