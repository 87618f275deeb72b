"""Proving that a model is understood: what is captured is what it computes, and capturing changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image

from cosinterp.capture.watching import OnTensor, traced_call
from cosinterp.denoising import Call, Clock, ClockError, Step
from cosinterp.models.anatomy import RAW, RESID
from cosinterp.models.model import Model
from cosinterp.samples import Sample

NUM_STEPS = 4
GUIDANCE_SCALE = 3.0

Key = tuple[str, int, Call]
Tensors = dict[Key, torch.Tensor]


@dataclass(frozen=True)
class Check:
    """One check: what it compares, the worst difference found and the largest that passes.

    ``worst`` is None where there is nothing to measure; ``detail`` then says what happened.
    """

    name: str
    passed: bool
    compares: str
    worst: float | None = None
    allowed: float | None = None
    detail: str = ""


@dataclass
class _Generation:
    """One generation, and what was seen of it."""

    clock: Clock
    frames: np.ndarray = field(default_factory=lambda: np.empty(0))
    tensors: Tensors = field(default_factory=dict)
    last_step: Step | None = None

    def keep(self, site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        self.tensors[site, layer, call] = tokens.detach().to("cpu", copy=True)


def verify(
    model: Model,
    sample: Sample | None = None,
    *,
    seed: int = 0,
    on_check: Callable[[Check], None] | None = None,
    **sampling: Any,
) -> list[Check]:
    """Check a model on a short, small, guided generation; a few seconds for a small model.

    Args:
        sample: what to generate from; default: a made-up prompt, and an image if the model takes one, at
            the smallest size that has several tokens along each axis.
        seed: of the noise.
        on_check: called with each check as soon as it is done.
        **sampling: settings of the pipeline's call; default: 4 steps, guidance 3.

    Returns:
        The checks, in order; all have to pass.

    Raises:
        UserError: the sample or a setting does not fit the model.
    """
    probe = sample or probe_sample(model)
    settings = model.sampling(probe, {"num_steps": NUM_STEPS, "guidance_scale": GUIDANCE_SCALE, **sampling})
    run = partial(_generate, model, probe, seed, settings)
    checks: list[Check] = []

    def done(check: Check) -> None:
        checks.append(check)
        if on_check is not None:
            on_check(check)

    plain = run(_plain_call)
    done(_check_schedule(model, plain, settings))
    done(_check_clean_estimate(model, plain))
    traced = run(_traced_call)
    done(_check_video(plain, traced, "traced video", "video of the traced and of the plain pipeline"))
    done(_check_captured(plain, traced))
    done(_check_residual(model, traced))
    patched = run(_identity_call)
    done(
        _check_video(
            plain, patched, "identity patch", "video with each block's output replaced by itself, and without"
        )
    )
    return checks


def probe_sample(model: Model) -> Sample:
    """A made-up sample of a small size that the model takes."""
    anatomy = model.anatomy
    height, width = (max(32, side) for side in anatomy.size_multiple)
    rows, cols = np.mgrid[0:height, 0:width]
    pixels = np.stack([rows * 255 // height, cols * 255 // width, (rows * cols) % 256], axis=-1)
    return Sample(
        name="probe",
        prompt="a red ball rolls down a hill",
        image=Image.fromarray(pixels.astype(np.uint8)) if anatomy.image == "required" else None,
        height=height,
        width=width,
        num_frames=2 * anatomy.temporal_scale + 1,
    )


def _generate(
    model: Model,
    sample: Sample,
    seed: int,
    settings: dict[str, Any],
    call: Callable[[Model, dict[str, Any], _Generation], Any],
) -> _Generation:
    generation = _Generation(Clock(model.pipeline, model.anatomy))
    generation.clock.on_step = partial(setattr, generation, "last_step")
    with generation.clock.watching():
        output = call(model, model.arguments(sample, (seed,), settings), generation)
    generation.frames = output.frames
    return generation


def _plain_call(model: Model, arguments: dict[str, Any], generation: _Generation) -> Any:
    with _hooks(model, generation.clock, generation.keep):
        return model.pipeline(**arguments)


def _traced_call(model: Model, arguments: dict[str, Any], generation: _Generation) -> Any:
    layers = {site: model.anatomy.layers_of(site, tuple(model.layers)) for site in model.sites}
    return traced_call(model, arguments, generation.clock, layers, lambda call: True, generation.keep)


def _identity_call(model: Model, arguments: dict[str, Any], generation: _Generation) -> Any:
    anatomy = model.anatomy

    def put_back(site: str, layer: int, tokens: torch.Tensor, call: Call) -> None:
        envoy = getattr(model.nn, anatomy.experts[call.expert])
        getattr(envoy, anatomy.blocks)[layer - 1].output = tokens.clone()

    layers = {RESID: tuple(model.layers)[1:]}
    return traced_call(model, arguments, generation.clock, layers, lambda call: True, put_back)


@contextmanager
def _hooks(model: Model, clock: Clock, keep: OnTensor) -> Iterator[None]:
    """Plain PyTorch hooks on the residual stream and on each sublayer's module."""
    anatomy = model.anatomy
    handles = []

    def on_output(site: str, layer: int) -> Callable[..., None]:
        return lambda _, __, output: keep(site, layer, output, clock.call)

    def on_first_input(_: Any, args: tuple, kwargs: dict) -> None:
        keep(RESID, 0, args[0] if args else kwargs[anatomy.block_arguments[0]], clock.call)

    for component in anatomy.experts:
        blocks = getattr(getattr(model.pipeline, component), anatomy.blocks)
        handles.append(blocks[0].register_forward_pre_hook(on_first_input, with_kwargs=True))
        for layer, block in enumerate(blocks, start=1):
            handles.append(block.register_forward_hook(on_output(RESID, layer)))
            for part in anatomy.sublayers:
                module = block.get_submodule(part.module)
                handles.append(module.register_forward_hook(on_output(part.site + RAW, layer)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _check_schedule(model: Model, run: _Generation, settings: dict[str, Any]) -> Check:
    branches = model.anatomy.branches(settings["guidance_scale"] > 1)
    name = "calls"
    compares = "denoiser calls of each step, branch and expert, and the schedule"
    try:
        run.clock.check(branches, settings["num_steps"])
    except ClockError as error:
        return Check(name, False, compares, detail=str(error))
    experts = sorted({call.expert for call in run.clock.calls})
    detail = f"{len(run.clock.calls)} calls: {settings['num_steps']} steps of {', '.join(branches)}"
    if len(experts) < len(model.anatomy.experts):
        missing = [name for i, name in enumerate(model.anatomy.experts) if i not in experts]
        return Check(name, False, compares, detail=f"{detail}; no step reached {', '.join(missing)}")
    return Check(name, True, compares, detail=detail)


def _check_clean_estimate(model: Model, run: _Generation) -> Check:
    """The scheduler may round the prediction and sigma times it to the model's dtype, we do not."""
    compares = "clean estimate at the last step and the final latent"
    step = run.last_step
    if step is None:
        return Check("clean estimate", False, compares, detail="no step was seen")
    difference = (step.clean_estimate().double() - step.final().double()).abs()
    change = (step.sigma * step.prediction.double()).abs()
    rounding = torch.finfo(model.dtype).eps * change + 4 * torch.finfo(torch.float32).eps * (
        change + step.noisy.double().abs()
    )
    return _within("clean estimate", compares, difference, rounding)


def _check_video(plain: _Generation, other: _Generation, name: str, compares: str) -> Check:
    worst = float(np.abs(plain.frames - other.frames).max())
    return _measured(name, compares, worst, 0.0)


def _check_captured(plain: _Generation, traced: _Generation) -> Check:
    compares = "captured tensors and those of plain PyTorch hooks, at each site, layer, step, branch, expert"
    # Gated sites have no module that a hook could see; the residual stream checks them.
    captured = {
        key: value for key, value in traced.tensors.items() if key[0] == RESID or key[0].endswith(RAW)
    }
    if set(captured) != set(plain.tensors):
        missing = len(set(plain.tensors) - set(captured))
        extra = len(set(captured) - set(plain.tensors))
        detail = f"{missing} tensors were not captured, {extra} should not have been"
        return Check("captured tensors", False, compares, detail=detail)
    worst = max(_difference(value, plain.tensors[key]) for key, value in captured.items())
    return _measured("captured tensors", compares, worst, 0.0, f"{len(captured)} tensors")


def _check_residual(model: Model, traced: _Generation) -> Check:
    """Each addition to the stream rounds once: by half a unit in the last place of the sum so far."""
    compares = "what a block adds to the residual stream and the sum of its sublayers"
    parts = model.anatomy.sublayers
    differences, roundings = [], []
    for (site, layer, call), after in traced.tensors.items():
        if site != RESID or layer == 0:
            continue
        before = traced.tensors[RESID, layer - 1, call].double()
        added = torch.stack([traced.tensors[part.site, layer, call].double() for part in parts])
        differences.append((after.double() - before - added.sum(0)).abs())
        largest = before.abs() + added.abs().sum(0)
        roundings.append(len(parts) * torch.finfo(after.dtype).eps / 2 * largest)
    return _within("sublayer sites", compares, torch.stack(differences), torch.stack(roundings))


def _within(name: str, compares: str, difference: torch.Tensor, allowed: torch.Tensor) -> Check:
    """Compare element by element; reports the element that comes closest to its limit, or exceeds it most."""
    difference, allowed = difference.flatten(), allowed.flatten()
    place = int((difference / allowed.clamp_min(torch.finfo(torch.float64).tiny)).argmax())
    return _measured(name, compares, float(difference[place]), float(allowed[place]))


def _measured(name: str, compares: str, worst: float, allowed: float, detail: str = "") -> Check:
    # NaN compares as false, so a model that puts out NaN fails.
    return Check(name, worst <= allowed, compares, worst, allowed, detail)


def _difference(one: torch.Tensor, other: torch.Tensor) -> float:
    if one.shape != other.shape or one.dtype != other.dtype:
        return float("inf")
    return float((one.double() - other.double()).abs().max())
