"""A key and what it does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """A key and what it does.

    Attributes:
        keys: as Textual names them, several divided by commas.
        shown: as the user reads them.
        action: the action's name; None for keys that a widget of Textual's handles by itself.
        label: a word or two for the footer; empty keeps the key out of it.
        help: the line of the help page.
        where: the screen or widget that binds it, one of `SECTIONS`; also the help page's section.
        writes: it starts, stops, removes or writes something: a read-only app has it in no list.
    """

    keys: str
    shown: str
    action: str | None
    label: str
    help: str
    where: str
    writes: bool = False
