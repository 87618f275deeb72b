"""The actor that keeps a model on one GPU, and takes some of the seeds of a sample through it.

Loads no torch until it loads its model.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosinterp.ensembles.actors.reaching import Reaching
from cosinterp.ensembles.rendezvous import Released
from cosinterp.executors.progress import Noted, Telling
from cosinterp.mendable import told
from stores.errors import ClaimedError

if TYPE_CHECKING:
    from cosinterp.ensembles.planned import PlannedEnsemble
    from cosinterp.ensembles.rows import Rows
    from cosinterp.models.loading.recipe import Recipe
    from cosinterp.models.model import Model
    from cosinterp.planning.plan import TracePlan
    from cosinterp.replaying.preamble import Preamble
    from stores.store import Store

# Until the lost actor, which had the runs before, has noticed that it is lost.
_CLAIM_SECONDS = 60.0
_CLAIM_PAUSE = 1.0


@dataclass(frozen=True)
class Outcome:
    """What became of what an actor was asked to do.

    Attributes:
        error: what is wrong, if something is: for the user if ``is_users``, else the text of a traceback.
        is_users: whether the error is the user's to mend.
        is_released: whether it was left undone because another actor could not go on.
    """

    error: str | None = None
    is_users: bool = False
    is_released: bool = False


class SeedActor:
    """Keeps a model.

    Args:
        directory: in which relative paths begin.
    """

    def __init__(self, directory: str) -> None:
        os.chdir(directory)
        self._stores: dict[Path, Store] = {}
        self._model: Model
        self._preamble: Preamble

    def is_there(self) -> bool:
        """Answers once the actor has been given its place."""
        return True

    def load(self, recipe: Recipe, wanted: Mapping[str, Any], device: str | None) -> Outcome:
        """Load the model, which was ``wanted`` with these settings (`model_settings`).

        ``device``: None: the GPU that Ray has chosen.
        """

        def loaded() -> None:
            from cosinterp.executors.loading import load_planned
            from cosinterp.executors.ray_worker import gpu
            from cosinterp.replaying.preamble import Preamble

            own = gpu() if device is None else device
            if own.startswith("cuda"):
                import torch

                # Or pinned memory would be had from the first GPU, which is another actor's.
                torch.cuda.set_device(own)
            self._model = load_planned(recipe, wanted, own)
            self._preamble = Preamble(self._model)

        return _outcome(loaded)

    def take_part(
        self,
        hall: Any,
        number: int,
        planned: PlannedEnsemble,
        parts: Sequence[Rows],
        member: int,
        host_memory: int,
        is_again: bool,
    ) -> Outcome:
        """Take some of the rows of the one sample of a plan to where they end, and write their runs.

        Args:
            hall: where the members meet.
            number: of their company there.
            planned: the ensemble.
            parts: the rows of each member.
            member: which of them this is.
            host_memory: bytes that may wait to be written.
            is_again: whether this was tried before, by an actor that may hold its runs for a moment still.
        """
        reaching = Reaching(hall)

        def made() -> None:
            from cosinterp.ensembles.making import Making
            from cosinterp.ensembles.member import Member

            company = Member(reaching, number, parts, member)
            (one,) = planned.todo
            telling = Telling()
            telling.begin(planned.plan.runs(), partial(reaching.tell, number))
            with Making(
                self._model,
                planned,
                self._store(planned.path),
                host_memory,
                telling,
                lambda text: reaching.tell(number, Noted(text)),
                self._preamble,
            ) as making:
                making.make(one, company)
            reaching.arrived()

        outcome = _outcome(partial(_claiming, made) if is_again else made)
        if outcome.error is not None:
            reaching.release(number, outcome.error)
        return outcome

    def trace(
        self,
        hall: Any,
        number: int,
        plan: TracePlan,
        path: Path,
        runs: list[tuple[str, int]],
        host_memory: int,
        is_again: bool,
    ) -> Outcome:
        """Make base runs of one batch of a plan; arguments as of `take_part`."""
        reaching = Reaching(hall)

        def made() -> None:
            from cosinterp.tracing import record_runs

            begin = self._store(path).writer
            telling = Telling()
            telling.begin(runs, partial(reaching.tell, number))
            record_runs(self._model, plan, runs, begin, host_memory=host_memory, progress=telling)
            reaching.arrived()

        return _outcome(partial(_claiming, made) if is_again else made)

    def _store(self, path: Path) -> Store:
        """A store, whose one writer here has a catalog of its own."""
        from stores.store import open_store

        if path not in self._stores:
            self._stores[path] = open_store(path)
        return self._stores[path]


def _outcome(do: Callable[[], None]) -> Outcome:
    try:
        do()
    except Released:
        return Outcome(is_released=True)
    except Exception as error:  # noqa: BLE001 - told to the driver
        return Outcome(*told(error))
    return Outcome()


def _claiming(make: Callable[[], None]) -> None:
    deadline = time.monotonic() + _CLAIM_SECONDS
    while True:
        try:
            make()
            return
        except ClaimedError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_CLAIM_PAUSE)
