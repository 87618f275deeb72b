"""The table of ``cosinterp jobs ls``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from cosinterp.cli.plain import table
from cosinterp.jobs.cells import TO_THE_RIGHT, cells_of, fitting
from cosinterp.jobs.texts import state_style

if TYPE_CHECKING:
    from cosinterp.jobs.status import Status


def jobs_table(statuses: Sequence[Status], now: float, width: int, *, bars: bool) -> Table:
    """A line for each job.

    Args:
        statuses: in the order of the lines.
        now: seconds since the epoch.
        width: of the terminal, in columns.
        bars: draw how much is done; else it is only said.
    """
    rows = [cells_of(status, now, bars) for status in statuses]
    widths = fitting(rows, width)
    made = table("", *widths)
    for column in made.columns:
        column.justify = "right" if column.header in TO_THE_RIGHT else "left"
        column.no_wrap = True
    for status, row in zip(statuses, rows, strict=True):
        cells = (Text(row[name], state_style(status.state) if name == "state" else "") for name in widths)
        made.add_row(*(_cut(cell, room) for cell, room in zip(cells, widths.values(), strict=True)))
    return made


def _cut(cell: Text, room: int) -> Text:
    cell.truncate(room, overflow="ellipsis")
    return cell
