"""A column of a heatmap, or two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.events import Click
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from tui.widgets.heatmap_view import HeatmapView


class HeatmapPiece(Widget):
    """The cells of one column, or of two.

    A widget of its own, since a terminal is sent whole pieces of a line from the left edge of a widget on: so
    moving the cursor sends a few cells and not the row that they are in.
    """

    def __init__(self, view: HeatmapView, place: int, is_beside: bool) -> None:
        super().__init__()
        self._view = view
        self._place = place
        self._is_beside = is_beside

    def render_line(self, y: int) -> Strip:
        """A line of a cell."""
        return Strip(self._view.segments(self._place, y, self._is_beside), self.size.width)

    def on_click(self, event: Click) -> None:
        """Put the cursor there."""
        self._view.click(self._place, event.x, event.y)
