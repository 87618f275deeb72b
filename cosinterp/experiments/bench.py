"""What experiments stand on: a model, samples, a store, and everything that is made once and kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cosinterp.errors import SelectionError
from cosinterp.experiments.costs import Cost
from cosinterp.experiments.settings import Settings
from probes.claims import Shown
from probes.results.files import result_path
from probes.results.result import Result
from probes.scores import ScoreTable
from stores.layout import BASE, STORE_FILE
from stores.selection import parse_seeds

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.samples import Sample
    from stores import Store


class Work(Protocol):
    """Told what an experiment does. All calls come from the thread that does it."""

    def doing(self, what: str) -> None:
        """A few words on what comes now."""

    def did(self, cost: Cost) -> None:
        """So much is done, or was done before."""


class Unseen:
    """Nobody is told."""

    def doing(self, what: str) -> None:
        """As `Work.doing`."""

    def did(self, cost: Cost) -> None:
        """As `Work.did`."""


@dataclass
class Bench:
    """Where an experiment is made.

    Attributes:
        load: gives the model; called only where something has to be generated or decoded.
        samples: of the dataset.
        store: the folder of the base runs; results are saved there. Other stores stand beside it, named
            after it: STORE-layers, STORE-frames-5.
        work: told how it goes.
        rests: the results that were used, by name, in order; those of stores beside as STORE/NAME.
    """

    load: Callable[[], Model]
    samples: Sequence[Sample]
    store: Path
    work: Work

    def __post_init__(self) -> None:
        self.rests: list[str] = []

    def chosen(self, settings: Settings) -> list[Sample]:
        """The samples of an experiment. Raises SelectionError as `Settings.choose`."""
        return settings.choose(self.samples)

    def beside(self, name: str) -> Path:
        """Where the store NAME of this one stands."""
        return self.store.with_name(f"{self.store.name}-{name}")

    def base(self, settings: Settings) -> Store:
        """The store, with all base runs of an experiment; they are made if they are not there.

        Raises:
            SelectionError: the store has runs of another number of steps.
            UserError: they cannot be made.
        """
        return self.runs(self.store, settings, self.chosen(settings), settings.seeds, sites="none")

    def runs(
        self, place: Path, settings: Settings, samples: Sequence[Sample], seeds: str, **asked: Any
    ) -> Store:
        """A store with base runs of these samples and seeds, made by `cosinterp.trace` if they are not there.

        Raises:
            SelectionError: it has runs of them of another number of steps.
            UserError: they cannot be made.
        """
        from cosinterp.tracing import trace
        from stores import open_store

        numbers = parse_seeds(seeds)
        wanted = {(sample.name, seed) for sample in samples for seed in numbers}
        step = Cost(steps=1)
        if (place / STORE_FILE).exists():
            store = open_store(place)
            there = {entry.key[:2]: entry for entry in store.runs(variant=BASE) if entry.key[:2] in wanted}
            for (sample, seed), entry in there.items():
                if entry.num_steps != settings.num_steps:
                    raise SelectionError(
                        f"{place}: {sample} seed {seed} has {entry.num_steps} steps; --set num_steps="
                        f"{entry.num_steps}, or give another store"
                    )
            self.work.did(replace(step, steps=len(there) * settings.num_steps))
            if len(there) == len(wanted):
                return store
        self.work.doing(f"runs of {place.name}")
        return trace(
            self.load(),
            samples,
            store=place,
            seeds=seeds,
            num_steps=settings.num_steps,
            batch=settings.batch,
            resume=True,
            progress=Traced(self.work),
            **asked,
        )

    def scores(
        self, store: Store, settings: Settings, variant: str = BASE, seeds: str | None = None
    ) -> ScoreTable:
        """The scores by step of an experiment's runs, made if they are not kept in the store already.

        Raises:
            SelectionError: nothing can be scored, or the samples are of several tasks.
        """
        from cosinterp.scoring import score_store

        names = [sample.name for sample in self.chosen(settings)]
        numbers = parse_seeds(settings.seeds if seeds is None else seeds)
        each = Cost(decodes=settings.num_steps)
        self.work.doing(f"scores of {store.path.name}")
        found = score_store(
            store,
            self.load,
            variant=variant,
            samples=names,
            seeds=numbers,
            save=True,
            progress=lambda sample, seed: self.work.did(each),
        )
        if len(found) > 1:
            tasks = " and ".join(one.task.name for one in found)
            raise SelectionError(f"the samples are of several tasks, {tasks}; give a dataset of one")
        path = found[0].path
        assert path is not None
        self._rest_on(store, path.stem)
        table = ScoreTable.from_dataset(Result.open(path).dataset)
        keys = {(name, seed) for name in names for seed in numbers}
        return replace(table, runs=tuple(run for run in table.runs if run.key in keys))

    def kept(self, store: Store, part: str, settings: Settings, make: Callable[[str], object]) -> Result:
        """A result of a store, made and saved by ``make`` under the name that it is given if it is not there.

        The name ends in a few signs that stand for the settings, so that other settings make other results.
        """
        name = f"{part}-{digest(settings)}"
        path = result_path(store.path, name)
        if not path.exists():
            make(name)
        self._rest_on(store, name)
        return Result.open(path)

    def _rest_on(self, store: Store, name: str) -> None:
        beside = "" if store.path == self.store else f"{store.path.name}/"
        self.rests.append(f"{beside}{name}")


def figure_of(result: Result, figure: str | None = None) -> Shown:
    """A figure of a result that was kept, the main one by default, as something to be shown."""
    assert result.path is not None
    assert result.name is not None
    return Shown(result.path.parents[1].name, result.name, figure or result.figures()[0])


def digest(settings: Settings) -> str:
    """Six signs that stand for settings."""
    told = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    return blake2b(told.encode(), digest_size=3).hexdigest()


class Traced:
    """Passes on how a trace goes.

    Args:
        work: whom it is told to.
        finished: what a finished run stands for where steps are not told one by one as a run's own; None:
            its steps are counted.
    """

    def __init__(self, work: Work, finished: Cost | None = None) -> None:
        self.work, self._finished = work, finished

    def planned(self, plan: object, todo: object) -> None:
        """Known already."""

    def step(self, sample: str, seeds: tuple[int, ...], step: int, num_steps: int) -> None:
        """As `cosinterp.tracing.Progress.step`."""
        if self._finished is None:
            self.work.did(Cost(steps=len(seeds)))

    def finished(self, sample: str, seed: int) -> None:
        """As `cosinterp.tracing.Progress.finished`."""
        if self._finished is not None:
            self.work.did(self._finished)


class Noised(Traced):
    """Passes on how a sweep of noise goes."""

    def variant(self, name: str) -> None:
        """As `cosinterp.noising.noise.Progress.variant`."""
        self.work.doing(name)
