"""The table of a result, of any length: which of its rows are wanted, in what order, and how they read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from probes.results.table_view import UNKNOWN, ShownColumn, shown_columns
from stores.errors import SelectionError
from stores.selection import parse_seeds

if TYPE_CHECKING:
    import pandas

FILTER_EXAMPLE = "words, step=0-3, value>0.5"
_MEASURED = 500
"""Rows that the widths of columns are measured by, evenly spaced; texts beyond them are cut."""
_WIDEST = 60
_COMPARISON = re.compile(r"([^=<>]+)(=|<=|>=|<|>)([^=<>]+)")

Places = NDArray[np.int64]
"""Rows of the table, by their places in it."""


@dataclass(frozen=True)
class Wanted:
    """Which rows are shown, and in what order: the text of the filter, the column they are sorted by."""

    text: str = ""
    sorted_by: str | None = None
    reverse: bool = False


class Numbers:
    """A table as it is shown. What it does takes some milliseconds for tens of thousands of rows.

    Attributes:
        shared: what all rows have in common, by column.
        columns: the others, a number and its interval in one.
        widths: the cells that each column takes.
    """

    def __init__(self, table: pandas.DataFrame) -> None:
        self._table = table.rename(columns=str)
        self.shared, self.columns = shown_columns(self._table)
        places = np.unique(
            np.linspace(0, max(0, len(table) - 1), min(_MEASURED, len(table))).astype(np.int64)
        )
        texts = zip(*self.texts(places), strict=True) if len(table) else ([] for _ in self.columns)
        self.widths = [
            min(_WIDEST, max([len(column.name) + 2, *map(len, shown)]))
            for column, shown in zip(self.columns, texts, strict=True)
        ]

    def __len__(self) -> int:
        return len(self._table)

    def texts(self, places: Sequence[int] | Places) -> list[list[str]]:
        """What stands in some rows, a text for each column."""
        rows = self._table.iloc[np.asarray(places, np.int64)]
        return [list(row) for row in zip(*(column.texts(rows) for column in self.columns), strict=True)]

    def row_facts(self, place: int) -> list[tuple[str, str]]:
        """All that one row says, by column."""
        (texts,) = self.texts([place])
        return [*((one.name, text) for one, text in zip(self.columns, texts, strict=True)), *self.shared]

    def row_text(self, place: int) -> str:
        """One row in a line: what it is of, its number with the interval, and what else is known."""
        return ", ".join(
            f"{name} {text}" for name, text in self.row_facts(place)[: len(self.columns)] if text != UNKNOWN
        )

    def places(self, wanted: Wanted) -> Places:
        """The rows that are wanted, in their order; what is not known comes last.

        Raises:
            SelectionError: the filter asks for what cannot be compared.
        """
        kept = np.ones(len(self._table), bool)
        for word in wanted.text.split():
            kept &= self._fitting(word)
        found = np.flatnonzero(kept)
        if wanted.sorted_by is None:
            return found[::-1] if wanted.reverse else found
        column = self._table[wanted.sorted_by].iloc[found].reset_index(drop=True)
        # Stable in either direction, so that equal rows stay as the table has them.
        in_order = column.sort_values(ascending=not wanted.reverse, kind="stable", na_position="last")
        return found[in_order.index.to_numpy()]

    def _fitting(self, word: str) -> NDArray[np.bool_]:
        comparison = _COMPARISON.fullmatch(word)
        names = {str(name).lower(): str(name) for name in self._table.columns}
        if comparison is not None and comparison[1].lower() in names:
            name = names[comparison[1].lower()]
            values = self._table[name]
            if values.dtype.kind in "iuf":
                return _compared(word, values.to_numpy(np.float64, na_value=np.nan), *comparison.groups()[1:])
            if comparison[2] == "=":
                return _holding(values, comparison[3])
            raise SelectionError(f"{word}: {name} holds no numbers; ask {name}={comparison[3]}")
        texts = [self._table[name] for name in names.values() if self._table[name].dtype.kind not in "iuf"]
        return np.logical_or.reduce(
            [np.zeros(len(self._table), bool), *(_holding(one, word) for one in texts)]
        )


_COMPARISONS: dict[str, Callable[[Any, float], Any]] = {
    "<": np.less,
    ">": np.greater,
    "<=": np.less_equal,
    ">=": np.greater_equal,
}


def _compared(word: str, values: NDArray[np.float64], how: str, with_: str) -> NDArray[np.bool_]:
    try:
        if how != "=":
            return _COMPARISONS[how](values, float(with_))
        if with_.replace("-", "").replace(",", "").isdigit() and not with_.startswith("-"):
            return np.isin(values, parse_seeds(with_))
        return np.isclose(values, float(with_))
    except ValueError:
        raise SelectionError(f"{word}: {with_} is no number") from None


def _holding(values: Any, text: str) -> NDArray[np.bool_]:
    held = values.astype(str).str.contains(text, case=False, regex=False)
    return held.to_numpy(bool)


def head_of(column: ShownColumn, wanted: Wanted) -> str:
    """The head of a column, with a sign if rows are sorted by it."""
    sign = (" v" if wanted.reverse else " ^") if wanted.sorted_by == column.name else ""
    return column.name + sign
