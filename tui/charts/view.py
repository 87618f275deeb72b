"""One way to look at what an analysis found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui.charts.chart import Chart
from tui.heatmaps.heatmap import Heatmap


@dataclass(frozen=True)
class Made:
    """One way to look at a dataset.

    Attributes:
        name: as it is chosen by, such as "score by step and layer".
        make: makes its numbers; may take seconds, where intervals are drawn.
    """

    name: str
    make: Callable[[], Heatmap | Chart]
