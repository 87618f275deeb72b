"""What one result is looked at by: its charts, what it says, its numbers, how it was made, its figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from probes.results.facts import Facts, asked_facts, made_facts
from probes.results.files import result_path
from probes.results.result import Result
from stores.errors import UserError
from tui.charts.chart import Chart
from tui.charts.views import View, made, views_of
from tui.heatmaps.heatmap import Heatmap
from tui.heatmaps.of_results import complete
from tui.pictures import Frame
from tui.results.numbers import Numbers
from tui.results.reading import Said, said_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCREEN_DPI = 100
"""Dots an inch of a figure that is shown on the screen: a page of 7 inches is about 700 pixels wide."""


@dataclass(frozen=True, eq=False)
class ChartTab:
    """A chart or a map that the terminal draws itself."""

    view: View

    @property
    def name(self) -> str:
        """As it is chosen by."""
        return self.view.name


@dataclass(frozen=True)
class SaysTab:
    """What it says."""

    name: str = "Says"


@dataclass(frozen=True)
class NumbersTab:
    """Its table."""

    name: str = "Numbers"


@dataclass(frozen=True)
class MadeTab:
    """How it was made."""

    name: str = "Made"


@dataclass(frozen=True)
class FigureTab:
    """A figure as it is printed."""

    figure: str

    @property
    def name(self) -> str:
        """As it is chosen by."""
        return f"figure {self.figure}"


Tab = ChartTab | SaysTab | NumbersTab | MadeTab | FigureTab
Content = Heatmap | Chart | Said | Numbers | Frame
"""What a tab shows; how a result was made is known as soon as it is open."""


@dataclass(frozen=True, eq=False)
class Opened:
    """A result that was opened.

    Attributes:
        result: with all its numbers.
        tabs: what it can be looked at by, the main one first.
        asked, made: how it was made.
        problem: why it has no charts or no figures, if it lacks what its kind tells of; else empty.
    """

    result: Result
    tabs: tuple[Tab, ...]
    asked: Facts
    made: Facts
    problem: str

    @property
    def command(self) -> str:
        """What makes it again; empty if it does not say."""
        return str(self.result.provenance.get("command") or "")

    @property
    def charts(self) -> tuple[ChartTab, ...]:
        """What the terminal draws itself."""
        return tuple(tab for tab in self.tabs if isinstance(tab, ChartTab))


def open_result(store: Path, name: str) -> Opened:
    """A result and what it can be looked at by. Blocks.

    Raises:
        UserError: it cannot be read.
    """
    result = Result.open(result_path(store, name))
    charts: list[ChartTab] = []
    figures: list[FigureTab] = []
    problem = ""
    try:
        charts = [ChartTab(view) for view in views_of(result)]
        with complete(result.path or name):
            figures = [FigureTab(figure) for figure in result.figures()]
    except UserError as error:
        # The rest of it can still be looked at.
        problem = str(error)
    tabs = (*charts, SaysTab(), NumbersTab(), MadeTab(), *figures)
    return Opened(result, tabs, asked_facts(result), made_facts(result), problem)


def content_of(result: Result, tab: Tab) -> Content | None:
    """What a tab shows; None for what is known already. Blocks, a figure for seconds.

    Raises:
        UserError: the result lacks what its kind tells of.
    """
    if isinstance(tab, ChartTab):
        return made(tab.view)
    if isinstance(tab, SaysTab):
        return said_of(result)
    with complete(result.path or result.title):
        if isinstance(tab, NumbersTab):
            return Numbers(result.table())
        if isinstance(tab, FigureTab):
            return _pixels(result.figure(tab.figure))
    return None


def _pixels(figure: Figure) -> Frame:
    import io

    import numpy as np
    from PIL import Image

    from probes.figures.drawing import drawn

    with Image.open(io.BytesIO(drawn(figure, "png", dpi=SCREEN_DPI))) as picture:
        return np.asarray(picture.convert("RGB"))
