"""A table as it is read: what all rows share above it, the rest as texts, and how many rows are not shown.

A number and its interval, the columns ``x``, ``x_low`` and ``x_high``, or ``value``, ``low`` and ``high``,
are one column here: ``0.62 [0.52, 0.72]``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

NUMBERS = ("value", "low", "high")
"""Columns that stay, even where all rows have the same."""
UNKNOWN = "–"
"""Stands for what is not known."""
_MOST_SHARED = 60


@dataclass(frozen=True)
class TableView:
    """What is shown of a table.

    Attributes:
        shared: the columns in which all rows are alike, with what they hold, if that is known.
        columns: the others.
        is_number: for each column, whether it holds numbers.
        rows: the first rows, a text for each column.
        more: how many rows there are beyond them.
    """

    shared: list[tuple[str, str]]
    columns: list[str]
    is_number: list[bool]
    rows: list[list[str]]
    more: int


@dataclass(frozen=True)
class ShownColumn:
    """A column as it is shown.

    Attributes:
        name: of the table's column.
        ends: the columns that hold the ends of its interval, if there are such.
        is_number: whether it holds numbers.
    """

    name: str
    ends: tuple[str, str] | None
    is_number: bool

    def texts(self, rows: pandas.DataFrame) -> list[str]:
        """What it shows of some rows of the table."""
        values = [cell_text(value) for value in rows[self.name].tolist()]
        if self.ends is None:
            return values
        pairs = [[cell_text(value) for value in rows[end].tolist()] for end in self.ends]
        return [
            value if UNKNOWN in (low, high) else f"{value} [{low}, {high}]"
            for value, low, high in zip(values, *pairs, strict=True)
        ]


def shown_columns(table: pandas.DataFrame) -> tuple[list[tuple[str, str]], list[ShownColumn]]:
    """What all rows of a table share, by column, if it is known; and the columns in which they differ."""
    names = [str(name) for name in table.columns]
    ends = {name: _ends(name, names) for name in names}
    joined = {end for pair in ends.values() if pair for end in pair}
    alone = [name for name in names if name not in joined]
    shared = [name for name in alone if not ends[name] and _is_shared(table, name)]
    told = [(name, text) for name in shared if (text := cell_text(table[name].iloc[0])) != UNKNOWN]
    return told, [
        ShownColumn(name, ends[name], table[name].dtype.kind in "iuf") for name in alone if name not in shared
    ]


def table_view(table: pandas.DataFrame, most: int) -> TableView:
    """What is shown of a table of which there is room for ``most`` rows."""
    shared, columns = shown_columns(table)
    head = table.head(most)
    return TableView(
        shared=shared,
        columns=[column.name for column in columns],
        is_number=[column.is_number for column in columns],
        rows=[list(row) for row in zip(*(column.texts(head) for column in columns), strict=True)],
        more=max(0, len(table) - most),
    )


def cell_text(value: Any) -> str:
    """A cell: floats with three digits that matter, what is not known as a dash.

    >>> cell_text(0.12345), cell_text(float("nan")), cell_text(1234.5), cell_text(3)
    ('0.123', '–', '1234', '3')
    """
    import pandas as pd

    if isinstance(value, np.generic):
        value = value.item()
    if pd.isna(value) or (isinstance(value, float) and math.isinf(value)):
        return UNKNOWN
    if isinstance(value, float):
        if value == 0 or 1e-3 <= abs(value) < 1e6:
            digits = 3 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
            text = f"{value:.{min(digits, 5)}f}"
            return text.rstrip("0").rstrip(".") if value == int(value) and "." in text else text
        return f"{value:.2e}"
    return str(value)


def _ends(name: str, names: list[str]) -> tuple[str, str] | None:
    """The columns of the interval of a number, if they are there."""
    low, high = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
    return (low, high) if low in names and high in names else None


def _is_shared(table: pandas.DataFrame, name: str) -> bool:
    if len(table) < 2 or name in NUMBERS:
        return False
    values = table[name].tolist()
    first = cell_text(values[0])
    return len(first) <= _MOST_SHARED and all(cell_text(value) == first for value in values)
