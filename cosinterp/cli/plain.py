"""Tables that read well in any terminal, in a pipe and in a log: no boxes but a rule under the head."""

from __future__ import annotations

from rich import box
from rich.table import Table


def table(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are numbers, set to the right."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for place, name in enumerate(columns):
        made.add_column(name, justify="left" if place == 0 else "right", no_wrap=place == 0)
    return made
