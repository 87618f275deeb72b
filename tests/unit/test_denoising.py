"""The clock, on a made-up pipeline whose every call can be got wrong."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from cosinterp.denoising import Clock, ClockError
from cosinterp.models.anatomy import Anatomy, Pinned
from cosinterp.models.geometry import Size
from cosinterp.steps import Call, Step, clean_estimate
from tests.unit.models.test_anatomy import WAN_14B

SIZE = Size(32, 32, 9)
ANATOMY = replace(
    WAN_14B,
    expert_at=lambda pipeline, timestep: int(timestep < 500),
    geometry=replace(WAN_14B.geometry, latent_channels=2),
)
BOTH = ("cond", "uncond")


class Denoiser(torch.nn.Module):
    @contextmanager
    def cache_context(self, name: str) -> Iterator[None]:
        yield

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class FlowMatchScheduler:
    """Euler steps of a flow: x_{t-1} = x_t + (sigma_{t-1} - sigma_t) v."""

    def __init__(self, num_steps: int) -> None:
        self.config: dict[str, Any] = {}
        self.sigmas = torch.linspace(1, 0, num_steps + 1)
        self.timesteps = self.sigmas[:-1] * 1000
        self.step_index = 0

    def step(self, model_output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor, **_: Any) -> Any:
        change = self.sigmas[self.step_index + 1] - self.sigmas[self.step_index]
        self.step_index += 1
        return (sample + change * model_output,)


class Pipeline:
    """``script`` says for each step which (branch, expert) calls are made."""

    def __init__(self, script: list[list[tuple[str, int]]], num_steps: int = 4, frames: int = 3) -> None:
        self._frames = frames
        self.scheduler = FlowMatchScheduler(num_steps)
        self.transformer, self.transformer_2 = Denoiser(), Denoiser()
        self._script = script

    def prepare_latents(self) -> Any:
        return torch.ones(1, 2, self._frames, 4, 4)

    def __call__(self) -> torch.Tensor:
        latents = self.prepare_latents()
        for timestep, calls in zip(self.scheduler.timesteps, self._script, strict=False):
            for branch, expert in calls:
                model = (self.transformer, self.transformer_2)[expert]
                with model.cache_context(branch):
                    prediction = model(latents * 0.5)
            latents = self.scheduler.step(prediction, timestep, latents)[0]
        return latents


def script(num_steps: int = 4) -> list[list[tuple[str, int]]]:
    """What ought to happen: timesteps 1000, 750, 500, 250, of which the last is the second expert's."""
    experts = [int(timestep < 500) for timestep in FlowMatchScheduler(num_steps).timesteps]
    return [[(branch, expert) for branch in BOTH] for expert in experts]


def watched(pipeline: Pipeline, anatomy: Anatomy = ANATOMY, **callbacks: Any) -> Clock:
    clock = Clock(pipeline, anatomy, SIZE, **callbacks)
    with clock.watching():
        pipeline()
    return clock


def test_every_call_is_read_from_what_happens() -> None:
    clock = watched(Pipeline(script()))
    clock.check(BOTH, 4)
    assert clock.calls == [Call(s, b, int(s == 3)) for s in range(4) for b in BOTH]


def test_steps_are_told_with_what_the_scheduler_saw() -> None:
    steps: list[Step] = []
    watched(Pipeline(script()), on_step=steps.append)
    assert [(s.index, s.timestep, s.clean, s.expert) for s in steps] == [
        (0, 1000, (1.0, -1.0), 0),
        (1, 750, (1.0, -0.75), 0),
        (2, 500, (1.0, -0.5), 0),
        (3, 250, (1.0, -0.25), 1),
    ]
    assert torch.equal(steps[1].noisy, steps[0].after)
    assert torch.equal(steps[0].prediction, steps[0].noisy * 0.5)
    # Euler's last step goes to sigma 0, so what it ends with is its clean estimate.
    assert torch.allclose(steps[3].clean_estimate(), steps[3].final())


def test_the_schedule_is_announced_before_the_first_call() -> None:
    seen: list[Any] = []
    clock = watched(Pipeline(script()), on_start=seen.append)
    assert len(seen) == 1
    assert seen[0].sigma.tolist() == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert seen[0].expert.tolist() == [0, 0, 0, 1]
    assert np.array_equal(seen[0].timestep, clock.timesteps)


def test_the_position_is_known_during_a_call() -> None:
    pipeline = Pipeline(script())
    clock = Clock(pipeline, ANATOMY, SIZE)
    seen: list[Call] = []
    for expert in (pipeline.transformer, pipeline.transformer_2):
        expert.register_forward_hook(lambda *_: seen.extend(clock.under_way))
    with clock.watching():
        pipeline()
    assert seen == clock.calls


def changed(change: Callable[[list[list[tuple[str, int]]]], object]) -> list[list[tuple[str, int]]]:
    wrong = script()
    change(wrong)
    return wrong


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (changed(lambda s: s[1].pop()), "step 1: denoiser calls cond; expected cond, uncond"),
        (changed(lambda s: s[2].append(("cond", 0))), "step 2: denoiser calls cond, uncond, cond; expected"),
        (changed(lambda s: s[0].reverse() or s[0].insert(0, s[0][0])), "step 0: denoiser calls uncond, unco"),
        (changed(lambda s: s[3].__setitem__(1, ("uncond", 0))), "step 3: served by transformer_2, transfo"),
        (changed(lambda s: s.__setitem__(3, s[2])), "step 3: served by transformer, transformer; its sche"),
        (script()[:3], "the 3 steps made are not the 4 of the schedule"),
    ],
)
def test_what_differs_from_the_schedule_is_an_error(wrong: list[Any], message: str) -> None:
    clock = watched(Pipeline(wrong))
    with pytest.raises(ClockError, match=message):
        clock.check(BOTH, 4)


