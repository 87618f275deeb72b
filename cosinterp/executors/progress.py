"""How workers that make runs tell how far they are, and how their driver tells that on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cosinterp.executors.executor import Tell

if TYPE_CHECKING:
    from cosinterp.planning.plan import TracePlan
    from cosinterp.tracing import Progress


@dataclass(frozen=True)
class Stepped:
    """A step of these seeds is over."""

    seeds: tuple[int, ...]
    step: int


@dataclass(frozen=True)
class Made:
    """A run is complete on disk."""

    seed: int


@dataclass(frozen=True)
class Noted:
    """What the user should know, in a line."""

    text: str


class Telling:
    """The progress of a worker: sends what it is told as messages of the task that it is of."""

    def __init__(self) -> None:
        self._tells: dict[tuple[str, int], Tell] = {}

    def begin(self, runs: Sequence[tuple[str, int]], tell: Tell) -> None:
        """The (sample name, seed) runs of a task are about to be made."""
        self._tells.update(dict.fromkeys(runs, tell))

    def planned(self, plan: TracePlan, todo: Sequence[tuple[str, int]]) -> None:
        """Said by the driver."""

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        """See `cosinterp.tracing.Progress`."""
        self._tells[sample, seeds[0]](Stepped(seeds, step))

    def finished(self, sample: str, seed: int) -> None:
        """See `cosinterp.tracing.Progress`."""
        self._tells[sample, seed](Made(seed))


class Account:
    """Tells a progress how the runs of a sample go: each thing once, however often a task is begun."""

    def __init__(self, sample: str, num_steps: int, progress: Progress | None) -> None:
        self._sample = sample
        self._num_steps = num_steps
        self._progress = progress
        self._steps: set[tuple[int, int]] = set()
        self._made: set[int] = set()

    def told(self, message: object) -> None:
        """A message of a worker."""
        if self._progress is None:
            return
        if isinstance(message, Stepped):
            seeds = tuple(seed for seed in message.seeds if (seed, message.step) not in self._steps)
            self._steps.update((seed, message.step) for seed in seeds)
            if seeds:
                self._progress.step(self._sample, seeds, message.step, self._num_steps)
        elif isinstance(message, Made) and message.seed not in self._made:
            self._made.add(message.seed)
            self._progress.finished(self._sample, message.seed)

    def made(self, seeds: Sequence[int]) -> None:
        """These runs are there, also those whose worker died before it could say so."""
        for seed in seeds:
            self.told(Made(seed))
