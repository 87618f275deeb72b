"""What a sweep costs, counted in block evaluations before any is made.

A block evaluation is one block of the denoiser, for one row of the batch and one branch. The count follows
the sweep: an unchanged pass of each step that patches begin at (an *anchor*), by which branches that a patch
leaves alone are answered and the blocks before its first change are skipped; then every later step up to
the one that is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cosinterp.patching.sweep import Batch, Sweep, SweepOptions
from cosinterp.patching.trial import Trial, resume_of
from cosinterp.run_attrs import device_name
from stores.store import open_store

if TYPE_CHECKING:
    from cosinterp.interventions.intervention import RunRef
    from cosinterp.models.model import Model
    from stores import Run, Store

Branches = tuple[str, ...]
"""Of one denoiser call."""


@dataclass(frozen=True)
class Cost:
    """Block evaluations.

    Attributes:
        patches: of the patched runs.
        unchanged: of what runs do unchanged: anchors, and runs that their store cannot answer for.
        naive: of as many runs made anew from noise to their end.
        forward: of one pass of the denoiser, all branches of one row.
    """

    patches: int
    unchanged: int
    naive: int
    forward: int

    @property
    def total(self) -> int:
        """Of the whole sweep."""
        return self.patches + self.unchanged

    @property
    def saved(self) -> float:
        """How many times more the naive way takes."""
        return self.naive / self.total if self.total else 1.0


def cost_of(
    model: Model,
    trials: Sequence[Trial],
    options: SweepOptions,
    is_made: Callable[[Trial], bool] = lambda trial: False,
) -> Cost:
    """What a sweep of these patches costs, but for those of which ``is_made`` says that they are there.

    It is what the sweep counts, except where that finds out more on its way: a run whose replay is not what
    its store has is played once more, and anchors that do not fit into memory are made again.

    Args:
        model: may be a skeleton; see `cosinterp.models.loading.prepare`.
        trials, options: as of `Sweep`.
        is_made: as of `Sweep.rows`.

    Raises:
        UserError: a run is not there.
    """
    counting = _Counting(model, options)
    batches = Sweep(model, trials, options).batches()
    patches = sum(
        counting.patches(batch) for batch in batches if not all(is_made(trial) for trial in batch.trials)
    )
    naive = sum(counting.whole(trial.run) for trial in trials if not is_made(trial))
    forward = max((counting.forward(trial.run) for trial in trials), default=0)
    return Cost(patches, counting.unchanged, naive, forward)


@dataclass
class _Counting:
    """Goes through a sweep as `Replays` and `Player` do, and adds up."""

    model: Model
    options: SweepOptions
    unchanged: int = 0
    _stores: dict[str, Store] = field(default_factory=dict)
    _opened: set[RunRef] = field(default_factory=set)
    _anchors: set[tuple[RunRef, int]] = field(default_factory=set)
    _called: set[tuple[RunRef, int]] = field(default_factory=set)
    """Runs with the sizes of denoiser calls that were seen; the first of each has to run."""

    def patches(self, batch: Batch) -> int:
        """Of the patched runs of a batch; what is needed for them is added to `unchanged`."""
        self._close(batch.opened)
        run, anatomy = batch.trials[0].run, self.model.anatomy
        self._open(run)
        for ref, step in dict.fromkeys(batch.anchors):
            self._anchor(ref, step)
        # Effects are measured against both.
        self._open(batch.trials[0].toward)
        first, last = batch.trials[0].first_step, batch.trials[0].last_step
        end, horizon = self._run(run).num_steps - 1, self.options.horizon
        stop = end if horizon is None else min(last + horizon, end)
        resume = min(resume_of(trial, anatomy) for trial in batch.trials)
        blocks = self._before(run, first)
        for branches in self._calls(run):
            if _is_changed(batch.trials, first, branches):
                blocks += (anatomy.num_layers - resume) * self.options.rows * len(branches)
        return blocks + (stop - first) * self._pass(run)

    def forward(self, ref: RunRef) -> int:
        """One pass, one row."""
        return self.model.anatomy.num_layers * sum(map(len, self._calls(ref)))

    def whole(self, ref: RunRef) -> int:
        """One run from noise to its end, one row."""
        return self._run(ref).num_steps * self.forward(ref)

    def _open(self, ref: RunRef) -> None:
        if ref in self._opened:
            return
        self._opened.add(ref)
        attrs = self._run(ref).attrs
        is_stored = (
            self.options.rows == 1
            and len(attrs["batch_seeds"]) == 1
            and attrs["device"] == device_name(self.model.device)
        )
        if not is_stored:
            self.unchanged += self.options.rows * self.whole(ref)
            self._called.update((ref, len(branches)) for branches in self._calls(ref))

    def _anchor(self, ref: RunRef, step: int) -> None:
        if (ref, step) not in self._anchors:
            self._anchors.add((ref, step))
            self._open(ref)
            self.unchanged += self._before(ref, step) + self._pass(ref)
            self._called.update((ref, len(branches)) for branches in self._calls(ref))

    def _close(self, kept: Iterable[RunRef]) -> None:
        self._opened &= set(kept)
        self._anchors = {key for key in self._anchors if key[0] in self._opened}
        self._called = {key for key in self._called if key[0] in self._opened}

    def _before(self, ref: RunRef, step: int) -> int:
        """Of the steps before the first of interest, which are answered if the model allows it."""
        if not self.model.anatomy.steps_pass_latents_only:
            return step * self._pass(ref)
        sizes = {len(branches) for branches in self._calls(ref)} if step else set[int]()
        unseen = {size for size in sizes if (ref, size) not in self._called}
        self._called.update((ref, size) for size in unseen)
        return self.model.anatomy.num_layers * self.options.rows * sum(unseen)

    def _pass(self, ref: RunRef) -> int:
        return self.options.rows * self.forward(ref)

    def _calls(self, ref: RunRef) -> list[Branches]:
        """The denoiser calls of a step."""
        guidance = self.model.anatomy.guidance
        computed = guidance.computed(self._run(ref).attrs["sampling"])
        return [computed] if guidance.kind == "doubled" else [(branch,) for branch in computed]

    def _run(self, ref: RunRef) -> Run:
        if ref.store not in self._stores:
            self._stores[ref.store] = open_store(ref.store)
        return self._stores[ref.store].shared_run(ref.sample, ref.seed, ref.variant)


def _is_changed(trials: Iterable[Trial], step: int, branches: Branches) -> bool:
    """Whether any patch changes a call of a step; else it is answered from the anchor."""
    return any(
        step in one.steps and (one.branches is None or not set(one.branches).isdisjoint(branches))
        for trial in trials
        for one in trial.interventions
    )
