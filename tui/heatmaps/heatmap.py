"""The numbers of one heatmap."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stores.units import count_text

Cells = NDArray[np.float64]
"""(column, row)"""


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A quantity by two things, mostly by step and layer.

    Attributes:
        title: what the quantity is.
        columns, rows: the labels of both axes, in order; steps may be spans, as "3-5".
        values: (column, row), NaN where nothing is known.
        low, high: ends of the intervals (column, row), NaN where there is none; None: the quantity has none.
        n, samples: of how much each value is (column, row), and of how many samples.
        counted: what ``n`` counts, one and several, as "patch", "patches"; None: nothing that has a name.
        marked: (column, row), cells that stand out; ``mark`` says in words how.
        centre: the value that a diverging scale turns about; None: the scale is sequential.
        note: of how much, with which intervals and which seed, in a line.
        column_name, row_name: what columns and rows are, as "step" and "layer".
        measure: what the values are, in a word or few, for maps that are held against one another; empty:
            nothing that others would have.
        beside: a map of the same cells that this one is held against, such as that of a control; None:
            there is none.
        beside_name: what that is, such as "control random".
        reach: what its colours have to reach over, too, as it is compared with another; None: nothing.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    values: Cells
    low: Cells | None = None
    high: Cells | None = None
    n: NDArray[np.int64] | None = None
    samples: NDArray[np.int64] | None = None
    counted: tuple[str, str] | None = None
    marked: NDArray[np.bool_] | None = None
    mark: str = ""
    centre: float | None = None
    note: str = ""
    column_name: str = "step"
    row_name: str = "layer"
    measure: str = ""
    beside: Heatmap | None = None
    beside_name: str = ""
    reach: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        shape = (len(self.columns), len(self.rows))
        parts = (self.values, self.low, self.high, self.n, self.samples, self.marked)
        beside = (self.beside.columns, self.beside.rows) if self.beside else (self.columns, self.rows)
        if beside != (self.columns, self.rows):
            raise ValueError(f"{self.title}: the map beside it has other columns or rows")
        if any(part is not None and part.shape != shape for part in parts):
            raise ValueError(f"{self.title}: arrays do not have the shape {shape} (column, row)")

    def copied(self) -> Heatmap:
        """The map as it is now, whatever is filled into this one later."""
        return replace(self, values=self.values.copy())

    def is_marked(self, column: int, row: int) -> bool:
        """Whether a cell, by its indices, stands out."""
        return self.marked is not None and bool(self.marked[column, row])

    def cell_text(self, column: int, row: int) -> str:
        """A cell, by its indices, in words: where it is, value, interval, n, and whether it stands out."""
        where = f"{self.column_name} {self.columns[column]}, {self.row_name} {self.rows[row]}: "
        value = float(self.values[column, row])
        if not math.isfinite(value):
            return f"{where}not known"
        parts = [number_text(value) + self._interval_text(column, row)]
        if self.n is not None:
            n = int(self.n[column, row])
            parts.append(f"n = {n:,}" + (f" {self.counted[n != 1]}" if self.counted else ""))
        if self.samples is not None:
            parts.append(f"of {count_text(int(self.samples[column, row]), 'sample')}")
        if self.beside is not None:
            value = number_text(float(self.beside.values[column, row]))
            parts.append(f"{self.beside_name} {value}{self.beside._interval_text(column, row)}")
        if self.is_marked(column, row):
            parts.append(f"* {self.mark}")
        return where + ", ".join(parts)

    def _interval_text(self, column: int, row: int) -> str:
        if self.low is None or self.high is None:
            return ""
        low, high = float(self.low[column, row]), float(self.high[column, row])
        if not math.isfinite(low) or not math.isfinite(high):
            return " (no interval)"
        return f" [{number_text(low)}, {number_text(high)}]"


def number_text(value: float) -> str:
    """A number in four digits.

    >>> number_text(0.51234), number_text(-12345.6), number_text(2.5e-7), number_text(0.0)
    ('0.5123', '-1.235e+04', '2.5e-07', '0')
    """
    return f"{value:.4g}"
