"""A heatmap with a cursor."""

from __future__ import annotations

from rich.segment import Segment
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize
from textual.geometry import Region
from textual.message import Message
from textual.widget import Widget

from tui.heatmaps.heatmap import Heatmap
from tui.keys import bindings
from tui.widgets.canvas import PLAIN, Canvas, Line, cells_of
from tui.widgets.heatmap_cells import CHOSEN, HeatmapCells, columns_line
from tui.widgets.heatmap_piece import HeatmapPiece

WIDEST, TALLEST = 8, 3
"""Of a cell."""
BESIDE = 27
"""Columns left free at the right for the words beside the profile below, if cells stay wide enough."""
GAP, LEAST_BESIDE = 3, 2
"""Columns between a map and that beside it, and how wide the cells of both are at least."""
MOST_PIECES = 24
"""Of more columns two share a widget, as each widget takes time to place."""
LEAP = 5
"""Layers that a page key passes."""


class HeatmapView(Widget):
    """Columns to the right, rows downwards, labels at both, and a line that says what colours mean.

    A map that is larger than the room for it scrolls with the cursor. A map that it is held against stands
    beside it, in the same colours, where there is room for both.

    Attributes:
        heatmap: what is shown.
        at_column, at_row: the cursor's indices.
        first_column, first_row: the indices of the first that are shown.
    """

    BINDINGS = bindings("heatmap")
    DEFAULT_CSS = """
    HeatmapView { height: 1fr; layout: vertical; }
    #heatmap-body { height: auto; }
    #heatmap-own, #heatmap-beside { height: 1fr; width: auto; }
    #heatmap-beside { margin-left: 3; }
    #columns-axis, #legend { height: 1; }
    HeatmapPiece, #rows-axis { height: 1fr; }
    HeatmapView:focus #columns-axis { text-style: bold; }
    """
    can_focus = True

    class Moved(Message):
        """The cursor is on another cell, or other cells are shown."""

    def __init__(self) -> None:
        super().__init__(id="heatmap")
        self.heatmap: Heatmap | None = None
        self.at_column = self.at_row = 0
        self.first_column = self.first_row = 0
        self._has_digits = False
        self._cells: HeatmapCells | None = None
        self._cell = (1, 1)
        self._room = (1, 1)
        self._together = 1
        self._pieces: list[HeatmapPiece] = []
        self._pieces_beside: list[HeatmapPiece] = []
        self._has_beside = False

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Canvas(id="columns-axis")
        with Horizontal(id="heatmap-body"):
            yield Canvas(id="rows-axis")
            yield Horizontal(id="heatmap-own")
            yield Horizontal(id="heatmap-beside")
        yield Canvas(id="legend")

    # What it shows

    def show(self, heatmap: Heatmap) -> None:
        """Show a map; the cursor stays on its column and row, by their labels, where the map has them."""
        before = self.heatmap
        if before is not None and (before.columns, before.rows) != (heatmap.columns, heatmap.rows):
            self.at_column = _same(before.columns, self.at_column, heatmap.columns)
            self.at_row = _same(before.rows, self.at_row, heatmap.rows)
        self.heatmap = heatmap
        self._cells = HeatmapCells(heatmap, self.app.current_theme.dark)
        # Of a map of few rows, what stands below it stays near.
        self.styles.max_height = len(heatmap.rows) * TALLEST + 2
        self._lay_out()

    @property
    def column_places(self) -> tuple[int, int]:
        """Where the first column begins, and how wide each is."""
        return self._gutter, self._cell[0]

    @property
    def visible_columns(self) -> range:
        """The indices of the columns that are shown."""
        return range(self.first_column, self.first_column + self._room[0])

    def _move(self, columns: int, rows: int) -> None:
        self.put(self.at_column + columns, self.at_row + rows)

    def follow(self, other: HeatmapView) -> None:
        """Put the cursor where it is in another map, as far as this one has that place on the same axes."""
        mine, its = self.heatmap, other.heatmap
        if mine is None or its is None:
            return
        if (mine.column_name, mine.row_name) == (its.column_name, its.row_name):
            self.put(
                _same(its.columns, other.at_column, mine.columns), _same(its.rows, other.at_row, mine.rows)
            )

    def put(self, column: int, row: int) -> None:
        """Put the cursor on a cell, by its indices, or the nearest there is."""
        if self.heatmap is None or not self.heatmap.values.size:
            return
        before = self.at_column, self.at_row
        count = self.heatmap.values.shape
        self.at_column, self.at_row = max(0, min(column, count[0] - 1)), max(0, min(row, count[1] - 1))
        if (self.at_column, self.at_row) == before:
            return
        if self._scroll():
            self._repaint()
        else:
            for cell in (before, (self.at_column, self.at_row)):
                self._refresh_cell(*cell)
            self._paint_axes()
        self.post_message(self.Moved())

    def row_at(self, y: int) -> int:
        """The index of the row that is shown in a line."""
        return self.first_row + y // self._cell[1]

    def click(self, piece: int, x: int, y: int) -> None:
        """Put the cursor on the cell at a place within a piece, counted from the first that is shown."""
        self.put(self.first_column + piece * self._together + x // self._cell[0], self.row_at(y))

    def segments(self, piece: int, y: int, is_beside: bool = False) -> list[Segment]:
        """The line ``y`` of a piece of the map, or of that beside it; pieces count from the first shown."""
        first = piece * self._together
        places = range(first, min(first + self._together, self._room[0]))
        return [self._segment(place, y, is_beside) for place in places]

    def _segment(self, place: int, y: int, is_beside: bool) -> Segment:
        width, height = self._cell
        column, row = self.first_column + place, self.row_at(y)
        heatmap, cells = self.heatmap, self._cells
        if heatmap is None or cells is None or column >= len(heatmap.columns) or row >= len(heatmap.rows):
            return Segment(" " * width, self.rich_style)
        text, style = cells.cell(
            column,
            row,
            width,
            is_beside=is_beside,
            is_here=(column, row) == (self.at_column, self.at_row),
            in_digits=self._in_digits,
        )
        if y % height != (height - 1) // 2:
            # The cursor is in the line of the text alone, which is all that is sent when it moves.
            text, style = " " * width, style if style.bgcolor else PLAIN
        # Of a cell with colours of its own the widget's are not asked for: to find them takes long.
        return Segment(text, style if style.bgcolor else self.rich_style + style)

    def on_resize(self, event: Resize) -> None:
        """Share the new room out."""
        self._lay_out()

    # Keys

    def action_column_before(self) -> None:
        """Go to the column before."""
        self._move(-1, 0)

    def action_column_after(self) -> None:
        """Go to the column after."""
        self._move(1, 0)

    def action_row_before(self) -> None:
        """Go to the row before."""
        self._move(0, -1)

    def action_row_after(self) -> None:
        """Go to the row after."""
        self._move(0, 1)

    def action_rows_before(self) -> None:
        """Go several rows back."""
        self._move(0, -LEAP)

    def action_rows_after(self) -> None:
        """Go several rows on."""
        self._move(0, LEAP)

    def action_first_column(self) -> None:
        """Go to the first column."""
        self.put(0, self.at_row)

    def action_last_column(self) -> None:
        """Go to the last column."""
        self.put(len(self.heatmap.columns) - 1 if self.heatmap else 0, self.at_row)

    def action_digits(self) -> None:
        """Show digits in place of colours, or colours again."""
        self._has_digits = not self._has_digits
        self._repaint()

    # How it is laid out

    @property
    def _in_digits(self) -> bool:
        return self._has_digits or self.app.no_color

    @property
    def _gutter(self) -> int:
        labels = self.heatmap.rows if self.heatmap else ()
        return max((len(label) for label in labels), default=0) + 1

    def _lay_out(self) -> None:
        heatmap, (width, height) = self.heatmap, self.size
        if heatmap is None or not width or not height:
            return
        columns, rows = max(1, len(heatmap.columns)), max(1, len(heatmap.rows))
        across, down = max(1, width - self._gutter - 1), max(1, height - 2)
        half = (across - GAP) // 2
        self._has_beside = heatmap.beside is not None and half // columns >= LEAST_BESIDE
        cell_height = max(1, min(TALLEST, down // rows))
        wide = half // columns if self._has_beside else (across - BESIDE) // columns
        widest = min(WIDEST, wide if wide > 1 else across // columns, 4 * cell_height)
        self._cell = max(1, widest), cell_height
        self._room = min(columns, across // self._cell[0]), max(1, min(rows, down // cell_height))
        self._together = 1 if self._room[0] <= MOST_PIECES else 2
        self._lay_out_pieces(self._pieces, "#heatmap-own", self._room[0])
        self._lay_out_pieces(self._pieces_beside, "#heatmap-beside", self._room[0] if self._has_beside else 0)
        self.query_one("#heatmap-body").styles.height = self._room[1] * cell_height
        self.query_one("#rows-axis").styles.width = self._gutter
        self._scroll()
        self._repaint()

    def _lay_out_pieces(self, pieces: list[HeatmapPiece], home: str, room: int) -> None:
        """As many pieces as so many columns need."""
        needed = -(-room // self._together)
        new = [
            HeatmapPiece(self, place, pieces is self._pieces_beside) for place in range(len(pieces), needed)
        ]
        pieces += new
        self.query_one(home).mount(*new)
        for place, piece in enumerate(pieces):
            piece.display = place < needed
            held = min(self._together, room - place * self._together)
            piece.styles.width = max(0, held) * self._cell[0]

    def _scroll(self) -> bool:
        """Bring the cursor into view; whether that moved the map."""
        if self.heatmap is None:
            return False
        before = self.first_column, self.first_row
        columns, rows = self.heatmap.values.shape
        self.first_column = _first(self.first_column, self.at_column, self._room[0], columns)
        self.first_row = _first(self.first_row, self.at_row, self._room[1], rows)
        return (self.first_column, self.first_row) != before

    # Painting

    def _repaint(self) -> None:
        for piece in (*self._pieces, *self._pieces_beside):
            piece.refresh()
        self._paint_axes()
        self.query_one("#legend", Canvas).paint([self._legend()])

    def _refresh_cell(self, column: int, row: int) -> None:
        place, below = column - self.first_column, row - self.first_row
        if 0 <= place < self._room[0] and 0 <= below < self._room[1]:
            width, height = self._cell
            line = below * height + (height - 1) // 2
            piece, within = divmod(place, self._together)
            for pieces in (self._pieces, self._pieces_beside if self._has_beside else []):
                if piece < len(pieces):
                    pieces[piece].refresh(Region(within * width, line, width, 1))

    def _paint_axes(self) -> None:
        heatmap = self.heatmap
        if heatmap is None:
            return
        self.query_one("#columns-axis", Canvas).paint([self._columns_line(heatmap)])
        height, rows = self._cell[1], []
        for below in range(self._room[1]):
            row = self.first_row + below
            style = CHOSEN if row == self.at_row else PLAIN
            label = f"{heatmap.rows[row]:>{self._gutter - 1}}"
            for line in range(height):
                is_middle = line == (height - 1) // 2
                rows.append([*cells_of(label, style), (" ", PLAIN)] if is_middle else [])
        self.query_one("#rows-axis", Canvas).paint(rows)

    def _columns_line(self, heatmap: Heatmap) -> Line:
        gutter, width = self.column_places
        line = columns_line(heatmap.columns, self.visible_columns, self.at_column, gutter, width)
        if self._has_beside:
            return [*line, *cells_of(f"{'':{GAP}}{heatmap.beside_name}"[: GAP + len(line) - gutter])]
        hidden = ("<" if self.first_column else "") + (
            ">" if self.first_column + self._room[0] < len(heatmap.columns) else ""
        )
        return [*line, *cells_of(f" {hidden} {heatmap.column_name}".replace("  ", " "))]

    def _legend(self) -> Line:
        heatmap, cells = self.heatmap, self._cells
        line = cells.scale_line(self._in_digits) if cells is not None else []
        if heatmap is not None and line and self._room[1] < len(heatmap.rows):
            shown = heatmap.rows[self.first_row], heatmap.rows[self.first_row + self._room[1] - 1]
            line += cells_of(f"   {heatmap.row_name} {shown[0]} to {shown[1]} of {len(heatmap.rows)}")
        return line


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
