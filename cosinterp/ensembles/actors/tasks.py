"""What the actors of a team are asked to do: base runs, a batch by one of them, and ensembles, by several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cosinterp.ensembles.company import blocks
from cosinterp.executors.progress import Account, Noted
from cosinterp.executors.travelling import portable
from stores.layout import BASE, run_file

if TYPE_CHECKING:
    from pathlib import Path

    from cosinterp.ensembles.planned import PlannedEnsemble
    from cosinterp.ensembles.to_make import ToMake
    from cosinterp.planning.batches import Batch
    from cosinterp.planning.plan import TracePlan
    from cosinterp.tracing import Progress


class BaseRuns:
    """Base runs of one batch; see `cosinterp.ensembles.actors.driving.TeamTask`."""

    members = 1

    def __init__(
        self, plan: TracePlan, path: Path, batch: Batch, host_memory: int, progress: Progress | None
    ) -> None:
        self._plan = replace(plan, samples=(portable(batch.planned),))
        self._path, self._batch, self._host_memory = path, batch, host_memory
        self._account = Account(self.name, plan.num_steps, progress)

    @property
    def name(self) -> str:
        """The sample's."""
        return self._batch.planned.sample.name

    def is_done(self) -> bool:
        """See `TeamTask`."""
        return not self._left()

    def begin(self, actors: Sequence[Any], hall: Any, number: int, is_again: bool) -> list[Any]:
        """See `TeamTask`."""
        (actor,) = actors
        return [
            actor.trace.remote(
                hall, number, self._plan, self._path, self._left(), self._host_memory, is_again
            )
        ]

    def told(self, message: object) -> None:
        """See `TeamTask`."""
        self._account.told(message)

    def ended(self) -> None:
        """See `TeamTask`."""
        self._account.made([seed for _, seed in self._batch.runs])

    def _left(self) -> list[tuple[str, int]]:
        return [run for run in self._batch.runs if not _is_there(self._path, *run, BASE)]


class SampleEnsemble:
    """The ensemble of one sample, each actor with some of its seeds; see `TeamTask`."""

    def __init__(
        self,
        planned: PlannedEnsemble,
        one: ToMake,
        host_memory: int,
        progress: Progress | None,
        note: Callable[[str], None],
    ) -> None:
        self._planned, self._one = planned, one
        self._host_memory = host_memory
        self._note, self._noted = note, set[str]()
        self._account = Account(self.name, planned.plan.num_steps, progress)

    @property
    def name(self) -> str:
        """The sample's."""
        return self._one.planned.sample.name

    @property
    def members(self) -> int:
        """One for each seed."""
        return len(self._planned.plan.seeds)

    def is_done(self) -> bool:
        """See `TeamTask`."""
        return not self._left()

    def begin(self, actors: Sequence[Any], hall: Any, number: int, is_again: bool) -> list[Any]:
        """See `TeamTask`."""
        plan = self._planned.plan
        one = replace(self._one, planned=portable(self._one.planned), seeds=self._left())
        # What of the plan does not concern this sample stays here.
        own = replace(plan, samples=(one.planned,))
        planned = replace(self._planned, base=own, base_todo=[], plan=own, todo=[one])
        parts = blocks(len(plan.seeds), len(actors))
        return [
            actor.take_part.remote(hall, number, planned, parts, member, self._host_memory, is_again)
            for member, actor in enumerate(actors)
        ]

    def told(self, message: object) -> None:
        """See `TeamTask`."""
        if not isinstance(message, Noted):
            self._account.told(message)
        elif message.text not in self._noted:
            self._noted.add(message.text)
            self._note(message.text)

    def ended(self) -> None:
        """See `TeamTask`."""
        self._account.made(sorted(self._one.seeds - self._left()))

    def _left(self) -> frozenset[int]:
        """The seeds whose runs are still to be made."""
        path, variant = self._planned.path, self._planned.variant
        return frozenset(seed for seed in self._one.seeds if not _is_there(path, self.name, seed, variant))


def _is_there(path: Path, sample: str, seed: int, variant: str) -> bool:
    return (path / run_file(sample, seed, variant)).exists()
