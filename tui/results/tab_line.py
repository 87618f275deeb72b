"""The line of what a result can be looked at by."""

from __future__ import annotations

from collections.abc import Sequence

from rich.style import Style
from textual.events import Click, Resize
from textual.message import Message

from tui.widgets.canvas import PLAIN, Canvas, Line, cells_of

_HERE = Style(bold=True, reverse=True)
_GAP = "  "


class TabLine(Canvas):
    """Names in a line, one of them marked and always in sight; a click on a name asks for it."""

    class Clicked(Message):
        """A name was clicked on, by its place."""

        def __init__(self, place: int) -> None:
            self.place = place
            super().__init__()

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._names: list[str] = []
        self._here = 0
        self._ends: list[tuple[int, int]] = []

    def show(self, names: Sequence[str], here: int) -> None:
        """Show names, the one at a place marked."""
        self._names, self._here = list(names), here
        self._repaint()

    def on_resize(self, event: Resize) -> None:
        """Show as many as there is room for."""
        self._repaint()

    def on_click(self, event: Click) -> None:
        """Ask for the name that is clicked on."""
        place = next((place for end, place in self._ends if event.x < end), None)
        if place is not None:
            self.post_message(self.Clicked(place))

    def _repaint(self) -> None:
        first, last = window([len(name) for name in self._names], self._here, self.size.width, len(_GAP))
        line: Line = cells_of("< " if first else "")
        self._ends = []
        for place in range(first, last):
            if place > first:
                line += cells_of(_GAP)
            line += cells_of(self._names[place], _HERE if place == self._here else PLAIN)
            self._ends.append((len(line), place))
        line += cells_of(" >" if last < len(self._names) else "")
        self.paint([line])


def window(widths: Sequence[int], here: int, room: int, gap: int) -> tuple[int, int]:
    """The first of the names that are shown and the one after the last: as many around ``here`` as fit.

    Args:
        widths: of all names.
        here: the place of the one that is always among them.
        room: the columns there are; two at either end tell that there are more.
        gap: columns between two names.

    >>> window([4, 4, 4, 4], 0, 20, 2), window([4, 4, 4, 4], 3, 20, 2), window([4, 4], 1, 40, 2)
    ((0, 3), (1, 4), (0, 2))
    """
    if sum(widths) + gap * (len(widths) - 1) <= room:
        return 0, len(widths)
    first, last = here, min(here + 1, len(widths))
    taken = sum(widths[first:last]) + 4
    while True:
        after = widths[last] + gap if last < len(widths) else room
        before = widths[first - 1] + gap if first else room
        if taken + after <= room:
            last, taken = last + 1, taken + after
        elif taken + before <= room:
            first, taken = first - 1, taken + before
        else:
            return first, last
