"""What the reading threads tell the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from tui.film import EnergyMap, Film, Shot
    from tui.heatmaps.choices import Choice, MapOfResult, OfResult
    from tui.heatmaps.heatmap import Heatmap
    from tui.reading import Detail
    from tui.reading_run import RunView
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


class FilmRead(Message):
    """What there is of a run's pictures, or the error in its place."""

    def __init__(self, row: Row, film: Film | None, error: str = "") -> None:
        self.row = row
        self.film = film
        self.error = error
        super().__init__()


class ShotRead(Message):
    """Pictures of one step of a run, or the error in their place."""

    def __init__(self, row: Row, shot: Shot | None, error: str = "") -> None:
        self.row = row
        self.shot = shot
        self.error = error
        super().__init__()


class FilmDone(Message):
    """Everything that is decoded of a run has been read."""

    def __init__(self, row: Row) -> None:
        self.row = row
        super().__init__()


class EnergyRead(Message):
    """The energy of a run's tokens, or the error in its place."""

    def __init__(self, row: Row, energy: EnergyMap | None, error: str = "") -> None:
        self.row = row
        self.energy = energy
        self.error = error
        super().__init__()
