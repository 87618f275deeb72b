"""The screen of pictures: what each step sees as the end, of one run or several side by side."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from tui.app import app_of
from tui.browser.rows import Row
from tui.copying import copy
from tui.frames.decoders import Decoders
from tui.frames.film_view import FilmView
from tui.frames.messages import DecodingStarted, FilmDone, FilmRead, OverlayRead, ShotRead
from tui.frames.overlays import Kind, Wanted
from tui.frames.readers import Readers
from tui.jobs.watch import JobsSeen
from tui.keys import bindings
from tui.pictures import best_columns
from tui.pictures.switch import switch_pixels
from tui.widgets.key_footer import KeyFooter

_BESIDE = (None, Kind.ENERGY, Kind.COMPONENTS)


class Frames(Screen[None]):
    """The clean estimates of runs by step. All runs are at one step and one frame: they scrub together.

    Args:
        rows: the runs.
        decode: begin to decode what is not decoded.
    """

    CSS_PATH = "frames.tcss"
    BINDINGS = bindings("frames")
    PLACES = ("frames", "app")

    def __init__(self, rows: Sequence[Row], *, decode: bool = False) -> None:
        super().__init__()
        self._wants_decoding = decode
        self._said = ""
        self._runs = list(rows)
        self._views = {row.key: FilmView(self._title_of(row)) for row in rows}
        self._is_strip = False
        self._layer: int | None = None
        self._beside: Kind | None = None
        self._decoders = Decoders(rows)
        self._readers = Readers(self.post_message)

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static(id="status", markup=False)
        with Container(id="films"):
            yield from self._views.values()
        yield KeyFooter()

    def on_mount(self) -> None:  # noqa: D102
        app = app_of(self)
        for view in self._views.values():
            view.can_decode = not app.options.readonly
        self._arrange()
        self.action_reload()
        app.jobs_watch.subscribe(self, self._see_jobs)

    def on_unmount(self) -> None:  # noqa: D102
        self._readers.close()

    def on_resize(self, event: Resize) -> None:
        """Share the new room out."""
        self._arrange()

    # Actions

    def action_back(self) -> None:
        """Back to where this was opened."""
        self.dismiss()

    def action_reload(self) -> None:
        """Look again for what is decoded."""
        self._readers.read([(row, frozenset()) for row in self._runs])
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

    def action_beside(self) -> None:
        """Show something else of the tokens beside the pictures: energy, then components, then nothing."""
        self._beside = _BESIDE[(_BESIDE.index(self._beside) + 1) % len(_BESIDE)]
        layers = self._layers
        if self._layer is None or (layers and self._layer not in layers):
            self._layer = layers[len(layers) // 2] if layers else 0
        self._ask_overlays()
        self._repaint()

    def action_layer_before(self) -> None:
        """Show the layer before beside the pictures."""
        self._go_to_layer(-1)

    def action_layer_after(self) -> None:
        """Show the layer after beside the pictures."""
        self._go_to_layer(1)

    def action_pixels(self) -> None:
        """Show pixels or half cells."""
        switch_pixels(self)

    def action_copy(self) -> None:
        """Copy what decodes the runs that are not decoded."""
        missing = [view.film for view in self._views.values() if view.is_missing or view.is_partly_missing]
        commands = [one.command for one in missing if one is not None]
        if commands:
            copy(app_of(self), "\n".join(commands), "the command" if len(commands) == 1 else "the commands")

    def action_decode(self) -> None:
        """Start jobs that decode what is not decoded."""
        rows = [row for row in self._runs if self._views[row.key].is_partly_missing]
        rows = [row for row in rows if not self._decoders.is_at_work(row)]
        if rows and app_of(self).may_write("start a job that decodes"):
            for row in rows:
                self._decoders.begin(row)
            self._readers.decode(rows)
            self._show_decoding()

    def _decode_at_first(self) -> None:
        """Decode what is not decoded as soon as that is known of all runs, if it was asked for."""
        if self._wants_decoding and all(view.film is not None for view in self._views.values()):
            self._wants_decoding = False
            self.action_decode()

    async def action_jobs(self) -> None:
        """Go to the job that decodes these runs, or else to all of them."""
        app, job_id = app_of(self), self._decoders.last_job
        if job_id is None:
            app.action_go("jobs")
        else:
            await app.show_job(job_id)

    # What the reading threads tell

    @on(FilmRead)
    def _begin(self, message: FilmRead) -> None:
        view = self._views[message.row.key]
        if message.film is None:
            view.fail(f"error: {message.error}")
        else:
            view.begin(message.film, message.known)
            self._ask_overlays()
            self._decode_at_first()
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

    @on(OverlayRead)
    def _add_overlay(self, message: OverlayRead) -> None:
        self._views[message.row.key].show_overlay(message.overlay, message.error)

    @on(DecodingStarted)
    def _follow(self, message: DecodingStarted) -> None:
        self._decoders.started(message.rows, message.job_id, message.error)
        if message.job_id:
            app_of(self).jobs_watch.look(message.job_id)
        self._show_decoding()

    def _see_jobs(self, seen: JobsSeen) -> None:
        """Say what the jobs do that decode these runs, and read what they have decoded so far."""
        decoded = self._decoders.see(seen)
        if decoded:
            # What was being read of others is asked for again: the reader does what it is asked last.
            views = [(row, self._views[row.key]) for row in self._runs]
            self._readers.read(
                [(row, view.known) for row, view in views if row in decoded or not view.is_read]
            )
        self._show_decoding()

    # Showing

    @property
    def _at(self) -> int:
        return max(view.at for view in self._views.values())

    @property
    def _layers(self) -> tuple[int, ...]:
        """Those that what is shown beside the pictures is recorded at, of any run."""
        films = [view.film for view in self._views.values() if view.film]
        kind = self._beside
        found = {layer for one in films if kind in one.recorded for layer in one.recorded[kind].layers}
        return tuple(sorted(found))

    def _scrub(self, place: int) -> None:
        most = max(view.num_places for view in self._views.values())
        place = max(0, min(place, most - 1))
        for view in self._views.values():
            # A run of fewer steps stays at its end while the others go on.
            view.at = min(place, max(0, view.num_places - 1))
        self._ask_overlays()
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
        if self._beside is not None and self._layer in layers:
            place = max(0, min(layers.index(self._layer) + by, len(layers) - 1))
            self._layer = layers[place]
            self._ask_overlays()
            self._repaint()

    def _ask_overlays(self) -> None:
        kind, layer = self._beside, self._layer
        if kind is None or layer is None:
            return
        asked = [
            Wanted(one.row, kind, one.recorded[kind].site, step, layer)
            for view in self._views.values()
            if (one := view.film) is not None
            and kind in one.recorded
            and (step := view.step) is not None
            and one.recorded[kind].has(step, layer)
        ]
        self._readers.read_beside(asked)

    def _repaint(self) -> None:
        beside = None if self._beside is None or self._layer is None else (self._beside, self._layer)
        for view in self._views.values():
            view.beside = beside
            view.repaint()
        self._say()

    def _show_decoding(self) -> None:
        for row in self._runs:
            view = self._views[row.key]
            if view.doing != (doing := self._decoders.words(row)):
                view.doing = doing
                view.repaint()
        self._say()

    def _say(self) -> None:
        parts = [f"frames of {len(self._runs)} runs" if len(self._runs) > 1 else "frames"]
        parts += self._where()
        if self._beside is not None:
            parts.append(f"{self._beside.value} of layer {self._layer}, [ ] another")
        if missing := sum(view.is_missing for view in self._views.values()):
            parts.append(f"{missing} not decoded")
        if (said := "   ".join(parts)) != self._said:
            self._said = said
            self.query_one("#status", Static).update(said, layout=False)

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
