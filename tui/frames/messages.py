"""What the threads that read pictures tell the screen of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from tui.browser.rows import Row
    from tui.frames.film import Film, Shot
    from tui.frames.overlays import Overlay


class FilmRead(Message):
    """What there is of a run's pictures, or the error in its place.

    Those of the steps ``known`` have been read before, and still hold.
    """

    def __init__(
        self, row: Row, film: Film | None, known: frozenset[int | None] = frozenset(), error: str = ""
    ) -> None:
        self.row = row
        self.film = film
        self.known = known
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


class OverlayRead(Message):
    """What is shown beside the pictures of a run, or the error in its place."""

    def __init__(self, row: Row, overlay: Overlay | None, error: str = "") -> None:
        self.row = row
        self.overlay = overlay
        self.error = error
        super().__init__()


class DecodingStarted(Message):
    """A job decodes runs, or could not be started."""

    def __init__(self, rows: Sequence[Row], job_id: str, error: str = "") -> None:
        self.rows = rows
        self.job_id = job_id
        self.error = error
        super().__init__()
