"""A curve of bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tui.heatmaps.heatmap import number_text
from tui.widgets.canvas import PLAIN, Canvas, Line, cells_of

_EIGHTHS = " ▁▂▃▄▅▆▇█"


class Profile(Canvas):
    """Values as bars side by side, on a scale of their own that a few words beside them tell."""

    def show(
        self,
        values: NDArray[np.float64],
        shown: range,
        title: str,
        *,
        chosen: int | None = None,
        start: int = 0,
        pitch: int = 1,
    ) -> None:
        """Show values (place,); NaN has no bar.

        Args:
            values: all of them; they make the scale.
            shown: the places that have bars.
            title: of what they are; the ends of their scale are added.
            chosen: the place that is marked in the last line, if there are three lines or more.
            start: the column of the first bar.
            pitch: columns from one bar to the next.
        """
        height = self.size.height
        has_mark = chosen is not None and height > 2
        rows = height - 1 if has_mark else height
        known = values[np.isfinite(values)]
        lines: list[Line] = [[] for _ in range(height)]
        if not known.size or rows < 1:
            self.paint(lines)
            return
        low, high = float(known.min()), float(known.max())
        heights = eighths(values[shown.start : shown.stop], low, high, rows)
        wide = 2 if pitch > 3 else 1
        for row in range(rows):
            below = 8 * (rows - 1 - row)
            bars = (_EIGHTHS[min(8, max(0, one - below))] * wide for one in heights)
            lines[row] = cells_of(" " * start + "".join(bar.ljust(pitch) for bar in bars))
        span = "" if high == low else f"{number_text(low)} to {number_text(high)}"
        told = [f"{title}, {span}".removesuffix(", ")] if rows == 1 else [title, span]
        for line, text in zip(lines, told, strict=False):
            line += cells_of(f" {text}")
        if has_mark and chosen is not None:
            lines[-1] = [*cells_of(" " * (start + (chosen - shown.start) * pitch)), ("^", PLAIN)]
        self.paint(lines)


def eighths(values: NDArray[np.float64], low: float, high: float, rows: int) -> Sequence[int]:
    """The heights of bars in eighths of a line: 1 for the least value to 8 * rows; 0 for what is not known.

    >>> list(eighths(np.array([0.0, 1.0, np.nan]), 0.0, 1.0, rows=2))
    [1, 16, 0]
    """
    span = high - low or 1.0
    share = np.where(np.isfinite(values), (values - low) / span, -1.0)
    return [0 if one < 0 else 1 + round(float(one) * (8 * rows - 1)) for one in share]
