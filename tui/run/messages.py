"""What the threads that read a run tell its screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from tui.heatmaps.choices import Choice, MapOfResult, OfResult
    from tui.heatmaps.heatmap import Heatmap
    from tui.run.reading import RunView


class RunRead(Message):
    """A run has been read for its own screen, or the error in its place."""

    def __init__(self, run: RunView | None, error: str = "") -> None:
        self.run = run
        self.error = error
        super().__init__()


class MapRead(Message):
    """A heatmap, of which ``done`` of ``total`` cells are read."""

    def __init__(self, choice: Choice, heatmap: Heatmap, done: int, total: int) -> None:
        self.choice = choice
        self.heatmap = heatmap
        self.done = done
        self.total = total
        super().__init__()


class MapsListed(Message):
    """A result has been opened, and has these maps."""

    def __init__(self, choice: OfResult, maps: list[MapOfResult]) -> None:
        self.choice = choice
        self.maps = maps
        super().__init__()


class MapFailed(Message):
    """A heatmap or a result cannot be read."""

    def __init__(self, choice: Choice, error: str) -> None:
        self.choice = choice
        self.error = error
        super().__init__()