def test_another_number_of_steps_than_asked_is_an_error() -> None:
    clock = watched(Pipeline(script(5), num_steps=5))
    with pytest.raises(ClockError, match="5 steps where 4 were asked for"):
        clock.check(BOTH, 4)


def test_a_call_after_the_last_step_is_an_error() -> None:
    pipeline = Pipeline(script())
    clock = Clock(pipeline, ANATOMY, SIZE)
    with clock.watching():
        pipeline()
        with pipeline.transformer.cache_context("cond"):
            pipeline.transformer(torch.zeros(1))
    with pytest.raises(ClockError, match="after the last of 4 steps"):
        clock.check(BOTH, 4)


def test_a_batch_of_another_length_is_an_error() -> None:
    pipeline = Pipeline(script())
    with (
        Clock(pipeline, ANATOMY, SIZE, rows=2).watching(),
        pytest.raises(ClockError, match="cannot tell the guidance branch .* 3 rows for 2 videos"),
    ):
        pipeline.transformer(torch.zeros(3))


def test_more_calls_than_branches_are_an_error() -> None:
    pipeline = Pipeline(script())
    with Clock(pipeline, ANATOMY, SIZE).watching():
        for _ in BOTH:
            pipeline.transformer(torch.zeros(1))
        with pytest.raises(ClockError, match="1 rows for 1 videos, after cond, uncond"):
            pipeline.transformer(torch.zeros(1))


def test_without_labels_the_order_of_the_calls_tells_the_branch() -> None:
    pipeline = Pipeline(script())
    pipeline.transformer.cache_context = None  # type: ignore[assignment]
    clock = Clock(pipeline, ANATOMY, SIZE)
    with clock.watching():
        for _ in BOTH:
            pipeline.transformer(torch.zeros(1))
    assert [call.branch for call in clock.calls] == list(BOTH)


def test_the_rows_of_a_doubled_batch_are_two_branches() -> None:
    pipeline = Pipeline(script())
    clock = Clock(pipeline, ANATOMY, SIZE, rows=3)
    with clock.watching(), pipeline.transformer.cache_context("cond_uncond"):
        pipeline.transformer(torch.zeros(6))
    assert [call.branch for call in clock.under_way] == ["uncond", "cond"]


def test_a_copy_of_the_scheduler_steps_unseen() -> None:
    """LTX-2 copies its scheduler for the audio, while it is watched."""
    pipeline = Pipeline(script())
    clock = Clock(pipeline, ANATOMY, SIZE)
    with clock.watching():
        copied = copy.deepcopy(pipeline.scheduler)
        latents = torch.ones(1, 2, 5, 4, 4)
        copied.step(latents, copied.timesteps[0], latents)
        assert (copied.step_index, pipeline.scheduler.step_index) == (1, 0)
    assert clock.step == 0


def test_frames_that_the_scheduler_is_not_shown_are_the_pinned_ones() -> None:
    pinned = Pinned(torch.full((1, 2, 3, 4, 4), 7.0), torch.tensor([True, False, False]))
    pipeline = Pipeline(script(), frames=2)
    steps: list[Step] = []
    watched(pipeline, replace(ANATOMY, pinned=lambda prepared, size: pinned), on_step=steps.append)
    assert all(step.noisy.shape == step.prediction.shape == (1, 2, 3, 4, 4) for step in steps)
    assert all((step.noisy[:, :, 0] == 7).all() and (step.prediction[:, :, 0] == 0).all() for step in steps)
    assert torch.equal(steps[1].noisy, steps[0].after)


def test_everything_is_put_back_after_an_error() -> None:
    pipeline = Pipeline(script())

    def fail(step: Step) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        watched(pipeline, on_step=fail)
    for owner in (pipeline.scheduler, pipeline, pipeline.transformer, pipeline.transformer_2):
        assert not {"step", "prepare_latents", "cache_context"} & set(vars(owner))
    assert not pipeline.transformer._forward_pre_hooks


def test_nothing_holds_the_clock_afterwards() -> None:
    """It leads to whatever is told of the steps, which may be large."""
    pipeline = Pipeline(script())
    gc.disable()
    try:
        clock = watched(pipeline)
        seen = weakref.ref(clock)
        del clock
        assert seen() is None
    finally:
        gc.enable()


def test_what_was_shadowed_before_is_put_back() -> None:
    pipeline = Pipeline(script())
    own = SimpleNamespace(called=0)
    original = pipeline.scheduler.step

    def counting(*args: Any, **kwargs: Any) -> Any:
        own.called += 1
        return original(*args, **kwargs)

    pipeline.scheduler.step = counting
    watched(pipeline)
    assert own.called == 4
    assert pipeline.scheduler.step is counting


def test_pinned_frames_come_from_the_condition() -> None:
    noisy, prediction = torch.randn(1, 2, 3, 4, 4), torch.randn(1, 2, 3, 4, 4)
    condition = torch.full_like(noisy, 7.0)
    pinned = Pinned(condition, torch.tensor([True, False, False]))
    estimate = clean_estimate(noisy, prediction, (1.0, -0.3), pinned)
    assert (estimate[:, :, 0] == 7).all()
    assert torch.equal(estimate[:, :, 1:], (noisy - 0.3 * prediction)[:, :, 1:])
