"""Many patches, made with as little computing as they need.

Patches of one run that begin at one step go on from one unchanged pass of that step: branches that they do
not change are answered from it, and blocks before the first change are skipped. Several patches go through
the model as rows of one batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch

from cosinterp.capture.conversion import stored_dtype
from cosinterp.interventions.edits import Edit, Edits
from cosinterp.interventions.intervention import Intervention, RunRef
from cosinterp.interventions.masks import mask_of
from cosinterp.patching.checking import check_trials
from cosinterp.patching.comparing import Comparing
from cosinterp.patching.measures import Measure
from cosinterp.patching.trial import Trial, given_branches, places_of, resume_of
from cosinterp.replaying.opened import Needs, Replays
from cosinterp.run_attrs import device_name

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from cosinterp.samples import Sample
    from cosinterp.scorers import Metric

Row = dict[str, Any]
"""One patch: its labels, what was done, what it cost, its effects."""
Donors = Literal["auto", "store", "replay"]
TO_THE_END = -1
"""The horizon, in a row, of a replay that went on to the final latent."""

_T = TypeVar("_T")


@dataclass
class SweepOptions:
    """How a sweep is made.

    Attributes:
        horizon: so many steps after the last change the clean estimate is read and the replay ends; None: it
            is read at the last changed step, and the replay goes on to the final latent.
        rows: patches that go through the model side by side.
        videos: whether videos are decoded and measured.
        measures: what is measured of videos besides what the samples' tasks say.
        samples: of the runs, where a store does not have all of them.
        donors: "auto": activations are read from a donor's store where that has the very numbers, else the
            donor is replayed; "store": they are always read; "replay": never.
    """

    horizon: int | None = None
    rows: int = 1
    videos: bool = True
    measures: Sequence[Measure] = ()
    samples: Sequence[Sample] = ()
    donors: Donors = "auto"


@dataclass(frozen=True)
class Batch:
    """What goes through the model together.

    Attributes:
        trials: the patches, all of one run and of the same first and last step.
        opened: the runs that stay open for it.
        anchors: the steps of runs that have to be known unchanged.
    """

    trials: list[Trial]
    opened: frozenset[RunRef]
    anchors: list[tuple[RunRef, int]]


class Sweep:
    """The patches ``trials``, in the order in which they are cheapest."""

    def __init__(self, model: Model, trials: Iterable[Trial], options: SweepOptions) -> None:
        self.model = model
        self.options = options
        self.trials = sorted(trials, key=self._order)
        self._masks: dict[Any, torch.Tensor | None] = {}
        self._together: dict[frozenset[RunRef], set[RunRef]] = {}
        for trial in self.trials:
            own = self._together.setdefault(frozenset({trial.run, trial.toward}), set())
            own.update({trial.run, trial.toward, *(donor for donor, _ in trial.donors())})
        self._replays = Replays(
            model, rows=options.rows, samples=options.samples, from_store=options.donors == "store"
        )
        self._replays.needs.update(self._needs())
        self._comparing = Comparing(model, self._replays, options.videos, options.measures)

    @property
    def blocks_of_anchors(self) -> int:
        """Block evaluations made besides those of patches, to know what runs do unchanged."""
        return self._replays.blocks

    def metrics(self, trials: Iterable[Trial]) -> dict[str, Metric]:
        """What is measured of patches, by column."""
        pairs = dict.fromkeys((trial.run, trial.toward) for trial in trials)
        return self._comparing.metrics(pairs)

    def batches(self) -> Iterator[Batch]:
        """What goes through the model, in order."""
        for (run, toward, first, _), group in groupby(self.trials, key=_group):
            opened = frozenset(self._together[frozenset({run, toward})])
            for trials in _batches(group, self.options.rows):
                yield Batch(trials, opened, [(run, first), *self._donated(trials)])

    def check(self) -> None:
        """Refuse, before anything is made, what would fail on the way; see `check_trials`."""
        check_trials(
            self.model,
            self.trials,
            self._replays.stores,
            samples=self.options.samples,
            from_store=self.options.donors == "store",
        )

    def rows(self, is_made: Callable[[Trial], bool] = lambda trial: False) -> Iterator[tuple[Trial, Row]]:
        """Make the patches, one batch after another.

        What fails for one patch alone (a measure, a latent that is not finite) is told in its row as
        ``error``, and the sweep goes on. Patches of which ``is_made`` says so are left out; what goes through
        the model together stays the same, so that the others come out as they would have.
        """
        batches = [batch for batch in self.batches() if not all(map(is_made, batch.trials))]
        uses = Counter(key for batch in batches for key in set(batch.anchors))
        try:
            for batch in batches:
                self._replays.forget_all_but(batch.opened)
                yield from ((trial, row) for trial, row in self._made(batch) if not is_made(trial))
                uses.subtract(set(batch.anchors))
                self._replays.drop(key for key in batch.anchors if not uses[key])
        finally:
            self._replays.close()

    def _made(self, batch: Batch) -> Iterator[tuple[Trial, Row]]:
        run, toward, first, last = _group(batch.trials[0])
        opened, horizon = self._replays.run(run), self.options.horizon
        end = opened.player.num_steps - 1
        read = last if horizon is None else min(last + horizon, end)
        edits = [
            Edit(row, one, self._mask(one, run, toward))
            for row, trial in enumerate(batch.trials)
            for one in trial.interventions
        ]
        anatomy = self.model.anatomy
        anchors = self._replays.prepare(batch.anchors)
        played = opened.player.play(
            start=first,
            stop=end if horizon is None else read,
            known=opened.trajectory,
            edits=Edits(edits, anatomy, self._replays),
            anchor=anchors[run, first],
            resume=min(resume_of(trial, anatomy) for trial in batch.trials),
            steps=frozenset({read}),
        )
        outcomes = self._comparing.outcomes(played, read, len(batch.trials), run)
        for row, (trial, outcome) in enumerate(zip(batch.trials, outcomes, strict=True)):
            # All that was computed is told, also of rows that a last batch leaves empty.
            share, rest = divmod(played.blocks, len(batch.trials))
            done = self._described(trial, read, share + (row < rest))
            effects, done["error"] = self._comparing.effects(trial, outcome, row, done)
            yield trial, done | effects

    def _described(self, trial: Trial, read: int, blocks: int) -> Row:
        horizon = self.options.horizon
        return {
            **trial.labels,
            "recipient_sample": trial.run.sample,
            "recipient_seed": trial.run.seed,
            "donor_sample": trial.toward.sample,
            "donor_seed": trial.toward.seed,
            "first_step": trial.first_step,
            "last_step": trial.last_step,
            "horizon": TO_THE_END if horizon is None else horizon,
            "read_step": read,
            "interventions": f"[{', '.join(one.to_json() for one in trial.interventions)}]",
            "blocks": blocks,
            "error": "",
        }

    def _donated(self, batch: list[Trial]) -> list[tuple[RunRef, int]]:
        """The steps of donors that are replayed for a batch."""
        places = [
            (donor, step)
            for trial in batch
            for donor, intervention in trial.donors()
            for step, _ in places_of(intervention)
        ]
        return [place for place in places if place in self._replays.needs]

    def _mask(self, intervention: Intervention, run: RunRef, toward: RunRef) -> torch.Tensor | None:
        """As `mask_of`, once for all patches of a pair."""
        key = intervention.tokens, intervention.elsewhere, run, toward
        if key not in self._masks:
            grid = self.model.anatomy.geometry.grid(self._replays.run(run).player.size)
            truths = self._comparing.truth(run), self._comparing.truth(toward)
            self._masks[key] = mask_of(intervention, grid, *truths)
        return self._masks[key]

    def _order(self, trial: Trial) -> tuple[Any, ...]:
        pair = str(trial.labels.get("pair", ""))
        # With their stores: runs of one name in two stores would take turns, and share no batch.
        runs = ((run.store, run.sample, run.seed, run.variant) for run in (trial.run, trial.toward))
        return pair, trial.first_step, *runs, trial.last_step, self._resume(trial)

    def _resume(self, trial: Trial) -> int:
        return resume_of(trial, self.model.anatomy)

    def _needs(self) -> dict[tuple[RunRef, int], Needs]:
        """What is needed of each step of each run."""
        needs: dict[tuple[RunRef, int], Needs] = {}
        for trial in self.trials:
            own = needs.setdefault((trial.run, trial.first_step), Needs())
            own.resume.add(self._resume(trial))
            for one in trial.interventions:
                own.add_branches(one.branches)
        if self.options.donors == "store":
            return needs
        given = [
            (trial, donor, intervention, step, layer)
            for trial in self.trials
            for donor, intervention in trial.donors()
            for step, layer in places_of(intervention)
        ]
        # All that is taken from one step of a run comes from one place. A run's own activations are never
        # read: that they change nothing must not depend on where the store was made.
        played = set(needs) | {
            (donor, step)
            for trial, donor, intervention, step, layer in given
            if donor == trial.run or not self._is_stored(donor, intervention, step, layer)
        }
        for _, donor, intervention, step, layer in given:
            if (donor, step) in played:
                own = needs.setdefault((donor, step), Needs())
                own.wanted.setdefault(intervention.site, set()).add(layer)
                own.add_branches(given_branches(intervention))
        return needs

    def _is_stored(self, donor: RunRef, intervention: Intervention, step: int, layer: int) -> bool:
        """Whether a donor's store has the very numbers that a replay would give."""
        if self.options.donors == "replay" or self.options.rows > 1:
            return False
        run = self._replays.stores.store(donor.store).shared_run(donor.sample, donor.seed, donor.variant)
        info = run.sites.get(intervention.site)
        return (
            info is not None
            and info.dtype == stored_dtype(self.model.dtype)
            and run.attrs["device"] == device_name(self.model.device)
            and len(run.attrs["batch_seeds"]) == 1
            and step in info.steps
            and layer in info.layers
            and set(
                given_branches(intervention) or self.model.anatomy.guidance.computed(run.attrs["sampling"])
            )
            <= set(info.branches)
        )


def _group(trial: Trial) -> tuple[RunRef, RunRef, int, int]:
    return trial.run, trial.toward, trial.first_step, trial.last_step


def _batches(trials: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(trials)
    while batch := list(islice(iterator, size)):
        yield batch
