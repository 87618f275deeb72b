"""The threads of the screen of runs: they read stores and single runs, and tell the screen.

They import what reads: HDF5 and NumPy take longer than everything that is seen at first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from textual.message import Message

from stores.errors import StoreError, UserError
from tui.background import LatestReader
from tui.browser.messages import DetailRead, ScoresRead
from tui.browser.rows import Row
from tui.listing_messages import ReadFailed, ReadingDone, RowsRead

PACE = 0.3
"""Seconds between two lots of runs that the screen is told: to put many in order takes a while each time."""


class _Lump:
    """Rows of many stores, told at once when the first come, then now and then."""

    def __init__(self, tell: Callable[[list[Row]], object]) -> None:
        self._tell = tell
        self._rows: list[Row] = []
        self._told = 0.0

    def add(self, rows: list[Row]) -> None:
        self._rows += rows
        if time.monotonic() - self._told > PACE:
            self.tell()

    def tell(self) -> None:
        if self._rows:
            self._tell(self._rows)
        self._rows, self._told = [], time.monotonic()


class Readers:
    """Reads the stores of a folder, and of one run what there is to say, each in a thread of its own.

    Args:
        path: of a store, or of a folder of stores.
        post: takes messages from any thread.
    """

    def __init__(self, path: Path, post: Callable[[Message], object]) -> None:
        self._path = path
        self._post = post
        self._stores: LatestReader[int] = LatestReader("stores", self._read_stores, post)
        self._details: LatestReader[Row] = LatestReader("detail", self._read_detail, post)

    def read_stores(self, number: int) -> None:
        """Read all stores; what is told of them has this number."""
        self._stores.ask(number)

    def read_detail(self, row: Row) -> None:
        """Read what there is to say about a run."""
        self._details.ask(row)

    def close(self) -> None:
        """Read nothing any more."""
        self._stores.close()
        self._details.close()

    # In the threads

    def _read_stores(self, number: int) -> None:
        from tui.browser import reading

        found, stores, told = 0, [], _Lump(lambda rows: self._post(RowsRead(number, rows)))
        for store in reading.find_stores(self._path):
            if isinstance(store, reading.Problem):
                self._post(ReadFailed(number, store.message))
                continue
            found += 1
            try:
                rows = reading.read_rows(store, self._path)
            except UserError as error:
                self._post(ReadFailed(number, str(error)))
            else:
                told.add(rows)
                stores.append(rows)
        told.tell()
        self._post(ReadingDone(number, found))
        # After all runs are there: a score is worth no wait.
        for rows in stores:
            if rows and not self._stores.overtaken:
                self._read_scores(number, rows)

    def _read_scores(self, number: int, rows: list[Row]) -> None:
        from tui.browser import reading

        try:
            for scored in reading.read_scores(rows):
                if isinstance(scored, StoreError):
                    self._post(ReadFailed(number, str(scored)))
                else:
                    self._post(ScoresRead(number, scored))
        except UserError as error:
            self._post(ReadFailed(number, str(error)))

    def _read_detail(self, row: Row) -> None:
        try:
            from tui.browser import reading

            self._post(DetailRead(row, reading.read_detail(row)))
        except UserError as error:
            self._post(DetailRead(row, None, str(error)))
