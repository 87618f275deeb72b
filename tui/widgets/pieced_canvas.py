"""A canvas in pieces, for what changes in the middle of wide lines."""

from __future__ import annotations

from collections.abc import Sequence

from textual.containers import Horizontal

from tui.widgets.canvas import Canvas, Line

NARROWEST, MOST = 6, 30
"""Columns of a piece, and how many pieces there are at most: each takes time to place."""


class PiecedCanvas(Horizontal):
    """Lines of cells, cut into canvases side by side.

    A terminal is sent a line from the left edge of a widget on up to what has changed in it; so where single
    cells change, narrow widgets send little.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._pieces: list[Canvas] = []

    def paint(self, lines: Sequence[Line], width: int) -> None:
        """Show these lines, none of them wider than ``width``."""
        each = max(NARROWEST, -(-width // MOST))
        needed = -(-width // each)
        new = [Canvas() for _ in range(len(self._pieces), needed)]
        self._pieces += new
        if new:
            self.mount(*new)
        for place, piece in enumerate(self._pieces):
            start = place * each
            piece.display = place < needed
            piece.styles.width = max(0, min(each, width - start))
            piece.paint([line[start : start + each] for line in lines])
