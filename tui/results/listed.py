"""What is known of the results at a path while they are being listed, again and again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stores.units import count_text
from tui.results.rows import ResultRow

NOTHING = """No results here. Of recorded runs these make some; press r after one:

  cosinterp score STORE          how good, and from which step on
  cosinterp probe STORE ...      what can be read, at which step and layer
  cosinterp convergence STORE    how seeds agree, when runs commit
  cosinterp similarity STORE ... how alike activations are
  cosinterp maps STORE ...       energies and components on the token grid
  cosinterp patch STORE ...      what changes when activations are put in

3 leads to forms that start these, and ensembles, noise, experiments.
"""


class Listed:
    """The results that were found, and what could not be read.

    What is listed again stays as it was until all of it is there, so that nothing jumps.

    Attributes:
        rows: by their keys.
        is_done: everything there is has been listed.
    """

    def __init__(self) -> None:
        self.rows: dict[str, ResultRow] = {}
        self.is_done = False
        self._number = 0
        self._fresh: dict[str, ResultRow] = {}
        self._failed: list[str] = []

    def begin(self) -> int:
        """Begin anew; the number of this listing, which what is told of it comes with."""
        self._number += 1
        self._fresh, self._failed, self.is_done = {}, [], False
        return self._number

    def add(self, number: int, rows: list[ResultRow]) -> bool:
        """Results have been found; whether more are known than before."""
        if number != self._number:
            return False
        self._fresh |= {row.key: row for row in rows}
        if len(self._fresh) <= len(self.rows):
            return False
        self.rows = dict(self._fresh)
        return True

    def fail(self, number: int, message: str) -> None:
        """A store or a folder could not be read."""
        if number == self._number:
            self._failed.append(message)

    def finish(self, number: int) -> bool:
        """Everything has been found; whether that is another than was known."""
        if number != self._number:
            return False
        self.is_done = True
        has_changed = self._fresh != self.rows
        self.rows = self._fresh
        return has_changed

    def name(self, titles: Mapping[str, str]) -> None:
        """Kinds are called so, by their names."""
        self.rows = {
            key: replace(row, titled=titles.get(row.entry.kind, row.titled)) for key, row in self.rows.items()
        }

    @property
    def problems(self) -> list[str]:
        """What could not be read, and why."""
        return [*self._failed, *(row.entry.error for row in self.rows.values() if row.entry.error)]

    def texts(self, shown: int, marked: int) -> list[str]:
        """How many there are, of which so many are shown and marked, and what is wrong, in words."""
        total = count_text(len(self.rows), "result")
        parts = [total if shown == len(self.rows) else f"{shown:,} of {total}"]
        if not self.is_done:
            parts.append("reading...")
        if marked:
            parts.append(f"{marked} marked" + (", = compares" if marked == 2 else ""))
        if problems := self.problems:
            parts.append(f"{len(problems)} not read (e): {problems[0]}")
        return parts
