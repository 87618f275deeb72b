"""The threads of the screen of pictures: they read runs and start jobs, and tell the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.message import Message

from stores.errors import StoreError, UserError
from tui.background import LatestReader
from tui.browser.rows import Row
from tui.frames import decoding, film
from tui.frames.film import Film
from tui.frames.messages import DecodingStarted, FilmDone, FilmRead, OverlayRead, ShotRead
from tui.frames.overlays import OverlayReader, Wanted

Known = frozenset[int | None]
"""Steps of a run that have been read; None: the final video."""


class Readers:
    """Reads films, and what is beside them, and starts decoding, each in a thread of its own.

    Args:
        post: takes messages from any thread.
    """

    def __init__(self, post: Callable[[Message], object]) -> None:
        self._post = post
        self._overlays = OverlayReader()
        self._films: LatestReader[tuple[tuple[Row, Known], ...]] = LatestReader(
            "frames", self._read_films, post
        )
        self._beside: LatestReader[tuple[Wanted, ...]] = LatestReader("overlays", self._read_overlays, post)
        self._starter: LatestReader[tuple[decoding.Group, ...]] = LatestReader("decode", self._start, post)

    def read(self, asked: Sequence[tuple[Row, Known]]) -> None:
        """Read the pictures of runs, but for steps that are known."""
        self._films.ask(tuple(asked))

    def read_beside(self, asked: Sequence[Wanted]) -> None:
        """Read maps of tokens."""
        self._beside.ask(tuple(asked))

    def decode(self, rows: Sequence[Row]) -> None:
        """Start jobs that decode runs."""
        self._starter.ask(tuple(decoding.groups(rows)))

    def close(self) -> None:
        """Read nothing any more."""
        for reader in (self._films, self._beside, self._starter):
            reader.close()

    # In the threads

    def _read_films(self, asked: tuple[tuple[Row, Known], ...]) -> None:
        films: list[tuple[Film, Known]] = []
        for row, known in asked:
            try:
                films.append((film.read_film(row), known))
                self._post(FilmRead(row, *films[-1]))
            except UserError as error:
                self._post(FilmRead(row, None, error=str(error)))
        for one, known in films:
            self._read_shots(one, known)

    def _read_shots(self, one: Film, known: Known) -> None:
        try:
            for shot in film.shots(one, known, lambda: self._films.overtaken):
                failed = isinstance(shot, StoreError)
                self._post(ShotRead(one.row, None if failed else shot, str(shot) if failed else ""))
        except UserError as error:
            self._post(ShotRead(one.row, None, str(error)))
        if not self._films.overtaken:
            self._post(FilmDone(one.row))

    def _read_overlays(self, asked: tuple[Wanted, ...]) -> None:
        for wanted in asked:
            if self._beside.overtaken:
                return
            try:
                self._post(OverlayRead(wanted.row, self._overlays.read(wanted)))
            except UserError as error:
                self._post(OverlayRead(wanted.row, None, str(error)))

    def _start(self, asked: tuple[decoding.Group, ...]) -> None:
        for rows in asked:
            try:
                self._post(DecodingStarted(rows, decoding.start(rows)))
            except UserError as error:
                self._post(DecodingStarted(rows, "", str(error)))
