"""Rows: what a probe is given one label for, the same at every cell of a grid.

A row is a token of a run, a frame of it, or a run. Which sample it belongs to follows from the name of its
run in the store and from nothing else, so that no fold can hold a part of a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from probes.probing.chosen import Chosen
from probes.probing.labels import LabelKind, encoded
from probes.probing.problem import Problem
from probes.probing.targets import Target
from probes.probing.values import UNKNOWN, Values, is_known, is_true
from stores import RunEntry, selection
from stores.errors import SelectionError
from stores.units import count_text

Unit = Literal["token", "frame", "run"]
Pool = Literal["mean", "frames", "tokens"]

_UNIT_OF_POOL: dict[str, Unit] = {"mean": "run", "frames": "frame", "tokens": "token"}
_LEVELS: tuple[Unit, ...] = ("run", "frame", "token")


@dataclass(frozen=True)
class RowChoice:
    """Which rows are wanted.

    Attributes:
        kind: what labels are taken for; "auto" says it from what they are.
        among: only rows where this target says yes have a label; None for all.
        pool: of a target with one value a run: a row a run, of the mean over its tokens; a row a frame; or a
            row a token.
        frames: only these of the token grid.
        max_tokens: so many tokens a run, drawn at random, the same of every run; None for all.
        seed: of that draw.
    """

    kind: LabelKind = "auto"
    among: Target | None = None
    pool: Pool = "mean"
    frames: selection.Selection = "all"
    max_tokens: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pool not in get_args(Pool):
            raise SelectionError(f'pool "{self.pool}": there are {", ".join(get_args(Pool))}')
        if self.kind not in get_args(LabelKind):
            raise SelectionError(f'labels "{self.kind}": there are {", ".join(get_args(LabelKind))}')
        if self.max_tokens is not None and self.max_tokens < 1:
            raise SelectionError(f"max tokens: at least 1, not {self.max_tokens}")


@dataclass(frozen=True, eq=False)
class RowTokens:
    """Tokens of a run that are rows.

    Attributes:
        kept: (token,) indices into `Chosen.places`.
        places: (token,) flat indices into the token grid.
    """

    kept: NDArray[np.int64]
    places: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of all cells, run by run, and what is predicted of them.

    Attributes:
        unit: what a row is.
        entries: the runs that have rows.
        frames: which frames of the token grid are read.
        tokens: those that are rows; None where a row is no token.
        per_run: rows of a run.
        names: the samples, as `Problem.samples` numbers them.
        problem: labels, samples and slots.
        notes: what the reader should know.
    """

    unit: Unit
    entries: tuple[RunEntry, ...]
    frames: tuple[int, ...]
    tokens: RowTokens | None
    per_run: int
    names: tuple[str, ...]
    problem: Problem
    notes: tuple[str, ...]


def lay_rows(chosen: Chosen, target: Target, choice: RowChoice) -> Rows:
    """The rows of these runs, with their labels.

    Raises:
        SelectionError: labels that do not fit the token grid or cannot be predicted, or rows that the
            reduction does not keep apart.
    """
    given, level = _labels_of_runs(chosen, target, choice.among)
    unit = _UNIT_OF_POOL[choice.pool] if level == "run" else level
    frames = _frames(chosen, unit, choice.frames)
    tokens = _tokens(chosen, frames, choice) if unit == "token" else None
    labels = [_of_rows(chosen, values, unit, frames, tokens) for values in given]
    labelled = {
        entry.sample for entry, one in zip(chosen.entries, labels, strict=True) if is_known(one).any()
    }
    if not labelled:
        first, among = chosen.entries[0], choice.among
        inside = "" if among is None else f' among "{among.text}"'
        raise SelectionError(
            f'target "{target.text}"{inside}: no row of {count_text(len(chosen.entries), "run")} has a '
            f"label; the first is {first.sample} seed {first.seed}"
        )
    kept = [index for index, entry in enumerate(chosen.entries) if entry.sample in labelled]
    notes: list[str] = []
    left_out = [sample for sample in chosen.samples if sample not in labelled]
    if left_out:
        shown = ", ".join(left_out[:3]) + ("..." if len(left_out) > 3 else "")
        notes.append(f"{count_text(len(left_out), 'sample')} without a label left out: {shown}")
    entries = tuple(chosen.entries[index] for index in kept)
    names = tuple(dict.fromkeys(entry.sample for entry in entries))
    kind, classes, codes = encoded([labels[index] for index in kept], choice.kind, f'target "{target.text}"')
    per_run = len(labels[0])
    problem = Problem(
        kind=kind,
        labels=codes,
        classes=classes,
        samples=np.repeat([names.index(entry.sample) for entry in entries], per_run),
        slots=_slots(entries, per_run),
        types=_types(chosen, entries, unit, level, frames, tokens),
    )
    return Rows(unit, entries, frames, tokens, per_run, names, problem, tuple(notes))


