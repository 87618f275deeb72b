"""The line of places at the top: where one is, what lives, what the GPUs do."""

from __future__ import annotations

from rich.style import Style
from textual.events import Click, Resize

from tui.app import app_of
from tui.gpus.summary import summaries
from tui.gpus.watch import GpusSeen
from tui.jobs.watch import JobsSeen
from tui.ways import PLACES
from tui.widgets.canvas import PLAIN, Canvas, Line, cells_of

_HERE = Style(bold=True, reverse=True)


class PlacesBar(Canvas):
    """The places with their keys, the present one marked; living jobs; at the right, what the GPUs do.

    First in ``compose`` of the screen that each place begins with. A click on a place goes there.
    """

    def __init__(self) -> None:
        super().__init__(id="places")
        self._ends: list[tuple[int, str]] = []
        self._place = ""
        self._living = 0
        self._gpus = GpusSeen()

    def on_mount(self) -> None:  # noqa: D102
        app = app_of(self)
        self._place = app.current_mode
        app.jobs_watch.subscribe(self, self._show_jobs)
        app.gpu_watch.subscribe(self, self._show_gpus)
        self._paint()

    def on_resize(self, event: Resize) -> None:
        """Say as much as there is room for."""
        self._paint()

    async def on_click(self, event: Click) -> None:
        """Go to the place that is clicked on."""
        for end, place in self._ends:
            if event.x < end:
                await self.app.run_action(f"go('{place}')")
                return

    def _show_jobs(self, seen: JobsSeen) -> None:
        self._living = len(seen.living)
        self._paint()

    def _show_gpus(self, seen: GpusSeen) -> None:
        self._gpus = seen
        self._paint()

    def _paint(self) -> None:
        width = self.size.width
        # The places have to be readable before anything else gets room.
        for gap in ("  ", " ", ""):
            line = self._line_of_places(gap)
            if len(line) <= width:
                break
        for text in summaries(self._gpus.gpus):
            room = width - len(line) - len(text)
            if room >= 3:
                line += cells_of(" " * (room - 1) + text)
                break
        self.paint([line])

    def _line_of_places(self, gap: str) -> Line:
        self._ends = []
        line: Line = []
        for place, (key, name) in PLACES.items():
            line += cells_of(gap if line else gap[1:])
            count = f" ({self._living})" if place == "jobs" and self._living else ""
            line += cells_of(f"{key} {name}{count}", _HERE if place == self._place else PLAIN)
            self._ends.append((len(line), place))
        return line
