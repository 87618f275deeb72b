"""Driving the app in tests."""

import asyncio
from collections.abc import Callable

from textual.pilot import Pilot
from textual.widgets import Static

from tui.screens.browser import Browser
from tui.widgets.run_table import RunTable


async def until(pilot: Pilot[None], holds: Callable[[], object], seconds: float = 20) -> None:
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
    browser = pilot.app.screen_stack[1]
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


def screen_text(pilot: Pilot[None]) -> list[str]:
    """The screen, line by line, as a terminal would show it."""
    return [
        "".join(segment.text for segment in strip) for strip in pilot.app.screen._compositor.render_strips()
    ]
