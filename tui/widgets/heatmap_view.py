"""A heatmap with a cursor."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Click, Resize
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.heatmaps.heatmap import Heatmap, number_text
from tui.heatmaps.scale import LEVELS, UNKNOWN, Colour, Scale, ink
from tui.keys import bindings
from tui.widgets.canvas import PLAIN, Canvas, Line, cells_of

WIDEST, TALLEST = 8, 3
"""Of a cell."""
BESIDE = 27
"""Columns left free at the right for the words beside the profile below, if cells stay wide enough."""
MOST_COLUMNS = 24
"""Of more steps two share a widget, as each widget takes time to place."""
LEAP = 5
"""Layers that a page key passes."""
_CHOSEN = Style(reverse=True, bold=True)


class HeatmapColumn(Widget):
    """The cells of one step, or of two.

    A widget of its own, since a terminal is sent whole pieces of a line from the left edge of a widget on: so
    moving the cursor sends a few cells and not the row that they are in.
    """

    def __init__(self, view: HeatmapView, place: int) -> None:
        super().__init__()
        self._view = view
        self._place = place

    def render_line(self, y: int) -> Strip:
        """A line of a cell."""
        return Strip(self._view.segments(self._place, y), self.size.width)

    def on_click(self, event: Click) -> None:
        """Put the cursor there."""
        self._view.click(self._place, event.x, event.y)


class HeatmapView(Widget):
    """Steps to the right, layers downwards, labels at both, and a line that says what colours mean.

    A map that is larger than the room for it scrolls with the cursor.

    Attributes:
        heatmap: what is shown.
        at_step, at_layer: the cursor's indices.
        first_step, first_layer: the indices of the first that are shown.
    """

    BINDINGS = bindings("heatmap")
    can_focus = True

    class Moved(Message):
        """The cursor is on another cell, or other cells are shown."""

    def __init__(self) -> None:
        super().__init__(id="heatmap")
        self.heatmap: Heatmap | None = None
        self.at_step = self.at_layer = 0
        self.first_step = self.first_layer = 0
        self._has_digits = False
        self._scale: Scale | None = None
        self._cell = (1, 1)
        self._room = (1, 1)
        self._together = 1
        self._levels: NDArray[np.int64] | None = None
        self._digits: NDArray[np.int64] | None = None
        self._cell_styles: list[Style] = []
        self._columns: list[HeatmapColumn] = []

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Canvas(id="steps-axis")
        with Horizontal(id="heatmap-body"):
            yield Canvas(id="layers-axis")
        yield Canvas(id="legend")

    # What it shows

    def show(self, heatmap: Heatmap) -> None:
        """Show a map; the cursor stays on its step and layer, by their labels, where the map has them."""
        before = self.heatmap
        if before is not None and (before.steps, before.layers) != (heatmap.steps, heatmap.layers):
            self.at_step = _same(before.steps, self.at_step, heatmap.steps)
            self.at_layer = _same(before.layers, self.at_layer, heatmap.layers)
        self.heatmap = heatmap
        self._scale = Scale.of(heatmap.values, heatmap.centre)
        self._levels = self._scale.levels(heatmap.values) if self._scale else None
        self._digits = self._scale.digits(heatmap.values) if self._scale else None
        self.restyle()
        # Of a map of few layers, what stands below it stays near.
        self.styles.max_height = len(heatmap.layers) * TALLEST + 2
        self._lay_out()

    def restyle(self) -> None:
        """Take the colours of the theme."""
        colours = self._scale.colours(self.app.current_theme.dark) if self._scale else ()
        self._cell_styles = [Style(color=_rich(ink(colour)), bgcolor=_rich(colour)) for colour in colours]

    @property
    def column_places(self) -> tuple[int, int]:
        """Where the first column begins, and how wide each is."""
        return self._gutter, self._cell[0]

    @property
    def visible_steps(self) -> range:
        """The indices of the steps that are shown."""
        return range(self.first_step, self.first_step + self._room[0])

    def _move(self, steps: int, layers: int) -> None:
        self.put(self.at_step + steps, self.at_layer + layers)

    def put(self, step: int, layer: int) -> None:
        """Put the cursor on a cell, by its indices, or the nearest there is."""
        if self.heatmap is None or not self.heatmap.values.size:
            return
        before = self.at_step, self.at_layer
        count = self.heatmap.values.shape
        self.at_step, self.at_layer = max(0, min(step, count[0] - 1)), max(0, min(layer, count[1] - 1))
        if (self.at_step, self.at_layer) == before:
            return
        if self._scroll():
            self._repaint()
        else:
            for cell in (before, (self.at_step, self.at_layer)):
                self._refresh_cell(*cell)
            self._paint_axes()
        self.post_message(self.Moved())

    def layer_at(self, y: int) -> int:
        """The index of the layer that is shown in a line."""
        return self.first_layer + y // self._cell[1]

    def click(self, column: int, x: int, y: int) -> None:
        """Put the cursor on the cell at a place within a column, counted from the first that is shown."""
        self.put(self.first_step + column * self._together + x // self._cell[0], self.layer_at(y))

    def segments(self, column: int, y: int) -> list[Segment]:
        """The line ``y`` of a column, counted from the first that is shown."""
        first = column * self._together
        return [self._segment(place, y) for place in range(first, min(first + self._together, self._room[0]))]

    def _segment(self, place: int, y: int) -> Segment:
        width, height = self._cell
        step, layer = self.first_step + place, self.layer_at(y)
        heatmap = self.heatmap
        if heatmap is None or step >= len(heatmap.steps) or layer >= len(heatmap.layers):
            return Segment(" " * width, self.rich_style)
        text, style = self._cell_look(heatmap, step, layer)
        if y % height != (height - 1) // 2:
            # The cursor is in the line of the text alone, which is all that is sent when it moves.
            text, style = " " * width, style if style.bgcolor else PLAIN
        # Of a cell with colours of its own the widget's are not asked for: to find them takes long.
        return Segment(text, style if style.bgcolor else self.rich_style + style)

    def on_resize(self, event: Resize) -> None:
        """Share the new room out."""
        self._lay_out()

    # Keys

    def action_step_before(self) -> None:
        """Go to the step before."""
        self._move(-1, 0)

    def action_step_after(self) -> None:
        """Go to the step after."""
        self._move(1, 0)

    def action_layer_before(self) -> None:
        """Go to the layer before."""
        self._move(0, -1)

    def action_layer_after(self) -> None:
        """Go to the layer after."""
        self._move(0, 1)

    def action_layers_before(self) -> None:
        """Go several layers back."""
        self._move(0, -LEAP)

    def action_layers_after(self) -> None:
        """Go several layers on."""
        self._move(0, LEAP)

    def action_first_step(self) -> None:
        """Go to the first step."""
        self.put(0, self.at_layer)

    def action_last_step(self) -> None:
        """Go to the last step."""
        self.put(len(self.heatmap.steps) - 1 if self.heatmap else 0, self.at_layer)

    def action_digits(self) -> None:
        """Show digits in place of colours, or colours again."""
        self._has_digits = not self._has_digits
        self._repaint()

    # How cells look

    @property
    def _in_digits(self) -> bool:
        return self._has_digits or self.app.no_color

    def _cell_look(self, heatmap: Heatmap, step: int, layer: int) -> tuple[str, Style]:
        width = self._cell[0]
        is_here = (step, layer) == (self.at_step, self.at_layer)
        mark = "*" if heatmap.is_marked(step, layer) else ""
        level = UNKNOWN if self._levels is None else int(self._levels[step, layer])
        inner = self._inner_text(heatmap, step, layer, level, mark)
        if level == UNKNOWN or self._in_digits:
            style = _CHOSEN if is_here else Style(underline=True) if mark and width == 1 else PLAIN
            return (inner.center(width), style)
        if is_here:
            inner = ("#" if mark else "+") if width == 1 else f"[{inner[: width - 2]:^{width - 2}}"
            inner = inner if width == 1 else f"{inner}]" if width > 2 else f"[{mark or ']'}"
            return inner, self._cell_styles[level] + Style(bold=True)
        return inner.center(width), self._cell_styles[level]

    def _inner_text(self, heatmap: Heatmap, step: int, layer: int, level: int, mark: str) -> str:
        width = self._cell[0]
        if level == UNKNOWN:
            return "."
        if width >= WIDEST - 1:
            number = f"{float(heatmap.values[step, layer]):.2g}"
            if len(number) + len(mark) <= width - 2:
                return number + mark
        if not self._in_digits:
            return mark
        digit = "" if self._digits is None else str(int(self._digits[step, layer]))
        return digit + (mark if width > 1 else "")

    # How they are laid out

    @property
    def _gutter(self) -> int:
        labels = self.heatmap.layers if self.heatmap else ()
        return max((len(label) for label in labels), default=0) + 1

    def _lay_out(self) -> None:
        heatmap, (width, height) = self.heatmap, self.size
        if heatmap is None or not width or not height:
            return
        steps, layers = max(1, len(heatmap.steps)), max(1, len(heatmap.layers))
        across, down = max(1, width - self._gutter - 1), max(1, height - 2)
        cell_height = max(1, min(TALLEST, down // layers))
        wide = (across - BESIDE) // steps
        self._cell = max(1, min(WIDEST, wide if wide > 1 else across // steps, 4 * cell_height)), cell_height
        self._room = min(steps, across // self._cell[0]), max(1, min(layers, down // cell_height))
        body = self.query_one("#heatmap-body")
        self._together = 1 if self._room[0] <= MOST_COLUMNS else 2
        needed = -(-self._room[0] // self._together)
        new = [HeatmapColumn(self, place) for place in range(len(self._columns), needed)]
        self._columns += new
        body.mount(*new)
        for place, column in enumerate(self._columns):
            column.display = place < needed
            held = min(self._together, self._room[0] - place * self._together)
            column.styles.width = max(0, held) * self._cell[0]
        body.styles.height = self._room[1] * cell_height
        self.query_one("#layers-axis").styles.width = self._gutter
        self._scroll()
        self._repaint()

    def _scroll(self) -> bool:
        """Bring the cursor into view; whether that moved the map."""
        if self.heatmap is None:
            return False
        before = self.first_step, self.first_layer
        self.first_step = _first(self.first_step, self.at_step, self._room[0], len(self.heatmap.steps))
        self.first_layer = _first(self.first_layer, self.at_layer, self._room[1], len(self.heatmap.layers))
        return (self.first_step, self.first_layer) != before

    # Painting

    def _repaint(self) -> None:
        for column in self._columns:
            column.refresh()
        self._paint_axes()
        self.query_one("#legend", Canvas).paint([self._legend()])

    def _refresh_cell(self, step: int, layer: int) -> None:
        place, below = step - self.first_step, layer - self.first_layer
        if 0 <= place < self._room[0] and 0 <= below < self._room[1]:
            width, height = self._cell
            line = below * height + (height - 1) // 2
            column, within = divmod(place, self._together)
            self._columns[column].refresh(Region(within * width, line, width, 1))

    def _paint_axes(self) -> None:
        heatmap = self.heatmap
        if heatmap is None:
            return
        self.query_one("#steps-axis", Canvas).paint([self._steps_line(heatmap)])
        height, rows = self._cell[1], []
        for below in range(self._room[1]):
            layer = self.first_layer + below
            style = _CHOSEN if layer == self.at_layer else PLAIN
            label = f"{heatmap.layers[layer]:>{self._gutter - 1}}"
            for line in range(height):
                is_middle = line == (height - 1) // 2
                rows.append([*cells_of(label, style), (" ", PLAIN)] if is_middle else [])
        self.query_one("#layers-axis", Canvas).paint(rows)

    def _steps_line(self, heatmap: Heatmap) -> Line:
        gutter, width = self.column_places
        end = gutter + self._room[0] * width
        line = cells_of(" " * end)
        free = 0
        for place, step in enumerate(self.visible_steps):
            label, at = heatmap.steps[step], gutter + place * width
            at += (width - len(label)) // 2 if width > len(label) else 0
            if at >= free and at + len(label) <= end and step != self.at_step:
                line[at : at + len(label)] = cells_of(label)
                free = at + len(label) + 1
        here = heatmap.steps[self.at_step]
        at = gutter + (self.at_step - self.first_step) * width
        at = min(at + max(0, (width - len(here)) // 2), max(gutter, end - len(here)))
        # A neighbour's label that would touch that of the cursor gives way.
        for x in _touching(line, at, at + len(here)):
            line[x] = (" ", PLAIN)
        line[at : at + len(here)] = cells_of(here, _CHOSEN)
        hidden = ("<" if self.first_step else "") + (
            ">" if self.first_step + self._room[0] < len(heatmap.steps) else ""
        )
        return [*line, *cells_of(f" {hidden} step" if hidden else " step")]

    def _legend(self) -> Line:
        heatmap, scale = self.heatmap, self._scale
        if heatmap is None or scale is None:
            return cells_of("layer")
        low, high = scale.text()
        line = cells_of("layer  ")
        if self._in_digits:
            line += cells_of(f"0 is {low}, 9 is {high}")
        else:
            line += cells_of(f"{low} ")
            line += [(" ", Style(bgcolor=style.bgcolor)) for style in self._cell_styles[:LEVELS]]
            line += cells_of(f" {high}")
        if scale.centre is not None:
            line += cells_of(f", centre {number_text(scale.centre)}")
        if heatmap.marked is not None:
            line += cells_of(f"   * {heatmap.mark}")
        if self._room[1] < len(heatmap.layers):
            shown = heatmap.layers[self.first_layer], heatmap.layers[self.first_layer + self._room[1] - 1]
            line += cells_of(f"   {shown[0]}-{shown[1]} of {len(heatmap.layers)} layers")
        return line


def _rich(colour: Colour) -> Color:
    return Color.from_rgb(*colour)


def _same(before: tuple[str, ...], place: int, now: tuple[str, ...]) -> int:
    """Where a label of one axis is on another; its place, as far as it goes, where it is not."""
    label = before[place] if place < len(before) else ""
    return now.index(label) if label in now else max(0, min(place, len(now) - 1))


def _first(first: int, cursor: int, room: int, count: int) -> int:
    """The first entry to show of ``count``, if ``first`` was, so that the cursor is within the ``room``.

    A cursor that leaves the room comes to its middle: to scroll is to send everything again, so it is done
    seldom.
    """
    if not first <= cursor < first + room:
        first = cursor - room // 2
    return max(0, min(first, count - room))


def _touching(line: Line, start: int, end: int) -> list[int]:
    """The columns of labels that lie at or next to a span."""
    found = list(range(start, min(end, len(line))))
    for at, step in ((start - 1, -1), (end, 1)):
        while 0 <= at < len(line) and line[at][0] != " ":
            found.append(at)
            at += step
    return found
