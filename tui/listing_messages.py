"""What a thread that reads all stores of a folder tells the list of what it finds there."""

from __future__ import annotations

from typing import Any

from textual.message import Message


class RowsRead(Message):
    """Runs or results have been read. ``reading`` tells which reading of the folder they belong to."""

    def __init__(self, reading: int, rows: list[Any]) -> None:
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
    """Everything there is has been read, in so many stores."""

    def __init__(self, reading: int, stores: int) -> None:
        self.reading = reading
        self.stores = stores
        super().__init__()
