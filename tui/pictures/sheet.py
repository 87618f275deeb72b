"""Lines of text with pictures at places in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tui.pictures.half_cells import Frame, size_in_cells
from tui.widgets.canvas import PLAIN, Line


@dataclass(frozen=True, eq=False)
class Placed:
    """A picture and the cells that it takes.

    Attributes:
        frame: (row, col, rgb), as large as it is.
        x, y: its upper left cell.
        columns, lines: how many cells it takes.
    """

    frame: Frame
    x: int
    y: int
    columns: int
    lines: int


@dataclass
class Sheet:
    """What is to be painted: lines of cells, and pictures over them."""

    lines: list[Line] = field(default_factory=list)
    pictures: list[Placed] = field(default_factory=list)

    @classmethod
    def of_picture(cls, frame: Frame, columns: int, lines: int) -> Sheet:
        """A picture as large as it fits into so many cells, its shape kept; nothing if there are none."""
        if columns < 1 or lines < 1:
            return cls()
        wide, tall = size_in_cells(frame, columns, lines)
        return cls([[(" ", PLAIN)] * wide for _ in range(tall)], [Placed(frame, 0, 0, wide, tall)])

    @property
    def width(self) -> int:
        """Columns of the longest line."""
        return max((len(line) for line in self.lines), default=0)

    def put(self, x: int, y: int, other: Sheet | Sequence[Line]) -> None:
        """Put another sheet, or lines, with the upper left corner at a column ``x`` and a line ``y``."""
        sheet = other if isinstance(other, Sheet) else Sheet(list(other))
        while len(self.lines) < y + len(sheet.lines):
            self.lines.append([])
        for line, added in zip(self.lines[y:], sheet.lines, strict=False):
            line += [(" ", PLAIN)] * (x - len(line))
            line[x : x + len(added)] = added
        self.pictures += [replace(one, x=one.x + x, y=one.y + y) for one in sheet.pictures]
