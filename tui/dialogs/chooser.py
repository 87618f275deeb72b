"""A list to choose from, over the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import OptionList


class Chooser(ModalScreen[int | None]):
    """Names under a title, one of them chosen already; gives the place of the one that is taken, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,c", "dismiss", "Close")]

    def __init__(self, title: str, names: Sequence[str], chosen: int) -> None:
        super().__init__()
        self._title = title
        self._names = names
        self._chosen = chosen

    def compose(self) -> ComposeResult:  # noqa: D102
        names = OptionList(
            *(Text(name, no_wrap=True, overflow="ellipsis") for name in self._names), id="page"
        )
        names.border_title = self._title
        names.border_subtitle = "enter takes it, esc closes"
        yield names

    def on_mount(self) -> None:  # noqa: D102
        self.query_one(OptionList).highlighted = self._chosen

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)
