"""What ``cosinterp results show`` prints of a result."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from cosinterp.cli.console import print_sentence
from cosinterp.cli.plain import table
from probes.results.facts import asked_facts, made_facts
from probes.results.table_view import TableView, table_view

if TYPE_CHECKING:
    from rich.console import Console

    from probes.results.result import Result

_MOST_TEXT = 160
_BETWEEN = 2


def lines_of(result: Result, console: Console) -> None:
    """The title, what it says, what was asked of which model, and with what it was made."""
    said = result.summary()
    said += [f"note: {note}" for note in result.notes(said)]
    console.print(f"{result.name}: {result.title}", style="bold", markup=False, soft_wrap=True)
    for line in said:
        print_sentence(console, line)
    for title, shown in (("made", made_facts(result)), ("asked", asked_facts(result))):
        if not shown:
            continue
        console.print(title, style="bold")
        width = max(len(name) for name, _ in shown)
        for name, text in shown:
            short = text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 4]} ..."
            print_sentence(console, f"{name:{width}}  {short}", hanging=width + _BETWEEN)


def table_of(result: Result, rows: int, console: Console) -> None:
    """The beginning of its table."""
    view = table_view(result.table(), rows)
    total = len(view.rows) + view.more
    if not total:
        return
    console.print("numbers", style="bold")
    if view.shared:
        shared = ", ".join(f"{name} {text}" for name, text in view.shared)
        print_sentence(console, f"the same in all rows: {shared}")
    count = _fitting(view, console.width) if console.is_terminal else len(view.columns)
    made = table("", *view.columns[:count])
    for column, is_number in zip(made.columns, view.is_number, strict=False):
        column.justify = "right" if is_number else "left"
        column.no_wrap = True
    for row in view.rows:
        made.add_row(*row[:count])
    if view.rows:
        console.print(made)
    if count < len(view.columns):
        hidden = ", ".join(view.columns[count:])
        print_sentence(console, f"no room for {hidden}: results export has them")
    if view.more:
        console.print(f"  {view.more} more of {total} rows: --rows, or results export", markup=False)


def _fitting(view: TableView, width: int) -> int:
    """How many of the first columns go into a line of a terminal; at least one."""
    texts = zip(view.columns, *view.rows, strict=True)
    ends = accumulate(max(map(len, column)) + _BETWEEN for column in texts)
    return max(1, sum(end <= width for end in ends))
