"""Runs with noise in their latents: a variant for each place of a sweep, beside the base runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cosinterp import tracing
from cosinterp.errors import SelectionError
from cosinterp.following import Followed
from cosinterp.interventions.changes import NO_CHANGES, Changes, Known
from cosinterp.noising.latents import NoisedLatents, pinned_error
from cosinterp.noising.noise_at import How, NoiseAt
from cosinterp.noising.places import EVERY, At, Matched, Places, places
from cosinterp.planning.fitting import check_space
from cosinterp.planning.plan import NO_SITES, PlannedSample, TracePlan, make_plan
from cosinterp.planning.to_make import joining, runs_to_make
from cosinterp.replaying.skips import Forms
from cosinterp.samples import Sample
from cosinterp.tracing import HOST_MEMORY, run_plan
from stores.layout import BASE, STORE_FILE
from stores.selection import Selection
from stores.store import open_store

if TYPE_CHECKING:
    from cosinterp.models.model import Model
    from stores.store import Store

NOISED = "noised"
"""What variants with noise begin with."""


class Progress(tracing.Progress, Protocol):
    """Told how a sweep of noise goes, as a trace is."""

    def variant(self, name: str) -> None:
        """The runs of a variant are about to be made."""


@dataclass(frozen=True)
class NoisePlan:
    """A sweep of noise, checked.

    Attributes:
        trace: which runs, and what is recorded of each, whatever its variant.
        places: the noise of each variant.
        base: whether base runs are made, too, where there are none.
        is_every_frame: whether noise is in every frame by itself, so that frames which can have none are
            passed over.
    """

    trace: TracePlan
    places: Places
    base: bool
    is_every_frame: bool

    def first_computed(self, place: NoiseAt) -> int:
        """The first step of a noised run that has to be computed, if the base runs are there."""
        start = min(place.steps or (0,))
        return 0 if self.trace.sites and min(self.trace.steps) < start else start

    def to_make(self, path: Path, resume: bool) -> dict[str, list[tuple[str, int]]]:
        """The (sample name, seed) runs that a store lacks of each variant, base first.

        Raises:
            StoreError: the store was made with other settings.
            TraceError: it has some of them already, and ``resume`` is off; or has other samples of this name.
        """
        todo = {BASE: self._base_to_make(path)} if self.base else {}
        for place in self.places.every:
            plan = joining(self.trace, path, place.variant)
            todo[place.variant] = runs_to_make(plan, path, resume, place.variant)
        return {variant: runs for variant, runs in todo.items() if runs}

    def _base_to_make(self, path: Path) -> list[tuple[str, int]]:
        # Runs that are there may have recorded more than is asked for here; those that are made may not.
        lacking = runs_to_make(joining(self.trace, path, NOISED), path, True, BASE)
        return runs_to_make(self.trace, path, True, BASE) if lacking else []


def plan_noise(
    model: Model,
    samples: Sample | Iterable[Sample],
    *,
    seeds: Selection,
    at: At = "both",
    steps: Selection = EVERY,
    frames: Selection = EVERY,
    within_frames: Selection = EVERY,
    during_steps: Selection = EVERY,
    how: How | None = None,
    strength: float | None = None,
    matched: Matched = False,
    noise_seed: int = 0,
    base: bool = True,
    layers: Selection = "all",
    sites: str | tuple[str, ...] = NO_SITES,
    save_steps: Selection = "all",
    branches: str | tuple[str, ...] = "all",
    dtype: str = "auto",
    batch: int = 1,
    save_video: bool = True,
    host_memory: int = HOST_MEMORY,
    sampling: dict[str, Any] | None = None,
    **recording: Any,
) -> NoisePlan:
    """Resolve and check a sweep of noise against a model; its arguments are those of `noise`.

    Raises:
        UserError: of the kind that fits.
    """
    chosen = [samples] if isinstance(samples, Sample) else list(samples)
    plan = make_plan(
        model,
        chosen,
        seeds=seeds,
        layers=layers,
        sites=sites,
        save_steps=save_steps,
        branches=branches,
        dtype=dtype,
        batch=batch,
        save_video=save_video,
        host_memory=host_memory,
        sampling=sampling or {},
        **recording,
    )
    lengths = sorted({planned.shape.latent[1] for planned in plan.samples})
    if len(lengths) > 1:
        raise SelectionError(
            f"the latents of these samples have {' and '.join(map(str, lengths))} frames; choose samples of "
            "one length"
        )
    found = places(
        at,
        num_steps=plan.num_steps,
        num_frames=lengths[0],
        steps=steps,
        frames=frames,
        within_frames=within_frames,
        during_steps=during_steps,
        how=how,
        strength=strength,
        matched=matched,
        seed=noise_seed,
    )
    return NoisePlan(plan, found, base, isinstance(frames, str) and frames == EVERY)


def noise(
    model: Model,
    samples: Sample | Iterable[Sample],
    *,
    store: str | Path,
    seeds: Selection,
    at: At = "both",
    steps: Selection = EVERY,
    frames: Selection = EVERY,
    within_frames: Selection = EVERY,
    during_steps: Selection = EVERY,
    how: How | None = None,
    strength: float | None = None,
    matched: Matched = False,
    noise_seed: int = 0,
    base: bool = True,
    resume: bool = False,
    sites: str | tuple[str, ...] = NO_SITES,
    layers: Selection = "all",
    save_steps: Selection = "all",
    branches: str | tuple[str, ...] = "all",
    reduce: tracing.Reduce = None,
    reduce_seed: int = 0,
    dtype: str = "auto",
    compression: str = "none",
    batch: int = 1,
    save_video: bool = True,
    host_memory: int = HOST_MEMORY,
    writers: int | None = None,
    progress: Progress | None = None,
    **sampling: Any,
) -> Store:
    """Make runs with noise at each step, in each latent frame, or both, a variant for each place.

    As Wang et al. 2026 (arXiv 2603.16870) do, by default the latent is replaced by Gaussian noise of its
    standard deviation: in all frames at one step, or in one frame at every step. Those two differ in how much
    noise there is; ``matched`` makes it the same. `cosinterp.noising.mixing` says what energy means.

    Args:
        model: from `cosinterp.load`.
        samples, seeds, store: as of `cosinterp.trace`.
        at: "step", "frame" or "both".
        steps: a variant is made for each of them: noise at this step, in ``within_frames``. Noise at step s
            is in the latent that enters it.
        frames: a variant is made for each of these latent frames: noise in it, at ``during_steps``.
        within_frames, during_steps: in which frames noise at a step is, and at which steps noise in a frame.
        how: "replace", "mix" or "shrink"; None: what fits ``matched``.
        strength: of "mix", the share of the variance that is noise; of "shrink", that is taken away.
        matched: True: every place gets the same energy, the most that all can take; a number: this energy.
            1 is that of replacing all frames at one step.
        noise_seed: of the noise, which is a function of it, of the run's seed and of the step.
        base: also make the base runs that the store lacks.
        resume: skip the noised runs that the store has; without it, having one of them is an error.
        sites: what is recorded of all these runs, "none" or as of `cosinterp.trace`; as are ``layers``,
            ``save_steps``, ``branches``, ``reduce``, ``reduce_seed``, ``dtype``, ``compression``, ``batch``,
            ``save_video``, ``host_memory``, ``writers`` and ``sampling``.
        progress: told how it goes.

    Returns:
        The store. Runs of a variant such as ``noised-step-03`` or ``noised-frame-02-mix-0p5`` say in their
        attributes what the noise is (``intervention``) and the energy that it had (``noise_energy``, by step
        ``noise_energy_by_step``).

    Raises:
        UserError: anything asked for that cannot be; nothing is written then.
    """
    plan = plan_noise(
        model,
        samples,
        seeds=seeds,
        at=at,
        steps=steps,
        frames=frames,
        within_frames=within_frames,
        during_steps=during_steps,
        how=how,
        strength=strength,
        matched=matched,
        noise_seed=noise_seed,
        base=base,
        layers=layers,
        sites=sites,
        save_steps=save_steps,
        branches=branches,
        reduce=reduce,
        reduce_seed=reduce_seed,
        dtype=dtype,
        compression=compression,
        batch=batch,
        save_video=save_video,
        host_memory=host_memory,
        writers=writers,
        sampling=sampling,
    )
    return run_noise(model, plan, Path(store), resume=resume, host_memory=host_memory, progress=progress)


def run_noise(
    model: Model,
    plan: NoisePlan,
    path: Path,
    *,
    resume: bool = False,
    host_memory: int = HOST_MEMORY,
    progress: Progress | None = None,
) -> Store:
    """Carry out a sweep of noise; see `noise`."""
    todo = plan.to_make(path, resume)
    check_space(path, plan.trace, [run for runs in todo.values() for run in runs])
    if plan.base and BASE in todo:
        _make(model, plan.trace, path, NO_CHANGES, host_memory, progress)
    base = _checked_base(plan, path)
    for place in _possible(plan, path):
        if place.variant in todo:
            trace = joining(plan.trace, path, place.variant)
            _make(model, trace, path, NoiseChanges(place, base), host_memory, progress)
    return open_store(path)


def _checked_base(plan: NoisePlan, path: Path) -> Store | None:
    """The store, if its base runs are those of this sweep: made from the same, by the same settings.

    Raises:
        TraceError: it has base runs of another sample that is called so.
    """
    if not (path / STORE_FILE).exists():
        return None
    runs_to_make(joining(plan.trace, path, NOISED), path, True, BASE)
    return open_store(path)


def _make(
    model: Model,
    plan: TracePlan,
    path: Path,
    changes: Changes,
    host_memory: int,
    progress: Progress | None,
) -> None:
    if progress is not None:
        progress.variant(changes.variant)
    run_plan(model, plan, path, resume=True, changes=changes, host_memory=host_memory, progress=progress)


def _possible(plan: NoisePlan, path: Path) -> tuple[NoiseAt, ...]:
    """The places without those whose frame the pipeline overwrites, as the base runs tell.

    Raises:
        InterventionError: such a frame was asked for.
    """
    held = frozenset[int]()
    if (path / STORE_FILE).exists():
        opened = open_store(path)
        for planned in plan.trace.samples:
            for entry in opened.runs(planned.sample.name, plan.trace.seeds[:1], BASE):
                held |= set(opened.shared_run(*entry.key).pinned_frames)
    asked = plan.places.at_steps if plan.is_every_frame else plan.places.every
    met = {frame for place in asked for frame in place.frames or ()} & held
    if met:
        raise pinned_error(met)
    return tuple(place for place in plan.places.every if not held.intersection(place.frames or ()))


class NoiseChanges(Changes):
    """The runs of one place of a sweep.

    Args:
        noise: of the place.
        base: a store with base runs; up to the first noise a noised run is its base run, so that much of it
            need not be computed again.
    """

    def __init__(self, noise: NoiseAt, base: Store | None = None) -> None:
        self.noise = noise
        self.variant = noise.variant
        self._base = base
        self._forms = Forms()

    def latents(self, planned: PlannedSample, seeds: tuple[int, ...]) -> NoisedLatents:
        """Noise in the latents of these seeds."""
        return NoisedLatents(self.noise, seeds, planned.settings["num_steps"])

    def known(self, planned: PlannedSample, seeds: tuple[int, ...]) -> Known | None:
        """The steps before the first noise, if the base runs of all these seeds are there."""
        start = min(self.noise.steps or (0,))
        name, base = planned.sample.name, self._base
        if start == 0 or base is None or self.noise.is_nothing:
            return None
        if not all(base.has(name, seed) and base.shared_run(name, seed).has_latents for seed in seeds):
            return None
        return Known(start, Followed(base).predictions(name, seeds), self._forms)

    def attrs(self, planned: PlannedSample, seeds: tuple[int, ...]) -> dict[str, Any]:
        """Which noise it is."""
        return {"intervention": self.noise.model_dump(mode="json")}
