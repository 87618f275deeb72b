"""A chart with a cursor."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.color import Color
from textual.events import Click, Resize
from textual.message import Message
from textual.widget import Widget

from tui.charts.chart import Chart, Curves, Dots
from tui.charts.curve_plot import CurvePlot
from tui.charts.dot_plot import DotPlot
from tui.charts.look import Look
from tui.heatmaps.scale import Colour
from tui.keys import bindings
from tui.themes import series_colours
from tui.widgets.canvas import Canvas
from tui.widgets.pieced_canvas import PiecedCanvas


class ChartView(Widget):
    """Curves or dots with their intervals, axes and legend, and a cursor.

    A move of the cursor paints what changes alone: a cell or two, and its place on the axis.

    Attributes:
        chart: what is shown; None: nothing yet.
    """

    BINDINGS = bindings("chart")
    DEFAULT_CSS = """
    ChartView { height: 1fr; layout: vertical; }
    ChartView .chart-foot { height: 1fr; }
    """
    can_focus = True

    class Moved(Message):
        """The cursor is on another point, or another chart is shown; `ChartView.text` says what is there."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.chart: Chart | None = None
        self._plot: CurvePlot | DotPlot | None = None

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Canvas(classes="chart-head")
        yield PiecedCanvas()
        yield Canvas(classes="chart-foot")

    def on_mount(self) -> None:  # noqa: D102
        self.app.theme_changed_signal.subscribe(self, lambda _: self._repaint())

    @property
    def text(self) -> str:
        """What is under the cursor, in words: where, value, interval, n; empty if nothing is shown."""
        return self._plot.text if self._plot is not None else ""

    def show(self, chart: Chart) -> None:
        """Show a chart; the cursor stays where it is, by names, as far as the chart has that place."""
        before = self._plot
        self.chart = chart
        if isinstance(chart, Curves):
            self._plot = CurvePlot(chart)
        else:
            assert isinstance(chart, Dots)
            self._plot = DotPlot(chart)
        self._plot.take_place(before)
        self._repaint()
        self.post_message(self.Moved())

    def follow(self, other: ChartView) -> None:
        """Put the cursor where it is on another chart, as far as this one has that place."""
        before = self.text
        if self._plot is not None:
            self._plot.take_place(other._plot)
        self._moved(self.text != before)

    def on_resize(self, event: Resize) -> None:
        """Share the new room out."""
        self._repaint()

    def on_click(self, event: Click) -> None:
        """Put the cursor on what is nearest."""
        if self._plot is not None:
            corner = self.content_region.offset
            self._moved(self._plot.click(event.screen_x - corner.x, event.screen_y - corner.y))

    # Keys

    def action_before(self) -> None:
        """Go to the point before."""
        self._move(-1, 0)

    def action_after(self) -> None:
        """Go to the point after."""
        self._move(1, 0)

    def action_above(self) -> None:
        """Go to the curve or row before."""
        self._move(0, -1)

    def action_below(self) -> None:
        """Go to the curve or row after."""
        self._move(0, 1)

    def action_first(self) -> None:
        """Go to the first point."""
        self._move(-self._all, 0)

    def action_last(self) -> None:
        """Go to the last point."""
        self._move(self._all, 0)

    def action_turn_back(self) -> None:
        """Show curves that are not shown, or go several rows back."""
        self._turn(-1)

    def action_turn_on(self) -> None:
        """Show curves that are not shown, or go several rows on."""
        self._turn(1)

    @property
    def _all(self) -> int:
        """As many points as any curve has."""
        return max(len(curve.at) for curve in self.chart.curves) if isinstance(self.chart, Curves) else 0

    def _move(self, across: int, down: int) -> None:
        if self._plot is not None:
            self._moved(self._plot.move(across, down))

    def _turn(self, by: int) -> None:
        if self._plot is not None:
            self._moved(self._plot.turn(by))

    def _moved(self, has_moved: bool) -> None:
        if has_moved:
            self._repaint()
            self.post_message(self.Moved())

    def _repaint(self) -> None:
        width, height = self.size
        if self._plot is None or not width or not height:
            return
        drawing = self._plot.draw(width, height, self._look())
        head, field = self.query_one(".chart-head", Canvas), self.query_one(PiecedCanvas)
        head.styles.height, field.styles.height = len(drawing.head), len(drawing.field)
        head.paint(drawing.head)
        field.paint(drawing.field, width)
        self.query_one(".chart-foot", Canvas).paint(drawing.foot)

    def _look(self) -> Look:
        if self.app.no_color:
            return Look()
        colours = tuple(_rgb(Color.parse(one)) for one in series_colours(self.app))
        return Look(colours, _rgb(self.background_colors[1]))


def _rgb(colour: Color) -> Colour:
    return colour.r, colour.g, colour.b
