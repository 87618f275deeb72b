"""A chart or a map of a result, with all that is said of it."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from tui.charts.chart import Chart
from tui.charts.chart_view import ChartView
from tui.heatmaps.heatmap import Heatmap
from tui.widgets.map_pane import MapPane


class ChartPane(Vertical):
    """A chart's title, the chart, the exact numbers under its cursor, and of how much it is."""

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(classes="chart-title", markup=False)
        yield ChartView()
        yield Static(classes="chart-point", markup=False)
        yield Static(classes="chart-note", markup=False)

    @property
    def view(self) -> ChartView:
        """The chart itself, with its cursor."""
        return self.query_one(ChartView)

    def show(self, chart: Chart) -> None:
        """Show a chart."""
        with self.app.batch_update():
            self.view.show(chart)
            self.query_one(".chart-title", Static).update(chart.title, layout=False)
            self.query_one(".chart-note", Static).update(chart.note, layout=False)

    @on(ChartView.Moved)
    def _show_point(self) -> None:
        self.query_one(".chart-point", Static).update(self.view.text, layout=False)


class ViewPane(Vertical):
    """A chart or a map, whichever it is shown, or a word in its place."""

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(classes="view-instead", markup=False)
        yield MapPane()
        yield ChartPane()

    def on_mount(self) -> None:  # noqa: D102
        self.show_instead("")

    @property
    def focusable(self) -> Widget | None:
        """What takes the keys of what is shown; None where that is a word."""
        panes = (self.query_one(MapPane), self.query_one(ChartPane))
        return next((pane.view for pane in panes if pane.display), None)

    def show(self, content: Heatmap | Chart) -> None:
        """Show a chart or a map."""
        if isinstance(content, Heatmap):
            self._switch(MapPane)
            self.query_one(MapPane).show(content)
        else:
            self._switch(ChartPane)
            self.query_one(ChartPane).show(content)

    def show_instead(self, text: str) -> None:
        """Show a word, such as "reading..."."""
        self._switch(Static)
        self.query_one(".view-instead", Static).update(text)

    def _switch(self, to: type[Widget]) -> None:
        for child in self.children:
            child.display = isinstance(child, to)
