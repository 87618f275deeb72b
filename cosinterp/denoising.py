"""The clock: where in the denoising a pipeline is, read from what happens.

Pipelines call their denoiser a different number of times a step (once for each branch, from one expert or
another), so a position computed from a count of calls can be off without a sign. `Clock` watches instead:
``scheduler.step`` tells that a step is over and shows (guided prediction, timestep, x_t); the denoiser's
cache context names the branch; the module that is called is the expert. Everything is put back afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from cosinterp.models.anatomy import Anatomy, Pinned


class ClockError(RuntimeError):
    """What the pipeline did is not what its schedule says: a bug, or a pipeline that is not understood."""


@dataclass(frozen=True)
class Call:
    """One call of the denoiser: ``expert`` is an index into `Anatomy.experts`."""

    step: int
    branch: str
    expert: int


@dataclass(frozen=True)
class Step:
    """One denoising step that is over.

    ``noisy`` (x_t), ``prediction`` (guided) and ``after`` (x_{t-1}): (batch, channel, frame, row, col), as
    the scheduler saw them; ``sigma`` belongs to ``noisy``.
    """

    index: int
    timestep: float
    sigma: float
    expert: int
    noisy: torch.Tensor
    prediction: torch.Tensor
    after: torch.Tensor
    pinned: Pinned | None

    def clean_estimate(self) -> torch.Tensor:
        """x̂0 of this step: float32 (batch, channel, frame, row, col)."""
        return clean_estimate(self.noisy, self.prediction, self.sigma, self.pinned)

    def final(self) -> torch.Tensor:
        """``after`` with the pinned frames in place: of the last step, what the pipeline decodes."""
        return with_pinned(self.after, self.pinned)


def clean_estimate(
    noisy: torch.Tensor, prediction: torch.Tensor, sigma: float, pinned: Pinned | None = None
) -> torch.Tensor:
    """x̂0 = x_t - sigma_t * v, for a flow-matching prediction v (Lipman et al. 2023, arXiv 2210.02747)."""
    return with_pinned(noisy.float() - sigma * prediction.float(), pinned)


def with_pinned(latents: torch.Tensor, pinned: Pinned | None) -> torch.Tensor:
    """``latents`` with the frames that the pipeline overwrites taken from its condition."""
    if pinned is None:
        return latents
    mask = pinned.frames.view(1, 1, -1, 1, 1)
    return torch.where(mask, pinned.latents, latents)


@dataclass(frozen=True)
class Schedule:
    """What a pipeline is about to do: timestep (step,), sigma (step+1,), expert (step,)."""

    timestep: np.ndarray
    sigma: np.ndarray
    expert: np.ndarray

    @property
    def num_steps(self) -> int:
        """Number of denoising steps."""
        return len(self.timestep)


@dataclass
class Clock:
    """Watches one call of a pipeline.

    Use ``with clock.watching():`` around the call, then `check`. ``on_start`` is called with the schedule
    when the denoiser is first called, ``on_step`` with each `Step` as soon as it is over; both inside the
    pipeline's call, which ends by an exception that they raise. The clock keeps of a step only its numbers,
    so that no latents pile up.
    """

    pipeline: Any
    anatomy: Anatomy
    on_step: Callable[[Step], None] | None = None
    on_start: Callable[[Schedule], None] | None = None
    calls: list[Call] = field(default_factory=list)
    timesteps: list[float] = field(default_factory=list)
    sigmas: list[float] = field(default_factory=list)
    pinned: Pinned | None = None
    _label: str | None = None

    @property
    def step(self) -> int:
        """The index of the step under way."""
        return len(self.timesteps)

    @property
    def call(self) -> Call:
        """The denoiser call under way."""
        if not self.calls:
            raise ClockError("the denoiser has not been called yet")
        return self.calls[-1]

    @contextmanager
    def watching(self) -> Iterator[Clock]:
        """Watch the pipeline within the block; what is wrapped is put back, also after an error."""
        with ExitStack() as stack:
            scheduler = self.pipeline.scheduler
            stack.enter_context(_replaced(scheduler, "step", self._watched_step(scheduler)))
            prepare = getattr(self.pipeline, "prepare_latents", None)
            if prepare is not None:
                stack.enter_context(
                    _replaced(self.pipeline, "prepare_latents", self._watched_prepare(prepare))
                )
            for expert, component in enumerate(self.anatomy.experts):
                denoiser = getattr(self.pipeline, component)
                stack.enter_context(
                    _replaced(denoiser, "cache_context", self._watched_context(denoiser.cache_context))
                )
                handle = denoiser.register_forward_pre_hook(self._watched_call(expert))
                stack.callback(handle.remove)
            yield self

    def check(self, branches: tuple[str, ...], num_steps: int) -> None:
        """Compare what happened with the schedule: each step called each branch once, on its expert.

        Raises:
            ClockError: names the first step that differs.
        """
        planned = self.schedule()
        if planned.num_steps != num_steps:
            raise ClockError(f"the schedule has {planned.num_steps} steps where {num_steps} were asked for")
        if self.timesteps != planned.timestep.tolist() or self.sigmas != planned.sigma[:-1].tolist():
            raise ClockError(f"the {len(self.timesteps)} steps made are not the {num_steps} of the schedule")
        for step in range(num_steps):
            calls = [call for call in self.calls if call.step == step]
            if sorted(call.branch for call in calls) != sorted(branches):
                made = ", ".join(call.branch for call in calls) or "none"
                raise ClockError(f"step {step}: denoiser calls {made}; expected {', '.join(branches)}")
            if {call.expert for call in calls} != {planned.expert[step]}:
                made = ", ".join(self.anatomy.experts[call.expert] for call in calls)
                wanted = self.anatomy.experts[planned.expert[step]]
                raise ClockError(f"step {step}: served by {made}; its schedule says {wanted}")
        if len(self.calls) != num_steps * len(branches):
            raise ClockError(f"the denoiser was called after the last of {num_steps} steps")

    def schedule(self) -> Schedule:
        """What the scheduler, as it is set now, plans."""
        scheduler = self.pipeline.scheduler
        experts = [self.anatomy.expert_at(self.pipeline, timestep) for timestep in scheduler.timesteps]
        return Schedule(
            timestep=np.asarray([float(t) for t in scheduler.timesteps]),
            sigma=np.asarray([float(sigma) for sigma in scheduler.sigmas]),
            expert=np.asarray(experts, dtype=np.int64),
        )

    def _watched_step(self, scheduler: Any) -> Callable[..., Any]:
        original = scheduler.step

        def step(model_output: torch.Tensor, timestep: Any, sample: torch.Tensor, *args: Any, **kwargs: Any):
            result = original(model_output, timestep, sample, *args, **kwargs)
            after = result[0] if isinstance(result, tuple) else result.prev_sample
            self._over(scheduler, float(timestep), sample, model_output, after)
            return result

        return step

    def _over(
        self, scheduler: Any, timestep: float, noisy: torch.Tensor, guided: torch.Tensor, after: torch.Tensor
    ) -> None:
        # step() has moved the scheduler's own index on by one: the sigma of x_t is the one before.
        sigma = float(scheduler.sigmas[scheduler.step_index - 1])
        index = self.step
        self.timesteps.append(timestep)
        self.sigmas.append(sigma)
        if self.on_step is not None:
            expert = self.call.expert
            self.on_step(Step(index, timestep, sigma, expert, noisy, guided, after, self.pinned))

    def _watched_prepare(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def prepare_latents(*args: Any, **kwargs: Any) -> Any:
            prepared = original(*args, **kwargs)
            self.pinned = self.anatomy.pinned(prepared)
            return prepared

        return prepare_latents

    def _watched_context(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def cache_context(name: str, *args: Any, **kwargs: Any) -> Iterator[None]:
            self._label = name
            try:
                with original(name, *args, **kwargs):
                    yield
            finally:
                self._label = None

        return cache_context

    def _watched_call(self, expert: int) -> Callable[..., None]:
        def note(*_: Any) -> None:
            if self._label is None:
                raise ClockError("the pipeline called its denoiser without naming the guidance branch")
            if not self.calls and self.on_start is not None:
                self.on_start(self.schedule())
            self.calls.append(Call(self.step, self._label, expert))

        return note


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Shadow a method on one instance within the block."""
    shadowed = name in vars(owner)
    before = vars(owner).get(name)
    vars(owner)[name] = value
    try:
        yield
    finally:
        if shadowed:
            vars(owner)[name] = before
        else:
            del vars(owner)[name]
