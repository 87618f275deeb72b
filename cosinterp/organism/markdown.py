"""Tables of a model card: estimates as Markdown, written between two marks of a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cosinterp.errors import UserError
from probes.statistics import Estimate

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
INTERVAL = "95 % interval"


def cells(estimate: Estimate) -> tuple[str, str, str]:
    """Value, interval and number of samples, as texts."""
    return f"{estimate.value:.3f}", f"{estimate.low:.3f} to {estimate.high:.3f}", str(estimate.samples)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, with an empty line after it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write_between_marks(file: Path, tables: str) -> None:
    """Replace what stands between the two marks of a file.

    Raises:
        UserError: it has no marks.
    """
    text = file.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise UserError(f"{file} has no marks {BEGIN} and {END} to write the tables between")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    file.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{after}", encoding="utf-8")
