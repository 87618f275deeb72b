"""What a run was generated from, and facts about it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from tui.browser.reading import Detail
from tui.browser.run_detail import facts_table
from tui.pictures import Frame, Picture


class RunAbout(VerticalScroll):
    """The first image, the prompt and the facts of a run, and what is shown of it; scrolls."""

    BORDER_TITLE = "about"

    def __init__(self) -> None:
        super().__init__(id="about")
        self._detail: Detail | None = None

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Picture(id="image")
        yield Static(id="about-facts")

    def show(self, detail: Detail, image: Frame | None) -> None:
        """Show a run."""
        self._detail = detail
        self.query_one("#image", Picture).show(image)
        self.show_map(())

    def show_map(self, facts: tuple[tuple[str, str], ...]) -> None:
        """Say more of the heatmap that is shown beside, below what is said of the run."""
        if self._detail is not None:
            told = Detail(self._detail.prompt, (*self._detail.facts, *facts))
            self.query_one("#about-facts", Static).update(facts_table(told))
