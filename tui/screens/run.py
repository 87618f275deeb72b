"""The screen of one run."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Footer, Static

from stores.errors import UserError
from tui import reading_run
from tui.background import LatestReader
from tui.heatmaps import choices
from tui.heatmaps.choices import Choice, OfResult
from tui.heatmaps.heatmap import Heatmap
from tui.keys import bindings
from tui.messages import Crashed, MapFailed, MapRead, MapsListed, RunRead
from tui.reading_run import RunView
from tui.rows import Row
from tui.screens.chooser import Chooser
from tui.screens.frames import Frames
from tui.widgets.canvas import Canvas, cells_of
from tui.widgets.heatmap_view import HeatmapView
from tui.widgets.profile import Profile
from tui.widgets.run_about import RunAbout

FIRST_PAINT, LONGEST_PAINT = 0.1, 1.0
"""Seconds between two paints of a map that is being read: at first, and at most."""
FEW_LAYERS = 12
"""Bars of no more layers than this stand apart."""


class RunScreen(Screen[None]):
    """A run's heatmaps with exact numbers and profiles, its first image, prompt and facts."""

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
        self._run_reader = LatestReader("run", self._read_run)
        self._map_reader = LatestReader("heatmap", self._read_map)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(id="status", markup=False)
        with Horizontal(id="run-body"):
            with Vertical(id="map"):
                yield Static(id="map-title", markup=False)
                yield HeatmapView()
                yield Static(id="map-nothing", markup=False)
                yield Canvas(id="numbers")
                yield Profile(id="by-step")
                yield Profile(id="by-layer")
                yield Static(id="map-note", markup=False)
            yield RunAbout()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:  # noqa: D102
        self.set_focus(self.query_one(HeatmapView))
        self.app.theme_changed_signal.subscribe(self, lambda _: self._restyle())
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
        self.query_one(RunAbout).show(message.run.detail, message.run.image)
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
        view = self.query_one(HeatmapView)
        if not view.display:
            view.display = True
            self.query_one("#map-nothing").display = False
        is_whole = message.done >= message.total
        self._say("" if is_whole else f"read {message.done:,} of {message.total:,} cells")
        self._show_heatmap(view, message.heatmap)

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

    @on(Crashed)
    def _crash(self, message: Crashed) -> None:
        raise message.error

    # What the user does in a widget

    @on(HeatmapView.Moved)
    def _moved(self) -> None:
        self._show_cell()

    # In the reading threads

    def _read_run(self, row: Row) -> None:
        try:
            found = reading_run.read_run(row)
            self.post_message(RunRead(found))
            reading_run.prepare(found)
        except UserError as error:
            self.post_message(RunRead(None, str(error)))
        except Exception as error:  # noqa: BLE001  it is raised again in the app's own thread
            self.post_message(Crashed(error))

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
        except Exception as error:  # noqa: BLE001  it is raised again in the app's own thread
            self.post_message(Crashed(error))

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

    def _show_heatmap(self, view: HeatmapView, heatmap: Heatmap) -> None:
        with self.app.batch_update():
            view.show(heatmap)
            self._tell("#map-title", heatmap.title)
            self._tell("#map-note", heatmap.note)
            self.query_one(RunAbout).show_map((("heatmap", heatmap.title), ("of", heatmap.note or "-")))
            self._show_cell()

    def _show_cell(self) -> None:
        view = self.query_one(HeatmapView)
        heatmap = view.heatmap
        if heatmap is None or not heatmap.values.size:
            return
        numbers = self.query_one("#numbers", Canvas)
        numbers.paint(
            [cells_of(line) for line in _wrapped(heatmap.cell_text(view.at_step, view.at_layer), numbers)]
        )
        start, pitch = view.column_places
        self.query_one("#by-step", Profile).show(
            heatmap.values[:, view.at_layer],
            view.visible_steps,
            f"by step, layer {heatmap.layers[view.at_layer]}",
            start=start + (pitch - 1) // 2,
            pitch=pitch,
        )
        self.query_one("#by-layer", Profile).show(
            heatmap.values[view.at_step],
            range(len(heatmap.layers)),
            f"by layer, step {heatmap.steps[view.at_step]}",
            chosen=view.at_layer,
            start=start,
            pitch=3 if len(heatmap.layers) <= FEW_LAYERS else 1,
        )

    def _show_instead(self, text: str) -> None:
        """A line in place of the map."""
        self.query_one(HeatmapView).display = False
        nothing = self.query_one("#map-nothing", Static)
        nothing.display = True
        nothing.update(text)
        for name in ("#numbers", "#by-step", "#by-layer"):
            self.query_one(name, Canvas).paint([])
        for name in ("#map-title", "#map-note"):
            self._tell(name, "")
        self._say("")

    def _tell(self, name: str, text: str) -> None:
        """A text in a widget of one line, which stays as large as it is."""
        self.query_one(name, Static).update(text, layout=False)

    def _say(self, progress: str) -> None:
        self._progress = progress
        parts = [f"{self._row.sample}, seed {self._row.seed}, {self._row.variant}"]
        if self._choice is not None:
            place = self._choices.index(self._choice) + 1 if self._choice in self._choices else 0
            parts.append(f"{place}/{len(self._choices)} {self._choice.name}")
        parts += [progress] if progress else []
        if self._view is not None and self._view.problems:
            parts.append(f"{len(self._view.problems)} not read: {self._view.problems[0]}")
        self._tell("#status", "   ".join(parts))

    def _restyle(self) -> None:
        view = self.query_one(HeatmapView)
        if view.heatmap is not None:
            view.show(view.heatmap)


def _wrapped(text: str, canvas: Canvas) -> list[str]:
    """The text in the lines that a canvas has."""
    width, height = canvas.size
    words, lines = text.split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width and len(lines) < height:
            lines.append(word)
        else:
            lines[-1] += f" {word}" if lines[-1] else word
    return lines
