"""What a run was generated from, and facts about it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.events import Resize
from textual.widgets import Static

from tui.pictures import Frame, fitted, half_cells
from tui.reading import Detail
from tui.widgets.canvas import Canvas
from tui.widgets.run_detail import facts_table

TALLEST = 16
"""Lines that the first image takes at most."""


class RunAbout(VerticalScroll):
    """The first image, the prompt and the facts of a run, and what is shown of it; scrolls."""

    BORDER_TITLE = "about"

    def __init__(self) -> None:
        super().__init__(id="about")
        self._image: Frame | None = None
        self._detail: Detail | None = None

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Canvas(id="image")
        yield Static(id="about-facts")

    def show(self, detail: Detail, image: Frame | None) -> None:
        """Show a run."""
        self._detail, self._image = detail, image
        self.show_map(())
        self._paint_image()

    def show_map(self, facts: tuple[tuple[str, str], ...]) -> None:
        """Say more of the heatmap that is shown beside, below what is said of the run."""
        if self._detail is not None:
            told = Detail(self._detail.prompt, (*self._detail.facts, *facts))
            self.query_one("#about-facts", Static).update(facts_table(told))

    def on_resize(self, event: Resize) -> None:
        """Fit the image in anew."""
        self._paint_image()

    def _paint_image(self) -> None:
        canvas = self.query_one("#image", Canvas)
        width = self.scrollable_content_region.width
        canvas.display = self._image is not None and width > 0
        if self._image is not None and width > 0:
            # Half of the pane at most, so that the prompt is seen without scrolling.
            tall = min(TALLEST, max(3, self.size.height // 2))
            lines = half_cells(fitted(self._image, width, tall), not self.app.no_color)
            canvas.styles.height = len(lines)
            canvas.paint(lines)
