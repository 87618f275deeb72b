"""What the threads that read stores tell the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from tui.browser.reading import Detail
    from tui.browser.rows import Row


class ScoresRead(Message):
    """Runs of one store, with the scores that it keeps of them."""

    def __init__(self, reading: int, rows: list[Row]) -> None:
        self.reading = reading
        self.rows = rows
        super().__init__()


class DetailRead(Message):
    """What there is to say about a run, or the error in its place."""

    def __init__(self, row: Row, detail: Detail | None, error: str = "") -> None:
        self.row = row
        self.detail = detail
        self.error = error
        super().__init__()
