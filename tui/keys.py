"""Every key of the app, in one table: bindings, footer and help page are made from it."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table
from textual.binding import Binding, BindingType


@dataclass(frozen=True)
class Key:
    """A key and what it does.

    Attributes:
        keys: as Textual names them, several divided by commas.
        shown: as the user reads them.
        action: the action's name; None for keys that a widget of Textual's handles by itself.
        label: a word or two for the footer; empty keeps the key out of it.
        help: the line of the help page.
        where: the screen or widget that binds it ("app", "runs", "filter"); also the help page's section.
    """

    keys: str
    shown: str
    action: str | None
    label: str
    help: str
    where: str


SECTIONS = {"runs": "Runs", "filter": "Filter", "app": "Everywhere"}

KEYS = (
    Key("up,down,pageup,pagedown", "up down pgup pgdn", None, "", "move through the runs", "runs"),
    Key("home,end", "home end", None, "", "first and last run", "runs"),
    Key("tab", "tab", None, "", "between the runs and the detail of one", "runs"),
    Key("slash", "/", "filter", "Filter", "show only some runs", "runs"),
    Key("s", "s", "sort_next", "Sort", "sort by the next column; a click on its head does too", "runs"),
    Key("S", "S", "sort_reverse", "Reverse", "turn the order round", "runs"),
    Key("r", "r", "reload", "Reload", "read the stores again", "runs"),
    Key("e", "e", "problems", "", "what could not be read, and why", "runs"),
    Key("enter", "enter", None, "", "keep the filter and go back to the runs", "filter"),
    Key("escape", "esc", "clear_filter", "Clear", "drop the filter", "filter"),
    Key("question_mark", "?", "help", "Help", "this page", "app"),
    Key("ctrl+p", "ctrl+p", None, "", "all commands, by name; themes too", "app"),
    Key("q", "q", "quit", "Quit", "leave", "app"),
)


def bindings(where: str) -> list[BindingType]:
    """The Textual bindings of one screen or widget."""
    return [
        Binding(key.keys, key.action, key.label or key.help, key_display=key.shown, show=bool(key.label))
        for key in KEYS
        if key.where == where and key.action is not None
    ]


def help_page() -> Table:
    """Every key and what it does."""
    page = Table.grid(padding=(0, 2))
    page.add_column(style="bold", no_wrap=True)
    page.add_column()
    for where, title in SECTIONS.items():
        page.add_row(title, "", style="underline")
        for key in KEYS:
            if key.where == where:
                page.add_row(key.shown, key.help)
        page.add_row()
    return page
