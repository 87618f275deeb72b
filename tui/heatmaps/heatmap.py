"""The numbers of one heatmap."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stores.units import count_text

Cells = NDArray[np.float64]
"""(step, layer)"""


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A quantity by step and layer.

    Attributes:
        title: what the quantity is.
        steps, layers: the labels of both axes, in order; steps may be spans, as "3-5".
        values: (step, layer), NaN where nothing is known.
        low, high: ends of the intervals (step, layer), NaN where there is none; None: the quantity has none.
        n, samples: of how much each value is (step, layer), and of how many samples.
        counted: what ``n`` counts, one and several, as "patch", "patches"; None: nothing that has a name.
        marked: (step, layer), cells that stand out; ``mark`` says in words how.
        centre: the value that a diverging scale turns about; None: the scale is sequential.
        note: of how much, with which intervals and which seed, in a line.
    """

    title: str
    steps: tuple[str, ...]
    layers: tuple[str, ...]
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

    def __post_init__(self) -> None:
        shape = (len(self.steps), len(self.layers))
        parts = (self.values, self.low, self.high, self.n, self.samples, self.marked)
        if any(part is not None and part.shape != shape for part in parts):
            raise ValueError(f"{self.title}: arrays do not have the shape {shape} (step, layer)")

    def copied(self) -> Heatmap:
        """The map as it is now, whatever is filled into this one later."""
        return replace(self, values=self.values.copy())

    def is_marked(self, step: int, layer: int) -> bool:
        """Whether a cell, by its indices, stands out."""
        return self.marked is not None and bool(self.marked[step, layer])

    def cell_text(self, step: int, layer: int) -> str:
        """A cell, by its indices, in words: where it is, value, interval, n, and whether it stands out."""
        where = f"step {self.steps[step]}, layer {self.layers[layer]}: "
        value = float(self.values[step, layer])
        if not math.isfinite(value):
            return f"{where}not known"
        parts = [number_text(value) + self._interval_text(step, layer)]
        if self.n is not None:
            n = int(self.n[step, layer])
            parts.append(f"n = {n:,}" + (f" {self.counted[n != 1]}" if self.counted else ""))
        if self.samples is not None:
            parts.append(f"of {count_text(int(self.samples[step, layer]), 'sample')}")
        if self.is_marked(step, layer):
            parts.append(f"* {self.mark}")
        return where + ", ".join(parts)

    def _interval_text(self, step: int, layer: int) -> str:
        if self.low is None or self.high is None:
            return ""
        low, high = float(self.low[step, layer]), float(self.high[step, layer])
        if not math.isfinite(low) or not math.isfinite(high):
            return " (no interval)"
        return f" [{number_text(low)}, {number_text(high)}]"


def number_text(value: float) -> str:
    """A number in four digits.

    >>> number_text(0.51234), number_text(-12345.6), number_text(2.5e-7), number_text(0.0)
    ('0.5123', '-1.235e+04', '2.5e-07', '0')
    """
    return f"{value:.4g}"
