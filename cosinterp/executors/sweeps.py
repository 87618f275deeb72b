"""A sweep spread over several devices: the patches of a pair, or some of its steps, are a task.

Each worker knows the whole sweep and makes a part of it, as a sweep that is resumed makes what is lacking:
what goes through the model together, and where donors' activations come from, is what it is in one process.
So where devices are alike rows are too. Only what is computed besides, to know what runs do unchanged
(`Sweep.blocks_of_anchors`), is computed by each worker that needs it. The driver alone writes rows down.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import ceil

from cosinterp.executors.executor import Executor, Failed, Finished, Tell
from cosinterp.executors.failures import TasksFailed
from cosinterp.executors.loading import load_planned
from cosinterp.interventions.intervention import RunRef
from cosinterp.models.loading.recipe import Recipe
from cosinterp.patching.running import IsMade, rows_here
from cosinterp.patching.sweep import Row, Sweep, SweepOptions
from cosinterp.patching.trial import Trial
from cosinterp.planning.plan import model_settings
from stores.units import count_text

_TASKS_A_WORKER = 2


@dataclass(frozen=True)
class Part:
    """Patches of a sweep, by their numbers; ``name`` says whose."""

    numbers: frozenset[int]
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class MadeRow:
    """A patch is done: its number, its row, and the block evaluations made besides since the one before."""

    number: int
    row: Row
    of_anchors: int


@dataclass(frozen=True)
class SweepWork:
    """Making parts of a sweep: ``trials`` are all of it, ``settings`` what tells its model from others."""

    recipe: Recipe
    settings: dict[str, object]
    trials: Sequence[Trial]
    options: SweepOptions

    def open(self, device: str | None) -> Callable[[Part, Tell], None]:
        """Load the model.

        Raises:
            UserError: it cannot be loaded there, or is not the one that was planned with.
        """
        sweep = Sweep(load_planned(self.recipe, self.settings, device), self.trials, self.options)
        numbers = {id(trial): number for number, trial in enumerate(self.trials)}

        def make(part: Part, tell: Tell) -> None:
            with closing(rows_here(sweep, lambda trial: numbers[id(trial)] not in part.numbers)) as rows:
                for trial, row, of_anchors in rows:
                    tell(MadeRow(numbers[id(trial)], row, of_anchors))

        return make


def rows_spread(
    executor: Executor, recipe: Recipe, sweep: Sweep, is_made: IsMade
) -> Generator[tuple[Trial, Row, int], None, None]:
    """The rows of a sweep, made by the workers of an executor; see `cosinterp.patching.running.MakeRows`.

    Raises:
        TasksFailed: some of them could not be made; all others are.
        UserError, WorkerError: workers cannot be had.
    """
    trials = sweep.trials
    lacking = {number for number, trial in enumerate(trials) if not is_made(trial)}
    parts = parts_of(trials, lacking, _TASKS_A_WORKER * executor.workers)
    if not parts:
        return
    work = SweepWork(recipe, model_settings(sweep.model), trials, sweep.options)
    failed: list[Failed[Part]] = []
    with closing(executor.run(work, parts)) as happening:
        for happened in happening:
            if isinstance(happened, Failed):
                failed.append(happened)
            elif not isinstance(happened, Finished):
                made = happened.message
                assert isinstance(made, MadeRow)
                # A part that was begun again tells rows once more.
                if made.number in lacking:
                    lacking.remove(made.number)
                    yield trials[made.number], made.row, made.of_anchors
    if failed:
        rows = count_text(len(lacking), "row")
        raise TasksFailed(f"{rows} not made", failed, [str(one.task) for one in failed])


def parts_of(trials: Sequence[Trial], lacking: set[int], at_least: int) -> list[Part]:
    """The patches ``lacking`` of a sweep, in parts: one a pair of runs.

    If these are fewer than ``at_least``, the first steps of each pair are dealt out in as many parts as
    needed, as far as there are steps: what is known of a step's unchanged pass serves all patches from it on.
    """
    pairs: dict[frozenset[RunRef], dict[int, list[int]]] = {}
    for number, trial in enumerate(trials):
        if number in lacking:
            steps = pairs.setdefault(frozenset({trial.run, trial.toward}), {})
            steps.setdefault(trial.first_step, []).append(number)
    each = ceil(at_least / max(1, len(pairs)))
    parts = []
    for steps in pairs.values():
        by_step = sorted(steps.items())
        size = ceil(len(by_step) / min(each, len(by_step)))
        for start in range(0, len(by_step), size):
            own = by_step[start : start + size]
            numbers = frozenset(number for _, of_step in own for number in of_step)
            parts.append(Part(numbers, _name(trials[min(numbers)], own[0][0], own[-1][0])))
    return parts


def _name(trial: Trial, first: int, last: int) -> str:
    steps = f"step {first}" if first == last else f"steps {first}-{last}"
    toward = "" if trial.toward == trial.run else f" and {_run(trial.toward)}"
    return f"{_run(trial.run)}{toward}, {steps}"


def _run(ref: RunRef) -> str:
    return f"{ref.sample} seed {ref.seed}"
