"""The screen of one result."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from stores.errors import UserError
from tui.app import app_of
from tui.background import LatestReader
from tui.charts.chart import Chart
from tui.dialogs.chooser import Chooser
from tui.heatmaps.heatmap import Heatmap
from tui.keys import bindings
from tui.pictures import Picture
from tui.results import tabs
from tui.results.made_pane import MadePane
from tui.results.numbers import Numbers
from tui.results.numbers_pane import NumbersPane
from tui.results.reading import Said
from tui.results.result_actions import ResultActions
from tui.results.result_messages import ResultOpened, TabRead
from tui.results.says_pane import SaysPane
from tui.results.tab_line import TabLine
from tui.results.tabs import ChartTab, Content, FigureTab, MadeTab, NumbersTab, Opened, Tab
from tui.results.view_pane import ViewPane
from tui.widgets.filter_line import FilterLine
from tui.widgets.key_footer import KeyFooter


class ResultScreen(ResultActions):
    """One result: its charts, what it says, its numbers, how it was made, and its figures."""

    CSS_PATH: ClassVar = ["../widgets/map_pane.tcss", "result.tcss"]
    BINDINGS = bindings("result")
    PLACES = ("result", "heatmap", "chart", "numbers", "app", "filter")
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (130, "-wide")]
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (20, "-medium"), (40, "-high")]

    def __init__(self, store: Path, name: str) -> None:
        super().__init__(store, name)
        self._contents: dict[str, Content] = {}
        self._progress = "reading..."
        self._open_reader = LatestReader("result", self._read_result, self.post_message)
        self._tab_reader = LatestReader("tab", self._read_tab, self.post_message)
        self._said_reader = LatestReader("said", self._read_tab, self.post_message)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(id="status", markup=False)
        yield TabLine(id="result-tabs")
        with Horizontal(id="result-body"):
            yield Static("reading...", id="result-instead", markup=False)
            yield ViewPane(id="result-view")
            yield SaysPane(id="result-beside")
            yield SaysPane(id="result-says")
            yield NumbersPane(id="result-numbers")
            yield MadePane(id="result-made")
            with VerticalScroll(id="result-figure"):
                yield Picture()
        yield KeyFooter()

    def on_mount(self) -> None:  # noqa: D102
        self._switch("result-instead")
        self.action_reload()

    def on_unmount(self) -> None:  # noqa: D102
        for reader in (self._open_reader, self._tab_reader, self._said_reader):
            reader.close()

    # Actions

    def on_resize(self, event: Resize) -> None:
        """Say beside the chart what there is room for."""
        if isinstance(self.tab, ChartTab):
            self._show_beside()

    def action_back(self) -> None:
        """Back to where it was opened."""
        self.dismiss()

    def action_reload(self) -> None:
        """Read the result again."""
        self._say("reading...")
        self._open_reader.ask((self.store, self.result_name))

    def action_next_tab(self) -> None:
        """Show the next way to look at it."""
        self._go(1)

    def action_previous_tab(self) -> None:
        """Show the way to look at it before."""
        self._go(-1)

    def action_choose_tab(self) -> None:
        """Choose a way to look at it from a list."""
        opened = self.opened
        if opened is None or self.tab is None:
            return
        names = [tab.name for tab in opened.tabs]
        self.app.push_screen(
            Chooser(self.result_name, names, opened.tabs.index(self.tab)),
            lambda place: None if place is None else self._show_tab(opened.tabs[place]),
        )

    def action_show(self, name: str) -> None:
        """Show what is called so."""
        if self.opened is not None:
            self._show_tab(next(tab for tab in self.opened.tabs if tab.name == name))

    def action_zoom(self) -> None:
        """Show a figure as wide as the screen, to be scrolled, or all of it at once."""
        self.query_one("#result-figure").toggle_class("-zoomed")

    def action_filter(self) -> None:
        """Open the filter line of its numbers."""
        if self.opened is not None:
            if not isinstance(self.tab, NumbersTab):
                self.action_show("Numbers")
            self._numbers.open_filter()

    def action_sort_next(self) -> None:
        """Sort its numbers by the next column; after the last, as they come."""
        if isinstance(self.tab, NumbersTab):
            self._numbers.sort_next()

    def action_sort_reverse(self) -> None:
        """Turn the order of its numbers round."""
        if isinstance(self.tab, NumbersTab):
            self._numbers.sort_reverse()

    # What the user does in a widget

    @on(TabLine.Clicked)
    def _show_clicked(self, event: TabLine.Clicked) -> None:
        if self.opened is not None:
            self._show_tab(self.opened.tabs[event.place])

    @on(NumbersPane.Counted)
    def _tell_count(self, event: NumbersPane.Counted) -> None:
        if isinstance(self.tab, NumbersTab):
            self._say(event.text)

    # What the reading threads tell

    @on(ResultOpened)
    def _take_result(self, message: ResultOpened) -> None:
        self.opened = message.opened
        self._contents = {}
        if message.opened is None:
            self.query_one(TabLine).show((), 0)
            removes = "" if app_of(self).options.readonly else "D removes it, "
            self._show_instead(f"error: {message.error}\n\nr reads it again, {removes}esc goes back.")
            self._say("")
            return
        tabs_now = message.opened.tabs
        same = next((tab for tab in tabs_now if self.tab and tab.name == self.tab.name), tabs_now[0])
        self._show_tab(same)

    @on(TabRead)
    def _take_content(self, message: TabRead) -> None:
        if message.opened is not self.opened:
            return
        if message.content is not None:
            self._contents[message.tab.name] = message.content
        if message.tab.name == "Says":
            self._show_beside()
        if message.tab is not self.tab:
            return
        if message.content is None:
            self._show_instead(f"error: {message.error}")
            self._say("")
        else:
            self._show_content(message.content)

    # In the reading threads

    def _read_result(self, which: tuple[Path, str]) -> None:
        try:
            self.post_message(ResultOpened(tabs.open_result(*which)))
        except UserError as error:
            self.post_message(ResultOpened(None, str(error)))

    def _read_tab(self, asked: tuple[Opened, Tab]) -> None:
        opened, tab = asked
        try:
            self.post_message(TabRead(opened, tab, tabs.content_of(opened.result, tab)))
        except UserError as error:
            self.post_message(TabRead(opened, tab, None, str(error)))

    # Showing

    @property
    def _numbers(self) -> NumbersPane:
        return self.query_one(NumbersPane)

    def _go(self, by: int) -> None:
        if self.opened is None or self.tab is None:
            return
        several = self.opened.tabs
        place = several.index(self.tab) + by
        if app_of(self).options.low_bandwidth:
            # Pictures only when they are asked for by name.
            while isinstance(several[place % len(several)], FigureTab):
                place += by
        self._show_tab(several[place % len(several)])

    def _show_tab(self, tab: Tab) -> None:
        opened = self.opened
        if opened is None:
            return
        self.tab = tab
        self.query_one(TabLine).show([one.name for one in opened.tabs], opened.tabs.index(tab))
        if isinstance(tab, MadeTab):
            self.query_one(MadePane).show(opened, self.file)
            self._switch("result-made")
            self._say("")
        elif tab.name in self._contents:
            self._show_content(self._contents[tab.name])
        else:
            progress = "drawing..." if isinstance(tab, FigureTab) else "reading..."
            self._show_instead(progress)
            self._say(progress)
            self._tab_reader.ask((opened, tab))

    def _show_content(self, content: Content) -> None:
        self._say("")
        if isinstance(content, Heatmap | Chart):
            pane = self.query_one("#result-view", ViewPane)
            self._switch("result-view")
            pane.show(content)
            self.set_focus(pane.focusable)
            self._show_beside()
        elif isinstance(content, Said):
            self.query_one("#result-says", SaysPane).show_said(content)
            self._switch("result-says")
        elif isinstance(content, Numbers):
            self._switch("result-numbers")
            self._numbers.show(content)
        else:
            self.query_one(Picture).show(content)
            self._switch("result-figure")
            self._say("z larger, o opens it, E writes it")

    def _show_beside(self) -> None:
        """What it says, beside a chart on a wide screen."""
        pane, opened = self.query_one("#result-beside", SaysPane), self.opened
        pane.display = isinstance(self.tab, ChartTab) and self.has_class("-wide")
        said = self._contents.get("Says")
        if isinstance(said, Said):
            pane.show_said(said)
        elif pane.display and opened is not None:
            pane.show_nothing("reading...")
            self._said_reader.ask((opened, next(tab for tab in opened.tabs if tab.name == "Says")))

    def _show_instead(self, text: str) -> None:
        self.query_one("#result-instead", Static).update(text)
        self._switch("result-instead")

    def _switch(self, to: str) -> None:
        """Show one of the panes, and give it the keys."""
        for pane in self.query_one("#result-body").children:
            # What it says has room beside a chart on a wide screen, and nowhere else.
            is_beside = pane.id == "result-beside" and self.has_class("-wide")
            pane.display = pane.id == to or (to == "result-view" and is_beside)
        if self.focused is None or not isinstance(self.focused, FilterLine):
            self.set_focus(self._focusable(to))

    def _focusable(self, pane: str) -> Widget | None:
        if pane == "result-numbers":
            return self._numbers.table
        found = self.query_one(f"#{pane}")
        return found if found.can_focus else None

    def _say(self, progress: str) -> None:
        self._progress = progress
        parts = [f"{self.store.name}/{self.result_name}"]
        parts += [progress] if progress else []
        if self.opened is not None:
            parts.append(self.opened.result.title)
        if self.opened is not None and self.opened.problem:
            parts.append(f"error: {self.opened.problem}")
        self.query_one("#status", Static).update("   ".join(parts), layout=False)
