"""How a result was made."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from probes.results.facts import Facts
from tui.results.tabs import Opened


class MadePane(VerticalScroll):
    """The command that makes a result again, what was asked, with what it was made, and its file. Scrolls."""

    def compose(self) -> ComposeResult:  # noqa: D102
        yield Static()

    def show(self, opened: Opened, path: Path) -> None:
        """Show how a result was made, which lies in a file."""
        command = opened.command or "It does not say which command made it."
        keys = "y copies it, m opens its form" if opened.command else ""
        parts: list[RenderableType] = [
            Text.assemble(("to make it again  ", "bold"), (keys, "dim")),
            Text(f"  {command}", overflow="fold"),
            Text(),
        ]
        for title, facts in (("asked", opened.asked), ("made", [*opened.made, ("file", str(path))])):
            if facts:
                parts += [Text(title, style="bold"), facts_grid(facts), Text()]
        self.query_one(Static).update(Group(*parts[:-1]))
        self.scroll_home(animate=False)


def facts_grid(facts: Facts) -> Table:
    """Names and texts, a line or more each, set in."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=0)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in facts:
        grid.add_row("", name, Text(text))
    return grid
