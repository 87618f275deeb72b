"""What came of ensembles: ``python -m cosinterp.organism.bulk_ensembles.tables outcomes.npz``.

Prints Markdown tables of a file of ``python -m cosinterp.organism.bulk_ensembles``, and draws solved against
cost. Intervals are drawn over mazes; differences are paired by maze.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from cosinterp.errors import UserError
from cosinterp.organism.bulk_ensembles.comparison import SINGLE, Compared, Way, Ways
from cosinterp.organism.bulk_ensembles.figure import shown_in, solved_by_cost
from cosinterp.organism.bulk_ensembles.outcomes import read_outcomes
from cosinterp.organism.card import LENGTHS
from cosinterp.organism.program import run_program
from probes.figures.drawing import save_figure
from probes.statistics import Estimate, describe, means

LIMITS = (1.0, 1.1, 1.2, 1.35, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0)
_HEAD = (
    "",
    "solved",
    "gain over one seed",
    "over its own seeds",
    "evaluations",
    "times one seed",
    "vote for as much",
    "over it",
)


def tables(ways: Ways, lengths: Sequence[str], pairs: Sequence[tuple[str, str]] = ()) -> Iterator[str]:
    """All tables as Markdown.

    Args:
        ways: what there is to tell.
        lengths: names, with ``*``, of ways told by path length.
        pairs: names of ways to tell one beside the other.

    Raises:
        UserError: there is no way of a name of ``pairs``.
    """
    yield f"{_about(ways)}\n"
    plain = ways.compare([ways.single, *ways.votes, *ways.any])
    shown = [one for number, one in enumerate(plain) if _told(one.way, number)]
    yield from _table("Single seeds, and what can be made of their answers", shown)
    yield from _table("Stopping, choosing and verifying", ways.compare(ways.rules))
    if ways.schemes:
        yield from _table("Schemes", ways.compare(ways.schemes))
    yield from _best(ways)
    if pairs:
        yield from _pairs(ways, pairs)
    yield from _by_length(ways, lengths)
    yield from _seeds(ways)
    yield f"{describe([plain[0].solved], 'sample')}.\n"


def _told(way: Way, number: int) -> bool:
    """A few of the many numbers of seeds."""
    return number == 0 or way.name.split()[-1] in ("2", "3", "4", "6", "8", "12", "16")


def _about(ways: Ways) -> str:
    asked = ways.measured.settings
    last = asked.first + asked.count - 1
    return (
        f"Held-out mazes {asked.first} to {last} of 7x7 rooms, {asked.num_steps} steps, guidance "
        f"{asked.guidance:g}, {ways.seeds} single seeds; {asked.computed}"
    )


def _best(ways: Ways) -> Iterator[str]:
    """The best for each cost, of what needs to know no answer."""
    every = ways.best_by_cost(LIMITS)
    # Where more evaluations bring nothing better, nothing is said.
    found = [one for number, one in enumerate(every) if number == 0 or every[number - 1][1] is not one[1]]
    yield "#### The best for at most so many times one seed's cost, chosen on these mazes\n"
    yield from _rows(
        ("at most", *_HEAD),
        (
            (f"{limit:g}", *_cells(one))
            for (limit, _), one in zip(found, ways.compare([way for _, way in found]), strict=True)
        ),
    )


def _by_length(ways: Ways, names: Sequence[str]) -> Iterator[str]:
    chosen = [ways.single, *(way for way in ways.every() if any(fnmatchcase(way.name, n) for n in names))]
    length = ways.measured.path_length
    bins = [(length >= low) & (length <= high) for low, high in LENGTHS]
    bins = [inside for inside in bins if inside.any()]
    yield "#### By path length\n"
    head = [f"{length[inside].min()} to {length[inside].max()} (n = {inside.sum()})" for inside in bins]
    columns = [ways.compare(chosen, inside) for inside in bins]
    yield from _rows(
        ("", *head),
        (
            (way.name, *(_share(column[number].solved) for column in columns))
            for number, way in enumerate(chosen)
        ),
    )
    yield "Gains over one seed by path length, paired by maze:\n"
    yield from _rows(
        ("", *head),
        (
            (way.name, *(_difference(column[number].gain) for column in columns))
            for number, way in enumerate(chosen)
            if number
        ),
    )


def _pairs(ways: Ways, pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    first, second = ([ways.named(pair[place]) for pair in pairs] for place in (0, 1))
    yield "#### One beside the other, paired by maze\n"
    yield from _rows(
        ("", "minus", "solved"),
        (
            (one.name, other.name, _difference(estimate))
            for one, other, estimate in zip(first, second, ways.beside(first, second), strict=True)
        ),
    )


def _seeds(ways: Ways) -> Iterator[str]:
    """Each seed is the same noise in all mazes."""
    yield "#### Single seeds, one by one\n"
    found = means(ways.by_seed.astype(float), ways.mazes, bounds=(0, 1))
    yield from _rows(("seed", "solved"), ((f"{seed}", _share(one)) for seed, one in enumerate(found)))


def _table(title: str, compared: Sequence[Compared]) -> Iterator[str]:
    yield f"#### {title}\n"
    yield from _rows(_HEAD, (_cells(one) for one in compared))


def _cells(one: Compared) -> tuple[str, ...]:
    is_that_vote = one.way.family == SINGLE or one.way.name == f"vote of {one.voters}"
    over = "" if one.over_vote is None or is_that_vote else _difference(one.over_vote)
    return (
        one.way.name,
        _share(one.solved),
        "" if one.way.family == SINGLE else _difference(one.gain),
        "" if one.over_own is None else _difference(one.over_own),
        f"{one.way.outcome.evaluations:.1f}",
        f"{one.times:.2f}",
        "more than there are" if one.voters is None else f"{one.voters}",
        over,
    )


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f})"


def _difference(estimate: Estimate) -> str:
    if np.isnan(estimate.low):
        return f"{estimate.value:+.3f}"
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def _rows(head: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    lines = [head, ["---"] * len(head), *rows]
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def draw(ways: Ways, path: Path, named: Sequence[str]) -> None:
    """Draw solved against cost; named are the dots of these names, with ``*``; else the best of each cost."""
    votes = ways.compare([ways.single, *ways.votes])
    dots = ways.compare([*ways.rules, *ways.schemes])
    named = named or [way.name for _, way in ways.best_by_cost(LIMITS)]
    shown = shown_in(dots)
    told = [one.way.name for one in shown if any(fnmatchcase(one.way.name, name) for name in named)]
    caption = f"{_about(ways)}.\n{describe([votes[0].solved], 'sample')}."
    any_of = ways.compare([ways.single, *ways.any])
    save_figure(solved_by_cost(votes, any_of, shown, told, caption), path)


def main(
    outcomes: Annotated[list[Path], typer.Argument(help="Files of cosinterp.organism.bulk_ensembles.")],
    figure: Annotated[Path | None, typer.Option(help="Draw solved against cost of the first file.")] = None,
    name: Annotated[str, typer.Option(help="Dots to name, with semicolons; * stands for anything.")] = "",
    beside: Annotated[str, typer.Option(help="Pairs to compare: 'A=B;C=D'.")] = "",
    lengths: Annotated[
        str, typer.Option(help="Ways to tell by path length, with semicolons; * stands for anything.")
    ] = "vote of 3;any of 3;latent-s0-k3;x0-s0-3-k3",
) -> None:
    """Tell what came of ensembles."""
    pairs = []
    for pair in _split(beside):
        first, equals, second = pair.partition("=")
        if not equals:
            raise UserError(f"--beside takes pairs such as A=B, not {pair!r}")
        pairs.append((first, second))
    for number, path in enumerate(outcomes):
        ways = Ways(read_outcomes(path))
        typer.echo(f"### {path.name}\n")
        for part in tables(ways, _split(lengths), pairs):
            typer.echo(part)
        if figure is not None and number == 0:
            draw(ways, figure, _split(name))


def _split(names: str) -> list[str]:
    # Names have commas in them.
    return [name.strip() for name in names.split(";") if name.strip()]


if __name__ == "__main__":
    run_program(main)
