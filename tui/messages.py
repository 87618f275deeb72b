"""What the reading threads tell the screen."""

from __future__ import annotations

from textual.message import Message

from tui.reading import Detail
from tui.rows import Row


class RowsRead(Message):
    """The runs of one store have been read. ``reading`` tells which reading of the folder this belongs to."""

    def __init__(self, reading: int, rows: list[Row]) -> None:
        self.reading = reading
        self.rows = rows
        super().__init__()


class ReadFailed(Message):
    """A store or a folder could not be read."""

    def __init__(self, reading: int, message: str) -> None:
        self.reading = reading
        self.message = message
        super().__init__()


class ReadingDone(Message):
    """Everything there is has been read."""

    def __init__(self, reading: int, stores: int) -> None:
        self.reading = reading
        self.stores = stores
        super().__init__()


class DetailRead(Message):
    """What there is to say about a run, or the error in its place."""

    def __init__(self, row: Row, detail: Detail | None, error: str = "") -> None:
        self.row = row
        self.detail = detail
        self.error = error
        super().__init__()


class Crashed(Message):
    """A reading thread met a bug of ours; the app ends with its traceback."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__()