def _labels_of_runs(chosen: Chosen, target: Target, among: Target | None) -> tuple[list[Values], Unit]:
    """What each run is labelled with, (1 or frame, 1 or row, 1 or col), and what these labels tell apart."""
    given: list[Values] = []
    level = 0
    for entry in chosen.entries:
        with chosen.store.run(*entry.key) as run:
            what = f'target "{target.text}": {entry.sample} seed {entry.seed}'
            values, depth = _on_grid(target.of_run(run), chosen.info.grid, what)
            if is_known(values).any():
                level = max(level, depth)
            if among is not None:
                what = f'among "{among.text}": {entry.sample} seed {entry.seed}'
                inside, depth = _on_grid(among.of_run(run), chosen.info.grid, what)
                level = max(level, depth)
                unknown = UNKNOWN if values.dtype.kind == "U" else np.nan
                values = np.where(is_true(inside), values, unknown)
            given.append(values)
    return given, _LEVELS[level]


def _on_grid(values: Values, grid: tuple[int, int, int], what: str) -> tuple[Values, int]:
    """Values with three axes that broadcast to the token grid, and the index of their level."""
    shapes = {(): ((1, 1, 1), 0), grid[:1]: ((grid[0], 1, 1), 1)}
    shapes |= {grid[1:]: ((1, *grid[1:]), 2), grid: (grid, 2)}
    if values.shape not in shapes:
        raise SelectionError(
            f"{what}: labels of the shape {values.shape} do not fit the token grid "
            f"{'x'.join(map(str, grid))}: give one, one a frame, (row, col) or (frame, row, col)"
        )
    shape, level = shapes[values.shape]
    return values.reshape(shape), level


def _frames(chosen: Chosen, unit: Unit, asked: selection.Selection) -> tuple[int, ...]:
    axes, key = chosen.info.axes, chosen.info.key
    every = tuple(range(chosen.info.grid[0]))
    if unit == "frame" and "frame" not in axes:
        raise SelectionError(
            f"site {key} keeps no frames apart; choose --pool mean or another target or --reduction"
        )
    found = selection.select(asked, every, "frames", f"the token grid of site {key}")
    if found != every and "frame" not in axes and chosen.places is None:
        raise SelectionError(f"site {key} keeps no frames apart: leave out --frames")
    return found


def _tokens(chosen: Chosen, frames: Sequence[int], choice: RowChoice) -> RowTokens:
    if chosen.places is None:
        raise SelectionError(
            f"site {chosen.info.key} keeps no tokens apart; choose a target with one label a run, "
            "or another --reduction"
        )
    frame_of = chosen.places // (chosen.info.grid[1] * chosen.info.grid[2])
    there = np.flatnonzero(np.isin(frame_of, frames))
    if there.size == 0:
        raise SelectionError(f"frames: none of the kept tokens of site {chosen.info.key} lies in them")
    if choice.max_tokens is not None and choice.max_tokens < there.size:
        # The same of every run: the labels of two samples are exchanged place by place.
        drawn = np.random.default_rng(choice.seed).choice(there.size, choice.max_tokens, replace=False)
        there = there[np.sort(drawn)]
    return RowTokens(there.astype(np.int64), chosen.places[there])


def _of_rows(
    chosen: Chosen,
    values: Values,
    unit: Unit,
    frames: tuple[int, ...],
    tokens: RowTokens | None,
) -> Values:
    if tokens is not None:
        return np.broadcast_to(values, chosen.info.grid).reshape(-1)[tokens.places]
    if unit == "frame":
        return np.broadcast_to(values[:, 0, 0], chosen.info.grid[:1])[list(frames)]
    return values.reshape(1)


def _slots(entries: Sequence[RunEntry], per_run: int) -> NDArray[np.int64]:
    # By rank, not by number: samples with as many runs can be exchanged, whichever seeds those are of.
    ranks: dict[str, int] = {}
    first = np.zeros(len(entries), dtype=np.int64)
    for index, entry in enumerate(entries):
        first[index] = ranks.setdefault(entry.sample, 0) * per_run
        ranks[entry.sample] += 1
    return (first[:, None] + np.arange(per_run)).reshape(-1)


def _types(
    chosen: Chosen,
    entries: Sequence[RunEntry],
    unit: Unit,
    level: Unit,
    frames: tuple[int, ...],
    tokens: RowTokens | None,
) -> NDArray[np.int64] | None:
    """What the control task draws its labels for: places, or where a run has one label its prompt."""
    if level == "token" and tokens is not None:
        place = tokens.places % (chosen.info.grid[1] * chosen.info.grid[2])
        return np.tile(np.unique(place, return_inverse=True)[1].astype(np.int64), len(entries))
    per_run = len(frames) if unit == "frame" else 1 if tokens is None else len(tokens.places)
    if level == "frame":
        return np.tile(np.arange(per_run, dtype=np.int64), len(entries))
    prompts = [_prompt(chosen, entry) for entry in entries]
    samples_of: dict[str, set[str]] = {}
    for entry, prompt in zip(entries, prompts, strict=True):
        samples_of.setdefault(prompt, set()).add(entry.sample)
    # A prompt of one sample alone is never seen again in another fold.
    if sum(len(samples) > 1 for samples in samples_of.values()) < 2:
        return None
    order = sorted(samples_of)
    return np.repeat(np.array([order.index(prompt) for prompt in prompts], dtype=np.int64), per_run)


def _prompt(chosen: Chosen, entry: RunEntry) -> str:
    with chosen.store.run(*entry.key) as run:
        return run.prompt
