"""A page to read, over the screen."""

from __future__ import annotations

from typing import ClassVar

from rich.console import RenderableType
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static


class Page(ModalScreen[None]):
    """A title and what is below it; scrolls with the arrows, and any of its own keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "dismiss", "Close")]

    def __init__(self, title: str, content: RenderableType) -> None:
        super().__init__()
        self._page_title = title
        self._content = content

    def compose(self) -> ComposeResult:  # noqa: D102
        with VerticalScroll(id="page") as page:
            page.border_title = self._page_title
            page.border_subtitle = "esc closes"
            yield Static(self._content)
