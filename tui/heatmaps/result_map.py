"""A map of a result that can be made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tui.heatmaps.heatmap import Heatmap


@dataclass(frozen=True)
class ResultMap:
    """A map of a result that can be made.

    Attributes:
        name: of the map, within its result.
        make: makes it; may take a second, where intervals are drawn.
    """

    name: str
    make: Callable[[], Heatmap]
