"""The panel of GPUs, which stands above the footer of any screen."""

from __future__ import annotations

from textwrap import wrap

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.events import Resize

from cosinterp.jobs.home import host
from tui.app import app_of
from tui.gpus.lines import gpu_lines
from tui.gpus.watch import GpusSeen
from tui.jobs.watch import JobsSeen
from tui.widgets.canvas import Canvas, cells_of


class GpuPanel(VerticalScroll):
    """A line a GPU; a word where there is none. Scrolls where there are more than there is room for."""

    def compose(self) -> ComposeResult:  # noqa: D102
        self.border_title = "GPUs"
        yield Canvas(id="gpu-lines")

    def on_mount(self) -> None:  # noqa: D102
        app = app_of(self)
        self._gpus, self._jobs = app.gpu_watch.latest, app.jobs_watch.latest
        app.gpu_watch.subscribe(self, self._show_gpus)
        app.jobs_watch.subscribe(self, self._show_jobs)
        self._paint()

    def on_resize(self, event: Resize) -> None:
        """Say as much as there is room for."""
        self._paint()

    def _show_gpus(self, seen: GpusSeen) -> None:
        self._gpus = seen
        self._paint()

    def _show_jobs(self, seen: JobsSeen) -> None:
        self._jobs = seen
        self._paint()

    def _paint(self) -> None:
        canvas = self.query_one(Canvas)
        lines = self._lines(canvas.size.width or self.size.width)
        canvas.styles.height = len(lines)
        # What is not larger than its room is nothing to stop at.
        self.can_focus = len(lines) > self.size.height > 0
        canvas.paint([cells_of(line) for line in lines])

    def _lines(self, width: int) -> list[str]:
        if self._gpus is None:
            return ["reading..."]
        if self._gpus.problem:
            return wrap(f"no GPU: {self._gpus.problem}", max(width, 1))
        if not self._gpus.gpus:
            return ["no GPU: the NVIDIA driver knows of none"]
        living = self._jobs.living if self._jobs is not None else ()
        return gpu_lines(self._gpus.gpus, living, host(), width)
