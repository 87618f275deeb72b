"""The tables of maze-wan's model card, from raw outcomes of ``evaluate``.

``python -m cosinterp.organism.card docs/measured/maze-wan-*.npz`` prints them; with ``--write README.md``
they replace what stands between the two marks of that file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from cosinterp.errors import UserError
from cosinterp.organism.markdown import INTERVAL, cells, table, write_between_marks
from cosinterp.organism.measures import Measure
from cosinterp.organism.program import run_program
from probes.statistics import describe, mean, means, proportion

LENGTHS = ((0, 10), (11, 16), (17, 22), (23, 30), (31, 99))


@dataclass(frozen=True)
class Measured:
    """A measure with its outcomes.

    Attributes:
        measure: what was asked.
        solved, valid, named: bool (step, attempt), as in `solver.Outcomes`.
        path_length: int (attempt,).
        drawn: bool (step, attempt, row, col), or None if it was not kept.
    """

    measure: Measure
    solved: np.ndarray
    valid: np.ndarray
    named: np.ndarray
    path_length: np.ndarray
    drawn: np.ndarray | None

    @property
    def mazes(self) -> list[int]:
        """The maze of each attempt: the unit that intervals are drawn over."""
        return [attempt // self.measure.noise_seeds for attempt in range(self.solved.shape[1])]


def read_outcomes(paths: Sequence[Path]) -> dict[str, dict[str, Measured]]:
    """The measures of some files of ``evaluate``: how they were computed -> name -> measure.

    Raises:
        UserError: a file that cannot be read, or a measure that is in two of them, computed in the same way.
    """
    measured: dict[str, dict[str, Measured]] = {}
    for path in paths:
        try:
            with np.load(path) as arrays:
                group = measured.setdefault(str(arrays["computed"]), {})
                for name in [key.removesuffix("/measure") for key in arrays if key.endswith("/measure")]:
                    if name in group:
                        raise UserError(f"{path}: the measure {name} is in another file too")
                    group[name] = _read_measure(arrays, name)
        except (OSError, KeyError, ValueError) as error:
            raise UserError(f"{path} holds no outcomes of cosinterp.organism.evaluate: {error}") from error
    return measured


def _read_measure(arrays: np.lib.npyio.NpzFile, name: str) -> Measured:
    drawn = None
    if f"{name}/drawn" in arrays:
        drawn = np.unpackbits(arrays[f"{name}/drawn"], axis=-1).astype(bool)
    return Measured(
        measure=Measure(**json.loads(str(arrays[f"{name}/measure"]))),
        solved=arrays[f"{name}/solved"],
        valid=arrays[f"{name}/valid"],
        named=arrays[f"{name}/named"],
        path_length=arrays[f"{name}/path_length"],
        drawn=drawn,
    )


def tables(measured: dict[str, dict[str, Measured]]) -> str:
    """All tables as Markdown, a heading for each way of computing. What was not measured has no table."""
    parts: list[str] = []
    for computed, group in measured.items():
        parts += [f"### {computed[0].upper()}{computed[1:]}\n", *_group(group)]
    return "\n".join(parts)


def _group(measured: dict[str, Measured]) -> list[str]:
    parts: list[str] = []
    if "default" in measured:
        parts += _default(measured["default"])
    few_steps = [measured[f"steps-{n}"] for n in (4, 8, 12, 50) if f"steps-{n}" in measured]
    if "default" in measured and few_steps:
        by_steps = sorted([*few_steps, measured["default"]], key=lambda one: one.measure.num_steps)
        parts += _final("By the number of steps", "steps", by_steps, lambda one: str(one.measure.num_steps))
    by_rooms = [measured[name] for name in measured if name.startswith("rooms-")]
    if "default" in measured and by_rooms:
        by_rooms = sorted([*by_rooms, measured["default"]], key=lambda one: one.measure.rooms)
        parts += _final(
            "By the size of the maze", "rooms a side", by_rooms, lambda one: str(one.measure.rooms)
        )
    by_guidance = [measured[name] for name in sorted(measured) if name.startswith("guidance-")]
    if by_guidance:
        parts += _final(
            "By guidance scale", "guidance", by_guidance, lambda one: f"{one.measure.guidance_scale:g}"
        )
    if "default" in measured:
        parts += _clean_estimates(measured["default"])
    if "seeds" in measured:
        parts += _seeds(measured["seeds"])
    return parts


def _default(one: Measured) -> Iterator[str]:
    solved, valid, named = one.solved[-1], one.valid[-1], one.named[-1]
    mazes = np.array(one.mazes)
    rows = [
        ("solved exactly", proportion(solved, one.mazes)),
        ("a valid path to one of the goals", proportion(valid, one.mazes)),
        (
            "valid paths that end at the goal that the prompt names",
            proportion(named[valid], mazes[valid].tolist()),
        ),
    ]
    yield from _heading("At the default settings", one)
    yield table(("", "share", INTERVAL, "mazes"), ((name, *cells(e)) for name, e in rows))
    yield from _heading("By path length", one)
    bins = [(low, high, (one.path_length >= low) & (one.path_length <= high)) for low, high in LENGTHS]
    yield table(
        ("cells from start to goal", "solved", INTERVAL, "mazes"),
        (
            (f"{one.path_length[inside].min()} to {one.path_length[inside].max()}",
             *cells(proportion(solved[inside], mazes[inside].tolist())))
            for _, _, inside in bins
            if inside.any()
        ),
    )  # fmt: skip


def _final(
    title: str, what: str, measures: Sequence[Measured], label: Callable[[Measured], str]
) -> Iterator[str]:
    yield from _heading(title, measures[0])
    yield table(
        (what, "solved", INTERVAL, "mazes"),
        ((label(one), *cells(proportion(one.solved[-1], one.mazes))) for one in measures),
    )


def _clean_estimates(one: Measured) -> Iterator[str]:
    yield from _heading("The clean estimate by step", one)
    estimates = [proportion(solved, one.mazes) for solved in one.solved]
    yield table(
        ("step", "x̂0 solves the maze", INTERVAL),
        ((str(step), *cells(estimate)[:2]) for step, estimate in enumerate(estimates)),
    )
    yield f"{describe(estimates, 'sample')}.\n"


def _seeds(one: Measured) -> Iterator[str]:
    """How the seeds of a maze agree: unit of the intervals is the maze."""
    if one.drawn is None:
        raise UserError(f"the measure {one.measure.name} was kept without its drawn cells")
    seeds = one.measure.noise_seeds
    mazes = list(range(one.measure.mazes))
    by_maze = one.drawn.reshape(len(one.drawn), one.measure.mazes, seeds, -1)
    solved = one.solved.reshape(len(one.solved), one.measure.mazes, seeds)
    apart = means(_apart(by_maze).T, mazes, bounds=(0, 1))
    distinct = means(_distinct(by_maze).T, mazes)
    yield from _heading(f"{seeds} seeds of one maze, by step", one)
    yield table(
        ("step", "solved", INTERVAL, "seeds apart", INTERVAL, "distinct answers", INTERVAL),
        (
            (str(step), *cells(mean(share.mean(axis=1), mazes, bounds=(0, 1)))[:2],
             *cells(apart[step])[:2], *cells(distinct[step])[:2])
            for step, share in enumerate(solved)
        ),
    )  # fmt: skip
    yield (
        "Seeds apart: 1 - IoU of the path cells that two seeds draw, mean over the pairs of a maze's seeds. "
        f"Distinct answers: different sets of path cells among the {seeds} seeds. "
        f"{describe(apart, 'sample')}.\n"
    )
    final = solved[-1]
    rows = [
        ("one seed (mean)", mean(final.mean(axis=1), mazes, bounds=(0, 1))),
        (f"any of {seeds} seeds", proportion(final.any(axis=1), mazes)),
        (f"all {seeds} seeds", proportion(final.all(axis=1), mazes)),
    ]
    yield table(("solved at the last step by", "share", INTERVAL, "mazes"), ((n, *cells(e)) for n, e in rows))


def _apart(drawn: np.ndarray) -> np.ndarray:
    """(step, maze): mean over pairs of seeds of 1 - IoU, of drawn cells (step, maze, seed, cell)."""
    distances = []
    for first, second in combinations(range(drawn.shape[2]), 2):
        both = (drawn[:, :, first] & drawn[:, :, second]).sum(axis=-1)
        either = (drawn[:, :, first] | drawn[:, :, second]).sum(axis=-1)
        distances.append(np.where(either > 0, 1 - both / np.maximum(either, 1), 0.0))
    return np.mean(distances, axis=0)


def _distinct(drawn: np.ndarray) -> np.ndarray:
    """(step, maze): how many different answers the seeds give."""
    return np.array([[len(np.unique(seeds, axis=0)) for seeds in step] for step in drawn], dtype=float)


def _heading(title: str, one: Measured) -> Iterator[str]:
    asked = one.measure
    fixed = {"steps": asked.num_steps, "rooms": asked.rooms, "guidance": asked.guidance_scale}
    varied = {
        "By the number of steps": "steps",
        "By the size of the maze": "rooms",
        "By guidance scale": "guidance",
    }
    fixed.pop(varied.get(title, ""), None)
    words = {"steps": "{} steps", "rooms": "{0}x{0} rooms", "guidance": "guidance {:g}"}
    said = ", ".join(words[name].format(value) for name, value in fixed.items())
    yield f"#### {title}\n\n{said[0].upper()}{said[1:]}.\n"


def main(
    outcomes: Annotated[list[Path], typer.Argument(help="Files of cosinterp.organism.evaluate.")],
    write: Annotated[Path | None, typer.Option(help="Replace the tables in this file.")] = None,
) -> None:
    """Make the model card's tables."""
    made = tables(read_outcomes(outcomes))
    if write is None:
        typer.echo(made)
        return
    write_between_marks(write, made)


if __name__ == "__main__":
    run_program(main)
