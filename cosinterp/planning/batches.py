"""Which seeds of a sample go through the pipeline together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cosinterp.planning.plan import PlannedSample, TracePlan


@dataclass(frozen=True)
class Batch:
    """What goes through the pipeline together.

    Attributes:
        planned: the sample.
        seeds: of the batch.
        wanted: those of them that are recorded.
    """

    planned: PlannedSample
    seeds: tuple[int, ...]
    wanted: frozenset[int]

    @property
    def runs(self) -> list[tuple[str, int]]:
        """The (sample name, seed) runs that are recorded, in the order of the seeds."""
        return [(self.planned.sample.name, seed) for seed in self.seeds if seed in self.wanted]


def batches(plan: TracePlan, todo: Iterable[tuple[str, int]]) -> Iterator[Batch]:
    """All that is to be made, by what goes through the pipeline together.

    A batch has the seeds that the plan gives it, whatever a store has already: a run's last bits depend on
    what shares its batch, and a trace that is resumed has to give what an uninterrupted one gives.
    """
    made = set(todo)
    for planned in plan.samples:
        for start in range(0, len(plan.seeds), plan.batch):
            seeds = plan.seeds[start : start + plan.batch]
            wanted = frozenset(seed for seed in seeds if (planned.sample.name, seed) in made)
            if wanted:
                yield Batch(planned, seeds, wanted)
