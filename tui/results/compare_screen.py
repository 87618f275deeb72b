"""The screen of two results."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from stores.errors import UserError
from tui.background import LatestReader
from tui.charts.chart_view import ChartView
from tui.dialogs.chooser import Chooser
from tui.keys import bindings
from tui.results import comparing
from tui.results.compare_messages import BothSaid, PairRead, TwoOpened
from tui.results.comparing import Pair, Shown, Two, Which
from tui.results.reading import Said, said_of
from tui.results.says_pane import SaysPane
from tui.results.tab_line import TabLine
from tui.results.view_pane import ViewPane
from tui.widgets.heatmap_view import HeatmapView
from tui.widgets.key_footer import KeyFooter

SAYS, ASKED = "Says", "Asked"


class CompareScreen(Screen[None]):
    """Two results: charts laid over or beside one another, what both say, what was asked of each."""

    CSS_PATH: ClassVar = ["../widgets/map_pane.tcss", "result.tcss", "compare.tcss"]
    BINDINGS = bindings("comparing")
    PLACES = ("comparing", "heatmap", "chart", "app")
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (100, "-medium-wide")]
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (20, "-medium"), (40, "-high")]

    def __init__(self, first: Which, second: Which) -> None:
        super().__init__()
        self._which = (first, second)
        self._names = comparing.names_of(first, second)
        self._two: Two | None = None
        self._views: list[Pair | str] = []
        self._view: Pair | str | None = None
        self._shown: dict[str, Shown] = {}
        self._said: tuple[Said, Said] | None = None
        self._is_beside = False
        self._two_reader = LatestReader("two results", self._read_two, self.post_message)
        self._view_reader = LatestReader("two views", self._read_view, self.post_message)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(id="status", markup=False)
        yield TabLine(id="result-tabs")
        with Container(id="compare-body"):
            yield Static("reading...", id="compare-instead", markup=False)
            yield ViewPane(id="compare-together")
            with Container(id="compare-beside", classes="two"):
                yield ViewPane(id="compare-first")
                yield ViewPane(id="compare-second")
            with Container(id="compare-says", classes="two"):
                yield SaysPane(id="compare-says-first")
                yield SaysPane(id="compare-says-second")
            with VerticalScroll(id="compare-asked"):
                yield Static()
        yield KeyFooter()

    def on_mount(self) -> None:  # noqa: D102
        for number, side in enumerate(("first", "second")):
            for pane in (f"#compare-{side}", f"#compare-says-{side}"):
                self.query_one(pane).border_title = self._names[number]
        self._switch("compare-instead")
        self.action_reload()

    def on_unmount(self) -> None:  # noqa: D102
        for reader in (self._two_reader, self._view_reader):
            reader.close()

    # Actions

    def action_back(self) -> None:
        """Back to where it was opened."""
        self.dismiss()

    def action_reload(self) -> None:
        """Read both again."""
        self._say("reading...")
        self._two_reader.ask(self._which)

    def action_next_view(self) -> None:
        """Show the next view of both."""
        self._go(1)

    def action_previous_view(self) -> None:
        """Show the view before."""
        self._go(-1)

    def action_choose_view(self) -> None:
        """Choose a view from a list."""
        if self._view is not None:
            names = [_name(view) for view in self._views]
            self.app.push_screen(
                Chooser("both", names, self._views.index(self._view)),
                lambda place: None if place is None else self._show_view(self._views[place]),
            )

    def action_beside(self) -> None:
        """Show both beside one another, or laid over one another."""
        self._is_beside = not self._is_beside
        if self._view is not None:
            self._show_view(self._view)

    # What the user does in a widget

    @on(TabLine.Clicked)
    def _show_clicked(self, event: TabLine.Clicked) -> None:
        self._show_view(self._views[event.place])

    @on(HeatmapView.Moved)
    def _link_maps(self) -> None:
        """The cursor of the other map follows, where it has the same place."""
        moved = self.focused
        for view in self.query("#compare-beside HeatmapView").results(HeatmapView):
            if view is not moved and isinstance(moved, HeatmapView):
                view.follow(moved)

    @on(ChartView.Moved)
    def _link_charts(self) -> None:
        moved = self.focused
        for view in self.query("#compare-beside ChartView").results(ChartView):
            if view is not moved and isinstance(moved, ChartView):
                view.follow(moved)

    # What the reading threads tell

    @on(TwoOpened)
    def _take_two(self, message: TwoOpened) -> None:
        two = self._two = message.two
        self._shown, self._said = {}, None
        if two is None:
            self._show_instead(f"error: {message.error}\n\nr reads both again, esc goes back.")
            self._say("")
            return
        before = "" if self._view is None else _name(self._view)
        self._views = [*two.pairs, SAYS, ASKED]
        self._show_view(next((view for view in self._views if _name(view) == before), self._views[0]))

    @on(PairRead)
    def _take_pair(self, message: PairRead) -> None:
        if message.shown is not None:
            self._shown[message.pair.name] = message.shown
        if message.pair != self._view:
            return
        if message.shown is None:
            self._show_instead(f"error: {message.error}")
            self._say("")
        else:
            self._show_pair(message.shown)

    @on(BothSaid)
    def _take_said(self, message: BothSaid) -> None:
        self._said = message.said
        if self._view != SAYS:
            return
        if message.said is None:
            self._show_instead(f"error: {message.error}")
            self._say("")
        else:
            self._show_said(message.said)

    # In the reading threads

    def _read_two(self, which: tuple[Which, Which]) -> None:
        try:
            self.post_message(TwoOpened(comparing.open_two(*which)))
        except UserError as error:
            self.post_message(TwoOpened(None, str(error)))

    def _read_view(self, asked: tuple[Two, Pair | str]) -> None:
        two, view = asked
        try:
            if isinstance(view, Pair):
                self.post_message(PairRead(view, comparing.show_pair(view, two.names)))
            else:
                self.post_message(BothSaid((said_of(two.first.result), said_of(two.second.result))))
        except UserError as error:
            failed = (
                PairRead(view, None, str(error)) if isinstance(view, Pair) else BothSaid(None, str(error))
            )
            self.post_message(failed)

    # Showing

    def _go(self, by: int) -> None:
        if self._view is not None:
            self._show_view(self._views[(self._views.index(self._view) + by) % len(self._views)])

    def _show_view(self, view: Pair | str) -> None:
        two = self._two
        if two is None:
            return
        self._view = view
        self.query_one(TabLine).show([_name(one) for one in self._views], self._views.index(view))
        if isinstance(view, Pair) and view.name in self._shown:
            self._show_pair(self._shown[view.name])
        elif view == SAYS and self._said is not None:
            self._show_said(self._said)
        elif view == ASKED:
            told = _differences(two, is_narrow=self.has_class("-narrow"))
            self.query_one("#compare-asked Static", Static).update(told)
            self._switch("compare-asked")
            self._say("")
        else:
            self._show_instead("reading...")
            self._say("reading...")
            self._view_reader.ask((two, view))

    def _show_pair(self, shown: Shown) -> None:
        if shown.together is not None and not self._is_beside:
            pane = self.query_one("#compare-together", ViewPane)
            self._switch("compare-together")
            pane.show(shown.together)
            self._say("b shows them beside one another")
        else:
            pane = self.query_one("#compare-first", ViewPane)
            self._switch("compare-beside")
            pane.show(shown.first)
            self.query_one("#compare-second", ViewPane).show(shown.second)
            self._say("b lays them over one another" if shown.together is not None else "")
        self.set_focus(pane.focusable)

    def _show_said(self, said: tuple[Said, Said]) -> None:
        for one, side in zip(said, ("first", "second"), strict=True):
            self.query_one(f"#compare-says-{side}", SaysPane).show_said(one)
        self._switch("compare-says")
        self.set_focus(self.query_one("#compare-says-first"))
        self._say("")

    def _show_instead(self, text: str) -> None:
        self.query_one("#compare-instead", Static).update(text)
        self._switch("compare-instead")

    def _switch(self, to: str) -> None:
        for pane in self.query_one("#compare-body").children:
            pane.display = pane.id == to
        if to == "compare-asked":
            self.set_focus(self.query_one("#compare-asked"))

    def _say(self, progress: str) -> None:
        parts = [f"{self._names[0]} and {self._names[1]}"]
        parts += [progress] if progress else []
        self.query_one("#status", Static).update("   ".join(parts), layout=False)


def _name(view: Pair | str) -> str:
    return view if isinstance(view, str) else view.name


def _differences(two: Two, *, is_narrow: bool) -> RenderableType:
    """What differs in what was asked and made; below one another where there is little room."""
    same = f"{two.same} more settings are the same" if two.differences else "all settings are the same"
    if is_narrow:
        lines: list[Text] = []
        for name, *values in two.differences:
            lines.append(Text(name, style="bold"))
            lines += [Text(f"  {which}: {one}") for which, one in zip(two.names, values, strict=True)]
        return Group(*lines, Text(same, style="dim"))
    table = Table(box=None, padding=(0, 2, 0, 0), expand=True)
    table.add_column("what differs", style="bold", overflow="fold")
    for name in two.names:
        table.add_column(name, overflow="fold", ratio=1)
    for name, first, second in two.differences:
        table.add_row(name, Text(first), Text(second))
    return Group(table, Text(same, style="dim"))
