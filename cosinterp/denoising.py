"""The clock: where in the denoising a pipeline is, read from what happens.

Pipelines call their denoiser a different number of times a step (once for each branch, or once for all of
them in one batch, from one expert or another), so a position computed from a count of calls can be off
without a sign. `Clock` watches instead: ``scheduler.step`` tells that a step is over and shows (guided
prediction, timestep, x_t); the denoiser's cache context and the rows of its batch tell the branches; the
module that is called is the expert. Everything is put back afterwards.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import Anatomy, Pinned
from cosinterp.models.geometry import Size
from cosinterp.noise_levels import adds_noise, noise_levels
from cosinterp.solver_memory import carry, check_changeable
from cosinterp.stand_ins import replaced, watched_scheduler
from cosinterp.steps import NO_LATENT_CHANGES, Call, LatentChanges, Predicted, Schedule, Step


class ClockError(RuntimeError):
    """What the pipeline did is not what its schedule says: a bug, or a pipeline that is not understood."""


@dataclass
class Clock:
    """Watches one call of a pipeline that makes ``rows`` videos of a size.

    Use ``with clock.watching():`` around the call, then `check`. A scheduler whose noise no seed determines
    ends the pipeline's call by a `ModelError`. ``on_start`` is called with the schedule
    when the denoiser is first called, ``on_step`` with each `Step` as soon as it is over; both inside the
    pipeline's call, which ends by an exception that they raise. The clock keeps of a step only its numbers,
    so that no latents pile up.
    """

    pipeline: Any
    anatomy: Anatomy
    size: Size
    rows: int = 1
    on_step: Callable[[Step], None] | None = None
    on_start: Callable[[Schedule], None] | None = None
    answer: Callable[[int], torch.Tensor | None] | None = None
    """Gives what a step's guided prediction is to be, (batch, channel, frame, row, col), of each row or one
    for all; None: what the pipeline makes of what the denoiser says."""
    changes: LatentChanges = NO_LATENT_CHANGES
    """What is changed on the way, of answers too."""
    calls: list[Call] = field(default_factory=list)
    under_way: tuple[Call, ...] = ()
    """The branches of the denoiser call under way, in the order of its rows."""
    timesteps: list[float] = field(default_factory=list)
    pinned: Pinned | None = None
    _schedule: Schedule | None = None
    _label: str | None = None
    _begun_with: torch.Tensor | None = None

    @property
    def step(self) -> int:
        """The index of the step under way."""
        return len(self.timesteps)

    @contextmanager
    def watching(self) -> Iterator[Clock]:
        """Watch the pipeline within the block; what is wrapped is put back, also after an error."""
        with ExitStack() as stack:
            stack.enter_context(watched_scheduler(self.pipeline.scheduler, self._answered, self._stepped))
            prepare = getattr(self.pipeline, "prepare_latents", None)
            if prepare is not None:
                stack.enter_context(
                    replaced(self.pipeline, "prepare_latents", self._watched_prepare(prepare))
                )
            for expert, component in enumerate(self.anatomy.experts):
                denoiser = getattr(self.pipeline, component)
                context = getattr(denoiser, "cache_context", None)
                if context is not None:
                    stack.enter_context(replaced(denoiser, "cache_context", self._watched_context(context)))
                handle = denoiser.register_forward_pre_hook(self._watched_call(expert), with_kwargs=True)
                stack.callback(handle.remove)
            yield self

    def check(self, branches: tuple[str, ...], num_steps: int, made: int | None = None) -> None:
        """Compare what happened with the schedule: each step called each branch once, on its expert.

        ``made``: how many of the steps were to be made; None: all.

        Raises:
            ClockError: names the first step that differs.
        """
        planned = self.schedule()
        made = num_steps if made is None else made
        if planned.num_steps != num_steps:
            raise ClockError(f"the schedule has {planned.num_steps} steps where {num_steps} were asked for")
        if self.timesteps != planned.timestep.tolist()[:made]:
            raise ClockError(f"the {len(self.timesteps)} steps made are not the {made} of the schedule")
        for step in range(made):
            calls = [call for call in self.calls if call.step == step]
            if sorted(call.branch for call in calls) != sorted(branches):
                called = ", ".join(call.branch for call in calls) or "none"
                raise ClockError(f"step {step}: denoiser calls {called}; expected {', '.join(branches)}")
            if {call.expert for call in calls} != {planned.expert[step]}:
                served = ", ".join(self.anatomy.experts[call.expert] for call in calls)
                wanted = self.anatomy.experts[planned.expert[step]]
                raise ClockError(f"step {step}: served by {served}; its schedule says {wanted}")
        if len(self.calls) != made * len(branches):
            raise ClockError(f"the denoiser was called after the last of {made} steps")

    def schedule(self) -> Schedule:
        """What the scheduler, as it is set now, plans."""
        scheduler = self.pipeline.scheduler
        experts = [self.anatomy.expert_at(self.pipeline, timestep) for timestep in scheduler.timesteps]
        levels = noise_levels(scheduler, self.anatomy.prediction_type)
        return Schedule(
            timestep=np.asarray([float(t) for t in scheduler.timesteps]),
            sigma=levels.sigma,
            expert=np.asarray(experts, dtype=np.int64),
            clean=levels.clean,
            after=levels.after,
        )

    def _makes_step(self, arguments: dict[str, Any]) -> bool:
        needed = self.anatomy.step_argument
        return needed is None or arguments.get(needed) is not None

    def _answered(self, arguments: dict[str, Any]) -> None:
        """Put in place of what the pipeline predicts what it is to be, where that is something else."""
        if not self._makes_step(arguments):
            return
        answer = None if self.answer is None else self.answer(self.step)
        if answer is not None:
            self._predict(arguments, answer)
        schedule = self._schedule
        if schedule is None or self.step >= schedule.num_steps:
            return
        changed = self.changes.prediction(
            Predicted(
                self.step,
                float(arguments["timestep"]),
                self._whole(arguments["sample"]),
                self._whole(arguments["model_output"], is_prediction=True),
                _pair(schedule.clean[self.step]),
                self.pinned,
            )
        )
        if changed is not None:
            self._predict(arguments, changed)

    def _predict(self, arguments: dict[str, Any], prediction: torch.Tensor) -> None:
        predicted = arguments["model_output"]
        seen = self._seen(prediction, predicted)
        for name, value in arguments.items():
            # Cosmos 1 gives it by another name besides, which goes before this one.
            if value is predicted:
                arguments[name] = seen

    def _stepped(self, scheduler: Any, arguments: dict[str, Any], result: Any) -> Any:
        if not self._makes_step(arguments):
            return result
        index, schedule = self.step, self._schedule
        if schedule is None:
            raise ClockError("the scheduler made a step before the denoiser was called")
        if arguments.get("generator") is None and adds_noise(scheduler):
            raise ModelError(
                f"{type(scheduler).__name__} adds noise at each step that no seed determines, since "
                f"{type(self.pipeline).__name__} gives it no generator; use a scheduler that adds none, such "
                "as UniPCMultistepScheduler"
            )
        # step() has moved the scheduler's own index, where it has one, on by one.
        own = getattr(scheduler, "step_index", None)
        if own is not None and own - 1 != index:
            raise ClockError(f"step {index} is the scheduler's step {own - 1}")
        self.timesteps.append(float(arguments["timestep"]))
        if index >= schedule.num_steps:
            return result
        made = result[0] if isinstance(result, tuple) else result.prev_sample
        # A pipeline may write the next latents into the tensor that this was read from.
        noisy = self._whole(arguments["sample"]).clone()
        if index == 0:
            self._check_begun(noisy)
        factors = schedule.after[index]
        step = Step(
            index,
            self.timesteps[-1],
            self.calls[-1].expert,
            noisy,
            self._whole(arguments["model_output"], is_prediction=True),
            self._whole(made),
            _pair(schedule.clean[index]),
            None if np.isnan(factors).any() else _pair(factors),
            self.pinned,
        )
        changed = self.changes.after(step)
        if changed is not None:
            check_changeable(scheduler, merges=changed.memory is not None)
            seen = self._seen(changed.latents, made)
            carry(scheduler, made, seen, self.rows, changed.memory)
            result = _with_latents(result, seen)
            step = replace(step, after=self._whole(seen), after_factors=None)
        if self.on_step is not None:
            self.on_step(step)
        return result

    def _check_begun(self, noisy: torch.Tensor) -> None:
        """Make sure that what was put in place of the initial noise is what the denoiser was shown.

        Raises:
            ModelError: it was not, or only in part.
        """
        wanted = self.changes.initial(noisy) if self._begun_with is None else self._begun_with
        if wanted is None:
            return
        free = slice(None) if self.pinned is None else ~self.pinned.frames
        if not torch.equal(wanted[:, :, free].to(noisy), noisy[:, :, free]):
            raise ModelError(
                f"the initial noise of {type(self.pipeline).__name__} cannot be changed: it is drawn where "
                "that is not seen, or made into something else; change the latents of a later step"
            )

    def _whole(self, seen: torch.Tensor, is_prediction: bool = False) -> torch.Tensor:
        """What the scheduler saw as (batch, channel, frame, row, col), with the frames that it was not shown.

        Those are pinned: the latents there are the condition, and nothing is predicted.
        """
        latents = seen[: self.rows]
        if self.anatomy.unpack is not None:
            latents = self.anatomy.unpack(latents, self.size)
        expected = self.anatomy.geometry.latent_shape(self.size)
        missing = expected[1] - latents.shape[2]
        if missing and self.pinned is not None and bool(self.pinned.frames[:missing].all()):
            shown = self.pinned.latents[:, :, :missing].to(latents.dtype)
            shown = shown.expand(latents.shape[0], -1, -1, -1, -1)
            latents = torch.cat([torch.zeros_like(shown) if is_prediction else shown, latents], dim=2)
        if tuple(latents.shape[1:]) != expected:
            raise ClockError(f"a latent is {tuple(latents.shape[1:])}, where its size says {expected}")
        return latents

    def _seen(self, latents: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """The inverse of `_whole`: latents as the scheduler sees them, of the shape and dtype of ``like``."""
        rows = latents.to(like.device, like.dtype).expand(self.rows, -1, -1, -1, -1)
        if self.anatomy.unpack is not None:
            rows = self.anatomy.packed_like(rows, like[: self.rows], self.size)
        elif like.ndim == 5:
            # Pinned frames are not shown.
            rows = rows[:, :, rows.shape[2] - like.shape[2] :]
        # A pipeline may step its rows twice, once for each branch of a doubled batch.
        return rows.repeat(like.shape[0] // self.rows, *(1 for _ in like.shape[1:]))

    def _watched_prepare(self, original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def prepare_latents(*args: Any, **kwargs: Any) -> Any:
            prepared = original(*args, **kwargs)
            self.pinned = self.anatomy.pinned(prepared, self.size)
            return self._begun(prepared)

        return prepare_latents

    def _begun(self, prepared: Any) -> Any:
        """What a pipeline's ``prepare_latents`` gave, with the initial noise as it is to be."""
        first = prepared[0] if isinstance(prepared, tuple) else prepared
        try:
            noisy = self._whole(first)
        except (ClockError, RuntimeError):
            # It gives more than the noise. Whether that matters is seen at the first step.
            return prepared
        changed = self.changes.initial(noisy)
        if changed is None:
            return prepared
        seen = self._seen(changed, first)
        self._begun_with = self._whole(seen)
        return (seen, *prepared[1:]) if isinstance(prepared, tuple) else seen

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
        def note(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if self._schedule is None:
                self._schedule = self.schedule()
                if self.on_start is not None:
                    self.on_start(self._schedule)
            batch = (args[0] if args else kwargs["hidden_states"]).shape[0]
            made = tuple(call.branch for call in self.calls if call.step == self.step)
            parts = batch // self.rows if batch % self.rows == 0 else 0
            branches = self.anatomy.guidance.of_call(self._label, parts, made)
            if branches is None:
                labelled = "" if self._label is None else f", labelled {self._label}"
                raise ClockError(
                    f"step {self.step}: cannot tell the guidance branch of a denoiser call{labelled}: "
                    f"{batch} rows for {self.rows} videos, after {', '.join(made) or 'no other branch'}"
                )
            self.under_way = tuple(Call(self.step, branch, expert) for branch in branches)
            self.calls.extend(self.under_way)

        return note


def _with_latents(result: Any, latents: torch.Tensor) -> Any:
    """What a scheduler returned, with other latents."""
    if isinstance(result, tuple):
        return (latents, *result[1:])
    result.prev_sample = latents
    return result


def _pair(factors: np.ndarray) -> tuple[float, float]:
    own, predicted = factors.tolist()
    return own, predicted
