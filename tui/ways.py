"""The places of the app, and what leads from one to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.app import App
from textual.screen import Screen

if TYPE_CHECKING:
    from tui.browser.rows import Row

PLACES = {
    "runs": ("1", "Runs"),
    "results": ("2", "Results"),
    "launch": ("3", "Launch"),
    "jobs": ("4", "Jobs"),
}
"""The places by the names of their modes: their keys, and what they are called."""


class Ways(App[None]):
    """An app of places, each a mode of Textual's with screens of its own on top of one another.

    Args:
        path: of a store, or of a folder of stores.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    def add_places(self) -> None:
        """Have the places made when one goes there, which is also when what they need is imported."""
        for place, make in (
            ("runs", self._browser),
            ("results", self._results),
            ("launch", self._launch),
            ("jobs", self._jobs),
        ):
            self.add_mode(place, make)

    def action_go(self, place: str) -> None:
        """Go to a place: runs, results, launch or jobs."""
        self.switch_mode(place)

    async def show_run(self, row: Row) -> None:
        """Open a run."""
        from tui.run.screen import RunScreen

        await self.switch_mode("runs")
        await self.push_screen(RunScreen(row))

    async def show_store(self, store: Path) -> None:
        """Browse a store, wherever it is."""
        from tui.browser.one_store import OneStore

        await self.switch_mode("runs")
        await self.push_screen(OneStore(store))

    async def show_results(self, store: Path) -> None:
        """List the results of a store, wherever it is."""
        from tui.results.screen import Results

        if store.is_relative_to(self.path):
            screen = await self._first_screen("results")
            assert isinstance(screen, Results)
            screen.only(store)
        else:
            await self.switch_mode("results")
            await self.push_screen(Results(store))

    async def show_result(self, store: Path, name: str) -> None:
        """Open a result of a store."""
        from tui.results.result_screen import ResultScreen

        await self.switch_mode("results")
        await self.push_screen(ResultScreen(store, name))

    async def fill_in(self, command: str, values: Mapping[str, Any]) -> None:
        """Open the form of a command ("trace") with values of its flags (``{"seeds": "0-3"}``)."""
        from tui.launch.screen import Launch

        screen = await self._first_screen("launch")
        assert isinstance(screen, Launch)
        screen.fill_in(command, values)

    async def fill_in_words(self, words: Sequence[str], cwd: Path) -> None:
        """Open the form of a command line that was typed in the folder ``cwd``, with all that it says."""
        from tui.launch.screen import Launch

        screen = await self._first_screen("launch")
        assert isinstance(screen, Launch)
        screen.fill_in_words(words, cwd)

    async def show_job(self, job_id: str) -> None:
        """Go to a job."""
        from tui.jobs.screen import Jobs

        screen = await self._first_screen("jobs")
        assert isinstance(screen, Jobs)
        screen.choose(job_id)

    async def _first_screen(self, place: str) -> Screen[Any]:
        """Go to the screen that a place begins with, and leave those that were opened over it."""
        await self.switch_mode(place)
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        return self.screen_stack[0]

    def _browser(self) -> Screen[Any]:
        from tui.browser.screen import Browser

        return Browser(self.path)

    def _results(self) -> Screen[Any]:
        from tui.results.screen import Results

        return Results(self.path)

    def _launch(self) -> Screen[Any]:
        from tui.launch.screen import Launch

        return Launch()

    def _jobs(self) -> Screen[Any]:
        from tui.jobs.screen import Jobs

        return Jobs()
