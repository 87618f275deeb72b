"""The list of all commands, over the screen."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, OptionList

from tui.background import LatestReader
from tui.keys import bindings
from tui.palette.entry import Entry, fitting
from tui.palette.here import entries_here

if TYPE_CHECKING:
    from tui.app import CosinterpApp
    from tui.palette.reading import Found

_MOST_SHOWN = 200
_HINT = 10
"""Cells of what stands before a name."""


class EntriesFound(Message):
    """Something more can be chosen; None: that was all."""

    def __init__(self, found: list[Found] | None) -> None:
        self.found = found
        super().__init__()


class Palette(ModalScreen[Entry | None]):
    """A line to type in, and below it what fits; gives what is taken.

    Args:
        app: whose.
        below: the screen that it is opened over.
    """

    CSS_PATH = "palette.tcss"
    BINDINGS = bindings("palette")

    def __init__(self, app: CosinterpApp, below: Screen[Any]) -> None:
        super().__init__()
        self._app = app
        self._entries = entries_here(app, below)
        self._shown: list[Entry] = []
        self._reads = True
        self._reader: LatestReader[Path] = LatestReader("palette", self._read, self.post_message)

    def compose(self) -> ComposeResult:  # noqa: D102
        with Vertical(id="palette") as box:
            box.border_title = "all commands"
            line = Input(placeholder="what to do", compact=True, id="palette-line")
            # A blinking cursor would send bytes for ever.
            line.cursor_blink = False
            yield line
            names = OptionList(id="palette-names", compact=True, markup=False)
            names.can_focus = False
            yield names

    def on_mount(self) -> None:  # noqa: D102
        self.set_focus(self.query_one(Input))
        self._show()
        self._reader.ask(self._app.path)

    def on_unmount(self) -> None:  # noqa: D102
        self._reader.close()

    # Actions

    def action_leave(self) -> None:
        """Do nothing."""
        self.dismiss(None)

    def action_up(self) -> None:
        """Mark the one above."""
        self.query_one(OptionList).action_cursor_up()

    def action_down(self) -> None:
        """Mark the one below."""
        self.query_one(OptionList).action_cursor_down()

    def action_page_up(self) -> None:
        """Mark one a page above."""
        self.query_one(OptionList).action_page_up()

    def action_page_down(self) -> None:
        """Mark one a page below."""
        self.query_one(OptionList).action_page_down()

    # What the user does in a widget

    @on(Input.Changed)
    def _look(self) -> None:
        self._show()

    @on(Input.Submitted)
    def _take_marked(self) -> None:
        place = self.query_one(OptionList).highlighted
        if place is not None:
            self.dismiss(self._shown[place])

    @on(OptionList.OptionSelected)
    def _take(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._shown[event.option_index])

    # What the reading thread tells

    @on(EntriesFound)
    def _add(self, message: EntriesFound) -> None:
        if message.found is None:
            self._reads = False
        else:
            self._entries += [self._entry(found) for found in message.found]
        self._show()

    # In the reading thread

    def _read(self, root: Path) -> None:
        from tui.palette.reading import find

        for found in find(root):
            self.post_message(EntriesFound(found))
            if self._reader.overtaken:
                return
        self.post_message(EntriesFound(None))

    # Showing

    def _entry(self, found: Found) -> Entry:
        app = self._app
        if found.kind == "form":
            return Entry("form", f"{found.name}: {found.about}", partial(app.fill_in, found.name, {}))
        assert found.store is not None
        if found.kind == "store":
            return Entry("store", found.name, partial(app.show_store, found.store))
        return Entry(
            "result", f"{found.name}  of {found.about}", partial(app.show_result, found.store, found.name)
        )

    def _show(self) -> None:
        """Show what fits; the mark stays where the user has put it, else it is at the first."""
        names = self.query_one(OptionList)
        marked = self._shown[names.highlighted] if names.highlighted else None
        fits = fitting(self._entries, self.query_one(Input).value)
        self._shown = fits[:_MOST_SHOWN]
        names.clear_options()
        names.add_options([_line(entry) for entry in self._shown])
        if self._shown:
            names.highlighted = self._shown.index(marked) if marked in self._shown else 0
        more = (
            f"{len(fits) - len(self._shown)} more; type what they are called"
            if len(fits) > _MOST_SHOWN
            else ""
        )
        self.query_one("#palette").border_subtitle = "reading..." if self._reads else more or f"{len(fits)}"


def _line(entry: Entry) -> Text:
    line = Text(entry.hint.ljust(_HINT), style="bold", no_wrap=True, overflow="ellipsis")
    return line.append(entry.name, style="not bold")
