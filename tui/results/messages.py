"""What the threads that read results tell the list of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from tui.results.reading import Said
    from tui.results.rows import ResultRow


class TitlesRead(Message):
    """What kinds of results are called, by their names."""

    def __init__(self, titles: dict[str, str]) -> None:
        self.titles = titles
        super().__init__()


class SaidRead(Message):
    """What a result says, or the error in its place."""

    def __init__(self, row: ResultRow, said: Said | None, error: str = "") -> None:
        self.row = row
        self.said = said
        self.error = error
        super().__init__()


class ResultRemoved(Message):
    """A result's file has been removed, or could not be."""

    def __init__(self, path: Path, error: str = "") -> None:
        self.path = path
        self.error = error
        super().__init__()
