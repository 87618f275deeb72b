"""Driving the screens of results in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from probes.results.result import Result
from tests.tui import planted_results as planted
from tests.tui.driving import until
from tests.tui.store_factory import make_store
from tui.results.compare_screen import CompareScreen
from tui.results.result_screen import ResultScreen
from tui.results.screen import Results

COMMAND = "cosinterp patch mazes --donor 'red-*' --recipient 'blue-*' --layers 0-3"


def save(result: Result, store: Path, name: str, **told: Any) -> Path:
    """A planted result in a store, with what its provenance says besides its kind."""
    saved = Result(result.dataset, result.provenance | told).save(store, name, force=True)
    assert saved.path is not None
    return saved.path


def results_store(path: Path) -> Path:
    """A store with two patching results and a probe's."""
    store = make_store(path, [("maze-1", 0)])
    asked = {"steps": "0-2", "layers": "0-3", "seed": 0}
    save(planted.patched(), store, "flip", command=COMMAND, asked=asked, notes=["one pair was left out"])
    save(planted.patched(steps=(0, 1)), store, "again", asked=asked | {"steps": "0-1"})
    save(planted.probed(), store, "path")
    return store


async def open_results(pilot: Pilot[None]) -> Results:
    """Go to the results and wait until they are listed and the first has said what it says."""
    await pilot.press("2")
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, Results)
    await until(pilot, lambda: screen._listed.is_done)
    return screen


async def open_result(pilot: Pilot[None], store: Path, name: str) -> ResultScreen:
    """Open a result and wait until its first tab is shown."""
    screen = ResultScreen(store, name)
    await pilot.app.push_screen(screen)
    await until_shown(pilot)
    return screen


async def open_two(pilot: Pilot[None], store: Path, first: str, second: str) -> CompareScreen:
    """Open two results of a store and wait until their first view is shown."""
    screen = CompareScreen((store, first), (store, second))
    await pilot.app.push_screen(screen)
    await until_shown(pilot)
    return screen


async def until_shown(pilot: Pilot[None]) -> None:
    """Wait until nothing is being read or drawn for the screen."""
    await pilot.pause()
    await until(pilot, lambda: not any(word in status(pilot) for word in ("reading...", "drawing...")))


def status(pilot: Pilot[None]) -> str:
    """The line at the top."""
    return str(pilot.app.screen.query_one("#status", Static).content)


def rows(screen: Results) -> list[list[str]]:
    """The cells of the list as they read."""
    table = screen.query_one("#results-table", DataTable)
    return [[str(cell) for cell in table.get_row_at(place)] for place in range(table.row_count)]
