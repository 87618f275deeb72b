"""A heatmap with all that is said of it."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Resize
from textual.widgets import Static

from tui.heatmaps.heatmap import Heatmap
from tui.widgets.canvas import Canvas, cells_of
from tui.widgets.heatmap_view import HeatmapView
from tui.widgets.profile import Profile

FEW_ROWS = 12
"""Bars of no more rows than this stand apart."""


class MapPane(Vertical):
    """A map's title, its cells, the exact numbers of one, its row and column as bars, and what it is of.

    Its rules are in ``map_pane.tcss``, which screens that have one name in their ``CSS_PATH``.
    """

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(id="map-title", markup=False)
        yield HeatmapView()
        yield Static(id="map-nothing", markup=False)
        yield Canvas(id="numbers")
        yield Profile(id="by-step")
        yield Profile(id="by-layer")
        yield Static(id="map-note", markup=False)

    def on_mount(self) -> None:  # noqa: D102
        self.app.theme_changed_signal.subscribe(self, lambda _: self._restyle())

    def on_resize(self, event: Resize) -> None:
        """Say of the cell what there is room for, once the map has shared out its own."""
        self.call_after_refresh(self._show_cell)

    @property
    def view(self) -> HeatmapView:
        """The map itself, with its cursor."""
        return self.query_one(HeatmapView)

    def show(self, heatmap: Heatmap) -> None:
        """Show a map, with its cursor where it was in the one before."""
        view = self.view
        if not view.display:
            view.display = True
            self.query_one("#map-nothing").display = False
        with self.app.batch_update():
            view.show(heatmap)
            self._tell("#map-title", heatmap.title)
            self._tell("#map-note", heatmap.note)
            self._show_cell()

    def show_instead(self, text: str) -> None:
        """A line in place of the map."""
        self.view.display = False
        nothing = self.query_one("#map-nothing", Static)
        nothing.display = True
        nothing.update(text)
        for name in ("#numbers", "#by-step", "#by-layer"):
            self.query_one(name, Canvas).paint([])
        for name in ("#map-title", "#map-note"):
            self._tell(name, "")

    @on(HeatmapView.Moved)
    def _show_cell(self) -> None:
        view = self.view
        heatmap = view.heatmap
        if heatmap is None or not heatmap.values.size:
            return
        numbers = self.query_one("#numbers", Canvas)
        numbers.paint(
            [cells_of(line) for line in _wrapped(heatmap.cell_text(view.at_column, view.at_row), numbers)]
        )
        start, pitch = view.column_places
        self.query_one("#by-step", Profile).show(
            heatmap.values[:, view.at_row],
            view.visible_columns,
            f"by {heatmap.column_name}, {heatmap.row_name} {heatmap.rows[view.at_row]}",
            start=start + (pitch - 1) // 2,
            pitch=pitch,
        )
        self.query_one("#by-layer", Profile).show(
            heatmap.values[view.at_column],
            range(len(heatmap.rows)),
            f"by {heatmap.row_name}, {heatmap.column_name} {heatmap.columns[view.at_column]}",
            chosen=view.at_row,
            start=start,
            pitch=3 if len(heatmap.rows) <= FEW_ROWS else 1,
        )

    def _tell(self, name: str, text: str) -> None:
        """A text in a widget of one line, which stays as large as it is."""
        self.query_one(name, Static).update(text, layout=False)

    def _restyle(self) -> None:
        if self.view.heatmap is not None:
            self.view.show(self.view.heatmap)


def _wrapped(text: str, canvas: Canvas) -> list[str]:
    """The text in the lines that a canvas has."""
    width, height = canvas.size
    words, lines = text.split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width and len(lines) < height:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines
