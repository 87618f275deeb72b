"""The screen of one run."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import Screen
from textual.widgets import Static

from stores.errors import UserError
from tui.app import app_of
from tui.background import LatestReader
from tui.browser.rows import Row
from tui.dialogs.chooser import Chooser
from tui.frames.screen import Frames
from tui.heatmaps import choices
from tui.heatmaps.choices import Choice, OfResult
from tui.keys import bindings
from tui.pictures.switch import switch_pixels
from tui.run import reading
from tui.run.about import RunAbout
from tui.run.messages import MapFailed, MapRead, MapsListed, RunRead
from tui.run.reading import RunView
from tui.widgets.heatmap_view import HeatmapView
from tui.widgets.key_footer import KeyFooter
from tui.widgets.map_pane import MapPane

FIRST_PAINT, LONGEST_PAINT = 0.1, 1.0
"""Seconds between two paints of a map that is being read: at first, and at most."""


class RunScreen(Screen[None]):
    """A run's heatmaps with exact numbers and profiles, its first image, prompt and facts."""

    CSS_PATH: ClassVar = ["../widgets/map_pane.tcss", "run.tcss"]
    BINDINGS = bindings("run")
    PLACES = ("run", "heatmap", "app")
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-narrow"), (130, "-wide")]
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]]] = [(0, "-low"), (20, "-medium"), (40, "-high")]

    def __init__(self, row: Row) -> None:
        super().__init__()
        self._row = row
        self._view: RunView | None = None
        self._choices: list[Choice] = []
        self._choice: Choice | None = None
        self._progress = "reading..."
        self._run_reader = LatestReader("run", self._read_run, self.post_message)
        self._map_reader = LatestReader("heatmap", self._read_map, self.post_message)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(id="status", markup=False)
        with Horizontal(id="run-body"):
            yield MapPane(id="map")
            yield RunAbout()
        yield KeyFooter()

    def on_mount(self) -> None:  # noqa: D102
        self.set_focus(self.query_one(HeatmapView))
        self.action_reload()

    def on_unmount(self) -> None:  # noqa: D102
        self._run_reader.close()
        self._map_reader.close()

    # Actions

    def action_back(self) -> None:
        """Back to the runs."""
        self.dismiss()

    def action_reload(self) -> None:
        """Read the run again."""
        self._say("reading...")
        self._run_reader.ask(self._row)

    def action_next_map(self) -> None:
        """Show the next quantity."""
        self._go(1)

    def action_previous_map(self) -> None:
        """Show the quantity before."""
        self._go(-1)

    def action_choose_map(self) -> None:
        """Choose a quantity from a list."""
        if not self._choices:
            return
        names = [choice.name for choice in self._choices]
        chosen = self._choices.index(self._choice) if self._choice in self._choices else 0
        self.app.push_screen(Chooser("quantities", names, chosen), self._chosen)

    def action_frames(self) -> None:
        """Show what each step sees as the end."""
        self.app.push_screen(Frames([self._row]))

    async def action_results(self) -> None:
        """List the results of the run's store."""
        await app_of(self).show_results(self._row.store)

    def action_pixels(self) -> None:
        """Show pixels or half cells."""
        switch_pixels(self)

    def action_about(self) -> None:
        """Show or put away what there is to say about the run."""
        self.toggle_class("-about")
        # On a narrow screen it takes the map's place, and the arrows scroll it.
        is_instead = self.has_class("-about") and self.has_class("-narrow")
        self.set_focus(self.query_one(RunAbout if is_instead else HeatmapView))

    # What the reading threads tell

    @on(RunRead)
    def _show_run(self, message: RunRead) -> None:
        self._view = message.run
        if message.run is None:
            self._choices, self._choice = [], None
            self._show_instead(f"error: {message.error}")
            return
        before = self._choice.name if self._choice else ""
        # Over a slow line there are no pictures that were not asked for: on a narrow screen this one is.
        is_spared = app_of(self).options.low_bandwidth and not self.has_class("-narrow")
        self.query_one(RunAbout).show(message.run.detail, None if is_spared else message.run.image)
        self._choices = [*message.run.quantities, *message.run.results]
        if not self._choices:
            self._show_instead("Nothing is recorded of this run, and its store has no results.")
            return
        same = next((choice for choice in self._choices if choice.name == before), self._choices[0])
        self._choose(same)

    @on(MapRead)
    def _show_map(self, message: MapRead) -> None:
        if message.choice is not self._choice:
            return
        is_whole = message.done >= message.total
        self._say("" if is_whole else f"read {message.done:,} of {message.total:,} cells")
        heatmap = message.heatmap
        with self.app.batch_update():
            self.query_one(MapPane).show(heatmap)
            self.query_one(RunAbout).show_map((("heatmap", heatmap.title), ("of", heatmap.note or "-")))

    @on(MapsListed)
    def _show_result(self, message: MapsListed) -> None:
        if message.choice is not self._choice:
            return
        if not message.maps:
            self._show_instead(f"{message.choice.name}: nothing in it is by step and layer.")
            return
        place = self._choices.index(message.choice)
        self._choices[place : place + 1] = message.maps
        self._choose(message.maps[0])

    @on(MapFailed)
    def _show_failure(self, message: MapFailed) -> None:
        if message.choice is self._choice:
            self._show_instead(f"error: {message.error}")

    # In the reading threads

    def _read_run(self, row: Row) -> None:
        try:
            found = reading.read_run(row)
            self.post_message(RunRead(found))
            reading.prepare(found)
        except UserError as error:
            self.post_message(RunRead(None, str(error)))

    def _read_map(self, choice: Choice) -> None:
        try:
            if isinstance(choice, OfResult):
                self.post_message(MapsListed(choice, choices.opened(choice)))
                return
            wait, painted = FIRST_PAINT, time.monotonic()
            for heatmap, done, total in choices.made(choice, lambda: self._map_reader.overtaken):
                if done < total and time.monotonic() - painted < wait:
                    continue
                self.post_message(MapRead(choice, heatmap.copied(), done, total))
                wait, painted = min(2 * wait, LONGEST_PAINT), time.monotonic()
        except UserError as error:
            self.post_message(MapFailed(choice, str(error)))

    # Showing

    def _go(self, by: int) -> None:
        if self._choices and self._choice is not None:
            place = self._choices.index(self._choice)
            self._choose(self._choices[(place + by) % len(self._choices)])

    def _chosen(self, place: int | None) -> None:
        if place is not None:
            self._choose(self._choices[place])

    def _choose(self, choice: Choice) -> None:
        self._choice = choice
        self._say("reading...")
        self._map_reader.ask(choice)

    def _show_instead(self, text: str) -> None:
        """A line in place of the map."""
        self.query_one(MapPane).show_instead(text)
        self._say("")

    def _say(self, progress: str) -> None:
        self._progress = progress
        parts = [f"{self._row.sample}, seed {self._row.seed}, {self._row.variant}"]
        if self._choice is not None:
            place = self._choices.index(self._choice) + 1 if self._choice in self._choices else 0
            parts.append(f"{place}/{len(self._choices)} {self._choice.name}")
        parts += [progress] if progress else []
        if self._view is not None and self._view.problems:
            parts.append(f"{len(self._view.problems)} not read: {self._view.problems[0]}")
        self.query_one("#status", Static).update("   ".join(parts), layout=False)
