"""Driving the app in tests."""

import asyncio
from collections.abc import Callable

from textual.pilot import Pilot
from textual.widgets import Static

from tui.browser.run_table import RunTable
from tui.browser.screen import Browser
from tui.run.screen import RunScreen
from tui.widgets.canvas import Canvas
from tui.widgets.heatmap_view import HeatmapView


async def until(pilot: Pilot[None], holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait for what a reading thread will bring about."""
    async with asyncio.timeout(seconds):
        while not holds():
            await pilot.pause(0.01)
    await pilot.pause()


async def until_read(pilot: Pilot[None]) -> None:
    """Wait until every store has been read and every row is in the table."""
    await pilot.pause()
    browser = browser_of(pilot)
    await until(pilot, lambda: browser._done and table_of(pilot).row_count == browser._shown)


def browser_of(pilot: Pilot[None]) -> Browser:
    browser = pilot.app._screen_stacks["runs"][0]
    assert isinstance(browser, Browser)
    return browser


def table_of(pilot: Pilot[None]) -> RunTable:
    return browser_of(pilot).query_one(RunTable)


def status_of(pilot: Pilot[None]) -> str:
    return str(browser_of(pilot).query_one("#status", Static).content)


def rows_of(pilot: Pilot[None]) -> list[list[str]]:
    """The cells of the table as they read."""
    table = table_of(pilot)
    return [[str(cell) for cell in table.get_row_at(place)] for place in range(table.row_count)]


def heads_of(pilot: Pilot[None]) -> list[str]:
    return [str(column.label) for column in table_of(pilot).ordered_columns]


def head_line(pilot: Pilot[None]) -> str:
    """The line of the table's heads, as a terminal would show it."""
    return next(line for line in screen_text(pilot) if "sample" in line and "variant" in line)


def run_screen_of(pilot: Pilot[None]) -> RunScreen:
    screen = pilot.app._screen_stacks["runs"][1]
    assert isinstance(screen, RunScreen)
    return screen


def heatmap_of(pilot: Pilot[None]) -> HeatmapView:
    return run_screen_of(pilot).query_one(HeatmapView)


def numbers_of(pilot: Pilot[None]) -> str:
    """What is said of the cell under the cursor."""
    canvas = run_screen_of(pilot).query_one("#numbers", Canvas)
    return " ".join(canvas.line_text(y) for y in range(canvas.size.height)).strip()


async def until_mapped(pilot: Pilot[None]) -> None:
    """Open the run under the cursor and wait until its first heatmap is read."""
    await until_read(pilot)
    await pilot.press("enter")
    await until_whole(pilot)


async def until_whole(pilot: Pilot[None]) -> None:
    """Wait until nothing is being read for the run's screen, and a map or a word in its place is shown."""
    await pilot.pause()
    screen = run_screen_of(pilot)
    await until(pilot, lambda: screen._view is not None and not screen._progress)


def shown_text(pilot: Pilot[None]) -> str:
    return "\n".join(screen_text(pilot))


def screen_text(pilot: Pilot[None]) -> list[str]:
    """The screen, line by line, as a terminal would show it."""
    return [
        "".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()
    ]
