"""Every key of the app, in one table: bindings, footer and help page are made from it.

The keys of a screen are in a module of their own, with `SECTIONS` (what binds them: its heading on the help
page) and `KEYS`; a line in `_TABLES` makes them part of the table.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from textual.binding import Binding, BindingType

from tui.keys import browser, chart, dialogs, everywhere, frames, jobs, launch, palette, results, run
from tui.keys.key import Key

_TABLES = (browser, run, frames, results, chart, launch, jobs, everywhere, dialogs, palette)

SECTIONS: dict[str, str] = {where: title for table in _TABLES for where, title in table.SECTIONS.items()}
KEYS: tuple[Key, ...] = tuple(key for table in _TABLES for key in table.KEYS)


def bindings(where: str) -> list[BindingType]:
    """The Textual bindings of one screen or widget."""
    return [
        Binding(
            key.keys,
            key.action,
            key.label or key.help,
            key_display=key.shown,
            show=bool(key.label),
            id=_id_of(key),
        )
        for key in KEYS
        if key.where == where and key.action is not None
    ]


def key_of(binding: Binding) -> Key | None:
    """The key that a binding was made from; None: it is one of Textual's own."""
    return _BY_ID.get(binding.id or "")


def _id_of(key: Key) -> str:
    return f"{key.where} {key.keys}"


_BY_ID = {_id_of(key): key for key in KEYS}


def help_page(first: Sequence[str] = ()) -> Table:
    """Every key and what it does; the sections ``first`` come first, in their order."""
    page = Table.grid(padding=(0, 2))
    page.add_column(style="bold", max_width=12)
    page.add_column()
    for where in dict.fromkeys([*first, *SECTIONS]):
        page.add_row(SECTIONS[where], "", style="underline")
        for key in KEYS:
            if key.where == where:
                page.add_row(key.shown, key.help)
        page.add_row()
    return page
