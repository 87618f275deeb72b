"""The clock: where in the denoising a pipeline is, read from what happens.

Pipelines call their denoiser a different number of times a step (once for each branch, or once for all of
them in one batch, from one expert or another), so a position computed from a count of calls can be off
without a sign. `Clock` watches instead: ``scheduler.step`` tells that a step is over and shows (guided
prediction, timestep, x_t); the denoiser's cache context and the rows of its batch tell the branches; the
module that is called is the expert. Everything is put back afterwards.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from cosinterp.errors import ModelError
from cosinterp.models.anatomy import Anatomy, Pinned
from cosinterp.models.geometry import Size
from cosinterp.noise_levels import adds_noise, noise_levels


class ClockError(RuntimeError):
    """What the pipeline did is not what its schedule says: a bug, or a pipeline that is not understood."""


@dataclass(frozen=True)
class Call:
    """One branch of one call of the denoiser: ``expert`` is an index into `Anatomy.experts`."""

    step: int
    branch: str
    expert: int


@dataclass(frozen=True)
class Step:
    """One denoising step that is over.

    ``noisy`` (x_t), ``prediction`` (guided) and ``after`` (x_{t-1}): (batch, channel, frame, row, col), in
    the dtype in which the scheduler saw them. ``clean`` are the factors of x̂0, ``after_factors`` those of
    ``after``, None: it is made of more than x_t and the prediction; see `NoiseLevels`.
    """

    index: int
    timestep: float
    expert: int
    noisy: torch.Tensor
    prediction: torch.Tensor
    after: torch.Tensor
    clean: tuple[float, float]
    after_factors: tuple[float, float] | None
    pinned: Pinned | None

    def clean_estimate(self) -> torch.Tensor:
        """x̂0 of this step: float32 (batch, channel, frame, row, col)."""
        return clean_estimate(self.noisy, self.prediction, self.clean, self.pinned)

    def final(self) -> torch.Tensor:
        """``after`` with the pinned frames in place: of the last step, what the pipeline decodes."""
        return with_pinned(self.after, self.pinned)


def clean_estimate(
    noisy: torch.Tensor,
    prediction: torch.Tensor,
    factors: tuple[float, float],
    pinned: Pinned | None = None,
) -> torch.Tensor:
    """x̂0 = a x_t + b prediction_t, for the ``factors`` (a, b) of the step; see `cosinterp.noise_levels`."""
    own, predicted = factors
    return with_pinned(own * noisy.float() + predicted * prediction.float(), pinned)


def with_pinned(latents: torch.Tensor, pinned: Pinned | None) -> torch.Tensor:
    """``latents`` with the frames that the pipeline overwrites taken from its condition."""
    if pinned is None:
        return latents
    mask = pinned.frames.view(1, 1, -1, 1, 1)
    return torch.where(mask, pinned.latents, latents)


@dataclass(frozen=True)
class Schedule:
    """What a pipeline is about to do: timestep (step,), sigma (step+1,), expert (step,), clean (step, 2).

    ``clean`` and ``after`` are those of `NoiseLevels`.
    """

    timestep: np.ndarray
    sigma: np.ndarray
    expert: np.ndarray
    clean: np.ndarray
    after: np.ndarray

    @property
    def num_steps(self) -> int:
        """Number of denoising steps."""
        return len(self.timestep)


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
    calls: list[Call] = field(default_factory=list)
    under_way: tuple[Call, ...] = ()
    """The branches of the denoiser call under way, in the order of its rows."""
    timesteps: list[float] = field(default_factory=list)
    pinned: Pinned | None = None
    _schedule: Schedule | None = None
    _label: str | None = None

    @property
    def step(self) -> int:
        """The index of the step under way."""
        return len(self.timesteps)

    @contextmanager
    def watching(self) -> Iterator[Clock]:
        """Watch the pipeline within the block; what is wrapped is put back, also after an error."""
        with ExitStack() as stack:
            stack.enter_context(_watched_scheduler(self.pipeline.scheduler, self._answered, self._stepped))
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
        """Put the answer in place of what the pipeline predicts, where there is one."""
        answer = None if self.answer is None or not self._makes_step(arguments) else self.answer(self.step)
        if answer is None:
            return
        predicted = arguments["model_output"]
        seen = self._seen(answer, predicted)
        for name, value in arguments.items():
            # Cosmos 1 gives it by another name besides, which goes before this one.
            if value is predicted:
                arguments[name] = seen

    def _stepped(self, scheduler: Any, arguments: dict[str, Any], result: Any) -> None:
        if not self._makes_step(arguments):
            return
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
        if self.on_step is None or index >= schedule.num_steps:
            return
        after = result[0] if isinstance(result, tuple) else result.prev_sample
        expert = self.calls[-1].expert
        # A pipeline may write the next latents into the tensor that this was read from.
        noisy = self._whole(arguments["sample"]).clone()
        prediction = self._whole(arguments["model_output"], is_prediction=True)
        clean = _pair(schedule.clean[index])
        factors = schedule.after[index]
        self.on_step(
            Step(
                index,
                self.timesteps[-1],
                expert,
                noisy,
                prediction,
                self._whole(after),
                clean,
                None if np.isnan(factors).any() else _pair(factors),
                self.pinned,
            )
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


def _pair(factors: np.ndarray) -> tuple[float, float]:
    own, predicted = factors.tolist()
    return own, predicted


@contextmanager
def _watched_scheduler(
    scheduler: Any,
    before: Callable[[dict[str, Any]], None],
    stepped: Callable[[Any, dict[str, Any], Any], None],
) -> Iterator[None]:
    """Within the block, ``stepped`` is told of each ``scheduler.step``: its arguments by name, its result.

    ``before`` is given the arguments first, and may change them.

    The scheduler gets another class, not another attribute: a pipeline may copy it (LTX-2 does, for its
    audio), and the copy must step by itself and unseen.
    """
    kind = type(scheduler)
    signature = inspect.signature(kind.step)
    # One that somebody put into the instance would go before that of any class.
    own = vars(scheduler).pop("step", None)
    # Emptied at the end: a class stays until the garbage is collected, and so would all that it holds.
    told = [(before, stepped)]

    @functools.wraps(kind.step)
    def step(self: Any, *args: Any, **kwargs: Any) -> Any:
        call = signature.bind(self, *args, **kwargs)
        watched = self is scheduler and bool(told)
        if watched:
            told[0][0](call.arguments)
        result = kind.step(*call.args, **call.kwargs) if own is None else own(*call.args[1:], **call.kwargs)
        if watched:
            told[0][1](self, call.arguments, result)
        return result

    scheduler.__class__ = type(kind.__name__, (kind,), {"step": step, "__module__": kind.__module__})
    try:
        yield
    finally:
        told.clear()
        scheduler.__class__ = kind
        if own is not None:
            scheduler.step = own


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
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
