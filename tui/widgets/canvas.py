"""A widget of cells that sends only what changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

Cell = tuple[str, Style]
"""One character of one column, and how it looks; added to the widget's own colours."""
Line = list[Cell]

PLAIN = Style()


class Canvas(Widget):
    """Lines of cells. What is painted is compared with what was there, and the same is not sent again."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._lines: list[Line] = []

    def paint(self, lines: Sequence[Line]) -> None:
        """Show these lines."""
        before, self._lines = self._lines, list(lines)
        regions = []
        for y in range(max(len(before), len(self._lines))):
            span = _changed(before[y] if y < len(before) else [], self._line(y))
            if span is not None:
                regions.append(Region(span[0], y, span[1] - span[0], 1))
        if regions:
            self.refresh(*regions)

    def line_text(self, y: int) -> str:
        """A line as it reads."""
        return "".join(text for text, _ in self._line(y))

    def render_line(self, y: int) -> Strip:
        """One line."""
        base, width = self.rich_style, self.size.width
        line = self._line(y)[:width]
        # Blanks to the end are part of the last piece, if they look like it: a style costs more than they do.
        line = [*line, *[(" ", PLAIN)] * (width - len(line))]
        segments = [
            Segment("".join(text for text, _ in cells), base + style)
            for style, cells in groupby(line, key=lambda cell: cell[1])
        ]
        return Strip(segments, width)

    def _line(self, y: int) -> Line:
        return self._lines[y] if y < len(self._lines) else []


def cells_of(text: str, style: Style = PLAIN) -> Line:
    """A text as cells."""
    return [(character, style) for character in text]


def _changed(before: Line, now: Line) -> tuple[int, int] | None:
    """The first column that differs and the one after the last; None if none does."""
    longest = max(len(before), len(now))
    blank: Cell = (" ", PLAIN)
    pairs = [
        (before[x] if x < len(before) else blank) != (now[x] if x < len(now) else blank)
        for x in range(longest)
    ]
    if not any(pairs):
        return None
    return pairs.index(True), longest - pairs[::-1].index(True)
