"""The screen of pictures: what each step sees as the end, of one run or several side by side."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Footer, Static

from stores.errors import StoreError, UserError
from tui import film
from tui.background import LatestReader
from tui.film import Film
from tui.keys import bindings
from tui.messages import Crashed, EnergyRead, FilmDone, FilmRead, ShotRead
from tui.pictures import best_columns
from tui.rows import Row
from tui.widgets.film_view import FilmView


class Frames(Screen[None]):
    """The clean estimates of runs by step. All runs are at one step and one frame: they scrub together."""

    BINDINGS = bindings("frames")
    PLACES = ("frames", "app")

    def __init__(self, rows: Sequence[Row]) -> None:
        super().__init__()
        self._runs = list(rows)
        self._views = {row.key: FilmView(self._title_of(row)) for row in rows}
        self._is_strip = False
        self._layer: int | None = None
        self._has_energy = False
        self._film_reader = LatestReader("frames", self._read_films)
        self._energy_reader = LatestReader("energy", self._read_energy)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(id="status", markup=False)
        with Container(id="films"):
            yield from self._views.values()
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:  # noqa: D102
        self._arrange()
        self.action_reload()

    def on_unmount(self) -> None:  # noqa: D102
        self._film_reader.close()
        self._energy_reader.close()

    def on_resize(self, event: Resize) -> None:
        """Share the new room out."""
        self._arrange()

    # Actions

    def action_back(self) -> None:
        """Back to where this was opened."""
        self.dismiss()

    def action_reload(self) -> None:
        """Look again for what is decoded."""
        self._film_reader.ask(tuple(self._runs))
        self._say()

    def action_step_before(self) -> None:
        """Go to the step before."""
        self._scrub(self._at - 1)

    def action_step_after(self) -> None:
        """Go to the step after."""
        self._scrub(self._at + 1)

    def action_first_step(self) -> None:
        """Go to the first step."""
        self._scrub(0)

    def action_last_step(self) -> None:
        """Go to the end."""
        self._scrub(max(view.num_places for view in self._views.values()) - 1)

    def action_frame_before(self) -> None:
        """Go to the frame before."""
        self._go_to_frame(-1)

    def action_frame_after(self) -> None:
        """Go to the frame after."""
        self._go_to_frame(1)

    def action_strip(self) -> None:
        """Show steps as a film strip, or one of them large."""
        self._is_strip = not self._is_strip
        for view in self._views.values():
            view.is_strip = self._is_strip
        self._arrange()
        self._repaint()

    def action_energy(self) -> None:
        """Show the energy of the tokens beside the pictures, or put it away."""
        self._has_energy = not self._has_energy
        if self._has_energy and self._layer is None:
            layers = self._layers
            self._layer = layers[len(layers) // 2] if layers else 0
        self._ask_energy()
        self._repaint()

    def action_layer_before(self) -> None:
        """Show the energy of the layer before."""
        self._go_to_layer(-1)

    def action_layer_after(self) -> None:
        """Show the energy of the layer after."""
        self._go_to_layer(1)

    def action_copy(self) -> None:
        """Copy what decodes the runs that are not decoded."""
        missing = [view.film for view in self._views.values() if view.is_missing]
        commands = [one.command for one in missing if one is not None]
        if commands:
            self.app.copy_to_clipboard("\n".join(commands))
            self.notify("copied, if the terminal lets programs copy; the command stands on the screen, too")

    # What the reading threads tell

    @on(FilmRead)
    def _begin(self, message: FilmRead) -> None:
        view = self._views[message.row.key]
        if message.film is None:
            view.fail(f"error: {message.error}")
        else:
            view.begin(message.film)
            self._ask_energy()
        self._say()

    @on(ShotRead)
    def _add(self, message: ShotRead) -> None:
        view = self._views[message.row.key]
        if message.shot is None:
            view.fail(message.error)
        else:
            view.add(message.shot)

    @on(FilmDone)
    def _finish(self, message: FilmDone) -> None:
        self._views[message.row.key].finish()

    @on(EnergyRead)
    def _add_energy(self, message: EnergyRead) -> None:
        view = self._views[message.row.key]
        if message.energy is None:
            view.fail(message.error)
        else:
            view.show_energy(message.energy)

    @on(Crashed)
    def _crash(self, message: Crashed) -> None:
        raise message.error

    # In the reading threads

    def _read_films(self, rows: tuple[Row, ...]) -> None:
        try:
            films: list[Film] = []
            for row in rows:
                try:
                    films.append(film.read_film(row))
                    self.post_message(FilmRead(row, films[-1]))
                except UserError as error:
                    self.post_message(FilmRead(row, None, str(error)))
            for one in films:
                self._read_shots(one)
        except Exception as error:  # noqa: BLE001  it is raised again in the app's own thread
            self.post_message(Crashed(error))

    def _read_shots(self, one: Film) -> None:
        try:
            for shot in film.shots(one, lambda: self._film_reader.overtaken):
                failed = isinstance(shot, StoreError)
                self.post_message(ShotRead(one.row, None if failed else shot, str(shot) if failed else ""))
        except UserError as error:
            self.post_message(ShotRead(one.row, None, str(error)))
        self.post_message(FilmDone(one.row))

    def _read_energy(self, asked: tuple[tuple[Film, int, int], ...]) -> None:
        try:
            for one, step, layer in asked:
                if self._energy_reader.overtaken:
                    return
                try:
                    self.post_message(EnergyRead(one.row, film.read_energy(one, step, layer)))
                except UserError as error:
                    self.post_message(EnergyRead(one.row, None, str(error)))
        except Exception as error:  # noqa: BLE001  it is raised again in the app's own thread
            self.post_message(Crashed(error))

    # Showing

    @property
    def _at(self) -> int:
        return max(view.at for view in self._views.values())

    @property
    def _layers(self) -> tuple[int, ...]:
        found = {layer for view in self._views.values() if view.film for layer in view.film.layers}
        return tuple(sorted(found))

    def _scrub(self, place: int) -> None:
        most = max(view.num_places for view in self._views.values())
        place = max(0, min(place, most - 1))
        for view in self._views.values():
            # A run of fewer steps stays at its end while the others go on.
            view.at = min(place, max(0, view.num_places - 1))
        self._ask_energy()
        self._repaint()

    def _go_to_frame(self, by: int) -> None:
        counts = [count for view in self._views.values() if (count := view.num_frames) > 1]
        if counts:
            step = 1 / (max(counts) - 1)
            for view in self._views.values():
                view.frame = max(0.0, min(1.0, view.frame + by * step))
            self._repaint()

    def _go_to_layer(self, by: int) -> None:
        layers = self._layers
        if self._has_energy and self._layer in layers:
            place = max(0, min(layers.index(self._layer) + by, len(layers) - 1))
            self._layer = layers[place]
            self._ask_energy()
            self._repaint()

    def _ask_energy(self) -> None:
        if not self._has_energy or self._layer is None:
            return
        asked = [
            (view.film, view.step, self._layer)
            for view in self._views.values()
            if view.film is not None and view.step in view.film.steps and self._layer in view.film.layers
        ]
        self._energy_reader.ask(tuple((one, step, layer) for one, step, layer in asked if step is not None))

    def _repaint(self) -> None:
        for view in self._views.values():
            view.energy_layer = self._layer if self._has_energy else None
            view.repaint()
        self._say()

    def _say(self) -> None:
        parts = [f"frames of {len(self._runs)} runs" if len(self._runs) > 1 else "frames"]
        parts += self._where()
        if self._has_energy:
            parts.append(f"energy of layer {self._layer}, [ ] another")
        if missing := sum(view.is_missing for view in self._views.values()):
            parts.append(f"{missing} not decoded")
        self.query_one("#status", Static).update("   ".join(parts))

    def _where(self) -> list[str]:
        """What all runs are at."""
        longest = max(self._views.values(), key=lambda view: view.num_places)
        if longest.film is None:
            return []
        step = longest.step
        return ["final video" if step is None else f"step {step} of {longest.film.num_steps - 1}"]

    def _arrange(self) -> None:
        """As many runs in a row as makes pictures largest; film strips below one another."""
        films = self.query_one("#films")
        width, height = self.size.width, max(1, self.size.height - 2)
        count = len(self._runs)
        columns = 1 if self._is_strip else best_columns(count, width, height)
        rows = -(-count // columns)
        films.styles.grid_size_columns = columns
        films.styles.grid_size_rows = rows
        # All equally large, so that pictures compare; within the padding, a column apart.
        films.styles.grid_rows = str(max(1, height // rows))
        films.styles.grid_columns = str(max(1, (width - 1 - columns) // columns))

    def _title_of(self, row: Row) -> str:
        stores = {one.store for one in self._runs}
        name = f"{row.sample}/{row.seed}" + ("" if row.variant == "base" else f".{row.variant}")
        return f"{row.store_name} {name}" if len(stores) > 1 else name
