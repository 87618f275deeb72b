"""What the threads that read one result, or do something with it, tell its screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from tui.results.exporting import Export
    from tui.results.numbers import Numbers, Places, Wanted
    from tui.results.rows import ResultRow
    from tui.results.tabs import Content, Opened, Tab


class ResultOpened(Message):
    """A result has been opened, or the error in its place."""

    def __init__(self, opened: Opened | None, error: str = "") -> None:
        self.opened = opened
        self.error = error
        super().__init__()


class TabRead(Message):
    """What a tab shows, or the error in its place."""

    def __init__(self, opened: Opened, tab: Tab, content: Content | None, error: str = "") -> None:
        self.opened = opened
        self.tab = tab
        self.content = content
        self.error = error
        super().__init__()


class PlacesFound(Message):
    """The rows of a table that are wanted; all, with why, if the filter cannot be read."""

    def __init__(self, numbers: Numbers, wanted: Wanted, places: Places, error: str = "") -> None:
        self.numbers = numbers
        self.wanted = wanted
        self.places = places
        self.error = error
        super().__init__()


class Exported(Message):
    """A result has been written to a file, and what is said of that; or why not.

    ``is_there``: a file has that name, and may be replaced only if the user says so.
    """

    def __init__(self, export: Export, said: str = "", *, is_there: bool = False, error: str = "") -> None:
        self.export = export
        self.said = said
        self.is_there = is_there
        self.error = error
        super().__init__()


class FormFound(Message):
    """The form of the command that made a result, with its values; or why there is none."""

    def __init__(
        self, command: str = "", values: Mapping[str, Any] | None = None, *, error: str = ""
    ) -> None:
        self.command = command
        self.values = values or {}
        self.error = error
        super().__init__()


class OthersFound(Message):
    """The results that one can be held against."""

    def __init__(self, rows: Sequence[ResultRow]) -> None:
        self.rows = rows
        super().__init__()
