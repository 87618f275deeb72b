"""What a result says, in sentences."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.results.reading import Said


class SaysPane(VerticalScroll):
    """The title of a result, a sentence a paragraph, and its notes; or the error in their place. Scrolls."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._text = Static()

    def compose(self) -> ComposeResult:  # noqa: D102
        yield self._text

    def show_nothing(self, word: str = "") -> None:
        """Nothing, or a word such as "reading...", in the place of what is said."""
        self._text.update(Text(word))

    def show_error(self, message: str) -> None:
        """It cannot be read."""
        self._text.update(Text.assemble(("error: ", "bold red"), message))

    def show_said(self, said: Said) -> None:
        """What a result says."""
        self._text.update(said_text(said))
        self.scroll_home(animate=False)


def said_text(said: Said) -> RenderableType:
    """Title, sentences and notes; the lines that a sentence is broken into are set in."""
    lines: list[RenderableType] = [Text(said.title, style="bold")]
    lines += [_hanging(sentence) for sentence in said.sentences]
    lines += [_hanging(f"note: {note}", style="italic") for note in said.notes]
    return Group(*lines)


def _hanging(text: str, style: str = "") -> RenderableType:
    # A mark at its beginning tells a sentence from the lines that it is broken into.
    from rich.table import Table

    line = Table.grid(padding=(0, 1))
    line.add_column(width=1)
    line.add_column(overflow="fold")
    line.add_row("-", Padding(Text(text, style=style), 0))
    return line
